//! Where an export gathers until it is whole.
//!
//! Everything is written under another name beside its place and renamed at the end, so a kill leaves nothing that passes
//! for an export. The next export to the same place goes on with the weight files that a killed one has finished, where it
//! is the same export, and removes everything else; a lock that dies with its process says whether one is still at work.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Result, SurgeryError};

/// Says in a folder that is being written which export it is of.
const PLAN_FILE: &str = ".neuro-plan";
/// Files with this ending are in a folder only when they are whole.
const WEIGHTS: &str = "safetensors";

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
    /// Prepares for a folder, which must not exist or be empty. `plan` says which export it is: what a killed one with the
    /// same plan has finished stays.
    ///
    /// # Errors
    /// When something is there, another export writes it, or the system refuses.
    pub(crate) fn folder(out: &Path, plan: &str) -> Result<Self> {
        let is_empty = out.read_dir().is_ok_and(|mut entries| entries.next().is_none());
        if fs::symlink_metadata(out).is_ok() && !is_empty {
            return Err(SurgeryError::place(out, "exists already and is not empty; name a new folder"));
        }
        let staging = Self::new(out)?;
        let plan_file = staging.partial.join(PLAN_FILE);
        if fs::read_to_string(&plan_file).is_ok_and(|found| found == plan) {
            staging.keep_whole_files()?;
        } else {
            remove(&staging.partial)?;
            fs::create_dir(&staging.partial).map_err(SurgeryError::io("create", &staging.partial))?;
            let written = File::create(&plan_file).and_then(|mut file| {
                file.write_all(plan.as_bytes())?;
                file.sync_all()
            });
            written.map_err(SurgeryError::io("write", &plan_file))?;
        }
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
        let staging = Self::new(out)?;
        remove(&staging.partial)?;
        Ok(staging)
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
        Ok(Self { partial, out: out.to_path_buf(), lock: Some(lock), lock_path, finished: false })
    }

    /// Where to write for now.
    pub(crate) fn path(&self) -> &Path {
        &self.partial
    }

    /// Where a weight file of the folder is to be written, under a name that does not pass for whole; none where it is there.
    pub(crate) fn unfinished(&self, name: &str) -> Option<PathBuf> {
        (!self.partial.join(name).exists()).then(|| self.partial.join(format!("{name}.part")))
    }

    /// Says that a weight file, which is on the disk, is whole.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn is_whole(&self, name: &str) -> Result<()> {
        let place = self.partial.join(name);
        fs::rename(self.partial.join(format!("{name}.part")), &place).map_err(SurgeryError::io("write", &place))
    }

    fn keep_whole_files(&self) -> Result<()> {
        let listed = fs::read_dir(&self.partial).map_err(SurgeryError::io("list", &self.partial))?;
        for entry in listed {
            let entry = entry.map_err(SurgeryError::io("list", &self.partial))?.path();
            let is_kept = entry.file_name().is_some_and(|name| name == PLAN_FILE)
                || entry.extension().is_some_and(|ending| ending == WEIGHTS);
            if !is_kept {
                remove(&entry)?;
            }
        }
        Ok(())
    }

    /// Gives what was written its name.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn finish(mut self) -> Result<()> {
        remove(&self.partial.join(PLAN_FILE))?;
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

/// The folder in which a place lies.
pub(crate) fn parent_of(path: &Path) -> &Path {
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

    /// As a kill does: nothing is dropped, but the lock dies with its process.
    fn kill(staging: Staging) {
        let mut staging = std::mem::ManuallyDrop::new(staging);
        staging.lock = None;
    }

    /// Writes a weight file up to its last byte, or whole.
    fn write(staging: &Staging, name: &str, is_whole: bool) {
        fs::write(staging.unfinished(name).unwrap(), "weights").unwrap();
        if is_whole {
            staging.is_whole(name).unwrap();
        }
    }

    #[test]
    fn a_kill_leaves_nothing_that_passes_for_whole_and_the_same_export_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("export");
        let staging = Staging::folder(&out, "plan").unwrap();
        write(&staging, "model-1.safetensors", true);
        write(&staging, "model-2.safetensors", false);
        fs::write(staging.path().join("config.json"), "{}").unwrap();
        kill(staging);
        assert!(!out.exists());

        let again = Staging::folder(&out, "plan").unwrap();
        assert_eq!(names(again.path()), [PLAN_FILE, "model-1.safetensors"], "only what is whole is left");
        assert_eq!(again.unfinished("model-1.safetensors"), None);
        write(&again, "model-2.safetensors", true);
        again.finish().unwrap();
        assert_eq!(names(place.path()), ["export"]);
        assert_eq!(names(&out), ["model-1.safetensors", "model-2.safetensors"]);
    }

    #[test]
    fn another_export_begins_anew() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("export");
        let staging = Staging::folder(&out, "plan").unwrap();
        write(&staging, "model.safetensors", true);
        kill(staging);
        let other = Staging::folder(&out, "another plan").unwrap();
        assert_eq!(names(other.path()), [PLAN_FILE]);
        drop(other);
        assert!(names(place.path()).is_empty());
        let out = place.path().join("export.gguf");
        let staging = Staging::file(&out).unwrap();
        fs::write(staging.path(), "half").unwrap();
        kill(staging);
        let again = Staging::file(&out).unwrap();
        assert!(!again.path().exists());
    }

    #[test]
    fn a_second_export_to_the_same_place_waits() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("export");
        let first = Staging::folder(&out, "plan").unwrap();
        assert!(Staging::folder(&out, "plan").unwrap_err().to_string().contains("another export"));
        drop(first);
        assert!(names(place.path()).is_empty());
        Staging::folder(&out, "plan").unwrap();
    }

    #[test]
    fn what_is_there_is_never_replaced() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file.gguf"), "x").unwrap();
        assert!(Staging::file(&place.path().join("file.gguf")).is_err());
        assert!(Staging::folder(place.path(), "plan").is_err());
        assert!(Staging::folder(&place.path().join("no/such"), "plan").is_err());
        let empty = place.path().join("empty");
        fs::create_dir(&empty).unwrap();
        Staging::folder(&empty, "plan").unwrap().finish().unwrap();
        assert_eq!(names(place.path()), ["empty", "file.gguf"]);
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
