//! One model's folder in the cache, as `huggingface_hub` lays it out:
//!
//! ```text
//! models--org--name/refs/main               the commit that a branch or tag was, when it was last asked for
//! models--org--name/snapshots/COMMIT/FILE   a link to the file's content
//! models--org--name/blobs/ETAG              the content, once for all snapshots that share it
//! models--org--name/.no_exist/COMMIT/FILE   the commit has no such file
//! .locks/models--org--name/ETAG.lock        held by whoever downloads that content
//! ```

use std::collections::HashSet;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::error::HubError;
use crate::name::{HubName, is_commit};

/// Folders within folders that are looked at; real snapshots have one or two.
const DEPTH: usize = 4;

/// The folder of one model.
#[derive(Debug)]
pub(crate) struct Repository {
    folder: PathBuf,
    #[cfg_attr(not(feature = "download"), expect(dead_code, reason = "only downloads lock"))]
    locks: PathBuf,
}

impl Repository {
    pub(crate) fn new(cache: &Path, name: &HubName) -> Self {
        Self { folder: cache.join(name.folder()), locks: cache.join(".locks").join(name.folder()) }
    }

    /// The commit that a revision was when it was last fetched; none where it never was.
    pub(crate) fn commit(&self, revision: &str) -> Result<Option<String>> {
        let path = self.reference(revision);
        let mut text = String::new();
        match std::fs::File::open(&path).and_then(|file| file.take(256).read_to_string(&mut text)) {
            Ok(_) => {}
            // A revision may have the name of a folder of references; it is then not one itself.
            Err(_) if path.is_dir() || !path.exists() => {
                let is_here = is_commit(revision) && self.snapshot(revision).is_dir();
                return Ok(is_here.then(|| revision.to_owned()));
            }
            Err(source) => return Err(HubError::Io { path, source }),
        }
        let commit = text.trim();
        if !is_commit(commit) {
            let found = commit.chars().filter(|letter| !letter.is_control()).take(60).collect();
            return Err(HubError::Reference { path, found });
        }
        Ok(Some(commit.to_owned()))
    }

    /// Where it is written down which commit a revision is.
    pub(crate) fn reference(&self, revision: &str) -> PathBuf {
        self.folder.join("refs").join(revision)
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Whether the commit is known to have no such file.
    pub(crate) fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.folder.join(".no_exist").join(commit).join(file).exists()
    }

    /// Proves that everything in a snapshot, and the file that was named, lies in the model's own folder. Links to nothing
    /// are passed over.
    pub(crate) fn check(&self, commit: &str, file: Option<&str>) -> Result<()> {
        let root = self.folder.canonicalize().map_err(|source| HubError::Io { path: self.folder.clone(), source })?;
        let folder = self.snapshot(commit);
        check_below(&root, &folder, DEPTH, &mut HashSet::new())?;
        file.map_or(Ok(()), |file| check_one(&root, &folder.join(file)))
    }
}

/// `seen`: the folders that were looked at, by whatever links they were reached.
fn check_below(root: &Path, folder: &Path, depth: usize, seen: &mut HashSet<PathBuf>) -> Result<()> {
    let failed = |source| HubError::Io { path: folder.to_path_buf(), source };
    check_one(root, folder)?;
    if !seen.insert(folder.canonicalize().map_err(failed)?) {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        check_one(root, &path)?;
        if path.is_dir() {
            let is_seen = || path.canonicalize().is_ok_and(|target| seen.contains(&target));
            match depth.checked_sub(1) {
                Some(depth) => check_below(root, &path, depth, seen)?,
                None if is_seen() => {}
                // What nobody has looked at is not to be used.
                None => return Err(HubError::Deep { path, most: DEPTH }),
            }
        }
    }
    Ok(())
}

