//! Files of questions: documented values on the published files where they are at hand, readers and refusals on small
//! files of our own.

use std::collections::BTreeSet;
use std::fs;

use neuro_probe::{Count, Likelihood, Probe, ProbeError, ProbeFile, ProbeRequest, Role, Scoring, TASKS, TaskSet};
use proptest::prelude::*;

fn file(name: &str, content: &str) -> ProbeFile {
    ProbeFile { name: name.to_owned(), content: content.as_bytes().into() }
}

fn read(kind: &str, content: &str) -> Result<TaskSet, ProbeError> {
    TaskSet::read(kind, &file("f.json", content))
}

/// A file of the data beside the checkout, or none and a message.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn published(kind: &str, path: &str) -> Option<TaskSet> {
    let path = format!("{}/../../../shared/data/{path}", env!("CARGO_MANIFEST_DIR"));
    match fs::read(&path) {
        Err(_) => {
            eprintln!("skipped: there is no {path}");
            None
        }
        Ok(content) => {
            Some(TaskSet::read(kind, &ProbeFile { name: path, content: content.into() }).expect("it can be read"))
        }
    }
}

/// The mean score of the answers that `given` makes of ids and keys.
fn mean(set: &TaskSet, given: impl Fn(&str, &str) -> String) -> f64 {
    let score = |id: &str, key: &str| set.grade(id, &given(id, key)).expect("it has this id").grade.score;
    set.questions().map(|question| score(&question.id, &question.key)).sum::<f64>() / set.questions().len() as f64
}

fn close(found: f64, documented: f64, digits: i32) {
    let error = (found - documented).abs();
    assert!(error <= 0.5 * 10_f64.powi(-digits) + 1e-12, "{found} is not {documented} to {digits} digits");
}

/// The documented values of the author's math score on his files.
#[test]
fn rys_math_scores_as_documented() {
    let (Some(small), Some(large)) =
        (published("rys-math", "probes/rys/math_16.json"), published("rys-math", "probes/rys/math_120.json"))
    else {
        return;
    };
    assert_eq!((small.questions().len(), large.questions().len()), (16, 120));
    let leading = |count: usize| {
        move |_: &str, key: &str| {
            key.chars().enumerate().map(|(place, digit)| if place < count { digit } else { '0' }).collect::<String>()
        }
    };
    let commas = |_: &str, key: &str| {
        let grouped =
            key.bytes().rev().collect::<Vec<_>>().chunks(3).map(<[u8]>::to_vec).collect::<Vec<_>>().join(&b',');
        String::from_utf8(grouped.into_iter().rev().collect()).unwrap()
    };
    for (set, documented) in [
        // Right, last digit left out, a digit appended, commas, 1.
        (&small, [1.0, 0.874, 0.891, 0.32, 0.044]),
        (&large, [1.0, 0.830, 0.857, 0.36, f64::NAN]),
    ] {
        assert_eq!(mean(set, |_, key| key.to_owned()), documented[0]);
        close(mean(set, |_, key| key[..key.len() - 1].to_owned()), documented[1], 3);
        close(mean(set, |_, key| format!("{key}5")), documented[2], 2);
        close(mean(set, commas), documented[3], 2);
    }
    close(mean(&small, |_, _| "1".to_owned()), 0.044, 3);
    for (count, documented, digits) in [(1, 0.876, 3), (2, 0.981, 3), (3, 0.998, 3), (4, 0.9998, 4)] {
        close(mean(&small, leading(count)), documented, digits);
    }
    // Saying the question again: the best of its numbers counts.
    let operand = |set: &TaskSet| mean(set, |id, _| set.question(id).unwrap().user.clone());
    close(operand(&small), 0.31, 2);
    close(operand(&large), 0.29, 2);
    let constants = small.constants();
    close(constants.iter().find(|one| one.answer.starts_with("the first right digit")).unwrap().score, 0.876, 3);
}

