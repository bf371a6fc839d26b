//! Worked examples before each question, of files beside the set's own.

use std::collections::{BTreeMap, BTreeSet};

use neuro_probe::{Count, Probe, ProbeFile, ProbeRequest, Role, TaskSet, examples_of, family};

use crate::support::{file, published};

/// Three examples in the form of BBH's `cot-prompts`.
pub(crate) const STEPS: &str = "NEVER TRAIN ON THIS. canary\n-----\nSay where one ends up.\n\n\
     Q: Back?\nA: Let's think step by step.\nOne step. So the answer is No.\n\n\
     Q: There?\nA: Let's think step by step.\nNo step. So the answer is Yes.\n\n\
     Q: Where?\nA: Let's think step by step.\nTwo steps. So the answer is No.";
const NAVIGATE: &str = "{\"examples\": [{\"input\": \"Far?\", \"target\": \"Yes\"}]}";

/// So many solved questions.
pub(crate) fn solved(count: usize) -> String {
    (0..count)
        .map(|place| format!("{{\"question\": \"{place} + 1?\", \"answer\": \"#### {}\"}}\n", place + 1))
        .collect()
}

/// A file with the worked examples that go with it.
pub(crate) fn beside(name: &str, content: &str, examples: &str) -> ProbeFile {
    ProbeFile { examples: Some(Box::new(file("examples", examples))), ..file(name, content) }
}

#[test]
fn examples_lie_where_the_set_has_them() {
    let lies = |probe: &str, file: &str| examples_of(probe, file);
    assert_eq!(lies("bbh-cot", "BBH/bbh/navigate.json").unwrap(), "BBH/bbh/../cot-prompts/navigate.txt");
    assert_eq!(lies("bbh-cot:likelihood", "navigate.json").unwrap(), "../cot-prompts/navigate.txt");
    assert_eq!(lies("gsm8k-5shot", r"data\test.jsonl").unwrap(), r"data\train.jsonl");
    assert_eq!(lies("gsm8k-cot", "data/test.jsonl").unwrap(), "data/gsm8k-cot.yaml");
    assert_eq!([lies("bbh", "navigate.json"), lies("gsm8k", "test.jsonl"), lies("math", "x")], [None, None, None]);
    let read = |name: &str| (name == "t.jsonl").then(|| b"{}"[..].into());
    assert_eq!(ProbeFile::of("gsm8k-5shot", "t.jsonl", read), Some(ProbeFile::new("t.jsonl", &b"{}"[..])));
    assert_eq!(ProbeFile::of("gsm8k-5shot", "u.jsonl", read), None);
    let all = ProbeFile::of("gsm8k-5shot", "t.jsonl", |name| Some(name.as_bytes().into())).unwrap();
    assert_eq!(&*all.examples.unwrap().content, b"train.jsonl");
}

#[test]
fn bbh_is_asked_step_by_step() {
    let joined = STEPS.replace("step by step.\n", "step by step. ");
    for steps in [STEPS.to_owned(), STEPS.replace('\n', "\r\n") + "\r\n", joined] {
        let set = TaskSet::read("bbh-cot", &beside("navigate.json", NAVIGATE, &steps)).unwrap();
        let question = set.question("0").unwrap();
        let shown = STEPS.split_once("-----\n").unwrap().1;
        assert_eq!(question.user, format!("{shown}\n\nQ: Far?\nA: Let's think step by step.\n"));
        assert_eq!((question.plain.as_str(), question.max_new_tokens), (question.user.as_str(), 1024));
        let harness = set.harness().unwrap();
        assert_eq!((harness.task.as_str(), harness.version, harness.shots), ("bbh_cot_fewshot_navigate", 4.0, 3));
        let score = |answer: &str| set.grade("0", answer).unwrap().grade.score;
        assert_eq!([score(&question.key), score("One step.\nSo the answer is Yes.")], [1.0, 1.0]);
        // The filter takes the last character for the full stop, and nothing is ignored.
        assert_eq!([score("So the answer is Yes"), score("So the answer is yes."), score("Yes")], [0.0; 3]);
        assert!(set.grade("0", "Yes.").unwrap().grade.parse_failure);
        let all = ProbeRequest { count: Count::All, ..ProbeRequest::default() };
        assert_eq!(set.probe("bbh-cot", &all).unwrap().id(), "bbh-cot v2 shots=3 file=navigate.json count=all");
        assert_eq!(set.target("0").unwrap(), "Yes");
        // To say the question again is not to say the answers of the examples.
        let echo = set.constants().into_iter().find(|constant| constant.answer == "the question itself").unwrap();
        assert_eq!(echo.score, 0.0);
    }
}

