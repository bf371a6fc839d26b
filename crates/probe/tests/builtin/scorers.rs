//! A perfect answer gets 1, who knows nothing gets what chance gets, and dress does not change the score.

use std::collections::HashSet;

use neuro_probe::{Count, Likelihood, Probe, ProbeRequest, Question, Role};
use proptest::prelude::*;

use crate::support::{GENERATED, LIKELY, knowing_all, knowing_nothing, many, mean, probe, request};

#[test]
fn a_perfect_answer_gets_1() {
    for name in GENERATED {
        let score = mean(&many(name), |question| question.key.clone());
        assert!((score - 1.0).abs() < 1e-12, "{name}: {score}");
    }
    for name in LIKELY {
        let score = knowing_all(&many(name));
        assert!((score - 1.0).abs() < 1e-9, "{name}: {score}");
    }
}

/// Dress that a chat model may put around an answer of one line.
fn dressed(key: &str) -> Vec<String> {
    let lines = |line: &dyn Fn(&str) -> String| key.lines().map(line).collect::<Vec<_>>().join("\n");
    vec![
        format!("\n {key} \n"),
        lines(&|line| format!("**{line}**")),
        lines(&|line| format!("- {line}")),
        lines(&|line| format!("* {line}.")),
        format!("Sure! {key}"),
        format!("Sure! Here it is:\n\n{key}"),
        format!("<think>\nHm. yes, no, 7.\n</think>\n\n{key}"),
        key.to_uppercase(),
    ]
}

#[test]
fn dress_does_not_change_the_score() {
    for name in ["eq", "reason", "recall"] {
        let probe = many(name);
        for question in probe.questions() {
            for answer in dressed(&question.key) {
                let grade = probe.grade(question, &answer);
                assert!((grade.score - 1.0).abs() < f64::EPSILON, "{name}, {}: {answer}", question.id);
            }
            let echo = format!("{}\n{}", question.user, question.key);
            assert!((probe.grade(question, &echo).score - 1.0).abs() < f64::EPSILON, "{name}, {}: {echo}", question.id);
        }
    }
}

/// Where the key itself is scored: a certain text gets 1, and one of whose next part nothing is known what chance gets.
#[test]
fn a_text_is_worth_what_is_known_of_it() {
    // Ten digits to choose from, and 256 bytes.
    for (name, parts, chance) in [("math:likelihood", 10.0, 0.1), ("text", 256.0, 1.0 / 256.0)] {
        let probe = many(name);
        for question in probe.questions() {
            let said = question.key.len();
            let score = |nats: f64| probe.score_logprobs(question, &[vec![nats; said]]).score;
            assert_eq!(score(0.0), 1.0, "{name}: {}", question.id);
            assert!((score(-f64::ln(parts)) - chance).abs() < 1e-9, "{name}: {}", question.id);
        }
    }
}

/// An answer of one number for all emotions, expected or said, is worth no more than random ones.
#[test]
fn ratings_without_knowledge_are_worth_little() {
    let chance = knowing_nothing(&many("eq:likelihood"));
    assert!(chance < 0.15, "equally probable ratings get {chance}");
    for name in ["eq", "sane"] {
        let probe = many(name);
        for question in probe.questions() {
            let echo = probe.grade(question, &question.user);
            assert!(echo.score == 0.0 && echo.parse_failure, "{name}: {}", question.id);
        }
    }
}

/// `sane` judges form alone: it is a guard, which every whole sentence passes and no loop.
#[test]
fn only_form_counts_for_sane() {
    let probe = many("sane");
    for (constant, least, most) in [
        ("It is a thing that people know and use every day.", 1.0, 1.0),
        ("Das ist eine Sache, die es auch für sich nicht ist, und mit der wir und die anderen sind.", 0.0, 0.1),
        ("and and and and and and and and and and and and", 0.0, 0.0),
        ("I like it. I like it. I like it. I like it. I like it. I like it.", 0.0, 0.1),
        ("они говорят, что это хорошая вещь", 0.0, 0.0),
    ] {
        let score = mean(&probe, |_| constant.to_owned());
        assert!((least..=most).contains(&score), "always `{constant}` gets {score}");
    }
}

