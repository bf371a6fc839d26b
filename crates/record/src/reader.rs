//! Reading a run, while it is being written or afterwards.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use serde_json::Value;

use crate::files::{LOCK_FILE, ROWS_FILE, RUN_FILE, reference_file, samples_file};
use crate::index::Index;
use crate::info::SCHEMA;
use crate::log::{Contents, read_lines};
use crate::{RecordError, Row, RunInfo, Sample};

/// A run in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct RunData {
    /// Content of `run.json`.
    pub info: RunInfo,
    /// The rows in the order of the file, one per path and probe.
    pub rows: Vec<Row>,
    /// The samples, probe by probe, in the order of their files, one per path, probe and question. They include those
    /// whose row is not written yet.
    pub samples: Vec<Sample>,
    /// What the baseline scored with weights as they are stored, where the run's own are quantised; in the order of the
    /// files. Empty where nothing was quantised.
    pub reference: Vec<Sample>,
}

impl RunData {
    /// Reads a run directory. Nothing is locked and a writer is not disturbed; a torn last line is left out, and lines
    /// that merging wrote twice count once.
    ///
    /// # Errors
    /// The folder is no run, its schema is newer, a line is damaged, two lines contradict each other, or a row lacks
    /// samples; the message names file and line.
    pub fn read(dir: &Path) -> Result<Self, RecordError> {
        let (info, _) = read_info(dir)?;
        Ok(read_run(dir, info)?.data)
    }

    /// The row of a path (its printed map) on a probe.
    #[must_use]
    pub fn row(&self, path: &str, probe: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.path == path && row.probe == probe)
    }

    /// The rows of one probe.
    pub fn rows_of<'a, 'b>(&'a self, probe: &'b str) -> impl Iterator<Item = &'a Row> + use<'a, 'b> {
        self.rows.iter().filter(move |row| row.probe == probe)
    }

    /// The samples of one probe.
    pub fn samples_of<'a, 'b>(&'a self, probe: &'b str) -> impl Iterator<Item = &'a Sample> + use<'a, 'b> {
        self.samples.iter().filter(move |sample| sample.probe == probe)
    }

    /// The samples of one probe whose row is not written yet: what a killed run had measured of unfinished paths.
    #[must_use]
    pub fn orphans(&self, probe: &str) -> Vec<&Sample> {
        let done: HashSet<&str> = self.rows_of(probe).map(|row| row.path.as_str()).collect();
        self.samples_of(probe).filter(|sample| !done.contains(sample.path.as_str())).collect()
    }
}

/// A run with what a writer needs to go on: the index of what is there, and each file's readable length in bytes.
pub(crate) struct Loaded {
    pub(crate) data: RunData,
    pub(crate) index: Index,
    pub(crate) rows_length: u64,
    /// In the order of [`RunInfo::probes`].
    pub(crate) samples_lengths: Vec<u64>,
    pub(crate) reference_lengths: Vec<u64>,
}

/// Reads rows and samples below a checked `run.json`. Rows come first: their samples are older than they are, so a
/// writer at work cannot make a row look as if it lacked some.
pub(crate) fn read_run(dir: &Path, info: RunInfo) -> Result<Loaded, RecordError> {
    let mut index = Index::new(&info);
    let mut rows: Vec<Row> = Vec::new();
    let rows_file = dir.join(ROWS_FILE);
    let rows_length = read_lines(&rows_file, |line, row: Row| {
        index.check_row(&row).map_err(|reason| RecordError::Line { file: rows_file.clone(), line, reason })?;
        match index.row(&row) {
            None => {
                index.add_row(&row, rows.len());
                rows.push(row);
            }
            Some(earlier) if rows.get(earlier).is_some_and(|earlier| earlier.same_result(&row)) => {}
            Some(_) => {
                let what = format!("the row of path {} on probe `{}`", row.path, row.probe);
                return Err(RecordError::Conflict { file: rows_file.clone(), line, what });
            }
        }
        Ok(())
    })?
    .length;

    let mut samples: Vec<Sample> = Vec::new();
    let mut samples_lengths = Vec::with_capacity(info.probes.len());
    for probe in &info.probes {
        let file = dir.join(samples_file(&probe.name));
        let Contents { length } = read_lines(&file, |line, sample: Sample| {
            let damaged = |reason| RecordError::Line { file: file.clone(), line, reason };
            if sample.probe != probe.name {
                return Err(damaged(format!("a sample of probe `{}`, expected `{}`", sample.probe, probe.name)));
            }
            index.check_sample(&sample).map_err(damaged)?;
            match index.sample(&sample) {
                None => {
                    index.add_sample(&sample, samples.len());
                    samples.push(sample);
                }
                Some(earlier) if samples.get(earlier) == Some(&sample) => {}
                Some(_) => {
                    let what = format!("the answer of path {} to question `{}`", sample.path, sample.question);
                    return Err(RecordError::Conflict { file: file.clone(), line, what });
                }
            }
            Ok(())
        })?;
        samples_lengths.push(length);
    }

    for row in &rows {
        let found = index.sample_count(&row.path, &row.probe);
        if found != row.n && !(info.is_imported() && found == 0) {
            return Err(RecordError::MissingSamples {
                file: dir.join(samples_file(&row.probe)),
                path: row.path.clone(),
                probe: row.probe.clone(),
                found,
                expected: row.n,
            });
        }
    }
    samples.shrink_to_fit();
    let (reference, reference_lengths) = read_reference(dir, &info)?;
    let data = RunData { info, rows, samples, reference };
    Ok(Loaded { data, index, rows_length, samples_lengths, reference_lengths })
}

