//! What a probe promises to the rooms that use it.

use std::collections::{BTreeMap, HashSet};

use neuro_probe::phantom::{PhantomQuestion, PhantomWorld};
use neuro_probe::{Count, Probe, ProbeError, ProbeRequest, Question, Role, Scoring, Terminator};
use proptest::prelude::*;

fn request(count: Count, seed: u64, role: Role) -> ProbeRequest {
    ProbeRequest { count, seed, role, phantom: Some(PhantomWorld::new(5)), file: None }
}

fn probe(name: &str, count: Count, seed: u64, role: Role) -> Probe {
    Probe::build(name, &request(count, seed, role)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn math(count: usize) -> Probe {
    probe("math", Count::Some(count), 0, Role::Search)
}

fn ids(probe: &Probe) -> HashSet<String> {
    probe.questions().iter().map(|question| question.id.clone()).collect()
}

fn mean_score(probe: &Probe, answer: impl Fn(&Question) -> String) -> f64 {
    let questions = probe.questions();
    let scores = questions.iter().map(|question| probe.grade(question, &answer(question)).score);
    scores.sum::<f64>() / questions.len() as f64
}

/// The first digits of the key, then another digit, then sevens.
fn with_right_digits(key: &str, right: usize) -> String {
    let wrong = |(place, digit): (usize, char)| match place {
        place if place < right => digit,
        place if place == right && digit == '5' => '4',
        place if place == right => '5',
        _ => '7',
    };
    key.chars().enumerate().map(wrong).collect()
}

#[test]
fn roles_never_share_a_question() {
    for name in ["math", "phantom"] {
        let sets: Vec<HashSet<String>> = Role::ALL
            .into_iter()
            .map(|role| (0..3).flat_map(|seed| ids(&probe(name, Count::Some(200), seed, role))).collect())
            .collect();
        for (index, set) in sets.iter().enumerate() {
            assert!(set.len() >= 200);
            assert!(sets[index + 1..].iter().all(|other| set.is_disjoint(other)), "{name}");
        }
    }
}

#[test]
fn more_math_begins_with_the_same() {
    let (few, many) = (math(20), math(200));
    assert_eq!(few.questions(), &many.questions()[..20]);
    assert_eq!(ids(&many).len(), 200);
    let mut groups = BTreeMap::new();
    for question in many.questions() {
        *groups.entry(question.group.as_str()).or_insert(0) += 1;
    }
    let expected = ["cube root", "mixed", "product", "quotient", "square root"].map(|group| (group, 40));
    assert_eq!(groups.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn math_prompts_share_their_beginning() {
    let probe = math(100);
    for question in probe.questions() {
        assert!(question.user.starts_with("Rounded to the nearest whole number, what is "));
        assert!(question.plain.ends_with(&format!("\n\nQuestion: {}\nAnswer:", question.user)));
        assert_eq!(question.system, probe.questions()[0].system);
        assert!((3..=8).contains(&question.key.len()), "{}", question.key);
        assert!(question.key.len() < question.max_new_tokens);
    }
}

#[test]
fn only_right_digits_score() {
    let probe = math(250);
    let exact = mean_score(&probe, |question| question.key.clone());
    assert!((exact - 1.0).abs() < f64::EPSILON);
    // The author's score gives 0.876 for one right digit and 0.981 for two.
    let right: Vec<f64> =
        (0..5).map(|right| mean_score(&probe, |question| with_right_digits(&question.key, right))).collect();
    assert!(right[0] < 0.1 && right[1] < 0.35 && right[2] < 0.6, "{right:?}");
    assert!(right.is_sorted(), "{right:?}");
}

#[test]
fn answers_that_know_nothing_score_next_to_nothing() {
    let probe = math(250);
    for constant in ["0", "1", "42", "1000", "5000", "12345", "100000", "1000000"] {
        let score = mean_score(&probe, |_| constant.to_owned());
        assert!(score < 0.05, "{constant} scores {score}");
    }
    let echo = mean_score(&probe, |question| question.user.clone());
    assert!(echo < 0.01, "the echo scores {echo}");
    let beside = mean_score(&probe, |question| format!("-{}", question.key));
    assert!(beside.abs() < f64::EPSILON, "the negative scores {beside}");
}

#[test]
fn dress_does_not_change_the_score() {
    let probe = math(60);
    for question in probe.questions() {
        for right in [1, 2, 3, question.key.len()] {
            let number = with_right_digits(&question.key, right);
            let split = number.len().saturating_sub(3);
            let grouped = |separator: &str| match &number[..split] {
                "" => number.clone(),
                head if head.len() <= 3 => format!("{head}{separator}{}", &number[split..]),
                head => format!(
                    "{}{separator}{}{separator}{}",
                    &head[..head.len() - 3],
                    &head[head.len() - 3..],
                    &number[split..]
                ),
            };
            let plain = probe.grade(question, &number);
            assert_eq!(plain.score == 1.0, number == question.key);
            for dressed in [
                format!(" {number}\n"),
                format!("{number}."),
                format!("**{number}**"),
                format!("- {number}"),
                format!("1. {number}"),
                grouped(","),
                grouped("\u{2009}"),
                format!("**{}**.", grouped(",")),
                format!("Sure! The answer is {}.", grouped("\u{202f}")),
                format!("{} It is about **{}**!", question.user, grouped(",")),
                format!("<think>\n1, 2, 3\n</think>\n\n$\\boxed{{{}}}$", grouped("{,}")),
            ] {
                assert_eq!(probe.grade(question, &dressed), plain, "{dressed}");
            }
        }
    }
}

#[test]
fn unreadable_answers_are_parse_failures() {
    for name in ["math", "phantom"] {
        let probe = probe(name, Count::Some(4), 0, Role::Search);
        let grade = probe.grade(&probe.questions()[0], " \n");
        assert!(grade.parse_failure && grade.parsed.is_none() && grade.score.abs() < f64::EPSILON);
        let read = probe.grade(&probe.questions()[0], "7");
        assert_eq!((read.parse_failure, read.parsed.as_deref()), (false, Some("7")));
    }
    assert!(math(1).grade(&math(1).questions()[0], "I will not guess.").parse_failure);
}

#[test]
fn the_phantom_asks_everything_in_a_fixed_order() {
    let world = PhantomWorld::new(5);
    let all = probe("phantom", Count::All, 3, Role::Confirm);
    assert_eq!(all.questions().len(), 1_152);
    for (asked, question) in all.questions().iter().zip(PhantomQuestion::all()) {
        assert_eq!(asked.plain, question.to_string());
        assert_eq!((asked.group.as_str(), asked.max_new_tokens), (question.hops.to_string().as_str(), 1));
        let target = (0..question.hops).fold(question.concept, |concept, _| world.target(concept, 1));
        assert_eq!(asked.key, target.word(question.answer_script));
    }
    // Neither seed nor role choose anything when all are asked.
    assert_eq!(all.hash(), probe("phantom", Count::All, 9, Role::Search).hash());
    assert_eq!(all.id(), probe("phantom", Count::All, 9, Role::Search).id());
}

#[test]
fn a_draw_of_the_phantom_holds_every_hop_count_alike() {
    for (count, expected) in [(1, vec![1]), (6, vec![2, 2, 1, 1]), (384, vec![96; 4])] {
        let probe = probe("phantom", Count::Some(count), 1, Role::Report);
        assert_eq!(ids(&probe).len(), count);
        let groups = probe.questions().chunk_by(|left, right| left.group == right.group);
        assert_eq!(groups.map(<[Question]>::len).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn the_phantom_is_graded_by_its_first_word() {
    let probe = probe("phantom", Count::Some(8), 0, Role::Search);
    let (question, other) = (&probe.questions()[0], &probe.questions()[1]);
    let score = |answer: String| probe.grade(question, &answer).score;
    assert_eq!([score(question.key.clone()), score(format!(" {} and more", question.key))], [1.0, 1.0]);
    assert_ne!(question.key, other.key);
    assert_eq!([score(other.key.clone()), score(format!("{}{}", question.key, other.key))], [0.0, 0.0]);
}

#[test]
fn the_name_carries_the_scoring() {
    for (name, scoring) in [
        ("math", Scoring::Generation),
        ("math:likelihood", Scoring::Likelihood),
        ("phantom", Scoring::Generation),
        ("phantom:likelihood", Scoring::Likelihood),
    ] {
        let probe = probe(name, Count::Some(8), 2, Role::Search);
        assert_eq!((probe.name(), probe.scoring()), (name, scoring));
        assert!(probe.id().starts_with(&format!("{name} v1 ")), "{}", probe.id());
    }
    let (generated, likely) = (math(8), probe("math:likelihood", Count::Some(8), 0, Role::Search));
    assert_eq!(generated.questions(), likely.questions());
    assert_ne!(generated.hash(), likely.hash());
    assert_eq!(generated.id(), "math v1 count=8 role=search seed=0");
}

#[test]
fn answers_end_where_the_frame_says() {
    let (math, phantom) = (math(1), probe("phantom", Count::Some(1), 0, Role::Search));
    assert_eq!(math.terminator(true), Terminator::EndOfTurn);
    assert_eq!(math.terminator(false), Terminator::Text("\n"));
    assert!(math.stop_strings(true).is_empty() && !math.stop_strings(false).is_empty());
    assert_eq!(phantom.terminator(false), Terminator::None);
}

#[test]
fn likelihood_is_the_geometric_mean_probability() {
    let probe = math(1);
    let score = |logprobs: &[f64]| probe.score_logprobs(&probe.questions()[0], &[logprobs.to_vec()]).score;
    assert!((score(&[0.5_f64.ln(), 0.125_f64.ln()]) - 0.25).abs() < 1e-12);
    assert_eq!([score(&[0.0, 0.0]), score(&[1e-9])], [1.0, 1.0]);
    assert_eq!([score(&[]), score(&[f64::NAN]), score(&[f64::NEG_INFINITY])], [0.0; 3]);
}

#[test]
fn requests_that_fit_no_probe_say_what_would() {
    let refusal = |name: &str, count, phantom| {
        let request = ProbeRequest { phantom, ..request(count, 0, Role::Search) };
        Probe::build(name, &request).map(|probe| probe.id()).unwrap_err().to_string()
    };
    let world = || Some(PhantomWorld::new(0));
    for (message, part) in [
        (refusal("maths", Count::Some(1), None), "the probes are math, math:likelihood, eq, eq:likelihood, reason"),
        (refusal("math", Count::All, None), "give a number of questions"),
        (refusal("math", Count::Some(0), None), "at least 1"),
        (refusal("math", Count::Some(usize::MAX), None), "has 100000"),
        (refusal("phantom", Count::Some(1), None), "the model is no phantom"),
        (refusal("phantom", Count::Some(385), world()), "has 384 for this purpose; `all` asks every"),
        ("3x".parse::<Count>().unwrap_err().to_string(), "`3x`, expected a whole number or `all`"),
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(matches!("all".parse(), Ok::<_, ProbeError>(Count::All)));
    assert!(matches!(" 32 ".parse(), Ok::<_, ProbeError>(Count::Some(32))));
}

/// Stored runs name these hashes: when one changes, raise the version of its generator or scorer.
#[test]
fn generators_of_this_version_never_change() {
    let hashes = [
        math(100).hash(),
        probe("math:likelihood", Count::Some(100), 1, Role::Confirm).hash(),
        probe("phantom", Count::Some(100), 1, Role::Report).hash(),
        probe("phantom:likelihood", Count::All, 1, Role::Report).hash(),
    ];
    assert_eq!(
        hashes.map(|hash| hash[..12].to_owned()),
        ["230ec55933ef", "389841205117", "afa043fd56a6", "e3d7a6333c83"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scores_lie_between_0_and_1(seed: u64, answer in "[0-9,. e*-]{0,12}|\\PC{0,30}", logprobs in prop::collection::vec(-50.0..0.1, 0..6)) {
        for name in ["math", "phantom"] {
            let probe = probe(name, Count::Some(5), seed, Role::Search);
            for question in probe.questions() {
                let grade = probe.grade(question, &answer);
                prop_assert!((0.0..=1.0).contains(&grade.score));
                prop_assert_eq!(grade.parse_failure, grade.parsed.is_none());
                prop_assert_eq!(probe.grade(question, &question.key).score, 1.0);
            }
            let grade = probe.score_logprobs(&probe.questions()[0], std::slice::from_ref(&logprobs));
            prop_assert!((0.0..=1.0).contains(&grade.score));
        }
    }

    #[test]
    fn a_seed_draws_the_same_questions(seed: u64, other: u64) {
        let hash = |seed| probe("math", Count::Some(5), seed, Role::Confirm).hash();
        prop_assert_eq!(hash(seed), hash(seed));
        prop_assert_eq!(hash(seed) == hash(other), seed == other);
    }
}

#[test]
fn drawn_questions_stand_one_after_the_other() {
    let request = ProbeRequest { count: Count::Some(3), ..ProbeRequest::default() };
    let probe = Probe::build("math", &request).unwrap();
    let drawn = probe.drawn(2).unwrap();
    assert_eq!((drawn.name(), drawn.draws(), drawn.questions().len()), ("math:sampled", 2, 6));
    assert!(drawn.id().ends_with("draws=2") && drawn.hash() != probe.hash() && probe.draws() == 0);
    for (index, question) in drawn.questions().iter().enumerate() {
        let original = &probe.questions()[index / 2];
        assert_eq!(question.id, format!("{} #{}", original.id, index % 2));
        assert_eq!((&question.key, &question.plain), (&original.key, &original.plain));
    }
    let likelihood = Probe::build("math:likelihood", &request).unwrap();
    assert!(likelihood.drawn(2).unwrap_err().to_string().contains("nothing that could be drawn"));
    assert!(probe.drawn(0).is_err());
}
