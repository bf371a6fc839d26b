//! A checkpoint folder as Hugging Face lays it out, in which every visit of the path is a layer of its own.
//!
//! Tensors move as bytes, a few MiB at a time, in the order of the path; only their layers' numbers change. What is
//! written is opened by our own loader and compared with the path before it gets its name.

mod config;
mod lists;
mod plan;
mod rounds;
mod side;
mod write;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_path::LayerPath;
use serde_json::Value;

pub use config::{ConfigFile, Rewritten};

use self::plan::Plan;
use self::write::Origin;
use crate::card::Card;
use crate::staging::{Staging, parent_of, write_synced};
use crate::verify::{Comparison, Probe, mark};
use crate::{Progress, Result, SurgeryError, TOOL, space};

/// What is to be exported, and how.
#[derive(Debug, Clone, Copy)]
pub struct HfExport<'a> {
    /// The model, opened from a folder.
    pub checkpoint: &'a Arc<Checkpoint>,
    /// Name of the model for people and in provenance.
    pub source: &'a str,
    /// The path.
    pub path: &'a LayerPath,
    /// Whether shards that stay as they are become reflinks or hard links.
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
    /// Bytes of weights that are hard links to the source's.
    pub linked_bytes: u64,
    /// Bytes of weights that are reflinks of the source's.
    pub reflinked_bytes: u64,
    /// Bytes of weights that an export before this one, which was killed, has left whole.
    pub kept_bytes: u64,
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
    let (plan, config) = prepare(export)?;
    Ok((plan.bytes(export.link), plan.linked_bytes(export.link), config.notes().to_vec()))
}

/// Writes the folder `out`, or goes on with one that a kill has interrupted.
///
/// # Errors
/// When the path cannot be exported, `out` is not free, the disk is too small or fails, or the watcher stops it; then nothing
/// is left behind. A folder that computes something else is written, marked, and no error: see [`Comparison::passed`].
pub fn export(export: &HfExport<'_>, out: &Path, progress: &mut dyn Progress) -> Result<Exported> {
    let (plan, config) = prepare(export)?;
    let staging = Staging::folder(out, &description(&plan, export)?)?;
    let folder = staging.path();
    let is_missing = |name: &str| staging.unfinished(name).is_some();
    space::require(parent_of(out), plan.bytes_of(export.link, is_missing))?;
    let (origin, unlinked) = write::weights(&plan, export, &staging, progress)?;
    let with_code = config::needs_code(&export.checkpoint.config);
    let weights = export.checkpoint.weights.safetensors().into_iter().map(|(file, _)| file).collect();
    let model = side::Model { folder: &export.checkpoint.dir, config: config.root(), weights, with_code };
    let copied = side::copy(&model, folder)?;
    let mut notes = [config.notes(), &copied.notes].concat();
    // Last of all that makes a folder a checkpoint.
    write::json(&folder.join(config::CONFIG_FILE), &Value::Object(config.root().clone()))?;
    let comparison = {
        // Opened files cannot be renamed everywhere, so the result is closed again.
        let written = Arc::new(Checkpoint::open(folder)?);
        export.probe.compare(export.checkpoint, export.path, &written, progress)?
    };
    let page = export.card.page(export.path, &copied.licence, &comparison, &notes);
    write_synced(&folder.join("README.md"), &page)?;
    if !comparison.passed() {
        // Before the folder gets its name: a bad export is never there without its mark.
        mark(folder, &comparison.sentence())?;
    }
    staging.finish()?;
    notes.extend(copied.behind());
    if unlinked > 0 {
        // Of this disk, not of the model: nothing for its card.
        notes.push(format!(
            "{unlinked} of {} files could not be linked, as across disks, and were copied",
            plan.files.len()
        ));
    }
    let Origin { written, hard_linked, reflinked, kept } = origin;
    Ok(Exported {
        bytes: written,
        linked_bytes: hard_linked,
        reflinked_bytes: reflinked,
        kept_bytes: kept,
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
    let config = ConfigFile::read(&checkpoint.dir)?.rewrite(&checkpoint.config, export.path, export.source)?;
    if let Some(rounds) = rounds::of(&checkpoint.config, export.path)? {
        return Ok((Plan::new(checkpoint, &rounds.stack)?, config));
    }
    Ok((Plan::new(checkpoint, export.path)?, config))
}

/// Everything on which the bytes of the weight files depend: two exports with the same description write the same files.
fn description(plan: &Plan, export: &HfExport<'_>) -> Result<String> {
    let mut text = format!("{TOOL}\npath {}\nlink {}\n", export.path, export.link);
    for (source, _) in export.checkpoint.weights.safetensors() {
        let facts = fs::metadata(source).map_err(SurgeryError::io("read", source))?;
        // Not every file system keeps times.
        let changed = facts.modified().ok();
        text.push_str(&format!("from {} {} {changed:?}\n", source.display(), facts.len()));
    }
    for file in &plan.files {
        text.push_str(&format!("to {} {}\n", file.name, file.bytes()));
    }
    Ok(text)
}
