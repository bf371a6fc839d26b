//! What can be wrong with a checkpoint.

use std::io;
use std::path::{Path, PathBuf};

/// Why a checkpoint was refused. Messages name the file, say what was found and what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file or folder could not be opened, measured, mapped or read.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The path does not hold a checkpoint that can be read.
    #[error("{}: {problem}", path.display())]
    Folder {
        /// What was given, or the file in it that is at fault.
        path: PathBuf,
        /// What was found, what was expected and what to do.
        problem: String,
    },
    /// A JSON file is not JSON, or not an object.
    #[error("{}: not valid JSON: {problem}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// The parser's message, with line and column.
        problem: String,
    },
    /// A key of `config.json`, `generation_config.json` or a GGUF file is missing, absurd, or asks for what is not supported.
    #[error("{}: `{key}` {problem}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// The key, dotted where nested.
        key: String,
        /// What was found, what was expected and what to do.
        problem: String,
    },
    /// The header of a safetensors file lies about its own file.
    #[error("{}: safetensors header: {problem}", file.display())]
    Header {
        /// The weight file.
        file: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// The head of a GGUF file lies about its own file, or is of a kind that is not read.
    #[error("{}: GGUF: {problem}", file.display())]
    Gguf {
        /// The file.
        file: PathBuf,
        /// What was found, what was expected and what to do.
        problem: String,
    },
    /// The list of shards does not agree with the shards.
    #[error("{}: shard index: {problem}", file.display())]
    Index {
        /// The index file.
        file: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// A tensor could not be read: the disk failed, or the file was cut after it was opened.
    #[error("{}: tensor `{tensor}` cannot be read: {source}", file.display())]
    Read {
        /// The weight file.
        file: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A tensor is missing, unexpected, of the wrong shape or type, or holds numbers that are none.
    #[error("{}: tensor `{tensor}` {problem}", file.display())]
    Tensor {
        /// The weight file, or the folder when no file holds the tensor.
        file: PathBuf,
        /// The tensor's name as stored, or the canonical name where it is not stored.
        tensor: String,
        /// What was found, what was expected and what to do.
        problem: String,
    },
}

impl CheckpointError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    pub(crate) fn read(file: &Path, tensor: &str, source: io::Error) -> Self {
        Self::Read { file: file.to_path_buf(), tensor: shorten(tensor), source }
    }

    pub(crate) fn folder(path: &Path, problem: impl Into<String>) -> Self {
        Self::Folder { path: path.to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn header(file: &Path, problem: impl Into<String>) -> Self {
        Self::Header { file: file.to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn gguf(file: &Path, problem: impl Into<String>) -> Self {
        Self::Gguf { file: file.to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn index(file: &Path, problem: impl Into<String>) -> Self {
        Self::Index { file: file.to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn tensor(file: &Path, tensor: &str, problem: impl Into<String>) -> Self {
        Self::Tensor { file: file.to_path_buf(), tensor: shorten(tensor), problem: problem.into() }
    }
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
