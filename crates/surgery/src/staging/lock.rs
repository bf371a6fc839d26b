//! A file that is locked while an export is at work, and dies with its process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
#[cfg(any(not(unix), test))]
use std::time::{Duration, SystemTime};

use super::parent_of;
use crate::{Result, SurgeryError};

/// Locks the file at `path`, which is made for that, for an export to `out`.
pub(super) fn take_lock(path: &Path, out: &Path) -> Result<File> {
    loop {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let lock = opened.map_err(SurgeryError::io("create files in it", parent_of(path)))?;
        match lock.try_lock() {
            Ok(()) if still_names(path, &lock).map_err(SurgeryError::io("look at", path))? => return Ok(lock),
            // An export has ended between the two steps and taken the file's name with it.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = "is being written by another export; wait for it or name another place";
                return Err(SurgeryError::place(out, problem));
            }
            Err(TryLockError::Error(error)) => return Err(SurgeryError::io("lock", path)(error)),
        }
    }
}

/// Whether the path still names the file that was opened there and is locked.
pub(super) fn still_names(path: &Path, file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    let is_same = is_same_by_number;
    #[cfg(not(unix))]
    let is_same = is_same_by_time;
    match is_same(path, file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        told => told,
    }
}

#[cfg(unix)]
fn is_same_by_number(path: &Path, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (opened, found) = (file.metadata()?, fs::metadata(path)?);
    Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino()))
}

/// Where files have no numbers that are told: whoever has the lock gives the file a time that no other has.
#[cfg(any(not(unix), test))]
pub(super) fn is_same_by_time(path: &Path, file: &File) -> io::Result<bool> {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // A hash of nothing with keys drawn anew: seconds up to 2038, and the steps of 100 ns in which NTFS counts.
    let drawn = RandomState::new().build_hasher().finish();
    let (seconds, steps) = (drawn >> 34, (drawn & 0xff_ffff) as u32 % 10_000_000);
    let time = SystemTime::UNIX_EPOCH + Duration::new((1 << 30) + seconds, steps * 100);
    file.set_modified(time)?;
    Ok(fs::metadata(path)?.modified()? == file.metadata()?.modified()?)
}
