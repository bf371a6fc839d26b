//! What can go wrong with a run directory, in words that say what to do.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use crate::settings::Difference;

/// An error of the run directory. Every message names the file and, where there is some, the advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The operating system refused to read or write.
    #[error("cannot {action} {}: {cause}{}", .file.display(), io_advice(.cause))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        file: PathBuf,
        /// The operating system's reason. It stands in the message in front of the advice, so it is not offered as
        /// `source` for a second print.
        cause: io::Error,
    },
    /// The folder is no run directory.
    #[error("{} is not a run directory: {reason}; {advice}", .dir.display())]
    NotARun {
        /// The folder.
        dir: PathBuf,
        /// What was found.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// Another process is writing this run.
    #[error("{} is being written by {}; wait until it has finished or stop it, or choose another --out", .dir.display(), holder_text(*.holder))]
    Locked {
        /// The run directory.
        dir: PathBuf,
        /// Process that holds the lock, where it could be read.
        holder: Option<u32>,
    },
    /// The run was made with other settings.
    #[error("{} holds a run of other settings:{}\nchoose another --out, or repeat the flags of that run", .dir.display(), difference_lines(.differences))]
    Settings {
        /// The run directory.
        dir: PathBuf,
        /// Every difference, ordered by key.
        differences: Vec<Difference>,
    },
    /// Written by a program that knows a newer format.
    #[error("{} has schema {found}, expected {expected} or lower; use a newer neuro, or choose another --out", .file.display())]
    Schema {
        /// The file.
        file: PathBuf,
        /// Version found.
        found: u64,
        /// Highest version this program knows.
        expected: u32,
    },
    /// `run.json` is not valid.
    #[error("{}: {reason}; restore the file, or choose another --out", .file.display())]
    Info {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A line that is not the last one cannot be read, or says something impossible.
    #[error("{}, line {line}: {reason}; restore the file, or remove the line and what depends on it to have it measured again", .file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Two lines contradict each other.
    #[error("{}, line {line}: {what} is there a second time with another result, expected one; runs merge only when their settings and results are equal", .file.display())]
    Conflict {
        /// The file.
        file: PathBuf,
        /// Line number of the second one, from 1.
        line: usize,
        /// The row or sample.
        what: String,
    },
    /// A row without the samples it counts.
    #[error("{} has {found} samples of path {path} on probe `{probe}`, expected the {expected} that its row counts; restore the file (merged runs need their sample files merged too), or remove the row to have the path measured again", .file.display())]
    MissingSamples {
        /// The sample file.
        file: PathBuf,
        /// The row's path.
        path: String,
        /// The row's probe.
        probe: String,
        /// Samples found.
        found: usize,
        /// Samples that the row counts.
        expected: usize,
    },
    /// Something that must not be written to a run.
    #[error("{what} was not written: {reason}")]
    Refused {
        /// The row, sample or file.
        what: String,
        /// Why, with what was expected.
        reason: String,
    },
    /// An earlier write failed.
    #[error("{} is closed after a failed write; run the same command again, it resumes", .file.display())]
    Closed {
        /// The file whose write failed.
        file: PathBuf,
    },
}

impl RecordError {
    /// For `map_err`: the operating system's error, with what was tried on which file.
    pub(crate) fn io(action: &'static str, file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |cause| Self::Io { action, file, cause }
    }
}

fn io_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run the same command again, it resumes"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; change its permissions, or choose another --out"
        }
        io::ErrorKind::Unsupported => "; keep runs on a disk of this machine",
        _ => "",
    }
}

fn holder_text(holder: Option<u32>) -> String {
    holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn difference_lines(differences: &[Difference]) -> String {
    let mut text = String::new();
    for difference in differences {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {difference}");
    }
    text
}
