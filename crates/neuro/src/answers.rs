//! Files of questions, and answers that another program gave, read from JSON lines.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use neuro_probe::{ProbeFile, TaskSet, examples_of, is_task};
use serde_json::Value;

use crate::error::Failure;

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// As it was written, a text or a number.
    pub(crate) id: Value,
    pub(crate) given: Given,
    /// Where it stands, from 1.
    pub(crate) line: usize,
}

/// What a line gives as an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Given {
    /// A generated text.
    Text(String),
    /// Log-probabilities in nats: of each text that the question asks about those of its tokens.
    Logprobs(Vec<Vec<f64>>),
}

/// The answers of a file, and the name that messages give it.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) file: String,
    pub(crate) answers: Vec<Answer>,
}

/// The content of the files that a probe is named with: the questions, and the worked examples that it shows with them, each
/// under its name.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn contents(probe: &str, file: &str) -> anyhow::Result<Vec<(String, Arc<[u8]>)>> {
    let read = |file: String, hint: Option<String>| -> anyhow::Result<(String, Arc<[u8]>)> {
        let content = std::fs::read(&file).map_err(|error| {
            let failure = Failure::new(format!("{file} cannot be read: {error}"));
            hint.into_iter().fold(failure, Failure::hint)
        })?;
        Ok((file, content.into()))
    };
    let hint = is_task(probe).then(|| "the questions are read from NAME=FILE".to_owned());
    let mut contents = vec![read(file.to_owned(), hint)?];
    if let Some(examples) = examples_of(probe, file) {
        let plain = probe.split('-').next().unwrap_or_default();
        let from = if examples.ends_with(".yaml") {
            "are lm-evaluation-harness's own: copy its lm_eval/tasks/gsm8k/gsm8k-cot.yaml there"
        } else {
            "lie there in the set as it is distributed"
        };
        let hint = format!("`{probe}` shows worked examples, which {from}; `{plain}` asks without them");
        contents.push(read(examples, Some(hint))?);
    }
    Ok(contents)
}

/// The file that a probe is named with.
///
/// # Errors
/// As [`contents`].
pub(crate) fn probe_file(probe: &str, file: &str) -> anyhow::Result<ProbeFile> {
    let contents: BTreeMap<String, Arc<[u8]>> = contents(probe, file)?.into_iter().collect();
    ProbeFile::of(probe, file, |file| contents.get(file).cloned()).with_context(|| format!("{file} was not read"))
}

/// The questions of a file, as the probe of this name reads it.
///
/// # Errors
/// When it cannot be read, or does not fit.
pub(crate) fn question_set(name: &str, file: &str) -> anyhow::Result<TaskSet> {
    Ok(TaskSet::read(name, &probe_file(name, file)?)?)
}

/// What a line with a text reads.
const TEXT_FORM: &str = "{\"id\": \"7\", \"text\": \"the answer\"}";
/// What a line with probabilities reads.
const LOGPROBS_FORM: &str = "{\"id\": \"7\", \"logprobs\": [[-0.1, -2.3]]}, in nats";
/// Why `logprobs` of another form is refused.
const NO_LOGPROBS: &str = "`logprobs` is no list of lists of numbers up to 0, one list for each text";

impl Answer {
    /// The id as probes know it.
    pub(crate) fn key(&self) -> String {
        match &self.id {
            Value::String(id) => id.clone(),
            id => id.to_string(),
        }
    }
}

impl Answers {
    /// Reads a file, or stdin where it is called `-`.
    ///
    /// # Errors
    /// When it cannot be read or is empty; names the line that is not UTF-8, no JSON object, or lacks a key.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        if file.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).context("stdin cannot be read")?;
            return Self::parse("stdin", &bytes);
        }
        let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        Self::parse(&file.display().to_string(), &bytes)
    }

    fn parse(file: &str, bytes: &[u8]) -> anyhow::Result<Self> {
        let mut answers = Vec::new();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let form = |reason: &str| if reason == NO_LOGPROBS { LOGPROBS_FORM } else { TEXT_FORM };
            let refuse = |reason: String| refusal(file, index + 1, &reason, form(&reason));
            let line = std::str::from_utf8(line).map_err(|_| refuse("found bytes that are not UTF-8".to_owned()))?;
            if !line.trim().is_empty() {
                answers.push(answer(line, index + 1).map_err(refuse)?);
            }
        }
        if answers.is_empty() {
            let failure = Failure::new(format!("{file} holds no answers, expected one JSON object on each line"));
            return Err(failure.hint(format!("a line reads {TEXT_FORM}")).into());
        }
        Ok(Self { file: file.to_owned(), answers })
    }

    /// Why the answer of a line is refused; one of the form that it has was expected.
    pub(crate) fn refuse(&self, answer: &Answer, reason: &str) -> anyhow::Error {
        let form = if matches!(answer.given, Given::Logprobs(_)) { LOGPROBS_FORM } else { TEXT_FORM };
        refusal(&self.file, answer.line, reason, form)
    }

    /// Why the answer of a line is refused where a text was expected.
    pub(crate) fn refuse_for_text(&self, answer: &Answer, reason: &str) -> anyhow::Error {
        refusal(&self.file, answer.line, reason, TEXT_FORM)
    }
}

