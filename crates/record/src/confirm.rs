//! The folder of a confirmation: what was fixed before anything was asked, and what was found.
//!
//! `finalists.json` is written first and never again: it says which paths are finalists and why, what they are compared
//! with, and every setting. `questions.json`, written next and never again, holds the hashes of three question sets
//! that share none, nor one with what earlier confirmations of the run asked. Then come two runs, `main` (the confirmed
//! probe: baseline, finalists, controls, shams) and `side` (second judges and guards: baseline and finalists), and
//! `costs.json`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::{fs, io};

use neuro_path::LayerPath;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::files::{ROWS_FILE, write_atomically};
use crate::info::SCHEMA;
use crate::lock::WriterLock;
use crate::settings::{Difference, document_differences};
use crate::{ModelInfo, RecordError, RunData};

/// The folder of a confirmation within the run that it confirms.
pub const CONFIRM_FOLDER: &str = "confirm";
/// What is fixed before a question is drawn.
pub const FINALISTS_FILE: &str = "finalists.json";
/// Hashes of the question sets.
pub const QUESTIONS_FILE: &str = "questions.json";
/// What each path costs, run alone.
pub const COSTS_FILE: &str = "costs.json";
/// The run of the confirmed probe.
pub const MAIN_RUN: &str = "main";
/// The run of second judges and guards.
pub const SIDE_RUN: &str = "side";

/// A key that `finalists.json` had before the ledger alone knew how many confirmations came before; it may differ.
const RETIRED: &str = "earlier";

/// Content of `finalists.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finalists {
    /// Format version, [`SCHEMA`].
    pub schema: u32,
    /// Program and version.
    pub tool: String,
    /// When it was written, RFC 3339.
    pub created: String,
    /// The model.
    pub model: ModelInfo,
    /// The run in which they were found.
    pub search: SearchSource,
    /// The probe on which they are confirmed, with scoring.
    pub probe: String,
    /// Every finalist, best first.
    pub finalists: Vec<Finalist>,
    /// Paths with a finalist's number of extra visits at random layers and places, by that number.
    pub controls: BTreeMap<usize, Vec<String>>,
    /// Everything else that changes results, by the name of its flag.
    pub settings: BTreeMap<String, Value>,
}

/// Where finalists come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchSource {
    /// SHA-256 of the run's `rows.jsonl`, in hexadecimal digits.
    pub rows_hash: String,
    /// Number of its rows.
    pub rows: usize,
    /// Its probe that ranks, with scoring.
    pub probe: String,
    /// Identifier of that probe's question set.
    pub probe_id: String,
    /// Questions that ranked.
    pub questions: usize,
    /// Whether the search asked the questions of every role, those of the confirmation too, which then did not rank.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked_all: bool,
}

/// One finalist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finalist {
    /// The path's printed map.
    pub path: String,
    /// Why it is one.
    pub why: String,
    /// Its score in the search; none where the search did not measure it.
    pub search_score: Option<f64>,
    /// Its delta in the search, on the questions that ranked.
    pub search_delta: Option<f64>,
    /// Interval of that delta, of this path alone.
    pub search_interval: Option<[f64; 2]>,
    /// Whether it was named by hand after the search had asked the questions of the confirmation as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_seen: bool,
    /// Paths with its layers in another order or place.
    pub shams: Vec<Sham>,
}

/// A path that has a finalist's extra visits, and not what makes them a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sham {
    /// `order`: the second pass in another order; `place`: in another place.
    pub kind: String,
    /// The path's printed map.
    pub path: String,
}

/// Content of `questions.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionSets {
    /// Format version, [`SCHEMA`].
    pub schema: u32,
    /// Every probe that is asked, with scoring; the confirmed one first.
    pub probes: Vec<String>,
    /// The sets.
    pub sets: Vec<QuestionSet>,
    /// What earlier confirmations of the run had asked; none for its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Earlier>,
    /// Probes that were left out.
    pub skipped: Vec<SkippedProbe>,
}

/// What the confirmations before this one leave to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// How many they are.
    pub confirmations: usize,
    /// Questions of the confirmed probe that they had asked, and that were left out.
    pub questions: usize,
    /// Whether one of them had the same seed: its random paths and draws are then the same, its questions are not.
    pub is_seed_repeated: bool,
}

/// The questions of one role and probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionSet {
    /// `search`, `confirm` or `report`; `earlier` for what earlier confirmations of the run asked.
    pub role: String,
    /// The probe without scoring.
    pub probe: String,
    /// For each question the first 16 hexadecimal digits of the SHA-256 of prompt and key, in order.
    pub questions: Vec<String>,
}

/// A probe that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedProbe {
    /// Its name with scoring.
    pub probe: String,
    /// Why.
    pub reason: String,
}

