//! The own format: what it reads, and what a probe makes of it.

use std::collections::BTreeSet;
use std::fs;

use neuro_probe::{Count, Likelihood, Probe, ProbeRequest, Role, Scoring, TASKS};

use crate::support::{file, read};

pub(crate) const OWN: &str = r#"{"task": "capitals", "system": "Be short.", "max_tokens": 12}
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
    assert_eq!(all.id(), "task:likelihood v2 file=mine.jsonl count=all");
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
}

/// BBH's sports_understanding asks two of its questions twice: under ids of their own they would land in two roles, and in one
/// role an answer would count twice.
#[test]
fn what_a_file_asks_twice_has_one_role_and_is_asked_once() {
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
        assert!((10..=30).contains(&held), "{role}: {held}");
        let probe = Probe::build("task", &request(held)).unwrap();
        assert!(probe.id().contains(&format!("count={held} draw=v3 role={role} ")), "{}", probe.id());
        let asked: BTreeSet<String> = probe.questions().iter().map(|question| question.user.clone()).collect();
        assert_eq!(asked.len(), held, "one of each");
        assert!(asked.into_iter().all(|question| seen.insert(question)), "roles share a question");
    }
    assert_eq!(seen.len(), 60);
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