/// The documented values of the author's EQ score on his files.
#[test]
fn rys_eq_scores_as_documented() {
    let (Some(set), Some(full)) =
        (published("rys-eq", "probes/rys/eq_16.json"), published("eqbench", "probes/rys/eq_16.json"))
    else {
        return;
    };
    let lines = |values: [f64; 4]| values.iter().map(|value| format!("X: {value}\n")).collect::<String>();
    let all = |value: f64| format!("First pass scores:\n{}", lines([value; 4]));
    for (value, documented) in
        [(0.0, 0.7), (1.0, 0.7243), (2.0, 0.7404), (2.5, 0.7432), (3.0, 0.7411), (5.0, 0.6742), (10.0, 0.3)]
    {
        close(mean(&set, |_, _| all(value)), documented, 4);
    }
    close(mean(&set, |_, key| key.to_owned()), 0.9, 12);
    // The answers that people gave on the scale of the prompt are not the best ones, and halving them costs little.
    let values = |id: &str, scale: f64| {
        let key = &full.question(id).unwrap().key;
        let value = |line: &str| scale * line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        format!("First pass scores:\n{}", key.lines().map(|line| format!("X: {}\n", value(line))).collect::<String>())
    };
    close(mean(&set, |id, _| values(id, 1.0)), 0.8513, 4);
    close(mean(&set, |id, _| values(id, 0.5)), 0.8206, 4);
    close(mean(&set, |_, _| String::new()), 0.5, 12);
    let constants = set.constants();
    close(constants.iter().find(|one| one.answer == "2.5 to every emotion").unwrap().score, 0.7432, 4);
    // His second file lost the instruction that his parser looks for; the answers are graded alike.
    let second = published("rys-eq", "probes/rys/eq_140.json").unwrap();
    assert_eq!(second.questions().len(), 139);
}