/// Dress changes neither what is right nor what is wrong.
#[test]
fn dress_does_not_change_a_wrong_answer_either() {
    for name in ["eq", "reason", "recall"] {
        let probe = many(name);
        let mut wrong = 0;
        for question in probe.questions() {
            let answer = match name {
                "eq" if question.key.contains(": 9") => question.key.replacen(": 9", ": 3", 1),
                "eq" => continue,
                _ => match question.continuations[0].iter().find(|choice| choice.value == 0.0) {
                    Some(choice) => choice.said.clone(),
                    None => continue,
                },
            };
            wrong += 1;
            let plain = probe.grade(question, &answer);
            assert!(plain.score < 1.0 && !plain.parse_failure, "{name}, {}: {answer}", question.id);
            for dressed in dressed(&answer) {
                assert_eq!(probe.grade(question, &dressed), plain, "{name}, {}: {dressed}", question.id);
            }
        }
        assert!(wrong >= 50, "{name}: {wrong}");
    }
}

/// Rules are about form, so only what stands outside of the text is dress; and of `sane` what honest prose is dressed in.
#[test]
fn courtesy_costs_no_score() {
    for name in ["follow", "sane", "math"] {
        let probe = many(name);
        for question in probe.questions() {
            let key = &question.key;
            for answer in [
                format!("Sure! {key}"),
                format!("Sure! Here it is:\n\n{key}"),
                format!("**{key}**"),
                format!("\n{key}\n\n"),
                format!("<think>\nHm. 1, 2, 3.\n</think>\n\n{key}"),
            ] {
                assert_eq!(probe.grade(question, &answer).score, 1.0, "{name}, {}: {answer}", question.id);
            }
        }
    }
}

#[test]
fn the_order_of_ratings_does_not_matter() {
    let probe = many("eq");
    for question in probe.questions() {
        // One rating off, so that a mix-up of names would show.
        let wrong = question.key.replacen(": 0", ": 3", 1);
        let mut lines: Vec<&str> = wrong.lines().collect();
        let straight = probe.grade(question, &wrong);
        lines.reverse();
        assert_eq!(probe.grade(question, &lines.join("\n")).score.to_bits(), straight.score.to_bits());
        let table = lines.iter().map(|line| format!("| {} |", line.replace(": ", " | "))).collect::<Vec<_>>();
        assert_eq!(probe.grade(question, &table.join("\n")).score.to_bits(), straight.score.to_bits());
        // Three of four are no answer.
        assert!(probe.grade(question, &lines[1..].join("\n")).parse_failure);
    }
}

#[test]
fn one_number_for_every_emotion_gets_no_more_than_random_ones() {
    let probe = many("eq");
    let rated = |question: &Question, value: &mut dyn FnMut() -> u32| {
        let lines = question.key.lines().filter_map(|line| line.split_once(':'));
        lines.map(|(name, _)| format!("{name}: {}", value())).collect::<Vec<_>>().join("\n")
    };
    let constants: Vec<f64> = (0..=10).map(|value| mean(&probe, |question| rated(question, &mut || value))).collect();
    // Numbers drawn by a small generator: what chance gets.
    let state = std::cell::Cell::new(1_u64);
    let chance = (0..40).map(|_| mean(&probe, |question| rated(question, &mut || draw(&state)))).sum::<f64>() / 40.0;
    let best = constants.iter().copied().fold(0.0, f64::max);
    assert!((0.13..0.19).contains(&chance), "chance is {chance}");
    assert!(best < chance, "the best constant gets {best}, chance {chance}: {constants:?}");
    // The author's probe gives 2.5 everywhere more than a good model gets; here it is worth little.
    let quarter = mean(&probe, |question| {
        let lines = question.key.lines().filter_map(|line| line.split_once(':'));
        lines.map(|(name, _)| format!("{name}: 2.5")).collect::<Vec<_>>().join("\n")
    });
    assert!(quarter < chance, "2.5 gets {quarter}");
}

