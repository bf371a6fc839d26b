//! A content as far as it has arrived: the bytes on disk, and their hash, which is not begun again when a transfer goes on.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::checksum::Checksum;
use crate::error::HubError;
use crate::transfer::Announced;

/// Bytes that are read at a time.
pub(crate) const CHUNK: usize = 256 << 10;

/// A content as far as it has arrived.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    file: File,
    have: u64,
    checksum: Checksum,
}

impl Partial {
    /// What lies at a path of an announced content; nothing where there is more than it can be.
    pub(crate) fn open(path: PathBuf, announced: &Announced) -> Result<Self> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(|source| HubError::Io { path: path.clone(), source })?;
        let mut partial = Self { path, file, have: 0, checksum: announced.checksum() };
        partial.catch_up(announced)?;
        Ok(partial)
    }

    /// Bytes that are there.
    pub(crate) fn have(&self) -> u64 {
        self.have
    }

    /// Reads what lies on disk where that is not what this has seen: at first, after a write that failed half way, and where
    /// somebody else was at it.
    pub(crate) fn catch_up(&mut self, announced: &Announced) -> Result<()> {
        let length = self.file.metadata().map_err(|source| self.failed(source))?.len();
        if length > announced.size {
            return self.clear(announced);
        }
        if length != self.have {
            (self.have, self.checksum) = (0, announced.checksum());
            self.file.seek(SeekFrom::Start(0)).map_err(|source| self.failed(source))?;
            let mut chunk = vec![0; CHUNK];
            while self.have < length {
                let count = match self.file.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(source) => return Err(self.failed(source)),
                };
                self.checksum.update(&chunk[..count]);
                self.have += count as u64;
            }
        }
        self.file.seek(SeekFrom::Start(self.have)).map(|_| ()).map_err(|source| self.failed(source))
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, announced: &Announced) -> Result<()> {
        (self.have, self.checksum) = (0, announced.checksum());
        self.file.set_len(0).map_err(|source| self.failed(source))?;
        self.file.seek(SeekFrom::Start(0)).map(|_| ()).map_err(|source| self.failed(source))
    }

    /// The next bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| self.failed(source))?;
        self.checksum.update(bytes);
        self.have += bytes.len() as u64;
        Ok(())
    }

    /// Which hash it is and what it is, where that is not what was announced.
    pub(crate) fn mismatch(&self, announced: &Announced) -> Option<(&'static str, String)> {
        self.checksum.mismatch(&announced.etag)
    }

    /// Gives a whole content its name.
    pub(crate) fn finish(self, name: &Path) -> Result<()> {
        self.file.sync_all().map_err(|source| self.failed(source))?;
        let Self { path, file, .. } = self;
        drop(file);
        std::fs::rename(&path, name).map_err(|source| HubError::Io { path: name.to_path_buf(), source })
    }

    /// Removes it.
    pub(crate) fn discard(self) -> Result<()> {
        let Self { path, file, .. } = self;
        drop(file);
        std::fs::remove_file(&path).map_err(|source| HubError::Io { path, source })
    }

    fn failed(&self, source: io::Error) -> HubError {
        HubError::Io { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn announced(content: &[u8]) -> Announced {
        let etag = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        Announced { etag, size: content.len() as u64, url: ureq::http::Uri::from_static("http://hub/x") }
    }

    #[test]
    fn what_has_arrived_is_read_again_only_where_it_is_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.incomplete");
        let announced = announced(b"0123456789");
        std::fs::write(&path, b"01234").expect("a file");
        let mut partial = Partial::open(path.clone(), &announced).expect("a file");
        assert_eq!(partial.have(), 5);
        partial.append(b"567").expect("written");
        partial.catch_up(&announced).expect("nothing to do");
        // What the disk says is not read as long as it says as much: the hash goes on from memory.
        std::fs::write(&path, b"xxxxxxxx").expect("a file");
        partial.catch_up(&announced).expect("nothing to do");
        partial.append(b"89").expect("written");
        assert_eq!(partial.mismatch(&announced), None);
        // Of another length it is.
        std::fs::write(&path, b"0123").expect("a file");
        partial.catch_up(&announced).expect("read");
        assert_eq!(partial.have(), 4);
        partial.append(b"456789").expect("written");
        assert_eq!((partial.have(), partial.mismatch(&announced)), (10, None));
        partial.finish(&folder.path().join("x")).expect("renamed");
        assert_eq!(std::fs::read(folder.path().join("x")).expect("a file"), b"0123456789");
        assert!(!path.exists());
    }

    #[test]
    fn more_than_was_announced_is_begun_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.incomplete");
        let announced = announced(b"0123");
        std::fs::write(&path, b"01234").expect("a file");
        let mut partial = Partial::open(path.clone(), &announced).expect("a file");
        assert_eq!((partial.have(), std::fs::metadata(&path).expect("a file").len()), (0, 0));
        partial.append(b"0123").expect("written");
        assert_eq!(partial.mismatch(&announced), None);
        partial.discard().expect("removed");
        assert!(!path.exists());
    }
}
