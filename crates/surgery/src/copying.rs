//! Bytes from file to file, through one small buffer.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::{Progress, Result, SurgeryError};

/// Bytes that are in memory at once.
pub(crate) const BUFFER: usize = 4 << 20;

/// What is written, and who watches.
pub(crate) struct Counter<'a> {
    done: u64,
    total: u64,
    progress: &'a mut dyn Progress,
}

impl<'a> Counter<'a> {
    pub(crate) fn new(total: u64, progress: &'a mut dyn Progress) -> Self {
        Self { done: 0, total, progress }
    }

    /// So many bytes more are written.
    ///
    /// # Errors
    /// When the watcher wants to stop.
    pub(crate) fn add(&mut self, bytes: u64) -> Result<()> {
        self.done += bytes;
        if self.progress.bytes(self.done.min(self.total), self.total) { Ok(()) } else { Err(SurgeryError::Interrupted) }
    }
}

/// A file that grows front to back.
pub(crate) struct Output {
    file: BufWriter<File>,
    path: PathBuf,
    written: u64,
}

impl Output {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).map_err(SurgeryError::io("create", path))?;
        Ok(Self { file: BufWriter::with_capacity(1 << 16, file), path: path.to_path_buf(), written: 0 })
    }

    pub(crate) fn position(&self) -> u64 {
        self.written
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(SurgeryError::io("write", &self.path))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Zeros up to a multiple of the alignment.
    pub(crate) fn pad(&mut self, alignment: u64) -> Result<()> {
        let missing = self.written.next_multiple_of(alignment) - self.written;
        // Alignments have been checked to be small.
        self.write(&vec![0; missing as usize])
    }

    /// Returns when everything is on the disk.
    pub(crate) fn finish(self) -> Result<u64> {
        let file = self.file.into_inner().map_err(|error| SurgeryError::io("write", &self.path)(error.into_error()))?;
        file.sync_all().map_err(SurgeryError::io("write", &self.path))?;
        Ok(self.written)
    }
}

/// Source files, each opened once.
pub(crate) struct Inputs {
    files: Vec<(PathBuf, File)>,
    buffer: Vec<u8>,
}

impl Inputs {
    pub(crate) fn open<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let open = |path: &Path| Ok((path.to_path_buf(), File::open(path).map_err(SurgeryError::io("open", path))?));
        Ok(Self { files: paths.into_iter().map(open).collect::<Result<_>>()?, buffer: vec![0; BUFFER] })
    }

    /// Copies some bytes of a file, each buffer through `change` on its way. A buffer holds whole numbers of up to eight
    /// bytes wherever the range does.
    pub(crate) fn copy(
        &mut self,
        file: usize,
        range: Range<u64>,
        output: &mut Output,
        counter: &mut Counter<'_>,
        mut change: impl FnMut(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let (path, file) = &mut self.files[file];
        file.seek(SeekFrom::Start(range.start)).map_err(SurgeryError::io("read", path))?;
        let mut left = range.end - range.start;
        while left > 0 {
            // At most the buffer's length.
            let count = left.min(BUFFER as u64) as usize;
            let piece = &mut self.buffer[..count];
            file.read_exact(piece).map_err(SurgeryError::io("read", path))?;
            change(piece)?;
            output.write(piece)?;
            counter.add(count as u64)?;
            left -= count as u64;
        }
        Ok(())
    }
}
