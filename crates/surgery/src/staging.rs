//! Where an export gathers until it is whole.
//!
//! Everything is written under another name beside its place and renamed at the end, so a kill leaves nothing that passes
//! for an export. The next export to the same place goes on with the weight files that a killed one has finished, where it
//! is the same export, and removes everything else; a lock that dies with its process says whether one is still at work.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

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
    #[cfg_attr(not(unix), expect(dead_code, reason = "only what can be told from another of its name is removed"))]
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
        if let Ok(found) = fs::symlink_metadata(out) {
            refuse_link(out, &found, "file")?;
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
        // and the next one would lock another of that name. Where that cannot be told afterwards, the file stays.
        #[cfg(unix)]
        let _ = fs::remove_file(&self.lock_path);
        self.lock = None;
    }
}

/// The folder in which a place lies.
pub(crate) fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
            // The export is whole: what is left at worst is a second name of it.
            let _ = fs::remove_file(partial);
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => appeared(),
        // Not every file system has links.
        Err(_) if fs::symlink_metadata(out).is_ok() => appeared(),
        Err(_) => fs::rename(partial, out).map_err(SurgeryError::io(RENAME, out)),
    }
}

fn take_lock(path: &Path, out: &Path) -> Result<File> {
    loop {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let lock = opened.map_err(SurgeryError::io("open", path))?;
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

/// Whether the path still names the file that was opened there.
#[cfg(unix)]
fn still_names(path: &Path, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let opened = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere locks are never removed, so the path does.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it fails where files have numbers")]
fn still_names(_: &Path, _: &File) -> io::Result<bool> {
    Ok(true)
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

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("export.gguf");
        let staging = Staging::file(&out).unwrap();
        fs::write(staging.path(), "export").unwrap();
        fs::write(&out, "mine").unwrap();
        let error = staging.finish().unwrap_err().to_string();
        assert!(error.contains("has appeared while the export was being written, and stays"), "{error}");
        assert_eq!(fs::read_to_string(&out).unwrap(), "mine");
        assert_eq!(names(place.path()), ["export.gguf"]);

        fs::remove_file(&out).unwrap();
        let staging = Staging::file(&out).unwrap();
        fs::write(staging.path(), "export").unwrap();
        staging.finish().unwrap();
        assert_eq!(fs::read_to_string(&out).unwrap(), "export");
        assert_eq!(names(place.path()), ["export.gguf"]);
    }

    #[test]
    fn a_folder_that_fills_meanwhile_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("export");
        let staging = Staging::folder(&out, "plan").unwrap();
        fs::create_dir(&out).unwrap();
        fs::write(out.join("mine"), "mine").unwrap();
        staging.finish().unwrap_err();
        assert_eq!(names(&out), ["mine"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused_at_once_and_called_so() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().unwrap();
        let (folder, link, lost) =
            (place.path().join("folder"), place.path().join("link"), place.path().join("lost.gguf"));
        fs::create_dir(&folder).unwrap();
        symlink(&folder, &link).unwrap();
        symlink("no/such", &lost).unwrap();
        for named in [link.clone(), link.join("")] {
            let error = Staging::folder(&named, "plan").unwrap_err().to_string();
            assert!(error.ends_with("is a link; name the folder itself"), "{error}");
        }
        let error = Staging::folder(&lost, "plan").unwrap_err().to_string();
        assert!(error.ends_with("is a link to no/such, which is not there; name a new folder"), "{error}");
        assert!(Staging::file(&lost).unwrap_err().to_string().contains("is a link to no/such"));
        let file = folder.join("file");
        fs::write(&file, "x").unwrap();
        assert!(Staging::folder(&file, "plan").unwrap_err().to_string().contains("is a file"));
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_counts_only_while_it_has_its_name() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let first = File::create(&path).unwrap();
        assert!(still_names(&path, &first).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!still_names(&path, &first).unwrap());
        let second = File::create(&path).unwrap();
        assert!(!still_names(&path, &first).unwrap() && still_names(&path, &second).unwrap());
    }

    #[test]
    fn no_two_exports_ever_write_to_one_place() {
        use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("export.gguf");
        let (busy, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let Ok(staging) = Staging::file(&out) else { continue };
                        assert!(!busy.swap(true, Ordering::SeqCst), "two at once");
                        taken.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        busy.store(false, Ordering::SeqCst);
                        drop(staging);
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
        assert!(names(place.path()).is_empty());
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        // Only there the lock outlives its export.
        #[cfg(not(unix))]
        names.retain(|name| !name.ends_with(".neuro-lock"));
        names.sort();
        names
    }
}
