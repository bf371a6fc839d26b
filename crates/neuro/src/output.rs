//! Single files that a command writes where the user says. Folders are never created for them, and nothing that a model
//! or a run consists of is replaced by them.

use std::fs;
use std::path::{Path, PathBuf};

use neuro_record::{ASKED_FILE, LOCK_FILE, ROWS_FILE, RUN_FILE, RecordError, write_atomically};

use crate::error::Failure;

/// Refuses a file in a folder that does not exist, before any work is done for it.
///
/// # Errors
/// When the folder is missing.
pub(crate) fn require_parent(file: &Path) -> anyhow::Result<()> {
    let parent = parent(file);
    if parent.is_dir() {
        return Ok(());
    }
    let failure =
        Failure::new(format!("{} cannot be written: the folder {} does not exist", file.display(), parent.display()));
    Err(failure.hint(format!("create it first: mkdir -p {}", parent.display())).into())
}

/// Refuses a file that data would be lost with: one of a run, one of a checkpoint, and whatever lies in `model`, the
/// folder that is being read.
///
/// # Errors
/// When the file is one of these.
pub(crate) fn require_harmless(file: &Path, model: Option<&Path>) -> anyhow::Result<()> {
    let refuse = |what: &str| {
        let failure = Failure::new(format!("{} would be lost: it is {what}", file.display()));
        Err(failure.hint("name another file to write").into())
    };
    let places = places(file);
    if places.iter().any(|place| is_of_run(place)) {
        return refuse("a file of a run");
    }
    if !file.exists() {
        return Ok(());
    }
    if places.iter().any(|place| is_of_checkpoint(place)) || model.is_some_and(|model| lies_in(&places, model)) {
        return refuse("a file of a model");
    }
    Ok(())
}

/// Writes a file whole or not at all.
///
/// # Errors
/// When the system refuses. The advice is that of a single file, not that of a run.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    match write_atomically(file, bytes) {
        Err(RecordError::Io { file, cause, .. }) => {
            let failure = Failure::new(format!("{} cannot be written: {cause}", file.display()));
            Err(failure.hint("free some space, change the permissions, or name another file").into())
        }
        written => Ok(written?),
    }
}

fn parent(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where the file lies: its own place, and that of what it links to.
fn places(file: &Path) -> Vec<PathBuf> {
    let named = file.file_name().and_then(|name| Some(fs::canonicalize(parent(file)).ok()?.join(name)));
    named.into_iter().chain(fs::canonicalize(file).ok()).collect()
}

fn name(place: &Path) -> String {
    // Some file systems do not tell upper case from lower case.
    place.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

fn is_of_run(place: &Path) -> bool {
    let name = name(place);
    let is_named = [RUN_FILE, ROWS_FILE, LOCK_FILE, ASKED_FILE].contains(&name.as_str())
        || (name.starts_with("samples-") && name.ends_with(".jsonl"));
    is_named && parent(place).join(RUN_FILE).is_file()
}

fn is_of_checkpoint(place: &Path) -> bool {
    let extension = Path::new(&name(place)).extension().map(|extension| extension.to_string_lossy().into_owned());
    match extension.as_deref() {
        Some("gguf") => true,
        Some("safetensors" | "json") => parent(place).join("config.json").is_file(),
        _ => false,
    }
}

/// Also true of the target of a link in the folder, as the Hugging Face cache has them.
fn lies_in(places: &[PathBuf], folder: &Path) -> bool {
    let Ok(folder) = fs::canonicalize(folder) else { return false };
    let linked = fs::read_dir(&folder).into_iter().flatten().flatten();
    places.iter().any(|place| place.starts_with(&folder))
        || linked.filter_map(|entry| fs::canonicalize(entry.path()).ok()).any(|target| places.contains(&target))
}
