//! `neuro grade`: answers of other programs.

use std::fs;

use crate::support::{Place, assert_output};

const TASK: &str = r#"{"task": "capitals"}
{"id": "fr", "question": "What is the capital of France?", "reference": "Paris", "group": "west"}
{"id": "it", "question": "What is the capital of Italy?", "reference": "Rome", "group": "south"}
{"id": "uk", "question": "What is the capital of the United Kingdom?", "reference": ["London", "Greater London"], "group": "west"}
"#;

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path().join("capitals.jsonl"), TASK).expect("written");
    place
}

fn answers(place: &Place, lines: &str) {
    fs::write(place.path().join("answers.jsonl"), lines).expect("written");
}

const FILE: [&str; 5] = ["grade", "--probe", "task=capitals.jsonl", "--answers", "answers.jsonl"];

#[test]
fn answers_are_graded_in_the_order_of_the_file() {
    let place = place();
    answers(
        &place,
        "{\"id\": \"uk\", \"text\": \"**London**\"}\n{\"id\": \"fr\", \"text\": \"Lyon\"}\n\n{\"id\": \"fr\", \"text\": \"\"}\n",
    );
    assert_output!("graded_table", place.run(&FILE));
    let mut json = FILE.to_vec();
    json.push("--json");
    assert_output!("graded_json", place.run(&json));
}

#[test]
fn stdin_is_read_and_built_in_probes_are_graded() {
    let place = place();
    let input = "{\"id\": \"sqrt(9122)\", \"text\": \"1\"}\n";
    let output = place.run_with_input(&["grade", "--probe", "math", "--answers", "-"], input);
    assert!(output.contains("stdin, line 1: no question has the id `sqrt(9122)`; math v1 count=32"), "{output}");
    let scan = place
        .run_with_input(&["grade", "--probe", "math", "--answers", "-", "--json"], "{\"id\": \"0\", \"text\": \"\"}");
    let id = scan.split("asks 32: `").nth(1).and_then(|rest| rest.split('`').next()).expect("it names ids").to_owned();
    let input = format!("{{\"id\": \"{id}\", \"text\": \"I cannot say.\"}}");
    let output = place.run_with_input(&["grade", "--probe", "math", "--answers", "-"], &input);
    assert!(output.starts_with("exit code: 0") && output.contains("1 answer, 1 unparsed"), "{output}");
}

#[test]
fn the_four_accuracies_of_ifeval_are_told() {
    let place = Place::new();
    let prompt = r#"{"key": 1000, "prompt": "Two bullets, no comma.", "instruction_id_list": ["punctuation:no_comma", "detectable_format:number_bullet_lists"], "kwargs": [{}, {"num_bullets": 2}]}"#;
    fs::write(place.path().join("prompts.jsonl"), prompt).expect("written");
    answers(&place, "{\"id\": 1000, \"text\": \"Sure, here:\\n* a\\n* b\"}\n{\"id\": 1000, \"text\": \"* a\\n* b\"}\n");
    assert_output!("ifeval", place.run(&["grade", "--probe", "ifeval=prompts.jsonl", "--answers", "answers.jsonl"]));
}

#[test]
fn constants_stand_beside_the_scores_of_rys() {
    let place = Place::new();
    let eq = r#"{"1": {"prompt": "…", "reference_answer": {"emotion1": "A", "emotion1_score": 2.5, "emotion2": "B", "emotion2_score": 2.5, "emotion3": "C", "emotion3_score": 5, "emotion4": "D", "emotion4_score": 0}}}"#;
    fs::write(place.path().join("eq.json"), eq).expect("written");
    answers(&place, "{\"id\": 1, \"text\": \"First pass scores:\\nA: 5\\nB: 5\\nC: 10\\nD: 0\"}\n");
    assert_output!("rys_eq", place.run(&["grade", "--probe", "rys-eq=eq.json", "--answers", "answers.jsonl"]));
}

#[test]
fn what_cannot_be_graded_is_told_with_its_line() {
    let place = place();
    let graded = |lines: &str| {
        answers(&place, lines);
        place.run(&FILE)
    };
    for (lines, problem) in [
        ("", "error: answers.jsonl holds no answers, expected one JSON object on each line"),
        (
            "{\"id\": \"de\", \"text\": \"a\"}",
            "answers.jsonl, line 1: no question has the id `de`; task v1 file=capitals.jsonl",
        ),
        ("{\"id\": \"fr\"}", "answers.jsonl, line 1: the key `text` is missing; found `id`"),
        ("{\"id\": \"fr\", \"text\": \"a\"}\n{", "answers.jsonl, line 2: no JSON"),
    ] {
        let output = graded(lines);
        assert!(output.starts_with("exit code: 1") && output.contains(problem), "{output}");
    }
    assert_output!("no_file", place.run(&["grade", "--probe", "task=missing.jsonl", "--answers", "answers.jsonl"]));
    assert_output!(
        "likelihood",
        place.run(&["grade", "--probe", "task:likelihood=capitals.jsonl", "--answers", "answers.jsonl"])
    );
    assert_output!("file_needed", place.run(&["grade", "--probe", "gsm8k", "--answers", "answers.jsonl"]));
    let twice = TASK.replace("\"it\"", "\"fr\"");
    fs::write(place.path().join("capitals.jsonl"), twice).expect("written");
    assert_output!("twice", place.run(&FILE));
}