#[test]
fn prompts_of_rys_have_the_authors_form() {
    let set =
        read("rys-math", r#"{"7": {"question": "What is the square root of 664307072?", "answer": 25774}}"#).unwrap();
    let question = set.question("7").unwrap();
    assert_eq!(question.user, "/no_think What is the square root of 664307072?");
    assert!(question.system.as_deref().unwrap().starts_with("You are a highly intelligent AI. You have extraordinary"));
    assert_eq!((question.key.as_str(), question.group.as_str(), question.max_new_tokens), ("25774", "square root", 64));
    let long = read("rys-math", r#"{"0": {"question": "?", "answer": 1234567890123456789012345678}}"#).unwrap();
    assert_eq!(long.question("0").unwrap().key, "1234567890123456789012345678", "no float has rounded it");
    assert_eq!(long.grade("0", "1234567890123456789012345678").unwrap().grade.score, 1.0);
}

#[test]
fn eqbench_is_read_in_both_languages_and_grades_its_own_references() {
    for name in ["eq_bench_v2_questions_171.json", "eq_bench_v2_questions_171_de.json"] {
        let Some(set) = published("eqbench", &format!("probes/eqbench/{name}")) else { return };
        assert_eq!(set.questions().len(), 171);
        assert_eq!(mean(&set, |_, key| key.to_owned()), 1.0, "{name}");
        let constants = set.constants();
        assert!(constants.iter().all(|constant| constant.score < 0.55), "{constants:?}");
    }
}

/// Each published file is read, and each key is right by its own grading; the counts are those of the files.
#[test]
fn published_sets_are_read_whole() {
    let sets = [
        ("gsm8k", "eval/gsm8k/test.jsonl", 1319, "gsm8k_cot_zeroshot"),
        ("math500", "eval/math/math500.jsonl", 500, "hendrycks_math500"),
        ("ifeval", "eval/ifeval/input_data.jsonl", 541, "ifeval"),
        ("arc-easy", "eval/choice/arc_easy.jsonl", 2376, "arc_easy"),
        ("arc-challenge", "eval/choice/arc_challenge.jsonl", 1172, "arc_challenge"),
        ("piqa", "eval/choice/piqa.jsonl", 1838, "piqa"),
        ("winogrande", "eval/choice/winogrande.jsonl", 1267, "winogrande"),
        ("boolq", "eval/choice/boolq.jsonl", 3270, "boolq"),
        ("lambada", "eval/choice/lambada_openai.jsonl", 5153, "lambada_openai"),
    ];
    for (kind, path, count, task) in sets {
        let Some(set) = published(kind, path) else { return };
        assert_eq!((set.questions().len(), set.harness().unwrap().task.as_str()), (count, task));
        if kind == "ifeval" {
            continue;
        }
        let wrong: Vec<&str> = set
            .questions()
            .filter(|question| set.grade(&question.id, &question.key).unwrap().grade.score != 1.0)
            .map(|question| question.id.as_str())
            .collect();
        assert_eq!(wrong, [""; 0], "{kind}");
        if matches!(kind, "winogrande" | "piqa") {
            let probe =
                set.probe(&format!("{kind}:acc"), &ProbeRequest { count: Count::All, ..ProbeRequest::default() });
            let probe = probe.unwrap();
            assert_eq!((probe.likelihood(), probe.always_plain()), (Likelihood::Best, true));
            assert!(probe.questions().iter().all(|question| question.continuations[0].len() == 2));
        }
    }
}

/// Of the published questions nearly all are read in whatever sentence the right choice is said.
#[test]
fn choices_are_read_out_of_sentences() {
    let Some(set) = published("arc-challenge", "eval/choice/arc_challenge.jsonl") else { return };
    for sentence in ["({L})", "The answer is {L}.", "Sure! {T}", "I think it is {T}.", "Option {L}", "{L}. {T}"] {
        let said = |question: &neuro_probe::Question| {
            let gold = question.continuations[0].iter().position(|choice| choice.value == 1.0).unwrap();
            let letter = char::from(b'A' + u8::try_from(gold).unwrap()).to_string();
            sentence.replace("{L}", &letter).replace("{T}", &question.key)
        };
        let is_wrong =
            |question: &&neuro_probe::Question| set.grade(&question.id, &said(question)).unwrap().grade.score != 1.0;
        // Choices such as `R`, `rr`, `Rr`, `-1` and `+1` differ in what dress is elsewhere, and one question has `C` as `A`.
        assert!(set.questions().filter(is_wrong).count() <= 3, "{sentence}");
    }
}

#[test]
fn every_task_of_bbh_is_read_and_its_targets_are_right() {
    let folder = format!("{}/../../../shared/data/eval/bbh", env!("CARGO_MANIFEST_DIR"));
    let Ok(files) = fs::read_dir(&folder) else {
        eprintln!("skipped: there is no {folder}");
        return;
    };
    let mut questions = 0;
    let mut unmatched = Vec::new();
    for path in
        files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"))
    {
        let name = format!("eval/bbh/{}", path.file_name().unwrap().to_string_lossy());
        let set = published("bbh", &name).unwrap();
        questions += set.questions().len();
        for question in set.questions() {
            let graded = set.grade(&question.id, &question.key).unwrap();
            let [strict, flexible] = graded.measures.as_slice() else { panic!("{name}") };
            assert_eq!(strict.values, [1.0], "{name} {}", question.id);
            if flexible.values != [1.0] {
                unmatched.push(format!("{} {}", question.group, question.key));
            }
        }
    }
    unmatched.sort();
    // Three targets of the published files are no letters, though their filter looks for one.
    assert_eq!(
        unmatched,
        ["movie_recommendation Monsters, Inc", "ruin_names dearth, wind, & fire", "ruin_names rita, sue and bob poo"]
    );
    assert_eq!(questions, 6511);
}

#[test]
fn prompts_and_measures_are_the_harnesses() {
    let set = read("gsm8k", r#"{"question": "How many?", "answer": "3 + 4 = <<3+4=7>>7\n#### 1,007"}"#).unwrap();
    assert_eq!(set.question("0").unwrap().user, "Q: How many?\nA: Let's think step by step.");
    let measured = |answer: &str| {
        let graded = set.grade("0", answer).unwrap();
        let values: Vec<f64> = graded.measures.iter().map(|measure| measure.values[0]).collect();
        (graded.grade.score, values)
    };
    assert_eq!(measured("So 1007. The answer is 1,007."), (1.0, vec![1.0, 1.0]));
    assert_eq!(measured("It is $1,007."), (1.0, vec![0.0, 1.0]));
    assert_eq!(measured("The answer is 1007. Or 8?"), (0.0, vec![1.0, 0.0]));
    assert!(set.grade("0", "I do not know").unwrap().grade.parse_failure);

    let bbh = TaskSet::read(
        "bbh",
        &file("x/navigate.json", "{\"examples\": [\n{\"input\": \"Back?\", \"target\": \"No\"}]}"),
    );
    let bbh = bbh.unwrap();
    let prompt = "Given a series of navigation instructions, determine whether one would end up back at the starting point.\
                  \n\nQ: Back?\nA:";
    assert_eq!(bbh.question("0").unwrap().plain, prompt);
    assert_eq!(bbh.harness().unwrap().task, "bbh_zeroshot_navigate");
    assert_eq!(bbh.grade("0", " no, you would not").unwrap().grade.score, 1.0);

    let boolq = r#"{"query": "Passage: Tea is hot.\nQuestion: is tea hot?", "choices": ["no", "yes"], "gold": 1}"#;
    let boolq = read("boolq", boolq).unwrap();
    assert_eq!(boolq.question("0").unwrap().plain, "Tea is hot.\nQuestion: is tea hot?\nAnswer:");

    let winogrande =
        r#"{"context_options": ["Ann met Bo so Ann", "Ann met Bo so Bo"], "continuation": "left.", "gold": 1}"#;
    let winogrande = read("winogrande", winogrande).unwrap();
    let question = winogrande.question("0").unwrap();
    assert_eq!(question.plain, "Ann met Bo so");
    let parts: Vec<_> =
        question.continuations[0].iter().map(|part| (part.read.as_str(), part.said.as_str(), part.value)).collect();
    assert_eq!(parts, [("Ann", "left.", 0.0), ("Bo", "left.", 1.0)]);
}

const OWN: &str = r#"{"task": "capitals", "system": "Be short.", "max_tokens": 12}
{"id": "fr", "question": "Capital of France?", "reference": ["Paris", "Ville de Paris"], "group": "europe"}
{"id": 2, "question": "Which is north? ", "choices": ["Oslo", "Rome"], "answer": "Oslo"}
{"question": "How many metres are in a mile?", "reference": 1609, "tolerance": 0.01}
{"question": "How glad is she, 0-10?", "reference": 7, "scale": [0, 10]}
{"question": "Say yes.", "pattern": "(?i)^yes"}
{"question": "The square root of 3162 million?", "reference": 56231, "scorer": "digits"}
"#;

#[test]
fn the_own_format_is_read_with_every_scorer() {
    let set = read("task", OWN).unwrap();
    let ids: Vec<&str> = set.questions().map(|question| question.id.as_str()).collect();
    assert_eq!(ids, ["fr", "2", "line 4", "line 5", "line 6", "line 7"]);
    for (id, right, wrong) in [
        ("fr", "**Ville de Paris**!", "Rome"),
        ("2", "A", "Rome"),
        ("line 4", "about 1,600 metres", "1500"),
        ("line 5", "7", "about seventeen, 17"),
        ("line 6", "Yes.", "no"),
        ("line 7", "56231", "1"),
    ] {
        assert_eq!(set.grade(id, right).unwrap().grade.score, 1.0, "{id} {right}");
        assert!(set.grade(id, wrong).unwrap().grade.score < 0.1, "{id} {wrong}");
    }
    let score = |id: &str, answer: &str| set.grade(id, answer).unwrap().grade.score;
    assert_eq!((score("fr", "**Paris**!"), score("fr", "Rome")), (1.0, 0.0));
    let question = set.question("fr").unwrap();
    assert_eq!(
        (question.group.as_str(), question.max_new_tokens, question.system.as_deref()),
        ("europe", 12, Some("Be short."))
    );
}

#[test]
fn probes_ask_what_the_file_says() {
    let lines: String = (0..90)
        .map(|index| {
            format!(
                "{{\"id\": \"q{index}\", \"question\": \"{index}?\", \"choices\": [\"a\", \"b\"], \"answer\": {}}}\n",
                index % 2
            )
        })
        .collect();
    let source = file("folder/mine.jsonl", &lines);
    let request =
        |count, role, seed| ProbeRequest { count, role, seed, file: Some(source.clone()), ..ProbeRequest::default() };
    let all = Probe::build("task:likelihood", &request(Count::All, Role::Search, 0)).unwrap();
    assert_eq!((all.questions().len(), all.scoring(), all.likelihood()), (90, Scoring::Likelihood, Likelihood::Choice));
    assert_eq!(all.id(), "task:likelihood v1 file=mine.jsonl count=all");
    let mut seen = BTreeSet::new();
    for role in Role::ALL {
        let probe = Probe::build("task", &request(Count::Some(15), role, 1)).unwrap();
        assert_eq!(probe.questions().len(), 15);
        assert!(probe.questions().iter().all(|question| seen.insert(question.id.clone())), "roles share no question");
        let again = Probe::build("task", &request(Count::Some(15), role, 1)).unwrap();
        assert_eq!(probe.hash(), again.hash());
        assert_ne!(probe.hash(), Probe::build("task", &request(Count::Some(15), role, 2)).unwrap().hash());
        let question = &probe.questions()[0];
        assert_eq!(probe.grade(question, &question.key).score, 1.0);
    }
    let refused = |name: &str, request: &ProbeRequest| Probe::build(name, request).unwrap_err().to_string();
    assert!(
        refused("task", &request(Count::Some(80), Role::Search, 0)).contains("was asked for 80 questions, but has")
    );
    let bare = ProbeRequest { file: None, ..request(Count::All, Role::Search, 0) };
    assert_eq!(refused("gsm8k", &bare), "the probe `gsm8k` asks what stands in a file; name it, `gsm8k=FILE`");
    let texts = ProbeRequest { file: Some(file("f", OWN)), count: Count::All, ..ProbeRequest::default() };
    assert!(refused("task:acc", &texts).contains("has questions with choices and others without"));
    for scale in ["[0, 500]", "[0.5, 9.5]"] {
        let line = format!("{{\"question\": \"a\", \"reference\": 7, \"scale\": {scale}}}");
        let wide = ProbeRequest { file: Some(file("f", &line)), ..texts.clone() };
        assert!(refused("task:likelihood", &wide).contains("cannot be counted off"), "{scale}");
    }
    assert!(refused("task:perplexity", &texts).contains("there is no probe"));
}

/// BBH's sports_understanding asks two of its questions twice: under ids of their own they would land in two roles.
#[test]
fn what_a_file_asks_twice_has_one_role() {
    let line =
        |index: usize| format!("{{\"id\": \"q{index}\", \"question\": \"{}?\", \"reference\": \"yes\"}}\n", index / 2);
    let lines: String = (0..120).map(line).collect();
    let source = file("twice.jsonl", &lines);
    let mut seen = BTreeSet::new();
    for role in Role::ALL {
        let request = |count| ProbeRequest {
            count: Count::Some(count),
            role,
            file: Some(source.clone()),
            ..ProbeRequest::default()
        };
        let refused = Probe::build("task", &request(121)).unwrap_err().to_string();
        let held = refused.split("but has ").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        let held: usize = held.unwrap_or_else(|| panic!("{refused}"));
        assert!((20..=60).contains(&held) && held.is_multiple_of(2), "{role}: {held}");
        let probe = Probe::build("task", &request(held)).unwrap();
        assert!(probe.id().contains(&format!("count={held} draw=v2 role={role} ")), "{}", probe.id());
        let asked: BTreeSet<String> = probe.questions().iter().map(|question| question.user.clone()).collect();
        assert_eq!(asked.len() * 2, held, "both of each");
        assert!(asked.into_iter().all(|question| seen.insert(question)), "roles share a question");
    }
    assert_eq!(seen.len(), 60);
}

#[test]
fn whatever_does_not_fit_is_told_with_its_line() {
    let ifeval = |ids: &str, arguments: &str| {
        format!("\n{{\"key\": 1, \"prompt\": \"p\", \"instruction_id_list\": {ids}, \"kwargs\": {arguments}}}")
    };
    let cases: Vec<(&str, String, &str)> = vec![
        ("task", String::new(), "line 1: the file is empty"),
        ("task", "{\"task\": \"t\"}\n".into(), "line 1: the set has no questions; expected at least one"),
        ("task", "{\"question\": \"a\", \"reference\": \"b\"}\n[]".into(), "line 2: no JSON object; expected one on each line"),
        ("task", "\n{\"question\": \"a\"".into(), "line 2: no JSON (EOF while parsing an object)"),
        ("task", "{\"reference\": \"b\"}".into(), "line 1: the key `question` is missing; found `reference`"),
        ("task", "{\"question\": \"a\"}".into(), "line 1: the key `reference` is missing; found `question`"),
        ("task", "{\"question\": \"a\", \"refrence\": 1}".into(), "line 1: the key `refrence` is unknown; expected some of id,"),
        (
            "task",
            "{\"id\": 1, \"question\": \"a\", \"reference\": \"b\"}\n\n{\"id\": \"1\", \"question\": \"c\", \"reference\": \"d\"}".into(),
            "line 3: the id `1` is on line 1 already; ids must differ",
        ),
        (
            "task",
            "{\"question\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": 2}".into(),
            "line 1: `answer` is 2, expected the index of one of 2 choices, from 0 to 1",
        ),
        ("task", "{\"question\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": \"z\"}".into(), "expected one of the choices"),
        ("task", "{\"question\": \"a\", \"choices\": [\"x\"], \"answer\": 0}".into(), "expected at least two texts"),
        ("task", "{\"question\": \"a\", \"reference\": []}".into(), "`reference` is [], expected a list of texts"),
        ("task", "{\"question\": \"a\", \"reference\": 11, \"scale\": [0, 10]}".into(), "a number on the scale from 0 to 10"),
        ("task", "{\"question\": \"a\", \"reference\": 1, \"scale\": [10, 0]}".into(), "expected its two ends, the lower first"),
        ("task", "{\"question\": \"a\", \"pattern\": \"(\"}".into(), "`pattern` is no regular expression"),
        ("task", "{\"question\": \"a\", \"reference\": 1, \"scorer\": \"magic\"}".into(), "expected one of choice, exact"),
        ("task", "{\"question\": \"a\", \"reference\": 1, \"max_tokens\": 0}".into(), "expected a whole number from 1 to 65536"),
        ("rys-math", "[]".into(), "line 1: no JSON object; expected one of questions by their keys"),
        ("rys-math", "{}".into(), "line 1: the set has no questions; expected at least one"),
        ("rys-math", "{\n\"0\": {\"question\": \"a\"}}".into(), "line 2: the key `answer` is missing; found `question`"),
        ("rys-math", "{\"0\": {\"question\": \"a\", \"answer\": -3}}".into(), "expected a whole number in digits, not negative"),
        ("rys-math", "{\"0\": {\"question\": \"a\", \"answer\": 1e9}}".into(), "expected a whole number in digits, not negative"),
        (
            "rys-math",
            "{\"0\": {\"question\": \"a\", \"answer\": 3},\n \"0\": {\"question\": \"b\", \"answer\": 4}}".into(),
            "line 2: the id `0` is on line 1 already",
        ),
        ("rys-eq", "{\"1\": {\"prompt\": \"p\", \"reference_answer\": {}}}".into(), "lacks `emotion1_score`"),
        (
            "eqbench",
            "{\"1\": {\"prompt\": \"p\", \"reference_answer_fullscale\": {\"emotion1\": \"Sad\", \"emotion1_score\": 12}}}".into(),
            "`emotion1_score` of `reference_answer_fullscale` is 12; expected a number from 0 to 10",
        ),
        ("bbh", "{}".into(), "no task of BBH has the name of this file; the files are boolean_expressions.json"),
        ("gsm8k", "{\"question\": \"a\", \"answer\": \"7\"}".into(), "expected a solution that ends with `#### `"),
        ("math500", "{\"problem\": \"a\", \"solution\": \"7\"}".into(), "expected a solution with the answer in `\\boxed{…}`"),
        ("ifeval", ifeval("[\"a:b\"]", "[{}]"), "line 2: there is no instruction `a:b`"),
        ("ifeval", ifeval("[\"punctuation:no_comma\"]", "[]"), "expected a list of 1 objects, one for each instruction"),
        ("ifeval", ifeval("[]", "[]"), "`instruction_id_list` is [], expected a list of texts"),
        ("piqa", "{\"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": 5}".into(), "`gold` is 5, expected the index of one of 2"),
        ("winogrande", "{\"context_options\": [\"a b\", \"a c\"], \"continuation\": \"c\"}".into(), "the key `gold` is missing"),
        ("winogrande", "{\"context_options\": [\"a b\"], \"continuation\": \"c\", \"gold\": 0}".into(), "expected at least two texts"),
        ("task", "{\"question\": \"q\", \"choices\": [\"a\", \"a \"], \"answer\": 0}".into(), "expected texts that differ"),
        ("task", "{\"question\": \"a\", \"choices\": [\"x\", \" \"], \"answer\": 0}".into(), "expected texts that are not empty"),
        ("task", "{\"question\": \"a\", \"reference\": \"\"}".into(), "expected a text with letters or digits"),
        ("task", "{\"question\": \"a\", \"reference\": [\"b\", \"?!\"]}".into(), "expected a text with letters or digits"),
        ("math500", "{\"problem\": \"a\", \"answer\": \"\"}".into(), "`answer` is \"\", expected an answer that is not empty"),
        ("gsm8k", "{\"question\": \"a\", \"answer\": \"7 #### \"}".into(), "expected a solution that ends with `#### `"),
        ("lambada", "{\"context\": \"a\", \"continuation\": \" \"}".into(), "expected the word that follows"),
    ];
    for (kind, content, problem) in cases {
        let refusal = read(kind, &content).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refusal.starts_with("f.json, line ") && refusal.contains(problem), "{kind} {content}: {refusal}");
    }
    let invalid = TaskSet::read("task", &ProbeFile { name: "f".into(), content: b"{}\n\xff"[..].into() });
    assert!(invalid.unwrap_err().to_string().starts_with("f, line 2: found bytes that are not UTF-8"));
}

/// The committed schema and the reader know the same keys and scorers.
#[test]
fn the_schema_says_what_the_reader_reads() {
    let path = format!("{}/../../docs/reference/task-file.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let question = &schema["$defs"]["question"];
    let scorers: Vec<&str> =
        schema["$defs"]["scorer"]["enum"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(scorers, neuro_probe::SCORERS);
    for example in schema["examples"].as_array().unwrap() {
        let lines: String = example.as_array().unwrap().iter().map(|line| format!("{line}\n")).collect();
        assert!(read("task", &lines).is_ok(), "{lines}");
    }
    for (key, _) in question["properties"].as_object().unwrap() {
        // A known key may be of the wrong kind, but it is not unknown.
        let line = format!("{{\"question\": \"a\", \"reference\": \"b\", \"{key}\": \"a\"}}");
        let refusal = read("task", &line).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!refusal.contains("is unknown"), "{key}: {refusal}");
    }
    assert_eq!(question["additionalProperties"], serde_json::Value::Bool(false));
    assert!(TASKS.contains(&"task"));
}

/// What each kind reads, one question; the answers below are graded by all of them.
const ONE_OF_EACH: &[(&str, &str)] = &[
    ("task", OWN),
    ("rys-math", r#"{"0": {"question": "?", "answer": 1234567890123456789012345678}}"#),
    ("gsm8k", "{\"question\": \"?\", \"answer\": \"#### 7\"}"),
    ("math500", r#"{"problem": "?", "answer": "\\frac{1}{2}"}"#),
    ("piqa", r#"{"query": "q", "choices": ["é", "b"], "gold": 0}"#),
    ("winogrande", r#"{"context_options": ["a é", "a b"], "continuation": "c", "gold": 1}"#),
    ("lambada", r#"{"context": "a", "continuation": "é"}"#),
    (
        "eqbench",
        r#"{"1": {"prompt": "p", "reference_answer_fullscale": {"emotion1": "A", "emotion1_score": "6", "emotion2": "B", "emotion2_score": 0, "emotion3": "C", "emotion3_score": 1, "emotion4": "D", "emotion4_score": 10}}}"#,
    ),
    (
        "ifeval",
        r#"{"key": 1, "prompt": "p", "instruction_id_list": ["length_constraints:number_sentences", "change_case:capital_word_frequency", "length_constraints:nth_paragraph_first_word", "combination:two_responses", "length_constraints:number_paragraphs", "language:response_language"], "kwargs": [{"relation": "at least", "num_sentences": 2}, {"capital_relation": "less than", "capital_frequency": 2}, {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "a"}, {}, {"num_paragraphs": 2}, {"language": "hi"}]}"#,
    ),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_leaves_the_range_of_scores(answer in r#"(\PC|[.?!"')\]}*\-,:$\\ \n0-9AB]|<think>|\*\*\*|\\boxed\{|\\frac|A: ){0,40}"#) {
        for (kind, content) in ONE_OF_EACH {
            let set = read(kind, content).unwrap();
            for question in set.questions() {
                let graded = set.grade(&question.id, &answer).unwrap();
                prop_assert!((0.0..=1.0).contains(&graded.grade.score), "{} {:?}", kind, graded);
            }
        }
    }

    #[test]
    fn no_file_is_fatal(place in 0_usize..400, byte: u8, cut in 0_usize..400, kind in 0_usize..ONE_OF_EACH.len()) {
        let (_, content) = ONE_OF_EACH[kind];
        let mut bytes = content.as_bytes().to_vec();
        let place = place % bytes.len();
        bytes[place] = byte;
        bytes.truncate(bytes.len().saturating_sub(cut / 8));
        for task in TASKS {
            let file = ProbeFile { name: "navigate.json".to_owned(), content: bytes.clone().into() };
            if let Ok(set) = TaskSet::read(task, &file) {
                prop_assert!(set.questions().len() > 0 && set.constants().iter().all(|one| (0.0..=1.0).contains(&one.score)));
            }
        }
    }
}
