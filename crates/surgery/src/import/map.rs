//! Layer maps: `rys_relayer`, mergekit's slices, exllamav3's map, and our own sidecar.

use std::path::Path;

use neuro_path::LayerPath;
use serde_json::{Map as Object, Value};

use super::Map;
use crate::error::shorten;
use crate::{Result, SurgeryError};

/// Most layers that a map may be over.
const DEEPEST: u64 = neuro_path::MAX_VISITS as u64;

/// What `neuro export --to path` wrote.
pub(super) fn of_sidecar(document: &Object<String, Value>, file: &Path) -> Result<Map> {
    let refuse = |problem: &str| SurgeryError::import(file, problem);
    let depth = number(document.get("model").and_then(|model| model.get("layers")))
        .ok_or_else(|| refuse("`model.layers` is no number of layers"))?;
    let text = document.get("path").and_then(Value::as_str).ok_or_else(|| refuse("`path` is no layer path"))?;
    let path = LayerPath::parse(text, depth).map_err(|error| refuse(&format!("`path`: {error}")))?;
    check_layers(document.get("layers"), &path, file)?;
    let model = document.get("model").and_then(|model| model.get("id")).and_then(Value::as_str).map(shorten);
    Ok(Map { path, form: "a layer path of neuro", model, notes: Vec::new() })
}

/// A `config.json` with `rys_relayer`, or the manifest that RYS writes beside one.
pub(super) fn of_relayer(document: &Object<String, Value>, file: &Path, layers: Option<usize>) -> Result<Map> {
    let block = match document.get("rys_relayer") {
        Some(Value::Object(block)) => block,
        Some(_) => return Err(SurgeryError::import(file, "`rys_relayer` is no object")),
        None if document.contains_key("layer_indices") => document,
        None => {
            let known = "`rys_relayer` (a checkpoint with duplicated layers), `llmri_version` (a scan of LLMRI), or `kind` \
                         (what neuro or its converter wrote)";
            return Err(SurgeryError::import(file, format!("is JSON of no kind that is known; expected {known}")));
        }
    };
    let refuse = |problem: String| SurgeryError::import(file, problem);
    let visited = visited(block.get("layer_indices"))
        .ok_or_else(|| refuse("`layer_indices` is no list of layers' numbers".to_owned()))?;
    let depth = number(block.get("source_num_layers"))
        .or(layers)
        .ok_or_else(|| refuse("does not say the model's number of layers; name it with --layers".to_owned()))?;
    let path = LayerPath::from_layers(&visited, depth).map_err(|error| refuse(format!("`layer_indices`: {error}")))?;
    let target = number(block.get("target_num_layers"));
    if target.is_some_and(|target| target != path.len()) {
        let problem = format!("`target_num_layers` is {}, but `layer_indices` has {}", target.unwrap_or(0), path.len());
        return Err(refuse(problem));
    }
    let mut notes = Vec::new();
    // Scales are in our own exports only.
    let path = match block.get("layer_path").and_then(Value::as_str) {
        None => path,
        Some(text) => {
            let own = LayerPath::parse(text, depth).map_err(|error| refuse(format!("`layer_path`: {error}")))?;
            if own.layers() != path.layers() {
                return Err(refuse("`layer_path` and `layer_indices` are of different paths".to_owned()));
            }
            own
        }
    };
    if document.contains_key("num_hidden_layers") {
        notes
            .push("the layers are copies in that checkpoint; run the path on the model that it was made of".to_owned());
    }
    let model = block.get("source_repo_id").and_then(Value::as_str).map(shorten);
    Ok(Map { path, form: "a checkpoint with duplicated layers (rys_relayer)", model, notes })
}

/// mergekit's YAML, or a map in any notation.
pub(super) fn of_text(text: &str, file: &Path, layers: Option<usize>) -> Result<Map> {
    let form = if text.contains("layer_range") { "slices of mergekit" } else { "a layer map" };
    let refuse = |problem: String| SurgeryError::import(file, problem);
    if text.trim().is_empty() {
        return Err(refuse("is empty".to_owned()));
    }
    if let Some(depth) = layers {
        let path = LayerPath::parse(text, depth).map_err(|error| refuse(error.to_string()))?;
        return Ok(Map { path, form, model: None, notes: Vec::new() });
    }
    // The file names only layers that exist, so the model has at least as many as the highest.
    let widest = LayerPath::parse(text, neuro_path::MAX_VISITS).map_err(|error| refuse(error.to_string()))?;
    let highest = widest.layers().into_iter().max().unwrap_or(0);
    if highest + 1 == neuro_path::MAX_VISITS {
        return Err(refuse("leaves its end open; name the model's number of layers with --layers".to_owned()));
    }
    let path = LayerPath::parse(text, highest + 1).map_err(|error| refuse(error.to_string()))?;
    let note = format!("taken to be of {} layers, as many as it names; --layers says otherwise", highest + 1);
    Ok(Map { path, form, model: None, notes: vec![note] })
}

fn number(value: Option<&Value>) -> Option<usize> {
    let number = value?.as_u64().filter(|number| (1..=DEEPEST).contains(number))?;
    usize::try_from(number).ok()
}

fn visited(value: Option<&Value>) -> Option<Vec<usize>> {
    let items = value?.as_array().filter(|items| items.len() as u64 <= DEEPEST)?;
    items.iter().map(|item| usize::try_from(item.as_u64()?).ok()).collect()
}

fn check_layers(value: Option<&Value>, path: &LayerPath, file: &Path) -> Result<()> {
    match visited(value) {
        Some(found) if found != path.layers() => {
            Err(SurgeryError::import(file, "`layers` and `path` are of different paths"))
        }
        _ => Ok(()),
    }
}
