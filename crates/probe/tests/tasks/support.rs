//! Files of questions, as their tests read them.

use std::fs;

use neuro_probe::{ProbeError, ProbeFile, TaskSet};

pub(crate) fn file(name: &str, content: &str) -> ProbeFile {
    ProbeFile::new(name, content.as_bytes())
}

pub(crate) fn read(kind: &str, content: &str) -> Result<TaskSet, ProbeError> {
    TaskSet::read(kind, &file("f.json", content))
}

/// A file of the data beside the checkout, or none and a message.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn published(kind: &str, path: &str) -> Option<TaskSet> {
    let path = format!("{}/../../../shared/data/{path}", env!("CARGO_MANIFEST_DIR"));
    match fs::read(&path) {
        Err(_) => {
            eprintln!("skipped: there is no {path}");
            None
        }
        Ok(content) => Some(TaskSet::read(kind, &ProbeFile::new(path, content)).expect("it can be read")),
    }
}

/// The mean score of the answers that `given` makes of ids and keys.
pub(crate) fn mean(set: &TaskSet, given: impl Fn(&str, &str) -> String) -> f64 {
    let score = |id: &str, key: &str| set.grade(id, &given(id, key)).expect("it has this id").grade.score;
    set.questions().map(|question| score(&question.id, &question.key)).sum::<f64>() / set.questions().len() as f64
}

pub(crate) fn close(found: f64, documented: f64, digits: i32) {
    let error = (found - documented).abs();
    assert!(error <= 0.5 * 10_f64.powi(-digits) + 1e-12, "{found} is not {documented} to {digits} digits");
}
