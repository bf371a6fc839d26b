//! A checkpoint folder as Hugging Face lays it out, in which every visit of the path is a layer of its own.
//!
//! Tensors move as bytes, a few MiB at a time, in the order of the path; only their layers' numbers change. What is
//! written is opened by our own loader and compared with the path before it gets its name.

mod config;
mod lists;
mod plan;
mod side;
mod write;

use std::path::Path;
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_path::LayerPath;

pub use config::{ConfigFile, Rewritten};

use self::plan::Plan;
use crate::card::Card;
use crate::staging::Staging;
use crate::verify::{Comparison, Probe, mark};
use crate::{Progress, Result, SurgeryError, space};

/// What is to be exported, and how.
#[derive(Debug, Clone, Copy)]
pub struct HfExport<'a> {
    /// The model, opened from a folder.
    pub checkpoint: &'a Arc<Checkpoint>,
    /// Name of the model for people and in provenance.
    pub source: &'a str,
    /// The path.
    pub path: &'a LayerPath,
    /// Whether shards that stay as they are become hard links.
    pub link: bool,
    /// What the model card says beyond facts of the files.
    pub card: &'a Card,
    /// What the result is compared on.
    pub probe: &'a Probe,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// Bytes of weights that were written.
    pub bytes: u64,
    /// Bytes of weights that are links to the source's.
    pub linked_bytes: u64,
    /// Weight files.
    pub files: usize,
    /// Remarks.
    pub notes: Vec<String>,
    /// How the result compares with the path.
    pub comparison: Comparison,
}

/// Bytes of weights that an export writes and that it links, and remarks, with nothing written.
///
/// # Errors
/// When the path cannot be exported.
pub fn dry_run(export: &HfExport<'_>) -> Result<(u64, u64, Vec<String>)> {
    let (plan, rewritten) = prepare(export)?;
    Ok((plan.bytes(export.link), plan.linked_bytes(export.link), rewritten.notes))
}

/// Writes the folder `out`.
///
/// # Errors
/// When the path cannot be exported, `out` is not free, the disk is too small or fails, or the watcher stops it. A folder
/// that computes something else is written, marked, and no error: see [`Comparison::passed`].
pub fn export(export: &HfExport<'_>, out: &Path, progress: &mut dyn Progress) -> Result<Exported> {
    let (plan, rewritten) = prepare(export)?;
    let staging = Staging::folder(out)?;
    let folder = staging.path();
    space::require(folder, plan.bytes(export.link))?;
    write::weights(&plan, export, folder, progress)?;
    let copied = side::copy(&export.checkpoint.dir, folder)?;
    let mut notes = rewritten.notes;
    notes.extend(copied.notes);
    // Last of all that makes a folder a checkpoint.
    write::json(&folder.join(config::CONFIG_FILE), &serde_json::Value::Object(rewritten.root))?;
    let comparison = {
        // Opened files cannot be renamed everywhere, so the result is closed again.
        let written = Arc::new(Checkpoint::open(folder)?);
        export.probe.compare(export.checkpoint, export.path, &written)?
    };
    let page = export.card.page(export.path, &copied.licence, &comparison, &notes);
    write::text(&folder.join("README.md"), &page)?;
    if !comparison.passed() {
        mark(folder, &comparison)?;
    }
    staging.finish()?;
    Ok(Exported {
        bytes: plan.bytes(export.link),
        linked_bytes: plan.linked_bytes(export.link),
        files: plan.files.len(),
        notes,
        comparison,
    })
}

fn prepare(export: &HfExport<'_>) -> Result<(Plan, Rewritten)> {
    let checkpoint = export.checkpoint;
    if checkpoint.weights.safetensors().is_empty() {
        let problem = if checkpoint.weights.random_seed().is_some() {
            "has weights drawn from a seed; export a model with weights of its own"
        } else {
            "is no folder of safetensors files, which `--to hf` copies; export a GGUF file with `--to gguf`"
        };
        return Err(SurgeryError::place(&checkpoint.dir, problem));
    }
    let file = ConfigFile::read(&checkpoint.dir)?;
    let rewritten = file.rewrite(&checkpoint.config, export.path, export.source)?;
    file.check(&rewritten, &checkpoint.config, export.path)?;
    Ok((Plan::new(checkpoint, export.path)?, rewritten))
}
