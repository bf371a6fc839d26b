//! Reading the head of a GGUF file front to back. Nothing is believed that the file's length does not bear out.

use std::path::Path;

use crate::error::{CheckpointError, shorten};

/// Bytes that everything before the tensors may take; real files with the largest vocabularies have 20 MB.
const LARGEST_HEAD: usize = 128 << 20;

/// A place in the head of a file.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    file: &'a Path,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], file: &'a Path) -> Self {
        Self { bytes, at: 0, file }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn file(&self) -> &'a Path {
        self.file
    }

    /// An error about the file's head.
    pub(super) fn refuse(&self, problem: impl Into<String>) -> CheckpointError {
        CheckpointError::gguf(self.file, problem)
    }

    /// So many bytes; `what` they are is for the message.
    pub(super) fn take(&mut self, count: u64, what: &str) -> Result<&'a [u8], CheckpointError> {
        let left = self.bytes.len() - self.at;
        let end = usize::try_from(count).ok().filter(|&count| count <= left).map(|count| self.at + count);
        let Some(end) = end else {
            return Err(self.refuse(format!(
                "{what} claims {count} bytes at byte {}, but only {left} are left; the file is damaged or incomplete, \
                 download it again",
                self.at
            )));
        };
        if end > LARGEST_HEAD {
            return Err(self.refuse(format!(
                "{what} ends at byte {end}, expected all metadata within the first {LARGEST_HEAD} bytes; the file is damaged"
            )));
        }
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], CheckpointError> {
        let bytes = self.take(N as u64, what)?;
        // As long as asked for.
        Ok(bytes.first_chunk().copied().unwrap_or([0; N]))
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, CheckpointError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, CheckpointError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A length and so many bytes of UTF-8.
    pub(super) fn text(&mut self, what: &str) -> Result<&'a str, CheckpointError> {
        let length = self.u64(what)?;
        let start = self.at;
        let bytes = self.take(length, what)?;
        std::str::from_utf8(bytes).map_err(|error| {
            let found = shorten(&String::from_utf8_lossy(bytes));
            self.refuse(format!("{what} at byte {start} is no UTF-8: {error} in \"{found}\""))
        })
    }

    /// How many bytes are left in the file.
    pub(super) fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }
}
