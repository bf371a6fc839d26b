//! One writer per run, by a lock of the operating system that dies with its process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::RecordError;
use crate::files::LOCK_FILE;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Holds the lock until dropped. The file stays: removing it would let two writers hold two files of one name.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock of a run directory and writes this process's number into it.
    pub(crate) fn take(dir: &Path) -> Result<Self, RecordError> {
        Self::take_named(dir, LOCK_FILE)
    }

    /// Takes a lock that is held for moments only: tries again until `patience` is at an end.
    pub(crate) fn wait(dir: &Path, name: &str, patience: Duration) -> Result<Self, RecordError> {
        let begin = Instant::now();
        loop {
            match Self::take_named(dir, name) {
                Err(RecordError::Locked { .. }) if begin.elapsed() < patience => thread::sleep(PAUSE),
                taken => return taken,
            }
        }
    }

    fn take_named(dir: &Path, name: &str) -> Result<Self, RecordError> {
        let path = dir.join(name);
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
