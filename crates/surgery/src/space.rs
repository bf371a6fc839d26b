//! Whether a disk has room.

use std::path::Path;

use crate::{Result, SurgeryError};

/// Left free beside an export: small files, and what a file system keeps for itself.
const MARGIN: u64 = 16 << 20;

/// Refuses what does not fit. Where the system does not tell, the disk has to.
///
/// # Errors
/// When fewer bytes are free than needed.
pub(crate) fn require(folder: &Path, needed: u64) -> Result<()> {
    match free(folder) {
        Some(free) if free < needed.saturating_add(MARGIN) => {
            Err(SurgeryError::Space { place: folder.to_path_buf(), needed, free })
        }
        _ => Ok(()),
    }
}

/// Bytes that this user may write; `None` where nobody tells.
fn free(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let facts = rustix::fs::statvfs(folder).ok()?;
        Some(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_larger_than_the_disk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        require(folder.path(), 1).unwrap();
        if cfg!(unix) {
            let error = require(folder.path(), u64::MAX / 2).unwrap_err();
            assert!(matches!(error, SurgeryError::Space { .. }), "{error}");
        }
    }
}
