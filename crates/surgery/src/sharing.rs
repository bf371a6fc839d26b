//! Files that an export has in common with its source, without their bytes being written again.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// How a file came into an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    /// Its own file over the same blocks of the disk: what is changed in one later does not show in the other.
    Reflink,
    /// The same file under a second name: what is changed in one changes in both.
    HardLink,
}

/// Gives `place` the contents of the source by a reflink, or else a hard link; `None` where neither can be had, as on another
/// disk, and then nothing is left at `place`. In the Hugging Face cache the source itself is a symbolic link.
pub(crate) fn share(source: &Path, place: &Path) -> Option<Shared> {
    let source = fs::canonicalize(source).ok()?;
    if reflink(&source, place).is_ok() {
        return Some(Shared::Reflink);
    }
    // Also where hard links would do: Linux forbids them to files of others (`fs.protected_hardlinks`).
    fs::hard_link(source, place).is_ok().then_some(Shared::HardLink)
}

/// Btrfs, XFS and others.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn reflink(source: &Path, place: &Path) -> io::Result<()> {
    let (from, to) = (File::open(source)?, File::create_new(place)?);
    let cloned = rustix::fs::ioctl_ficlone(&to, &from).map_err(io::Error::from).and_then(|()| to.sync_all());
    if cloned.is_err() {
        drop(to);
        fs::remove_file(place)?;
    }
    cloned
}

/// APFS.
#[cfg(target_vendor = "apple")]
fn reflink(source: &Path, place: &Path) -> io::Result<()> {
    let from = File::open(source)?;
    Ok(rustix::fs::fclonefileat(&from, rustix::fs::CWD, place, rustix::fs::CloneFlags::empty())?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn reflink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_file_has_the_contents_and_only_a_hard_link_changes_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let (source, place) = (folder.path().join("source"), folder.path().join("place"));
        fs::write(&source, "weights").unwrap();
        let shared = share(&source, &place).unwrap();
        println!("{shared:?}");
        assert_eq!(fs::read(&place).unwrap(), b"weights");
        // In place, as a program that edits a file does; others replace it.
        fs::write(&source, "changed").unwrap();
        let expected: &[u8] = if shared == Shared::HardLink { b"changed" } else { b"weights" };
        assert_eq!(fs::read(&place).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_shared_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (source, place) = (folder.path().join("source"), folder.path().join("place"));
        assert_eq!(share(&source, &place), None);
        assert!(!place.exists());
        fs::write(&source, "weights").unwrap();
        fs::write(&place, "mine").unwrap();
        assert_eq!(share(&source, &place), None, "what is there is never replaced");
        assert_eq!(fs::read(&place).unwrap(), b"mine");
        // A file system without either kind of link, or another disk.
        #[cfg(target_os = "linux")]
        if let Ok(other) = tempfile::tempdir_in("/dev/shm") {
            assert_eq!(share(&source, &other.path().join("place")), None);
            assert!(other.path().read_dir().unwrap().next().is_none());
        }
    }
}
