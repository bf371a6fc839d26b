//! Single files that a command writes where the user says. Folders are never created for them.

use std::path::Path;

use crate::error::Failure;

/// Refuses a file in a folder that does not exist, before any work is done for it.
///
/// # Errors
/// When the folder is missing.
pub(crate) fn require_parent(file: &Path) -> anyhow::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if parent.is_dir() {
        return Ok(());
    }
    let failure =
        Failure::new(format!("{} cannot be written: the folder {} does not exist", file.display(), parent.display()));
    Err(failure.hint(format!("create it first: mkdir -p {}", parent.display())).into())
}
