//! Names of a run's files, and how they reach the disk.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::RecordError;

/// Where the numbers come from, and the plan.
pub const RUN_FILE: &str = "run.json";
/// One line per path and probe.
pub const ROWS_FILE: &str = "rows.jsonl";
/// Locked by the writer while it lives; holds its process number.
pub const LOCK_FILE: &str = "writer.lock";

/// Name of a probe's sample file, `samples-<probe>.jsonl`. Every character that some file system refuses becomes `-`,
/// so `math:likelihood` lies in `samples-math-likelihood.jsonl`; letters, digits, `.`, `_` and `-` stay.
#[must_use]
pub fn samples_file(probe: &str) -> String {
    format!("samples-{}.jsonl", safe(probe))
}

/// Name of the file with what the baseline scores with weights that are not quantised: `reference-<probe>.jsonl`.
#[must_use]
pub fn reference_file(probe: &str) -> String {
    format!("reference-{}.jsonl", safe(probe))
}

fn safe(probe: &str) -> String {
    let keep = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    probe.chars().map(|character| if keep(character) { character } else { '-' }).collect()
}

/// Replaces `file` by `bytes` so that a reader, also after a crash, sees the old content or the new one, never a part.
/// A link stays and its target is replaced; a device or pipe is written to as it is.
///
/// # Errors
/// The folder does not exist, or the operating system refuses to write.
pub fn write_atomically(file: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let failed = |cause| RecordError::io("write", file)(cause);
    // A rename onto `/dev/null` would put a plain file there.
    if fs::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return fs::write(file, bytes).map_err(failed);
    }
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let Some(name) = target.file_name() else {
        return Err(RecordError::Refused {
            what: file.display().to_string(),
            reason: "it names no file, expected one".to_owned(),
        });
    };
    // The process number keeps two processes apart that write the same picture at once.
    let temporary = target.with_file_name(format!(".{}.tmp-{}", name.to_string_lossy(), std::process::id()));
    let written = File::create(&temporary).and_then(|mut out| {
        out.write_all(bytes)?;
        out.sync_all()
    });
    // The error names the file that the user asked for; the temporary one is gone again.
    if let Err(cause) = written.and_then(|()| fs::rename(&temporary, &target)) {
        let _ = fs::remove_file(&temporary);
        return Err(failed(cause));
    }
    sync_parent(&target)
}

/// Makes the names of new files in `dir` durable. Only Unix lets a folder be synced; elsewhere the file system's own
/// journal has to do.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), RecordError> {
    #[cfg(unix)]
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(RecordError::io("sync", dir))?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

fn sync_parent(file: &Path) -> Result<(), RecordError> {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}