/// Reads the samples of unquantised weights; a question that was answered twice counts once.
fn read_reference(dir: &Path, info: &RunInfo) -> Result<(Vec<Sample>, Vec<u64>), RecordError> {
    let index = Index::new(info);
    let mut samples = Vec::new();
    let mut lengths = Vec::with_capacity(info.probes.len());
    for probe in &info.probes {
        let file = dir.join(reference_file(&probe.name));
        let mut seen = HashSet::new();
        let Contents { length } = read_lines(&file, |line, sample: Sample| {
            let damaged = |reason| RecordError::Line { file: file.clone(), line, reason };
            if sample.probe != probe.name {
                return Err(damaged(format!("a sample of probe `{}`, expected `{}`", sample.probe, probe.name)));
            }
            index.check_sample(&sample).map_err(damaged)?;
            if seen.insert(sample.question.clone()) {
                samples.push(sample);
            }
            Ok(())
        })?;
        lengths.push(length);
    }
    Ok((samples, lengths))
}

/// Reads and checks `run.json`; also gives it raw, for a comparison that misses no unknown key.
pub(crate) fn read_info(dir: &Path) -> Result<(RunInfo, Value), RecordError> {
    let file = dir.join(RUN_FILE);
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            let reason =
                if dir.is_dir() { format!("it has no {RUN_FILE}") } else { "there is no such folder".to_owned() };
            return Err(RecordError::NotARun {
                dir: dir.to_owned(),
                reason,
                advice: "name the folder that `neuro scan` wrote",
            });
        }
        Err(error) => return Err(RecordError::io("read", file)(error)),
    };
    let broken = |reason: String| RecordError::Info { file: file.clone(), reason };
    let raw: Value = serde_json::from_slice(&bytes).map_err(|error| broken(format!("not valid JSON: {error}")))?;
    // Before anything else: a newer format may have moved every other field.
    match raw.get("schema").and_then(Value::as_u64) {
        None => return Err(broken(format!("no schema number, expected {SCHEMA}"))),
        Some(found) if found > u64::from(SCHEMA) => {
            return Err(RecordError::Schema { file, found, expected: SCHEMA });
        }
        Some(_) => {}
    }
    let info = RunInfo::deserialize(&raw).map_err(|error| broken(error.to_string()))?;
    info.check().map_err(broken)?;
    Ok((info, raw))
}

/// What lies in a folder that a writer is asked to use.
pub(crate) enum Folder {
    /// Nothing, or what a writer leaves when it is killed before `run.json` is there.
    Free,
    /// A run.
    Run,
    /// Something else, of which this is the first.
    Foreign(PathBuf),
}

pub(crate) fn survey(dir: &Path) -> Result<Folder, RecordError> {
    let mut foreign: Option<PathBuf> = None;
    for entry in fs::read_dir(dir).map_err(RecordError::io("list", dir))? {
        let name = entry.map_err(RecordError::io("list", dir))?.file_name();
        if name == RUN_FILE {
            return Ok(Folder::Run);
        }
        // Hidden files are a file manager's, or temporary ones of ours.
        if name != LOCK_FILE && !name.to_string_lossy().starts_with('.') {
            let name = PathBuf::from(name);
            foreign = Some(foreign.map_or(name.clone(), |first| first.min(name)));
        }
    }
    Ok(foreign.map_or(Folder::Free, Folder::Foreign))
}
