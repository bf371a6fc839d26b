//! Where an export gathers until it is whole.
//!
//! Everything is written under another name beside its place and renamed at the end, so a kill leaves nothing that passes
//! for an export. The next export to the same place goes on with the weight files that a killed one has finished, where it
//! is the same export, and removes everything else; a lock that dies with its process says whether one is still at work.

mod lock;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use self::lock::take_lock;
use crate::verify::{Comparison, mark, mark_beside};
use crate::{Result, SurgeryError};

/// Says in a folder that is being written which export it is of.
const PLAN_FILE: &str = ".neuro-plan";
/// Files with this ending are in a folder only when they are whole.
const WEIGHTS: &str = "safetensors";
/// The last step, as errors name it.
const RENAME: &str = "rename the finished export to";

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
        // Without a slash at its end, with which the system would look through a link.
        let out = out.components().as_path();
        if let Ok(found) = fs::symlink_metadata(out) {
            refuse_link(out, &found, "folder")?;
            if !found.is_dir() {
                return Err(SurgeryError::place(out, "is a file, and a folder is to be written; name a new folder"));
            }
            if out.read_dir().map_err(SurgeryError::io("list", out))?.next().is_some() {
                return Err(SurgeryError::place(out, "exists already and is not empty; name a new folder"));
            }
        }
        let staging = Self::new(out)?;
        let plan_file = staging.partial.join(PLAN_FILE);
        if fs::read_to_string(&plan_file).is_ok_and(|found| found == plan) {
            staging.keep_whole_files()?;
        } else {
            remove(&staging.partial)?;
            fs::create_dir(&staging.partial).map_err(SurgeryError::io("create", &staging.partial))?;
            write_synced(&plan_file, plan)?;
        }
        Ok(staging)
    }

    /// Prepares for a file, which must not exist. A mark that lies beside it is of a file that is there no more, and goes.
    ///
    /// # Errors
    /// As [`Staging::folder`].
    pub(crate) fn file(out: &Path) -> Result<Self> {
        if let Ok(found) = fs::symlink_metadata(out) {
            refuse_link(out, &found, "file")?;
            // The file may be of an export that was killed before it took the other name away: prepared for and dropped, the place
            // holds the file alone.
            drop(Self::new(out));
            return Err(SurgeryError::place(out, "exists already; name a new file"));
        }
        let staging = Self::new(out)?;
        remove(&staging.partial)?;
        remove(&mark_beside(out))?;
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
    /// When something has got that name meanwhile, which stays, or the system refuses.
    pub(crate) fn finish(mut self) -> Result<()> {
        if self.partial.is_file() {
            name_file(&self.partial, &self.out)?;
        } else {
            self.name_folder()?;
        }
        self.finished = true;
        sync_folder(parent_of(&self.out));
        Ok(())
    }

    /// The same for a file that does not compute the path, with its mark beside it. The mark is on the disk before the file
    /// has its name, and goes where the file does not get it; a kill between leaves a mark without a file, which the next
    /// export to this place removes.
    ///
    /// # Errors
    /// As [`Staging::finish`].
    pub(crate) fn finish_marked(self, comparison: &Comparison) -> Result<()> {
        let mark = mark(&self.out, &comparison.sentence())?;
        self.finish().inspect_err(|_| {
            // Nothing is at its place that it would be the mark of.
            let _ = fs::remove_file(&mark);
        })
    }

    fn name_folder(&self) -> Result<()> {
        remove(&self.partial.join(PLAN_FILE))?;
        if self.out.is_dir() {
            // Empty, or it was filled meanwhile, which this refuses.
            fs::remove_dir(&self.out).map_err(SurgeryError::io("replace", &self.out))?;
        }
        // The names in it are to be on the disk before its own is.
        sync_folder(&self.partial);
        fs::rename(&self.partial, &self.out).map_err(SurgeryError::io(RENAME, &self.out))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is removed by the next export to this place.
            let _ = remove(&self.partial);
        }
        // Removed while it is still locked: an export that comes between would else lock it just before it loses its name,
        // and the next one would lock another of that name.
        let _ = fs::remove_file(&self.lock_path);
        self.lock = None;
    }
}

/// The folder in which a place lies.
pub(crate) fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a text, and returns when it is on the disk.
pub(crate) fn write_synced(place: &Path, text: &str) -> Result<()> {
    let written = File::create(place).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(SurgeryError::io("write", place))
}

/// Forgets nothing that a folder has, where the system can be told so.
pub(crate) fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        // Not every file system knows this of folders.
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}

/// What an export writes gets its name by a rename, which would replace a link and leave what it leads to.
fn refuse_link(out: &Path, found: &fs::Metadata, kind: &str) -> Result<()> {
    if !found.is_symlink() {
        return Ok(());
    }
    let problem = if out.exists() {
        format!("is a link; name the {kind} itself")
    } else {
        let target = fs::read_link(out).unwrap_or_default();
        format!("is a link to {}, which is not there; name a new {kind}", target.display())
    };
    Err(SurgeryError::place(out, problem))
}

/// Unlike a rename, a link never takes the place of a file that has appeared meanwhile.
fn name_file(partial: &Path, out: &Path) -> Result<()> {
    let appeared = || {
        let problem = "has appeared while the export was being written, and stays as it is; name another file";
        Err(SurgeryError::place(out, problem))
    };
    match fs::hard_link(partial, out) {
        Ok(()) => {
            // The export is whole: what is left at worst is a second name of it, which the next export to this place removes.
            let _ = fs::remove_file(partial);
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => appeared(),
        // Not every file system has links.
        Err(_) if fs::symlink_metadata(out).is_ok() => appeared(),
        Err(_) => fs::rename(partial, out).map_err(SurgeryError::io(RENAME, out)),
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
mod tests;