/// What one path costs, run alone and token by token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathCost {
    /// The path's printed map.
    pub path: String,
    /// Milliseconds per generated token: median over tokens.
    pub ms_per_token: f64,
    /// Half of the tokens took a time between these two: the first and the third quartile.
    #[serde(default)]
    pub ms_quartiles: Option<[f64; 2]>,
    /// How many times as long as the baseline it takes: median over rounds in which both read one token.
    #[serde(default)]
    pub times_baseline: Option<f64>,
    /// Tokens that were timed.
    pub tokens: usize,
    /// Bytes of keys and values per token of text.
    pub kv_bytes_per_token: u64,
}

impl QuestionSets {
    /// Why two roles share a question, or `Ok`. Within a role questions may repeat.
    pub fn check_disjoint(&self) -> Result<(), String> {
        let mut owners: HashMap<(&str, &str), &str> = HashMap::new();
        for set in &self.sets {
            for question in &set.questions {
                let owner = owners.entry((&set.probe, question)).or_insert(&set.role);
                if *owner != set.role {
                    let QuestionSet { role, probe, .. } = set;
                    return Err(format!(
                        "question {question} of probe `{probe}` is in the {owner} set and in the {role} set, expected \
                         sets that share none"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The one writer of a confirmation's folder; the lock is held until it is dropped.
#[derive(Debug)]
pub struct ConfirmWriter {
    dir: PathBuf,
    _lock: WriterLock,
}

impl ConfirmWriter {
    /// Creates the folder with its `finalists.json`, or goes on with the one that is there when it says the same; what
    /// it says is returned.
    ///
    /// # Errors
    /// Another writer lives, the settings differ, a file is damaged, or the operating system refuses.
    pub fn open(dir: &Path, finalists: &Finalists) -> Result<(Self, Finalists), RecordError> {
        fs::create_dir_all(dir).map_err(RecordError::io("create", dir))?;
        let writer = Self { dir: dir.to_owned(), _lock: WriterLock::take(dir)? };
        let stored = writer.write_once(FINALISTS_FILE, finalists)?;
        Ok((writer, stored))
    }

    /// Refuses sets of which two roles share a question; to be asked before they are entered anywhere.
    ///
    /// # Errors
    /// Two roles share a question.
    pub fn check_questions(&self, sets: &QuestionSets) -> Result<(), RecordError> {
        let refused =
            |reason| RecordError::Refused { what: self.dir.join(QUESTIONS_FILE).display().to_string(), reason };
        sets.check_disjoint().map_err(refused)
    }

    /// Writes `questions.json`, or checks that it says the same.
    ///
    /// # Errors
    /// Two roles share a question, the stored file differs, or the operating system refuses.
    pub fn write_questions(&self, sets: &QuestionSets) -> Result<QuestionSets, RecordError> {
        self.check_questions(sets)?;
        self.write_once(QUESTIONS_FILE, sets)
    }

    /// What the paths cost as measured before, if it was.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn costs(&self) -> Result<Option<Vec<PathCost>>, RecordError> {
        read_document(&self.dir.join(COSTS_FILE))
    }

    /// Writes what the paths cost.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn write_costs(&self, costs: &[PathCost]) -> Result<(), RecordError> {
        write_document(&self.dir.join(COSTS_FILE), &costs)
    }

    fn write_once<T: Serialize + DeserializeOwned>(&self, name: &str, document: &T) -> Result<T, RecordError> {
        let file = self.dir.join(name);
        if let Some(mut stored) = read_document::<Value>(&file)? {
            if let Some(fields) = stored.as_object_mut().filter(|_| name == FINALISTS_FILE) {
                fields.remove(RETIRED);
            }
            let expected = serde_json::to_value(document).unwrap_or(Value::Null);
            let differences = causes(document_differences(&stored, &expected));
            if !differences.is_empty() {
                return Err(RecordError::Settings { dir: self.dir.clone(), differences });
            }
        } else {
            write_document(&file, document)?;
        }
        read_document(&file)?.ok_or_else(|| RecordError::Info { file, reason: "it is gone again".to_owned() })
    }
}

/// A confirmation in memory; parts that are not written yet are missing.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfirmData {
    /// What was fixed first.
    pub finalists: Finalists,
    /// The question sets.
    pub questions: Option<QuestionSets>,
    /// The run of the confirmed probe.
    pub main: Option<RunData>,
    /// The run of second judges and guards.
    pub side: Option<RunData>,
    /// What the paths cost.
    pub costs: Vec<PathCost>,
}

impl ConfirmData {
    /// Reads a confirmation's folder, also while it is written; none where there is none.
    ///
    /// # Errors
    /// A file is damaged or of a newer format.
    pub fn read(dir: &Path) -> Result<Option<Self>, RecordError> {
        let Some(finalists) = read_document::<Finalists>(&dir.join(FINALISTS_FILE))? else { return Ok(None) };
        let run = |name: &str| {
            let dir = dir.join(name);
            // A writer that was killed at its very beginning leaves a folder without run.json.
            if dir.join(crate::RUN_FILE).is_file() { RunData::read(&dir).map(Some) } else { Ok(None) }
        };
        Ok(Some(Self {
            finalists,
            questions: read_document(&dir.join(QUESTIONS_FILE))?,
            main: run(MAIN_RUN)?,
            side: run(SIDE_RUN)?,
            costs: read_document(&dir.join(COSTS_FILE))?.unwrap_or_default(),
        }))
    }
}

/// Differences without those that follow from others: which controls and shams are drawn, where settings differ.
fn causes(mut differences: Vec<Difference>) -> Vec<Difference> {
    let is_cause = |difference: &Difference| {
        let key = &difference.key;
        key.starts_with("settings.") || key.ends_with(".path") && !key.contains(".shams.")
    };
    if differences.iter().any(is_cause) {
        differences
            .retain(|difference| !difference.key.starts_with("controls.") && !difference.key.contains(".shams."));
    }
    differences
}

/// What the confirmation in a folder has fixed; none where there is none yet.
///
/// # Errors
/// The file is damaged, of a newer format, or cannot be read.
pub fn read_finalists(dir: &Path) -> Result<Option<Finalists>, RecordError> {
    read_document(&dir.join(FINALISTS_FILE))
}

/// SHA-256 of a run's `rows.jsonl`, in hexadecimal digits.
///
/// # Errors
/// The file cannot be read.
pub fn rows_hash(run: &Path) -> Result<String, RecordError> {
    let file = run.join(ROWS_FILE);
    let bytes = fs::read(&file).map_err(RecordError::io("read", file))?;
    Ok(hash(&bytes))
}

/// SHA-256 of a confirmation's `finalists.json`, in hexadecimal digits: what tells one confirmation from another. None
/// where the folder has none.
///
/// # Errors
/// The file cannot be read.
pub fn finalists_hash(dir: &Path) -> Result<Option<String>, RecordError> {
    let file = dir.join(FINALISTS_FILE);
    match fs::read(&file) {
        Ok(bytes) => Ok(Some(hash(&bytes))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(RecordError::io("read", file)(error)),
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// One JSON document with a schema version, where it has one; none where there is no file.
pub(crate) fn read_document<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, RecordError> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(RecordError::io("read", file)(error)),
    };
    let broken = |reason: String| RecordError::Info { file: file.to_owned(), reason };
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| broken(format!("not valid JSON: {error}")))?;
    let found = value.get("schema").and_then(Value::as_u64).filter(|found| *found > u64::from(SCHEMA));
    if let Some(found) = found {
        return Err(RecordError::Schema { file: file.to_owned(), found, expected: SCHEMA });
    }
    serde_json::from_value(value).map(Some).map_err(|error| broken(error.to_string()))
}

fn write_document(file: &Path, document: &impl Serialize) -> Result<(), RecordError> {
    let mut text = serde_json::to_vec_pretty(document)
        .map_err(|error| RecordError::Refused { what: file.display().to_string(), reason: error.to_string() })?;
    text.push(b'\n');
    write_atomically(file, &text)
}

impl Finalists {
    /// Number of extra visits of a path; none where it is no path of the model.
    #[must_use]
    pub fn extra_visits(&self, path: &str) -> Option<isize> {
        LayerPath::parse(path, self.model.layers).ok().map(|path| path.extra_visits())
    }

    /// The controls of a finalist: those with its number of extra visits.
    #[must_use]
    pub fn controls_of(&self, path: &str) -> &[String] {
        let extra = self.extra_visits(path).and_then(|extra| usize::try_from(extra).ok());
        extra.and_then(|extra| self.controls.get(&extra)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The count of earlier confirmations that old files have may be stale, and the ledger knows better.
    #[test]
    fn a_file_with_a_retired_key_goes_on() {
        let mut document = json!({
            "schema": SCHEMA, "tool": "neuro 0.1.0", "created": "2025-01-01T00:00:00Z",
            "model": { "id": "m", "hash": "00", "model_type": "llama", "layers": 6, "parameters": 1, "dtype": "F32" },
            "search": { "rows_hash": "ab", "rows": 2, "probe": "math", "probe_id": "math v1", "questions": 4 },
            "probe": "math", "finalists": [], "controls": {}, "settings": { "seed": 1 },
        });
        let finalists: Finalists = serde_json::from_value(document.clone()).unwrap();
        document["earlier"] = json!(3);
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(FINALISTS_FILE), document.to_string()).unwrap();
        let (_, stored) = ConfirmWriter::open(place.path(), &finalists).unwrap();
        assert_eq!(stored, finalists);
        document["probe"] = json!("eq");
        fs::write(place.path().join(FINALISTS_FILE), document.to_string()).unwrap();
        let Err(RecordError::Settings { differences, .. }) = ConfirmWriter::open(place.path(), &finalists) else {
            panic!("expected that other settings are refused")
        };
        assert_eq!(differences.iter().map(|found| found.key.as_str()).collect::<Vec<_>>(), ["probe"]);
    }
}