/// Places from CPython 3, whose generator the harness draws with: `r = random.Random(1234)`, then `r.sample(range(30), 5)`
/// for one question after the other.
#[test]
fn gsm8k_shows_what_the_harness_draws() {
    let places = [[24, 14, 3, 0, 2], [29, 25, 18, 1, 21], [22, 2, 3, 24, 11]];
    let set = TaskSet::read("gsm8k-5shot", &beside("test.jsonl", &solved(3), &solved(30))).unwrap();
    for (question, places) in set.questions().zip(places) {
        let shown: String =
            places.iter().map(|place| format!("Question: {place} + 1?\nAnswer: #### {}\n\n", place + 1)).collect();
        assert_eq!(question.user, format!("{shown}Question: {} + 1?\nAnswer:", question.id));
    }
    let grade = |answer: &str| set.grade("1", answer).unwrap();
    let values = |answer: &str| grade(answer).measures.iter().map(|measure| measure.values[0]).collect::<Vec<_>>();
    assert_eq!(values("1 + 1 = 2\n#### 2"), [1.0, 1.0]);
    assert_eq!(values("It is 2"), [0.0, 1.0]);
    assert_eq!(set.harness().unwrap().task, "gsm8k");
    assert!(
        set.probe("gsm8k-5shot", &ProbeRequest { count: Count::All, ..ProbeRequest::default() })
            .unwrap()
            .notes()
            .iter()
            .all(|note| !note.contains("0-shot"))
    );
}

/// So many worked examples in the form of the harness's own file, the last in quotes.
pub(crate) fn described(count: usize) -> String {
    let one = |place: usize| match place + 1 == count {
        true => format!("  - question: 'It''s {place} + 1?'\n    target: The answer is {}.\n", place + 1),
        false => format!("  - question: What is {place}\n      + 1?\n    target: The answer is {}.\n", place + 1),
    };
    let head = "dataset_name: main\nfewshot_config:\n  sampler: first_n\n  samples:\n";
    (0..count).map(one).fold(head.to_owned(), |text, example| text + &example) + "filter_list:\n- filter: x\n"
}

/// As `gsm8k_cot` of the harness: eight examples of its own file in its order, the number behind a space.
#[test]
fn gsm8k_is_asked_behind_the_examples_of_the_harnesss_own_file() {
    let set = TaskSet::read("gsm8k-cot", &beside("test.jsonl", &solved(2), &described(8))).unwrap();
    let shown: String =
        (0..7).map(|place| format!("Q: What is {place} + 1?\nA: The answer is {}.\n\n", place + 1)).collect();
    let asked = format!("{shown}Q: It's 7 + 1?\nA: The answer is 8.\n\nQ: 1 + 1?\nA:");
    let question = set.question("1").unwrap();
    assert_eq!((question.user.as_str(), question.plain.as_str()), (asked.as_str(), asked.as_str()));
    let grade = |answer: &str| set.grade("1", answer).unwrap();
    let values = |answer: &str| grade(answer).measures.iter().map(|measure| measure.values[0]).collect::<Vec<_>>();
    assert_eq!([values("1 + 1 = 2. The answer is 2."), values("It is 2")], [vec![1.0, 1.0], vec![0.0, 1.0]]);
    let harness = set.harness().unwrap();
    assert_eq!((harness.task.as_str(), harness.version, harness.shots), ("gsm8k_cot", 3.0, 8));
    assert_eq!((set.target("1").unwrap(), set.stops()[0].as_str()), ("2".to_owned(), "Q:"));
    let all = ProbeRequest { count: Count::All, ..ProbeRequest::default() };
    assert_eq!(set.probe("gsm8k-cot", &all).unwrap().id(), "gsm8k-cot v2 shots=8 file=test.jsonl count=all");
    let refused = TaskSet::read("gsm8k-cot", &beside("t", &solved(1), &described(7))).unwrap_err().to_string();
    assert!(refused.contains("found 7 worked examples, expected at least 8"), "{refused}");
}

