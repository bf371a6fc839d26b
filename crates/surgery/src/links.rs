//! Links beside the weights. A model from a stranger may hold one that leads to this user's own files, which an export,
//! made to be published, would take along.

use std::fs;
use std::path::{Path, PathBuf};

/// Why a file that [`own`] does not find is not taken, behind "because".
pub(crate) const OUTSIDE: &str = "it is a link that leads out of the model's folder; put the file itself there if it belongs \
                                  to the model";

/// Where the file lies, if a checkpoint's folder may take it from there: in itself, or among the contents of the Hugging
/// Face cache, where `snapshots/COMMIT/FILE` links to `blobs/HASH`.
pub(crate) fn own(folder: &Path, file: &Path) -> Option<PathBuf> {
    let (folder, target) = (fs::canonicalize(folder).ok()?, fs::canonicalize(file).ok()?);
    let is_own = target.starts_with(&folder) || blobs(&folder).is_some_and(|blobs| target.starts_with(blobs));
    is_own.then_some(target)
}

fn blobs(folder: &Path) -> Option<PathBuf> {
    let snapshots = folder.parent().filter(|parent| parent.file_name().is_some_and(|name| name == "snapshots"))?;
    // Not resolved: that folder could be a link as well.
    Some(snapshots.parent()?.join("blobs"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_links_into_the_folder_and_the_cache_are_followed() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        let folder = root.join("snapshots/c0ffee");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir(root.join("blobs")).unwrap();
        for file in ["secret", "blobs/1234", "snapshots/c0ffee/plain"] {
            fs::write(root.join(file), "x").unwrap();
        }
        let linked = |name: &str, target: &str| {
            symlink(target, folder.join(name)).unwrap();
            own(&folder, &folder.join(name))
        };
        assert_eq!(own(&folder, &folder.join("plain")), Some(folder.join("plain")));
        assert_eq!(linked("inside", "plain"), Some(folder.join("plain")));
        assert_eq!(linked("cached", "../../blobs/1234"), Some(root.join("blobs/1234")));
        assert_eq!(linked("outside", "../../secret"), None);
        assert_eq!(linked("lost", "no/such"), None);
        // Blobs that are themselves elsewhere are no cache.
        fs::rename(root.join("blobs"), root.join("other")).unwrap();
        symlink("other", root.join("blobs")).unwrap();
        assert_eq!(own(&folder, &folder.join("cached")), None);
    }
}
