//! Where an export gathers until it is whole.
//!
//! Everything is written under another name beside its place and renamed at the end, so a kill leaves nothing that passes
//! for an export. What a kill leaves is removed by the next export to the same place; a lock that dies with its process
//! says whether one is still at work.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::{Result, SurgeryError};

/// A folder or a file that is being written.
#[derive(Debug)]
pub(crate) struct Staging {
    partial: PathBuf,
    out: PathBuf,
    lock: Option<File>,
    lock_path: PathBuf,
    finished: bool,
}

impl Staging {
    /// Prepares for a folder, which must not exist or be empty.
    ///
    /// # Errors
    /// When something is there, another export writes it, or the system refuses.
    pub(crate) fn folder(out: &Path) -> Result<Self> {
        let is_empty = out.read_dir().is_ok_and(|mut entries| entries.next().is_none());
        if fs::symlink_metadata(out).is_ok() && !is_empty {
            return Err(SurgeryError::place(out, "exists already and is not empty; name a new folder"));
        }
        let staging = Self::new(out)?;
        fs::create_dir(&staging.partial).map_err(SurgeryError::io("create", &staging.partial))?;
        Ok(staging)
    }

    /// Prepares for a file, which must not exist.
    ///
    /// # Errors
    /// As [`Staging::folder`].
    pub(crate) fn file(out: &Path) -> Result<Self> {
        if fs::symlink_metadata(out).is_ok() {
            return Err(SurgeryError::place(out, "exists already; name a new file"));
        }
        Self::new(out)
    }

    fn new(out: &Path) -> Result<Self> {
        let Some(name) = out.file_name() else {
            return Err(SurgeryError::place(out, "names no file or folder to write"));
        };
        let parent = parent_of(out);
        if !parent.is_dir() {
            let problem = format!("the folder {} does not exist; create it first", parent.display());
            return Err(SurgeryError::place(out, problem));
        }
        let beside = |ending: &str| {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(ending);
            parent.join(hidden)
        };
        // GGUF files are known by their ending.
        let ending = out.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
        let (partial, lock_path) = (beside(&format!(".neuro-partial{ending}")), beside(".neuro-lock"));
        let lock = take_lock(&lock_path, out)?;
        remove(&partial)?;
        Ok(Self { partial, out: out.to_path_buf(), lock: Some(lock), lock_path, finished: false })
    }

    /// Where to write for now.
    pub(crate) fn path(&self) -> &Path {
        &self.partial
    }

    /// Gives what was written its name.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn finish(mut self) -> Result<()> {
        if self.out.is_dir() {
            // Empty, or it was filled meanwhile, which this refuses.
            fs::remove_dir(&self.out).map_err(SurgeryError::io("replace", &self.out))?;
        }
        fs::rename(&self.partial, &self.out).map_err(SurgeryError::io("rename the finished export to", &self.out))?;
        self.finished = true;
        #[cfg(unix)]
        if let Ok(parent) = File::open(parent_of(&self.out)) {
            let _ = parent.sync_all();
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is removed by the next export to this place.
            let _ = remove(&self.partial);
        }
        self.lock = None;
        let _ = fs::remove_file(&self.lock_path);
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn take_lock(path: &Path, out: &Path) -> Result<File> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let lock = opened.map_err(SurgeryError::io("open", path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(SurgeryError::place(out, "is being written by another export; wait for it or name another place"))
        }
        Err(TryLockError::Error(error)) => Err(SurgeryError::io("lock", path)(error)),
    }
}

/// Removes what an export that was killed has left.
fn remove(partial: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(partial) {
        Err(_) => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(partial),
        Ok(_) => fs::remove_file(partial),
    };
    removed.map_err(SurgeryError::io("remove what an interrupted export left,", partial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_leaves_nothing_that_passes_for_whole_and_the_next_export_cleans_up() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("export");
        let staging = Staging::folder(&out).unwrap();
        fs::write(staging.path().join("config.json"), "{}").unwrap();
        let partial = staging.path().to_path_buf();
        // As a kill does: nothing is dropped, but the lock dies with its process.
        let mut staging = std::mem::ManuallyDrop::new(staging);
        staging.lock = None;
        assert!(partial.exists() && !out.exists());

        let again = Staging::folder(&out).unwrap();
        assert!(again.path().read_dir().unwrap().next().is_none(), "what was left is gone");
        fs::write(again.path().join("config.json"), "{}").unwrap();
        again.finish().unwrap();
        assert_eq!(names(place.path()), ["export"]);
    }

    #[test]
    fn a_second_export_to_the_same_place_waits() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("export");
        let first = Staging::folder(&out).unwrap();
        assert!(Staging::folder(&out).unwrap_err().to_string().contains("another export"));
        drop(first);
        assert!(names(place.path()).is_empty());
        Staging::folder(&out).unwrap();
    }

    #[test]
    fn what_is_there_is_never_replaced() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file.gguf"), "x").unwrap();
        assert!(Staging::file(&place.path().join("file.gguf")).is_err());
        assert!(Staging::folder(place.path()).is_err());
        assert!(Staging::folder(&place.path().join("no/such")).is_err());
        let empty = place.path().join("empty");
        fs::create_dir(&empty).unwrap();
        Staging::folder(&empty).unwrap().finish().unwrap();
        assert_eq!(names(place.path()), ["empty", "file.gguf"]);
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