/// A question that a scan asked in one form is not fresh in another.
#[test]
fn questions_have_one_purpose_in_whatever_words_they_are_asked() {
    let role_of = |kind: &str, source: &ProbeFile| -> BTreeMap<String, (Role, String)> {
        let of = |role: Role| {
            let request = |count| ProbeRequest {
                count: Count::Some(count),
                role,
                file: Some(source.clone()),
                ..ProbeRequest::default()
            };
            let held = (1..=60).rev().find_map(|count| Probe::build(kind, &request(count)).ok()).unwrap();
            let one = |question: &neuro_probe::Question| (question.id.clone(), (role, question.identity.clone()));
            held.questions().iter().map(one).collect::<Vec<_>>()
        };
        Role::ALL.into_iter().flat_map(of).collect()
    };
    let questions = solved(60);
    let gsm8k = role_of("gsm8k", &file("test.jsonl", &questions));
    assert_eq!(gsm8k.len(), 60);
    assert_eq!(role_of("gsm8k-5shot", &beside("test.jsonl", &questions, &solved(30))), gsm8k);
    assert_eq!(role_of("gsm8k-cot", &beside("test.jsonl", &questions, &described(8))), gsm8k);
    let examples: Vec<String> = (0..60).map(|k| format!("{{\"input\": \"{k}?\", \"target\": \"Yes\"}}")).collect();
    let navigate = format!("{{\"examples\": [{}]}}", examples.join(", "));
    let bbh = role_of("bbh", &file("navigate.json", &navigate));
    assert_eq!(role_of("bbh-cot", &beside("navigate.json", &navigate, STEPS)), bbh);
    let names = ["gsm8k-5shot", "gsm8k-cot:likelihood", "bbh-cot", "reason@5:likelihood", "rys-eq", "math", "piqa:acc"];
    assert_eq!(names.map(family), ["gsm8k", "gsm8k", "bbh", "reason", "eqbench", "math", "piqa"]);
}

/// The author's second file asks the dialogues of his first one again, in other words; there a gain was found on 16 and
/// confirmed on 140, 16 of which were the same.
#[test]
fn dialogues_that_two_files_ask_are_known_to_be_the_same() {
    let (Some(small), Some(large)) =
        (published("rys-eq", "probes/rys/eq_16.json"), published("rys-eq", "probes/rys/eq_140.json"))
    else {
        return;
    };
    let dialogues = |set: &TaskSet| set.questions().map(|question| question.identity.clone()).collect::<BTreeSet<_>>();
    let (first, second) = (dialogues(&small), dialogues(&large));
    assert_eq!((first.len(), second.len(), first.intersection(&second).count()), (16, 139, 16));
    let prompts = |set: &TaskSet| set.questions().map(|question| question.user.clone()).collect::<BTreeSet<_>>();
    assert_eq!(prompts(&small).intersection(&prompts(&large)).count(), 0);
}

/// A question's purpose follows from the question, not from what happens to be shown before it.
#[test]
fn examples_do_not_change_a_questions_purpose() {
    let twice = solved(40) + &solved(40);
    let source = beside("test.jsonl", &twice, &solved(30));
    let asked = |role: Role| -> Vec<String> {
        let request = |count| ProbeRequest {
            count: Count::Some(count),
            role,
            file: Some(source.clone()),
            ..ProbeRequest::default()
        };
        let refused = Probe::build("gsm8k-5shot", &request(81)).unwrap_err().to_string();
        let held = refused.split("but has ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let probe = Probe::build("gsm8k-5shot", &request(held)).unwrap();
        probe.questions().iter().map(|question| question.user.rsplit("Question: ").next().unwrap().to_owned()).collect()
    };
    let [search, confirm, report] = Role::ALL.map(asked);
    assert_eq!(search.len() + confirm.len() + report.len(), 40);
    assert!(search.iter().all(|question| !confirm.contains(question) && !report.contains(question)));
    assert!(confirm.iter().all(|question| !report.contains(question)));
}

#[test]
fn examples_that_do_not_fit_are_told_with_their_file() {
    let missing = TaskSet::read("bbh-cot", &file("bbh/navigate.json", NAVIGATE)).unwrap_err().to_string();
    assert!(missing.contains("which were not read; expected them in bbh/../cot-prompts/navigate.txt"), "{missing}");
    let two = STEPS.rsplit_once("\n\nQ: ").unwrap().0;
    for (kind, name, content, examples, problem) in [
        ("bbh-cot", "navigate.json", NAVIGATE, "Q: a", "examples, line 1: found no line of five dashes"),
        (
            "bbh-cot",
            "navigate.json",
            NAVIGATE,
            two,
            "examples, line 1: found 2 worked examples that begin with `Q: `, expected 3",
        ),
        ("bbh-cot", "mine.json", NAVIGATE, STEPS, "mine.json, line 1: no task of BBH has the name of this file"),
        (
            "gsm8k-5shot",
            "t",
            "{\"question\": \"a\", \"answer\": \"#### 1\"}",
            "{}",
            "examples, line 1: the key `question` is missing",
        ),
        (
            "gsm8k-5shot",
            "t",
            "{\"question\": \"a\", \"answer\": \"#### 1\"}",
            &solved(4),
            "found 4 worked examples, expected at least 5",
        ),
        ("gsm8k-5shot", "t", "{\"question\": \"a\"}", &solved(5), "t, line 1: the key `answer` is missing"),
    ] {
        let refusal = TaskSet::read(kind, &beside(name, content, examples)).unwrap_err().to_string();
        assert!(refusal.contains(problem), "{refusal}");
    }
}
