//! Whether a disk has room.

use std::path::Path;

use crate::{Result, SurgeryError};

/// Left free beside an export: small files, and what a file system keeps for itself.
const MARGIN: u64 = 16 << 20;

/// Refuses what does not fit, by the bytes that this user may write. Where the system does not tell, the disk has to.
///
/// # Errors
/// When fewer bytes are free than needed.
pub(crate) fn require(folder: &Path, needed: u64) -> Result<()> {
    match fs4::available_space(folder) {
        Ok(free) if free < needed.saturating_add(MARGIN) => {
            Err(SurgeryError::Space { place: folder.to_path_buf(), needed: needed.saturating_add(MARGIN), free })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_larger_than_the_disk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        require(folder.path(), 1).unwrap();
        let error = require(folder.path(), u64::MAX / 2).unwrap_err();
        assert!(matches!(error, SurgeryError::Space { .. }), "{error}");
        assert!(error.to_string().contains("takes up to 8589934592.0 GiB, but only "), "{error}");
    }
}
