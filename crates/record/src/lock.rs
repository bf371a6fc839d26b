//! One writer per run, by a lock of the operating system that dies with its process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::RecordError;
use crate::files::LOCK_FILE;

/// Holds the lock until dropped. The file stays: removing it would let two writers hold two files of one name.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock of a run directory and writes this process's number into it.
    pub(crate) fn take(dir: &Path) -> Result<Self, RecordError> {
        let path = dir.join(LOCK_FILE);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(RecordError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RecordError::Locked { dir: dir.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(RecordError::io("lock", &path)(error)),
        }
        // The number helps people only, so it need not survive a crash.
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(RecordError::io("write", &path))?;
        Ok(Self { _file: file })
    }
}

/// The process that holds the lock. Windows does not let others read a locked file; then it stays unknown.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
