//! The files of an export, in bounded memory.

use std::path::Path;

use serde_json::{Map, Value};

use super::HfExport;
use super::plan::{OutFile, Plan};
use crate::copying::{Counter, Inputs, Output};
use crate::sharing::{Shared, share};
use crate::staging::{Staging, write_synced};
use crate::{Progress, Result, fold, space};

/// Heads are padded to a multiple of this, so that every tensor lies at a multiple of its number's size.
const ALIGNMENT: usize = 8;

/// How the bytes of weights came into an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Written.
    pub(super) written: u64,
    /// Hard links to the source's.
    pub(super) hard_linked: u64,
    /// Reflinks of the source's.
    pub(super) reflinked: u64,
    /// There already: of an export that was killed, and with which this one went on.
    pub(super) kept: u64,
}

/// Writes every weight file that is not there yet, and the index where there is more than one. Gives where the bytes are
/// from, and how many files were to be links and could not be.
pub(super) fn weights(
    plan: &Plan,
    export: &HfExport<'_>,
    staging: &Staging,
    progress: &mut dyn Progress,
) -> Result<(Origin, usize)> {
    let sources = export.checkpoint.weights.safetensors();
    let mut inputs = Inputs::open(sources.iter().map(|(path, _)| *path))?;
    let mut counter = Counter::new(plan.bytes(export.link), progress);
    let (mut origin, mut unlinked) = (Origin::default(), 0);
    for file in &plan.files {
        let source = file.same_as.filter(|_| export.link).map(|source| sources[source].0);
        let Some(place) = staging.unfinished(&file.name) else {
            origin.kept += file.bytes();
            if source.is_none() {
                counter.add(file.bytes())?;
            }
            continue;
        };
        match source.and_then(|source| share(source, &place)) {
            Some(Shared::HardLink) => origin.hard_linked += file.bytes(),
            Some(Shared::Reflink) => origin.reflinked += file.bytes(),
            None => {
                // Where links do not work (another disk), the file is copied like any other.
                if source.is_some() {
                    unlinked += 1;
                    space::require(staging.path(), file.bytes())?;
                }
                write_file(file, &place, &mut inputs, &mut counter)?;
                origin.written += file.bytes();
            }
        }
        staging.is_whole(&file.name)?;
    }
    if plan.is_sharded {
        let map: Map<String, Value> = plan
            .files
            .iter()
            .flat_map(|file| file.targets.iter().map(|target| (target.name.clone(), file.name.clone().into())))
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_iter()
            .collect();
        let total: u64 = plan.files.iter().map(OutFile::bytes).sum();
        let index = serde_json::json!({ "metadata": { "total_size": total }, "weight_map": map });
        self::json(&staging.path().join("model.safetensors.index.json"), &index)?;
    }
    Ok((origin, unlinked))
}

fn write_file(file: &OutFile, place: &Path, inputs: &mut Inputs, counter: &mut Counter<'_>) -> Result<()> {
    let mut output = Output::create(place)?;
    let head = head(file);
    output.write(&(head.len() as u64).to_le_bytes())?;
    output.write(&head)?;
    for target in &file.targets {
        inputs.copy(target.file, target.range.clone(), &mut output, counter, |piece| match target.fold {
            Some((format, scale)) => fold::multiply(piece, format, scale, &target.name),
            None => Ok(()),
        })?;
    }
    output.finish()?;
    Ok(())
}

/// The head of a safetensors file: names, formats, shapes and places, padded with spaces.
fn head(file: &OutFile) -> Vec<u8> {
    let mut entries = Map::new();
    // transformers refuses files that do not say for which library they are.
    entries.insert("__metadata__".to_owned(), serde_json::json!({ "format": "pt" }));
    let mut start = 0;
    for target in &file.targets {
        let end = start + target.bytes();
        let entry = serde_json::json!({ "dtype": target.dtype, "shape": target.shape, "data_offsets": [start, end] });
        entries.insert(target.name.clone(), entry);
        start = end;
    }
    let mut head = Value::Object(entries).to_string().into_bytes();
    head.resize(head.len().next_multiple_of(ALIGNMENT), b' ');
    head
}

pub(super) fn json(place: &Path, document: &Value) -> Result<()> {
    write_synced(place, &format!("{document:#}\n"))
}
