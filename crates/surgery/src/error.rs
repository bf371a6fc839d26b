//! Why a path cannot be taken away.

use std::io;
use std::path::{Path, PathBuf};

use neuro_checkpoint::CheckpointError;
use neuro_model::ModelError;
use neuro_path::PathError;
use neuro_record::RecordError;
use neuro_text::TextError;

/// What was found, what was expected and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SurgeryError {
    /// A form has no words for a path, or programs would read those words as another model.
    #[error("{form} cannot say path {path}: {reason}")]
    Unsayable {
        /// The form, for example `peft`.
        form: &'static str,
        /// The path's printed map.
        path: String,
        /// What is missing and what to do.
        reason: String,
    },
    /// A key of the model's description cannot be rewritten for the path.
    #[error("{}: `{key}` {problem}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// The key, dotted where nested.
        key: String,
        /// What was found, and why it stands in the way.
        problem: String,
    },
    /// A model or a place to write that does not suit.
    #[error("{}: {problem}", place.display())]
    Place {
        /// The file or folder.
        place: PathBuf,
        /// What was found, what was expected and what to do.
        problem: String,
    },
    /// The disk is too small.
    #[error("{}: the export takes up to {}, but only {} are free; free some space or choose another disk", place.display(), human(*needed), human(*free))]
    Space {
        /// Where it would be written.
        place: PathBuf,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The system refused.
    #[error("{}: cannot {what}: {source}", place.display())]
    Io {
        /// The file or folder.
        place: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What is to be imported is no layer path or scan that is known.
    #[error("{}: {problem}", file.display())]
    Import {
        /// The file or folder.
        file: PathBuf,
        /// What was found, what was expected and what to do.
        problem: String,
    },
    /// The caller asked to stop; nothing is left behind.
    #[error("interrupted; what was written so far has been removed")]
    Interrupted,
    /// The checkpoint is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model does not run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The tokenizer is refused.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The path is refused.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The run cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl SurgeryError {
    pub(crate) fn io(what: &'static str, place: &Path) -> impl FnOnce(io::Error) -> Self {
        let place = place.to_path_buf();
        move |source| Self::Io { place, what, source }
    }

    pub(crate) fn place(place: &Path, problem: impl Into<String>) -> Self {
        Self::Place { place: place.to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn key(file: &Path, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Key { file: file.to_path_buf(), key: key.into(), problem: problem.into() }
    }

    pub(crate) fn import(file: &Path, problem: impl Into<String>) -> Self {
        Self::Import { file: file.to_path_buf(), problem: problem.into() }
    }
}

/// Bytes for people.
fn human(bytes: u64) -> String {
    let gib = bytes as f64 / f64::from(1 << 30);
    if gib >= 1.0 { format!("{gib:.1} GiB") } else { format!("{:.1} MiB", gib * 1024.0) }
}

/// Names come from foreign files and go into messages: no control characters, at most 120 characters.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}