fn refusal(file: &str, line: usize, reason: &str, form: &str) -> anyhow::Error {
    Failure::new(format!("{file}, line {line}: {reason}")).hint(format!("each line is one JSON object: {form}")).into()
}

fn answer(line: &str, number: usize) -> Result<Answer, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| {
        let message = error.to_string();
        format!("no JSON ({})", message.split(" at line ").next().unwrap_or_default())
    })?;
    let Value::Object(mut fields) = value else { return Err("no JSON object".to_owned()) };
    let known = || fields.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let missing = |key: &str| {
        format!("the key `{key}` is missing; found {}", if fields.is_empty() { "none".to_owned() } else { known() })
    };
    match fields.get("id") {
        None => return Err(missing("id")),
        Some(Value::String(_) | Value::Number(_)) => {}
        Some(_) => return Err("`id` is neither a text nor a number".to_owned()),
    }
    let given = match (fields.get("text"), fields.get("logprobs")) {
        (Some(_), Some(_)) => return Err("`text` and `logprobs` are both there; expected one of them".to_owned()),
        (Some(Value::String(text)), None) => Given::Text(text.clone()),
        (Some(_), None) => return Err("`text` is no text".to_owned()),
        (None, Some(lists)) => match logprobs(lists) {
            Some(nats) => Given::Logprobs(nats),
            None => return Err(NO_LOGPROBS.to_owned()),
        },
        (None, None) => return Err(missing("text")),
    };
    let id = fields.remove("id").unwrap_or_default();
    Ok(Answer { id, given, line: number })
}

/// Lists of log-probabilities in nats; none of what is none. Rounding may leave a certain token a hair above 0.
fn logprobs(lists: &Value) -> Option<Vec<Vec<f64>>> {
    let nats = |value: &Value| value.as_f64().filter(|nats| *nats <= 1e-3);
    lists.as_array()?.iter().map(|list| list.as_array()?.iter().map(nats).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_order_and_ids_may_repeat() {
        let text = "\u{feff}{\"id\": 7, \"text\": \"a\"}\r\n\n{\"text\": \"b\", \"id\": \"7\", \"model\": \"x\"}\n";
        let read = Answers::parse("f", text.as_bytes()).unwrap();
        let given: Vec<_> = read.answers.iter().map(|answer| (answer.key(), &answer.given, answer.line)).collect();
        let text = |text: &str| Given::Text(text.to_owned());
        assert_eq!(given, [("7".to_owned(), &text("a"), 1), ("7".to_owned(), &text("b"), 3)]);
        let scored = Answers::parse("f", br#"{"id": 7, "logprobs": [[-1, -0.5], []]}"#).unwrap();
        assert_eq!(scored.answers[0].given, Given::Logprobs(vec![vec![-1.0, -0.5], vec![]]));
    }

    #[test]
    fn whatever_does_not_fit_is_told_with_its_line() {
        for (text, problem) in [
            (&b""[..], "f holds no answers"),
            (b"{}", "f, line 1: the key `id` is missing; found none"),
            (b"{\"id\": 1, \"answer\": \"a\"}", "f, line 1: the key `text` is missing; found `id`, `answer`"),
            (b"{\"id\": null, \"text\": \"a\"}", "f, line 1: `id` is neither a text nor a number"),
            (b"\n{\"id\": 1, \"text\": 2}", "f, line 2: `text` is no text"),
            (b"{\"id\": 1, \"logprobs\": [-1]}", "f, line 1: `logprobs` is no list of lists of numbers up to 0"),
            (b"{\"id\": 1, \"logprobs\": [[0.5]]}", "f, line 1: `logprobs` is no list of lists of numbers up to 0"),
            (b"{\"id\": 1, \"logprobs\": [], \"text\": \"a\"}", "f, line 1: `text` and `logprobs` are both there"),
            (b"[]", "f, line 1: no JSON object"),
            (b"{\"id\": 1", "f, line 1: no JSON (EOF while parsing an object)"),
            (b"{\"id\": 1, \"text\": \"a\"}\n\xff", "f, line 2: found bytes that are not UTF-8"),
        ] {
            let refusal = Answers::parse("f", text).unwrap_err().to_string();
            assert!(refusal.starts_with(problem), "{refusal}");
        }
    }
}
