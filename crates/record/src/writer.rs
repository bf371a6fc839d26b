//! Writing a run: create or resume, append, never overwrite.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{LOCK_FILE, ROWS_FILE, RUN_FILE, reference_file, samples_file, sync_dir, write_atomically};
use crate::index::Index;
use crate::info::SCHEMA;
use crate::lock::WriterLock;
use crate::log::Log;
use crate::reader::{Folder, Loaded, read_info, read_run, survey};
use crate::settings::json_differences;
use crate::{RecordError, Row, RunData, RunInfo, Sample};

/// The one writer of a run directory; the lock is held until it is dropped.
#[derive(Debug)]
pub struct RunWriter {
    dir: PathBuf,
    rows: Log,
    /// Name and file of each probe, in the order of `run.json`.
    samples: Vec<(String, Log)>,
    /// The same of unquantised weights; made when the first is written.
    reference: Vec<(String, u64, Option<Log>)>,
    index: Index,
    _lock: WriterLock,
}

impl RunWriter {
    /// Creates the run `info` in `dir`, or resumes the one that is there when its settings are the same. The returned
    /// data holds everything measured so far, with the *stored* `info`, whose plan the caller must follow.
    ///
    /// # Errors
    /// Another writer lives, the settings differ, the folder holds something else, a file is damaged in the middle,
    /// or the operating system refuses.
    pub fn open(dir: &Path, info: &RunInfo) -> Result<(Self, RunData), RecordError> {
        if info.schema != SCHEMA {
            let reason = format!("schema is {}, expected {SCHEMA}", info.schema);
            return Err(RecordError::Refused { what: dir.join(RUN_FILE).display().to_string(), reason });
        }
        info.check()
            .map_err(|reason| RecordError::Refused { what: dir.join(RUN_FILE).display().to_string(), reason })?;
        if dir.is_file() {
            let (reason, advice) = ("it is a file".to_owned(), "choose a folder with --out");
            return Err(RecordError::NotARun { dir: dir.to_owned(), reason, advice });
        }
        fs::create_dir_all(dir).map_err(RecordError::io("create", dir))?;
        // Looked at before the lock file appears: a foreign folder stays as it is.
        refuse_foreign(dir)?;
        let lock = WriterLock::take(dir)?;
        if matches!(survey(dir)?, Folder::Free) {
            let mut text = serde_json::to_vec_pretty(info).map_err(|error| RecordError::Refused {
                what: dir.join(RUN_FILE).display().to_string(),
                reason: error.to_string(),
            })?;
            text.push(b'\n');
            write_atomically(&dir.join(RUN_FILE), &text)?;
        }
        let (stored, raw) = read_info(dir)?;
        let differences = json_differences(&raw, info);
        if !differences.is_empty() {
            return Err(RecordError::Settings { dir: dir.to_owned(), differences });
        }
        let Loaded { data, index, rows_length, samples_lengths, reference_lengths } = read_run(dir, stored)?;
        let rows = Log::open(dir.join(ROWS_FILE), rows_length)?;
        let samples = data.info.probes.iter().zip(samples_lengths).map(|(probe, length)| {
            let log = Log::open(dir.join(samples_file(&probe.name)), length)?;
            Ok((probe.name.clone(), log))
        });
        let samples = samples.collect::<Result<_, RecordError>>()?;
        let reference = data.info.probes.iter().zip(reference_lengths);
        let reference = reference.map(|(probe, length)| (probe.name.clone(), length, None)).collect();
        sync_dir(dir)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir(parent)?;
        }
        Ok((Self { dir: dir.to_owned(), rows, samples, reference, index, _lock: lock }, data))
    }

    /// The run directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends samples of one probe with one write and returns when they are on the disk. Either all are refused, or
    /// all are written.
    ///
    /// # Errors
    /// A sample of another probe, of a finished path, with impossible values or a second time; or a failing disk.
    pub fn append_samples(&mut self, probe: &str, samples: &[Sample]) -> Result<(), RecordError> {
        let Some((_, log)) = self.samples.iter_mut().find(|(name, _)| name == probe) else {
            return Err(RecordError::Refused {
                what: format!("samples of probe `{probe}`"),
                reason: "run.json does not list this probe".to_owned(),
            });
        };
        let mut batch = std::collections::HashSet::new();
        for sample in samples {
            let reason = if sample.probe != probe {
                Err(format!("it belongs to probe `{}`", sample.probe))
            } else if self.index.sample(sample).is_some() || !batch.insert((&sample.path, &sample.question)) {
                Err("it is there already, expected one sample per path, probe and question".to_owned())
            } else if self.index.is_complete(&sample.path, probe) {
                Err("the row of its path is written already".to_owned())
            } else {
                self.index.check_sample(sample)
            };
            reason.map_err(|reason| RecordError::Refused {
                what: format!("the sample of path {} on probe `{probe}`, question `{}`", sample.path, sample.question),
                reason,
            })?;
        }
        if samples.is_empty() {
            return Ok(());
        }
        log.append(samples)?;
        for sample in samples {
            self.index.add_sample(sample, 0);
        }
        Ok(())
    }

    /// Appends samples of unquantised weights and returns when they are on the disk.
    ///
    /// # Errors
    /// A sample with impossible values, a probe that the run does not have, or a failing disk.
    pub fn append_reference(&mut self, probe: &str, samples: &[Sample]) -> Result<(), RecordError> {
        let what = || format!("samples of unquantised weights on probe `{probe}`");
        let Some((_, length, log)) = self.reference.iter_mut().find(|(name, ..)| name == probe) else {
            return Err(RecordError::Refused { what: what(), reason: "run.json does not list this probe".to_owned() });
        };
        for sample in samples {
            self.index.check_sample(sample).map_err(|reason| RecordError::Refused { what: what(), reason })?;
        }
        let log = match log {
            Some(log) => log,
            empty => empty.insert(Log::open(self.dir.join(reference_file(probe)), *length)?),
        };
        log.append(samples)
    }

    /// Appends a finished row and returns when it is on the disk.
    ///
    /// # Errors
    /// The row is there already, has impossible values or counts other samples than were appended; or a failing disk.
    pub fn append_row(&mut self, row: &Row) -> Result<(), RecordError> {
        let found = self.index.sample_count(&row.path, &row.probe);
        let reason = if self.index.is_complete(&row.path, &row.probe) {
            Err("it is there already, expected one row per path and probe".to_owned())
        } else if found != row.n && !(self.index.is_imported() && found == 0) {
            Err(format!("n is {}, but {found} samples are written", row.n))
        } else {
            self.index.check_row(row)
        };
        reason.map_err(|reason| RecordError::Refused {
            what: format!("the row of path {} on probe `{}`", row.path, row.probe),
            reason,
        })?;
        self.rows.append(std::slice::from_ref(row))?;
        self.index.add_row(row, 0);
        Ok(())
    }

    /// Writes or replaces a summary such as `report.html` in the run directory, atomically.
    ///
    /// # Errors
    /// The name is a path or one of the run's own files, or the operating system refuses.
    pub fn write_summary(&self, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
        let refuse =
            |reason: &str| Err(RecordError::Refused { what: format!("summary `{name}`"), reason: reason.to_owned() });
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', ':']) {
            return refuse("expected a plain file name");
        }
        let own = [RUN_FILE, ROWS_FILE, LOCK_FILE].iter().any(|own| own.eq_ignore_ascii_case(name));
        if own || name.to_lowercase().ends_with(".jsonl") {
            return refuse("this name belongs to the run's own files");
        }
        write_atomically(&self.dir.join(name), bytes)
    }
}

fn refuse_foreign(dir: &Path) -> Result<(), RecordError> {
    match survey(dir)? {
        Folder::Free | Folder::Run => Ok(()),
        Folder::Foreign(first) => Err(RecordError::NotARun {
            dir: dir.to_owned(),
            reason: format!("it has no {RUN_FILE} but holds {}", first.display()),
            advice: "choose an empty or new folder with --out",
        }),
    }
}
