//! What the confirmations of a run have asked, so that no question is fresh twice.
//!
//! `asked.jsonl` lies in the run that is confirmed, wherever its confirmations lie, and only grows: before a confirmation
//! measures anything, a line with the hashes of its questions is there. The next one leaves them out.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::RecordError;
use crate::confirm::{
    CONFIRM_FOLDER, FINALISTS_FILE, Finalists, QUESTIONS_FILE, QuestionSet, QuestionSets, finalists_hash, read_document,
};
use crate::files::sync_dir;
use crate::info::SCHEMA;
use crate::lock::WriterLock;
use crate::log::{Contents, Log, read_lines};

/// What confirmations have asked.
pub const ASKED_FILE: &str = "asked.jsonl";
/// Locked while questions are drawn, never while they are measured.
const ASKED_LOCK: &str = "asked.lock";
/// How long a confirmation waits for another one that draws.
const PATIENCE: Duration = Duration::from_secs(20);
/// Role of the questions that a confirmation asks.
pub const CONFIRM_ROLE: &str = "confirm";

/// One line of `asked.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Format version, [`SCHEMA`].
    pub schema: u32,
    /// Whose they are: SHA-256 of the confirmation's `finalists.json`, in hexadecimal digits.
    pub finalists: String,
    /// The probe that it confirms, with scoring.
    pub probe: String,
    /// The seed of its questions.
    pub seed: u64,
    /// Every question that it asks, by probe without scoring.
    pub sets: Vec<QuestionSet>,
}

/// The ledger of a run, and the lock on it until it is dropped.
#[derive(Debug)]
pub struct Ledger {
    lines: Vec<Asked>,
    log: Log,
    _lock: WriterLock,
}

impl Ledger {
    /// Opens the ledger of a run, or begins it. A confirmation in the run's own folder that it does not know, as one that
    /// was made before there were ledgers, is entered.
    ///
    /// # Errors
    /// Another confirmation has been drawing questions for too long, a line is damaged, or the operating system refuses.
    pub fn open(run: &Path) -> Result<Self, RecordError> {
        let lock = WriterLock::wait(run, ASKED_LOCK, PATIENCE)?;
        let file = run.join(ASKED_FILE);
        let (lines, contents) = read(&file)?;
        let log = Log::open(file, contents.length)?;
        // A new file's name is not on the disk yet, and with it what is entered here would be lost.
        sync_dir(run)?;
        let mut ledger = Self { lines, log, _lock: lock };
        ledger.adopt(&run.join(CONFIRM_FOLDER))?;
        Ok(ledger)
    }

    /// Enters what the confirmation in `folder` has asked, where there is one that is not entered.
    fn adopt(&mut self, folder: &Path) -> Result<(), RecordError> {
        let Some(finalists) = finalists_hash(folder)? else { return Ok(()) };
        if self.lines.iter().any(|line| line.finalists == finalists) {
            return Ok(());
        }
        let fixed = read_document::<Finalists>(&folder.join(FINALISTS_FILE))?;
        let questions = read_document::<QuestionSets>(&folder.join(QUESTIONS_FILE))?;
        let (Some(fixed), Some(questions)) = (fixed, questions) else { return Ok(()) };
        let seed = fixed.settings.get("seed").and_then(serde_json::Value::as_u64).unwrap_or_default();
        let sets = questions.sets.into_iter().filter(|set| set.role == CONFIRM_ROLE).collect();
        self.enter(Asked { schema: SCHEMA, finalists, probe: fixed.probe, seed, sets })
    }

    /// The lines of the confirmations before the one with these finalists; all of them for a new one.
    #[must_use]
    pub fn before(&self, finalists: Option<&str>) -> &[Asked] {
        &self.lines[..place(&self.lines, finalists)]
    }

    /// Enters what a confirmation is about to ask; nothing where its last line says the same already. It is on the disk when
    /// this returns.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn enter(&mut self, asked: Asked) -> Result<(), RecordError> {
        let last = self.lines.iter().rfind(|line| line.finalists == asked.finalists);
        if last != Some(&asked) {
            self.log.append(std::slice::from_ref(&asked))?;
            self.lines.push(asked);
        }
        Ok(())
    }
}

