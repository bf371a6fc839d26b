//! Whatever is read and whatever is answered, nothing panics and no score leaves its range.

use neuro_probe::{ProbeFile, TASKS, TaskSet};
use proptest::prelude::*;

use crate::own::OWN;
use crate::support::read;

/// What each kind reads, one question; the answers below are graded by all of them.
pub(crate) const ONE_OF_EACH: &[(&str, &str)] = &[
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
            let file = ProbeFile::new("navigate.json", bytes.clone());
            if let Ok(set) = TaskSet::read(task, &file) {
                prop_assert!(set.questions().len() > 0 && set.constants().iter().all(|one| (0.0..=1.0).contains(&one.score)));
            }
        }
    }
}
