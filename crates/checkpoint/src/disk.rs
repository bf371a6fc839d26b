//! Bytes from files: small ones read with a limit, large ones mapped and read at positions.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::CheckpointError;
use crate::positioned::PositionedFile;

/// Reads a whole file that must not be larger than `limit` bytes.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, CheckpointError> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    // One byte more than allowed shows that the file is too large, even if it grows meanwhile.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|source| CheckpointError::io(path, source))?;
    if bytes.len() as u64 > limit {
        return Err(CheckpointError::folder(path, format!("is larger than {limit} bytes, expected a small JSON file")));
    }
    Ok(bytes)
}

/// Opens a regular file. Pipes and devices are refused, because opening or reading them may never end.
fn open_regular(path: &Path) -> Result<File, CheckpointError> {
    let metadata = std::fs::metadata(path).map_err(|source| CheckpointError::io(path, source))?;
    if !metadata.is_file() {
        return Err(CheckpointError::folder(path, "is no regular file"));
    }
    File::open(path).map_err(|source| CheckpointError::io(path, source))
}

/// The bytes of a weight file and the name under which messages speak of it.
pub(crate) struct WeightFile {
    path: PathBuf,
    bytes: Bytes,
}

enum Bytes {
    /// Mapped for looking at it, open for reading numbers from it.
    Mapped(Mmap, PositionedFile),
    Held(Cow<'static, [u8]>),
}

impl WeightFile {
    /// Maps a file and keeps it open; its pages are read when they are first looked at.
    pub(crate) fn map(path: &Path) -> Result<Self, CheckpointError> {
        let file = open_regular(path)?;
        let length = file.metadata().map_err(|source| CheckpointError::io(path, source))?.len();
        // Some systems refuse to map nothing; the header check then says what is wrong with an empty file.
        if length == 0 {
            return Ok(Self::held(path, Cow::Borrowed(&[])));
        }
        // SAFETY: the map is read-only and private to this value, and all accesses go through the bounds of its slice.
        // What cannot be ruled out is that another process truncates or rewrites the file while it is mapped; weight
        // files are replaced by renaming and not edited in place. Numbers and the fingerprint are not read from the map
        // but at positions of the open file; the map is looked at for headers and for two heads to be compared.
        #[expect(unsafe_code, reason = "weights are mapped, not read: they may be larger than the memory")]
        let map = unsafe { Mmap::map(&file) }.map_err(|source| CheckpointError::io(path, source))?;
        Ok(Self { path: path.to_path_buf(), bytes: Bytes::Mapped(map, PositionedFile::new(file)) })
    }

    /// Bytes that are in memory already.
    pub(crate) fn held(path: &Path, bytes: Cow<'static, [u8]>) -> Self {
        Self { path: path.to_path_buf(), bytes: Bytes::Held(bytes) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map, _) => map,
            Bytes::Held(bytes) => bytes,
        }
    }

    /// Some of the bytes, read into the buffer if they are not in memory already.
    pub(crate) fn read<'a>(&'a self, range: Range<usize>, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        match &self.bytes {
            Bytes::Mapped(_, file) => {
                if buffer.len() < range.len() {
                    buffer.resize(range.len(), 0);
                }
                let bytes = &mut buffer[..range.len()];
                file.read_exact_at(bytes, range.start as u64)?;
                Ok(bytes)
            }
            Bytes::Held(bytes) => bytes.get(range).ok_or_else(|| ErrorKind::UnexpectedEof.into()),
        }
    }
}