/// The lines of a file, and how much of it they take.
fn read(file: &Path) -> Result<(Vec<Asked>, Contents), RecordError> {
    let mut lines = Vec::new();
    let contents = read_lines(file, |_, line: Asked| {
        if line.schema > SCHEMA {
            let (file, found) = (file.to_owned(), u64::from(line.schema));
            return Err(RecordError::Schema { file, found, expected: SCHEMA });
        }
        lines.push(line);
        Ok(())
    })?;
    Ok((lines, contents))
}

/// Where the confirmation with these finalists begins; behind all where it does not stand there.
fn place(lines: &[Asked], finalists: Option<&str>) -> usize {
    lines.iter().position(|line| Some(line.finalists.as_str()) == finalists).unwrap_or(lines.len())
}

/// The lines before the confirmation with these finalists, as [`Ledger::before`] has them, without the lock and without entering
/// anything: for what is only planned.
///
/// # Errors
/// A line is damaged or of a newer format, or the operating system refuses.
pub fn asked_before(run: &Path, finalists: Option<&str>) -> Result<Vec<Asked>, RecordError> {
    let (mut lines, _) = read(&run.join(ASKED_FILE))?;
    lines.truncate(place(&lines, finalists));
    Ok(lines)
}

/// How many confirmations of a run stand in its ledger behind the one with these finalists; all others where that one does not
/// stand there. Reads without the lock, so that a run can be shown while it is confirmed.
///
/// # Errors
/// A line is damaged, or the operating system refuses.
pub fn later_confirmations(run: &Path, finalists: &str) -> Result<usize, RecordError> {
    let mut known: Vec<String> = Vec::new();
    for Asked { finalists, .. } in read(&run.join(ASKED_FILE))?.0 {
        if !known.contains(&finalists) {
            known.push(finalists);
        }
    }
    let behind = known.iter().position(|other| other == finalists).map_or(0, |own| own + 1);
    Ok(known.len() - behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(finalists: &str, questions: &[&str]) -> Asked {
        let questions = questions.iter().map(|&question| question.to_owned()).collect();
        let set = QuestionSet { role: CONFIRM_ROLE.to_owned(), probe: "math".to_owned(), questions };
        Asked { schema: SCHEMA, finalists: finalists.to_owned(), probe: "math".to_owned(), seed: 0, sets: vec![set] }
    }

    #[test]
    fn what_came_before_is_known_to_each_and_lines_are_written_once() {
        let run = tempfile::tempdir().unwrap();
        let (first, second) = (asked("a", &["1", "2"]), asked("b", &["3"]));
        let mut ledger = Ledger::open(run.path()).unwrap();
        assert!(ledger.before(None).is_empty());
        ledger.enter(first.clone()).unwrap();
        drop(ledger);
        let mut ledger = Ledger::open(run.path()).unwrap();
        assert_eq!(ledger.before(Some("b")), std::slice::from_ref(&first));
        ledger.enter(second.clone()).unwrap();
        ledger.enter(first.clone()).unwrap();
        assert!(ledger.before(Some("a")).is_empty());
        assert_eq!(ledger.before(Some("b")), std::slice::from_ref(&first));
        drop(ledger);
        assert_eq!(Ledger::open(run.path()).unwrap().before(None), [first, second]);
        assert_eq!(std::fs::read_to_string(run.path().join(ASKED_FILE)).unwrap().lines().count(), 2);
        let later = ["a", "b", "c"].map(|own| later_confirmations(run.path(), own).unwrap());
        let before = |own: &str| asked_before(run.path(), Some(own)).unwrap();
        assert_eq!((before("a").len(), before("b").len(), before("c").len()), (0, 1, 2));
        assert_eq!((later, later_confirmations(&run.path().join("none"), "a").unwrap()), ([1, 0, 2], 0));
    }

    /// A line that a kill tore was never followed by a measurement.
    #[test]
    fn a_torn_line_is_cut_and_a_newer_one_refused() {
        let run = tempfile::tempdir().unwrap();
        Ledger::open(run.path()).unwrap().enter(asked("a", &["1"])).unwrap();
        let file = run.path().join(ASKED_FILE);
        let whole = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{whole}{{\"schema\":1,\"final")).unwrap();
        assert_eq!(Ledger::open(run.path()).unwrap().before(None).len(), 1);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), whole);
        let newer = serde_json::to_string(&Asked { schema: SCHEMA + 1, ..asked("b", &[]) }).unwrap();
        std::fs::write(&file, format!("{whole}{newer}\n")).unwrap();
        assert!(matches!(Ledger::open(run.path()), Err(RecordError::Schema { .. })));
    }
}