fn check_one(root: &Path, path: &Path) -> Result<()> {
    match path.canonicalize() {
        Ok(target) if !target.starts_with(root) => Err(HubError::LeadsOut { path: path.to_path_buf(), target }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(HubError::Io { path: path.to_path_buf(), source }),
    }
}

/// What downloads change.
#[cfg(feature = "download")]
mod writing {
    use std::fs::{File, TryLockError};
    use std::io;

    use super::*;

    /// Makes a link, a copy, or whatever stands for a file, under a name that does not exist yet.
    type Link = fn(relative: &Path, blob: &Path, link: &Path) -> io::Result<()>;

    /// What is tried one after the other: Windows refuses symlinks to most users, some file systems to all.
    const LINKS: [Link; 3] = [
        |relative, _, link| symlink(relative, link),
        |_, blob, link| std::fs::hard_link(blob, link),
        |_, blob, link| std::fs::copy(blob, link).map(|_| ()),
    ];

    #[cfg(unix)]
    fn symlink(target: &Path, link: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, link)
    }

    #[cfg(windows)]
    fn symlink(target: &Path, link: &Path) -> io::Result<()> {
        std::os::windows::fs::symlink_file(target, link)
    }

    #[cfg(not(any(unix, windows)))]
    fn symlink(_: &Path, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    impl Repository {
        /// Where a content lies, by the tag that the hub gives it.
        pub(crate) fn blob(&self, etag: &str) -> PathBuf {
            self.folder.join("blobs").join(etag)
        }

        /// Where a content lies until it is whole.
        pub(crate) fn incomplete(&self, etag: &str) -> PathBuf {
            self.folder.join("blobs").join(format!("{etag}.incomplete"))
        }

        /// Makes the folder of contents and takes the lock on one of them, which ends with the file that is returned.
        /// `waits` is called before another process is waited for.
        pub(crate) fn lock(&self, etag: &str, waits: impl FnOnce()) -> Result<Option<File>> {
            make_folder(&self.folder.join("blobs"))?;
            make_folder(&self.locks)?;
            let path = self.locks.join(format!("{etag}.lock"));
            let failed = |source| HubError::Io { path: path.clone(), source };
            let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
            let locked = match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    waits();
                    file.lock()
                }
                Err(TryLockError::Error(error)) => Err(error),
                Ok(()) => Ok(()),
            };
            match locked {
                Ok(()) => Ok(Some(file)),
                // Some network file systems know no locks. The hash still tells when two have written one file.
                Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
                Err(source) => Err(failed(source)),
            }
        }

        /// Lets a file of a snapshot be this content.
        pub(crate) fn place(&self, etag: &str, commit: &str, file: &str) -> Result<()> {
            self.place_with(&LINKS, etag, commit, file)
        }

        fn place_with(&self, links: &[Link], etag: &str, commit: &str, file: &str) -> Result<()> {
            let place = self.snapshot(commit).join(file);
            let parent = place.parent().unwrap_or(&self.folder);
            make_folder(parent)?;
            let blob = self.blob(etag);
            // From `snapshots/COMMIT`, and from as many folders below as the file's name has.
            let up: PathBuf = std::iter::repeat_n("..", 2 + file.matches('/').count()).collect();
            let relative = up.join("blobs").join(etag);
            let mut made = Err(ErrorKind::Unsupported.into());
            for link in links {
                made = tempfile::Builder::new().prefix(".").make_in(parent, |path| link(&relative, &blob, path));
                if made.is_ok() {
                    break;
                }
            }
            let made = made.map_err(|source| HubError::Io { path: place.clone(), source })?;
            made.into_temp_path()
                .persist(&place)
                .map_err(|error| HubError::Io { path: place.clone(), source: error.error })
        }

        /// Writes down that the commit has no such file.
        pub(crate) fn mark_absent(&self, commit: &str, file: &str) -> Result<()> {
            let folder = self.folder.join(".no_exist").join(commit);
            make_folder(&folder)?;
            let path = folder.join(file);
            File::create(&path).map(|_| ()).map_err(|source| HubError::Io { path, source })
        }

        /// Writes down which commit a revision is, in one step.
        pub(crate) fn refer(&self, revision: &str, commit: &str) -> Result<()> {
            if revision == commit {
                return Ok(());
            }
            let path = self.reference(revision);
            let failed = |source| HubError::Io { path: path.clone(), source };
            let parent = path.parent().unwrap_or(&self.folder);
            make_folder(parent)?;
            // Not a private file: others may share the cache.
            let made = tempfile::Builder::new().prefix(".").make_in(parent, |path| std::fs::write(path, commit));
            made.map_err(failed)?.into_temp_path().persist(&path).map_err(|error| failed(error.error))
        }
    }

    fn make_folder(path: &Path) -> Result<()> {
        std::fs::create_dir_all(path).map_err(|source| HubError::Io { path: path.to_path_buf(), source })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn where_links_are_impossible_files_are_copied() {
            let cache = tempfile::tempdir().expect("a folder");
            let name = HubName::parse("org/name").expect("a name");
            let repository = Repository::new(cache.path(), &name);
            drop(repository.lock("tag", || panic!("nobody else is there")).expect("a lock"));
            std::fs::write(repository.blob("tag"), "content").expect("a blob");
            for links in [&LINKS[..], &LINKS[1..], &LINKS[2..]] {
                // Placing a file twice replaces it.
                for file in ["config.json", "folder/below/file"] {
                    repository.place_with(links, "tag", "c0", file).expect("placed");
                    let place = repository.snapshot("c0").join(file);
                    assert_eq!(std::fs::read_to_string(place).expect("a file"), "content");
                }
                repository.check("c0", None).expect("all inside");
            }
            assert!(repository.place_with(&[], "tag", "c0", "file").is_err());
            let entries = std::fs::read_dir(repository.snapshot("c0")).expect("a folder").count();
            assert_eq!(entries, 2, "nothing else is left");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(cache: &Path) -> Repository {
        Repository::new(cache, &HubName::parse("org/name").expect("a name"))
    }

    #[test]
    fn a_revision_is_found_by_reference_and_by_commit() {
        let cache = tempfile::tempdir().expect("a folder");
        let repository = repository(cache.path());
        let refs = repository.folder.join("refs");
        std::fs::create_dir_all(refs.join("refs/pr")).expect("refs");
        std::fs::create_dir_all(repository.snapshot("abc123")).expect("a snapshot");
        std::fs::write(refs.join("main"), "abc123\n").expect("a reference");
        std::fs::write(refs.join("bad"), "../../../elsewhere").expect("a reference");
        let commit = |revision| repository.commit(revision);
        assert_eq!(commit("main").expect("a commit").as_deref(), Some("abc123"));
        assert_eq!(commit("abc123").expect("a commit").as_deref(), Some("abc123"));
        for unknown in ["other", "abc124", "refs", "refs/pr", "main/x"] {
            assert_eq!(commit(unknown).expect(unknown), None);
        }
        let error = commit("bad").expect_err("no commit").to_string();
        assert!(error.contains("../../../elsewhere") && error.contains("expected a commit"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_out_are_found_wherever_they_are() {
        use std::os::unix::fs::symlink;
        let cache = tempfile::tempdir().expect("a folder");
        let repository = repository(cache.path());
        let snapshot = repository.snapshot("c0");
        std::fs::create_dir_all(snapshot.join("folder")).expect("a snapshot");
        std::fs::create_dir_all(repository.folder.join("blobs")).expect("blobs");
        std::fs::write(repository.folder.join("blobs/tag"), "").expect("a blob");
        std::fs::write(cache.path().join("secret"), "").expect("a file");
        symlink("../../blobs/tag", snapshot.join("good")).expect("a link");
        symlink("../../blobs/none", snapshot.join("dangling")).expect("a link");
        symlink(".", snapshot.join("circle")).expect("a link");
        repository.check("c0", None).expect("all inside");
        for (link, target) in
            [("secret", "../../../secret"), ("folder/secret", "../../../../secret"), ("up", "../../..")]
        {
            let link = snapshot.join(link);
            symlink(target, &link).expect("a link");
            let error = repository.check("c0", None).expect_err("a link that leads out");
            assert!(matches!(&error, HubError::LeadsOut { path, .. } if *path == link), "{error}");
            std::fs::remove_file(link).expect("removed");
        }
        symlink("../../../secret", snapshot.join("named.gguf")).expect("a link");
        assert!(matches!(repository.check("c0", Some("named.gguf")), Err(HubError::LeadsOut { .. })));
        std::fs::remove_file(snapshot.join("named.gguf")).expect("removed");
        // As deep as is looked at, and one deeper, where a link could hide.
        std::fs::create_dir_all(snapshot.join("1/2/3/4")).expect("folders");
        repository.check("c0", None).expect("all inside");
        std::fs::create_dir_all(snapshot.join("1/2/3/4/5")).expect("folders");
        let error = repository.check("c0", None).expect_err("too deep").to_string();
        assert!(error.contains("expected at most 4"), "{error}");
    }
}