fn draw(state: &std::cell::Cell<u64>) -> u32 {
    state.set(state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    ((state.get() >> 33) % 11) as u32
}

#[test]
fn who_knows_nothing_gets_what_chance_gets() {
    for name in ["reason", "recall"] {
        let probe = many(name);
        let chance = knowing_nothing(&Probe::build(&format!("{name}:likelihood"), &all_or(name)).unwrap());
        // Exact: the mean of 1 / choices.
        let choices = probe.questions().iter().map(|question| 1.0 / question.continuations[0].len() as f64);
        let exact = choices.sum::<f64>() / probe.questions().len() as f64;
        assert!((chance - exact).abs() < 1e-9, "{name}: {chance}, not {exact}");
        let said: HashSet<&str> = probe
            .questions()
            .iter()
            .flat_map(|question| question.continuations[0].iter().map(|part| part.said.as_str()))
            .collect();
        // In an order of their own; a part of them is enough.
        let mut said: Vec<&str> = said.into_iter().collect();
        said.sort_unstable();
        for constant in said.into_iter().step_by(29).chain(["I do not know.", "yes no", "7"]) {
            let score = mean(&probe, |_| constant.to_owned());
            assert!(score < chance, "{name}: always `{constant}` gets {score}, chance is {chance}");
        }
        // What is only said again is no answer.
        let echo = mean(&probe, |question| question.user.clone());
        assert!(echo == 0.0, "{name}: the echo gets {echo}");
    }
    assert!((knowing_nothing(&many("follow:likelihood")) - 0.5).abs() < 1e-12);
}

fn all_or(name: &str) -> ProbeRequest {
    match name {
        "recall" => ProbeRequest { count: Count::All, ..ProbeRequest::default() },
        _ => request(300, 1, Role::Search),
    }
}

#[test]
fn constants_within_a_kind_get_what_chance_gets() {
    // Within a kind: always `yes` to all webs of lies, always `Monday`. Three standard deviations of that many coin flips.
    let probe = probe("reason", 2_000);
    let kinds: HashSet<&str> = probe.questions().iter().map(|question| question.group.as_str()).collect();
    for kind in kinds {
        let of_kind: Vec<&Question> = probe.questions().iter().filter(|question| question.group == kind).collect();
        let count = of_kind.len() as f64;
        let chance = of_kind.iter().map(|question| 1.0 / question.continuations[0].len() as f64).sum::<f64>() / count;
        let said: HashSet<&str> = of_kind
            .iter()
            .flat_map(|question| question.continuations[0].iter().map(|part| part.said.as_str()))
            .collect();
        let most = chance + 3.0 * (chance * (1.0 - chance) / count).sqrt();
        for constant in said {
            let score = of_kind.iter().map(|question| probe.grade(question, constant).score).sum::<f64>() / count;
            assert!(score <= most, "{kind}: always `{constant}` gets {score}, chance is {chance}");
        }
    }
}

#[test]
fn constants_follow_no_rule_and_echoes_neither() {
    let probe = many("follow");
    for constant in ["The rain is old.", "Rain, rain, rain!", "{\"text\": \"rain\"}", "- a\n- b", "ok", "RAIN"] {
        let score = mean(&probe, |_| constant.to_owned());
        assert!(score < 0.03, "always `{constant}` gets {score}");
    }
    assert!(mean(&probe, |question| question.user.clone()) == 0.0);
    // About the topic, but blind to the rule: some rules forbid what no one would write anyhow.
    let blind = mean(&probe, |question| {
        format!("I saw the {} today, and it was nice.", question.id.rsplit(' ').nth(1).unwrap_or(""))
    });
    assert!(blind < 0.35, "{blind}");
}

#[test]
fn unreadable_answers_are_parse_failures() {
    for name in GENERATED {
        let probe = probe(name, 12);
        for question in probe.questions() {
            for answer in ["", " \n", "...", "<think> 5 yes red"] {
                let grade = probe.grade(question, answer);
                assert!(grade.parse_failure && grade.parsed.is_none() && grade.score == 0.0, "{name}: {answer}");
            }
        }
    }
}

#[test]
fn the_text_is_scored_per_byte() {
    let probe = probe("text", 4);
    assert!(probe.always_plain() && probe.likelihood() == Likelihood::Text);
    for question in probe.questions() {
        let bytes = question.key.len() as f64;
        let grade = probe.score_logprobs(question, &[vec![0.5_f64.ln() * bytes / 3.0; 3]]);
        assert!((grade.score - 0.5).abs() < 1e-12);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scores_lie_between_0_and_1(seed: u64, answer in "[a-z0-9,:. *(){}<>\\[\\]\n-]{0,40}|\\PC{0,60}", nats in -80.0..0.1) {
        for name in GENERATED {
            let probe = Probe::build(name, &request(12, seed, Role::Report)).unwrap();
            for question in probe.questions() {
                let grade = probe.grade(question, &answer);
                prop_assert!((0.0..=1.0).contains(&grade.score));
                prop_assert_eq!(grade.parse_failure, grade.parsed.is_none());
                let logprobs: Vec<Vec<f64>> = question.continuations.iter().flatten().map(|part| vec![nats * part.value]).collect();
                let grade = probe.score_logprobs(question, &logprobs);
                prop_assert!((0.0..=1.0).contains(&grade.score));
            }
        }
    }
}
