//! The questions of a probe as JSON lines, so that another program can answer them.

use neuro_probe::{Continuation, Probe, Question, Scoring, Terminator};
use serde_json::{Map, Value, json};

use crate::results::JSON_SCHEMA;

/// One JSON object for each question, each on a line.
pub(super) fn lines(probe: &Probe) -> String {
    probe.questions().iter().map(|question| format!("{}\n", line(probe, question))).collect()
}

/// Texts whose probabilities a question asks about: its continuations, else its key.
pub(super) fn asked_about(question: &Question) -> usize {
    question.continuations.iter().map(Vec::len).sum::<usize>().max(1)
}

fn line(probe: &Probe, question: &Question) -> Value {
    let Question { id, group, system, user, plain, key, reference, continuations, max_new_tokens, identity: _ } =
        question;
    let mut line = Map::new();
    let mut set = |name: &str, value: Value| drop(line.insert(name.to_owned(), value));
    set("schema", json!(JSON_SCHEMA));
    set("probe", json!(probe.id()));
    set("id", json!(id));
    set("group", json!(group));
    if let Some(system) = system {
        set("system", json!(system));
    }
    set("prompt", json!(user));
    set("plain", json!(plain));
    if !key.is_empty() {
        set("key", json!(key));
    }
    if !reference.is_empty() {
        set("reference", json!(reference));
    }
    match probe.scoring() {
        Scoring::Generation => set("max_tokens", json!(max_new_tokens)),
        Scoring::Likelihood => {
            let end = match probe.terminator(false) {
                Terminator::Text(end) => end,
                Terminator::EndOfTurn | Terminator::None => "",
            };
            let one = |Continuation { read, said, value }: &Continuation| json!({ "read": read, "said": format!("{said}{end}"), "value": value });
            let asked: Vec<Value> = continuations.iter().flatten().map(one).collect();
            let key = || vec![json!({ "read": "", "said": format!("{key}{end}"), "value": 1 })];
            set("logprobs_of", json!(if asked.is_empty() { key() } else { asked }));
        }
    }
    Value::Object(line)
}
