//! What does not fit: file, line and reason.

use neuro_probe::{Count, Probe, ProbeFile, ProbeRequest, TaskSet};

use crate::own::OWN;
use crate::support::{file, read};

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
        ("piqa", "{\"query\": \"q\", \"choices\": [\"a\", \" a\"], \"gold\": 0}".into(), "expected texts that differ"),
        ("boolq", "\n{\"query\": \"q\", \"choices\": [\"no\", \"no\"], \"gold\": 0}".into(), "line 2: `choices` is [\"no\",\"no\"]"),
        ("arc-easy", "{\"query\": \"q\", \"choices\": [\"a\", \"b\", \"b\"], \"gold\": 1}".into(), "the right one only once"),
        ("arc-challenge", "{\"query\": \"q\", \"choices\": [\"a\", \"\"], \"gold\": 1}".into(), "expected texts that are not empty"),
        ("winogrande", "{\"context_options\": [\"a b\", \"a c\"], \"continuation\": \"c\"}".into(), "the key `gold` is missing"),
        ("winogrande", "{\"context_options\": [\"a b\"], \"continuation\": \"c\", \"gold\": 0}".into(), "expected at least two texts"),
        ("task", "{\"question\": \"q\", \"choices\": [\"a\", \"a \"], \"answer\": 0}".into(), "expected texts that differ"),
        ("task", "{\"question\": \"a\", \"choices\": [\"x\", \" \"], \"answer\": 0}".into(), "expected texts that are not empty"),
        ("task", "{\"question\": \"a\", \"reference\": \"\"}".into(), "expected a text with letters or digits"),
        ("task", "{\"question\": \"a\", \"reference\": [\"b\", \"?!\"]}".into(), "expected a text with letters or digits"),
        ("math500", "{\"problem\": \"a\", \"answer\": \"\"}".into(), "`answer` is \"\", expected an answer that is not empty"),
        ("gsm8k", "{\"question\": \"a\", \"answer\": \"7 #### \"}".into(), "expected a solution that ends with `#### `"),
        ("lambada", "{\"context\": \"a\", \"continuation\": \" \"}".into(), "expected the word that follows"),
        ("lambada", "{\"context\": \" \", \"continuation\": \"a\"}".into(), "expected a text that asks something"),
        ("gsm8k", "{\"question\": \"\", \"answer\": \"#### 1\"}".into(), "`question` is \"\", expected a text that asks"),
        ("piqa", "{\"query\": \"\", \"choices\": [\"a\", \"b\"], \"gold\": 0}".into(), "expected a text that asks something"),
        ("boolq", "{\"query\": \"q\", \"choices\": [\"no\", \"yes\", \"maybe\"], \"gold\": 2}".into(), "expected `no` and `yes`"),
        ("winogrande", "{\"context_options\": [\"a b\", \"a c\"], \"continuation\": \"\", \"gold\": 0}".into(), "`continuation` is \"\""),
        ("task", "{\"question\": \"a\", \"reference\": null}".into(), "`reference` is null, expected a value"),
        ("task", "\n{\"question\": \"a\", \"reference\": 1, \"question\": \"b\"}".into(), "line 2: the key `question` is there twice"),
        ("rys-math", "{\n\"0\": {\"question\": \"a\", \"answer\": 1, \"answer\": 2}}".into(), "line 2: the key `answer` is there twice"),
        ("ifeval", ifeval("[\"language:response_language\"]", "[{\"language\": \"xx\"}]"), "expected the code of a language that is told: ar, bg"),
    ];
    for (kind, content, problem) in cases {
        let refusal = read(kind, &content).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refusal.starts_with("f.json, line ") && refusal.contains(problem), "{kind} {content}: {refusal}");
    }
    let invalid = TaskSet::read("task", &ProbeFile::new("f", &b"{}\n\xff"[..]));
    assert!(invalid.unwrap_err().to_string().starts_with("f, line 2: found bytes that are not UTF-8"));
}

/// A way of scoring that a file's questions do not allow says which one they do.
#[test]
fn impossible_ways_of_scoring_say_what_to_ask_instead() {
    let scale = |ends: &str| format!("{{\"question\": \"a\", \"reference\": 7, \"scale\": {ends}}}\n");
    let choice = "{\"question\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": 0}\n".to_owned();
    let exact = "{\"question\": \"a\", \"reference\": \"b\"}\n".to_owned();
    let prompt =
        "{\"key\": 1, \"prompt\": \"p\", \"instruction_id_list\": [\"punctuation:no_comma\"], \"kwargs\": [{}]}";
    for (name, content, advice) in [
        ("task:acc", OWN.to_owned(), "has questions with choices and others without; ask them from two files"),
        ("task:likelihood", scale("[0, 500]"), "cannot be counted off"),
        ("task:likelihood", scale("[0.5, 9.5]"), "cannot be counted off"),
        ("task:acc", scale("[0, 10]"), "ask it with `:likelihood`, which scores the value that is expected"),
        ("task:acc-norm", scale("[0, 10]"), "ask it with `:likelihood`, which scores the value that is expected"),
        ("task:likelihood", scale("[0, 10]") + &choice, "has questions with scales and others with choices"),
        ("task:acc", scale("[0, 10]") + &choice, "has questions with scales and others with choices"),
        ("task:acc", exact.clone(), "has no choices, so no accuracy of probabilities; ask it without"),
        ("task:acc-norm", exact, "has no choices, so no accuracy of probabilities; ask it without"),
        ("task:likelihood", "{\"question\": \"a\", \"pattern\": \"b\"}".to_owned(), "ask it without `:likelihood`"),
        ("ifeval:likelihood", prompt.to_owned(), "ask it without `:likelihood`"),
        ("ifeval:acc", prompt.to_owned(), "ask it without"),
        ("task:perplexity", choice, "there is no probe `task:perplexity`"),
    ] {
        let request = ProbeRequest { file: Some(file("f", &content)), count: Count::All, ..ProbeRequest::default() };
        let refusal = Probe::build(name, &request).map(|probe| probe.id()).unwrap_err().to_string();
        assert!(refusal.contains(advice), "{name}: {refusal}");
    }
}
