//! Worked examples before each question, of files beside the set's own.

use neuro_probe::{Count, Probe, ProbeFile, ProbeRequest, Role, TaskSet, examples_of};

use crate::support::file;

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
    assert_eq!(search.len() + confirm.len() + report.len(), 80);
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
