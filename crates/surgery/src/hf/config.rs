//! `config.json` of a path: the source's, with every rule that looks at a layer's number written anew.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use neuro_checkpoint::DecoderConfig;
use neuro_path::LayerPath;
use serde_json::{Map, Value, json};

use super::lists::Decoder;
use super::rounds::{self, Rounds};
use crate::notation::object;
use crate::{Result, SurgeryError, TOOL};

/// The file's name in a checkpoint folder.
pub(crate) const CONFIG_FILE: &str = "config.json";
/// Largest one that is read. Real ones have kilobytes.
const LARGEST: u64 = 4 << 20;
/// Keys that say the number of layers, one of which a config has.
const COUNTS: [&str; 4] = ["num_hidden_layers", "n_layer", "n_layers", "num_layers"];

/// Whether transformers runs the model only with code that lies beside it.
pub(super) fn needs_code(config: &DecoderConfig) -> bool {
    config.model_type == "ouro"
}

/// A `config.json` as it is on disk.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
    root: Map<String, Value>,
}

/// A `config.json` for a path, and what a user should know about it. There is none that was not read again: what it
/// describes has, layer by layer, the kinds that the path runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewritten {
    root: Map<String, Value>,
    notes: Vec<String>,
}

impl Rewritten {
    /// The whole document.
    #[must_use]
    pub fn root(&self) -> &Map<String, Value> {
        &self.root
    }

    /// Remarks.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl ConfigFile {
    /// Reads a folder's.
    ///
    /// # Errors
    /// When there is none, or it is no JSON object.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG_FILE);
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
            .map_err(SurgeryError::io("read", &path))?;
        Self::from_bytes(&bytes, &path)
    }

    /// Takes one that is in memory already; `path` is how messages call it.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(root)) => Ok(Self { path: path.to_path_buf(), root }),
            Ok(_) => Err(SurgeryError::place(path, "is no JSON object")),
            Err(error) => Err(SurgeryError::place(path, format!("is no JSON: {error}"))),
        }
    }

    /// Whether the decoder is a part of a larger model.
    pub(crate) fn is_nested(&self) -> bool {
        self.root.get("text_config").is_some_and(Value::is_object)
    }

    /// Whether weights are stored in few bits.
    pub(crate) fn is_quantised(&self) -> bool {
        self.root.contains_key("quantization_config")
    }

    /// The description of the same config with another number of layers and no other change.
    pub(crate) fn with_layers_only(&self, depth: usize, layers: usize) -> Result<DecoderConfig> {
        let mut root = self.root.clone();
        set_counts(&mut root, depth, layers);
        describe(&root, &self.path)
    }

    /// The config of a path over this model.
    ///
    /// # Errors
    /// When a key depends on layers' numbers in a way that cannot be written for the path, or in one that nobody here
    /// knows, or when what was written does not describe the path.
    pub fn rewrite(&self, config: &DecoderConfig, path: &LayerPath, source: &str) -> Result<Rewritten> {
        let rewritten = match rounds::of(config, path)? {
            None => self.unchecked(config, path, source)?,
            Some(rounds) => self.in_rounds(config, path, &rounds, source)?,
        };
        if rounds::is_path_of(&describe(&rewritten.root, &self.path)?, config, path) {
            return Ok(rewritten);
        }
        let problem = "cannot be written so that every layer keeps its kind along this path; please report this model";
        Err(SurgeryError::key(&self.path, "num_hidden_layers", problem))
    }

    /// The stack's config, which is that of one round, and how often it is run. Provenance tells the whole path.
    fn in_rounds(&self, config: &DecoderConfig, path: &LayerPath, rounds: &Rounds, source: &str) -> Result<Rewritten> {
        let Rounds { stack, count } = rounds;
        let layers = config.layers.iter().take(stack.depth()).cloned().collect();
        let mut rewritten = self.unchecked(&DecoderConfig { layers, ..config.clone() }, stack, source)?;
        let root = &mut rewritten.root;
        with_decoder(root, |decoder| decoder.insert(rounds::KEY.to_owned(), json!(count)));
        let whole = object(&relayer(path, source));
        if let Some(Value::Object(written)) = root.get_mut("rys_relayer") {
            written.extend(whole);
            written.insert("stack_layers".to_owned(), json!(stack.layers()));
            written.insert(rounds::KEY.to_owned(), json!(count));
        }
        Ok(rewritten)
    }

    /// By the rules alone, which may overlook one.
    fn unchecked(&self, config: &DecoderConfig, path: &LayerPath, source: &str) -> Result<Rewritten> {
        let mut root = self.root.clone();
        let mut notes = Vec::new();
        let file = &self.path;
        with_decoder(&mut root, |object| Decoder { object, config, path, file, notes: &mut notes }.rewrite())?;
        set_counts(&mut root, path.depth(), path.len());
        rename_skipped_modules(&mut root, path, &self.path)?;
        if !needs_code(config) {
            // It names files with code, which the export does not have.
            root.shift_remove("auto_map");
        }
        let earlier = root.get("rys_relayer").map(object);
        let mut relayer = relayer(path, source);
        if let (Some(earlier), Some(relayer)) = (earlier, relayer.as_object_mut()) {
            relayer.insert("source_rys_relayer".to_owned(), Value::Object(earlier));
        }
        root.insert("rys_relayer".to_owned(), relayer);
        Ok(Rewritten { root, notes })
    }
}

/// Does something with the decoder's object.
fn with_decoder<R>(root: &mut Map<String, Value>, change: impl FnOnce(&mut Map<String, Value>) -> R) -> R {
    match root.get_mut("text_config") {
        Some(Value::Object(inner)) => change(inner),
        _ => change(root),
    }
}

/// Writes the number of layers wherever it stands; a larger model around the decoder may say it too.
fn set_counts(root: &mut Map<String, Value>, depth: usize, layers: usize) {
    let rename = |object: &mut Map<String, Value>| {
        for key in COUNTS {
            if let Some(count) = object.get_mut(key).filter(|count| count.as_u64() == Some(depth as u64)) {
                *count = layers.into();
            }
        }
    };
    rename(root);
    with_decoder(root, |decoder| {
        rename(decoder);
        decoder.insert(COUNTS[0].to_owned(), layers.into());
    });
}

fn describe(root: &Map<String, Value>, file: &Path) -> Result<DecoderConfig> {
    let text = Value::Object(root.clone()).to_string();
    Ok(DecoderConfig::from_json(text.as_bytes(), file)?)
}

/// Where the layers come from, in the words of RYS (`hf_export/common.py`), and which program wrote it.
fn relayer(path: &LayerPath, source: &str) -> Value {
    let mut counts = vec![0_usize; path.depth()];
    path.layers().into_iter().for_each(|layer| counts[layer] += 1);
    let repeated = counts.iter().enumerate().filter(|(_, count)| **count > 1);
    let is_plain = path.visits().iter().all(|visit| visit.scales.is_plain());
    let spec = match path.block().filter(|_| is_plain) {
        Some(block) if !block.is_baseline() => format!("blocks:{},{}", block.start, block.end),
        _ => {
            let layers: Vec<String> = path.layers().iter().map(ToString::to_string).collect();
            format!("layers:{}", layers.join(","))
        }
    };
    json!({
        "source_repo_id": source,
        "source_num_layers": path.depth(),
        "target_num_layers": path.len(),
        "spec": spec,
        "layer_indices": path.layers(),
        "duplication_counts": repeated.map(|(layer, count)| (layer.to_string(), json!(count))).collect::<Map<_, _>>(),
        "layer_path": path.to_string(),
        "tool": TOOL,
    })
}

/// Lists of modules that a quantiser left alone name layers.
fn rename_skipped_modules(root: &mut Map<String, Value>, path: &LayerPath, file: &Path) -> Result<()> {
    const LISTS: [&str; 4] = ["modules_to_not_convert", "ignore", "ignored_layers", "llm_int8_skip_modules"];
    let Some(Value::Object(quantization)) = root.get_mut("quantization_config") else { return Ok(()) };
    for list in LISTS {
        let Some(Value::Array(modules)) = quantization.get_mut(list) else { continue };
        let mut renamed = Vec::new();
        for module in modules.iter() {
            let Some(name) = module.as_str() else {
                renamed.push(module.clone());
                continue;
            };
            if let Some((before, layer, behind)) = module_layer(name) {
                let places = path.layers().into_iter().enumerate().filter(|(_, visited)| *visited == layer);
                renamed.extend(places.map(|(place, _)| json!(format!("{before}{place}{behind}"))));
            } else if name.contains("layers")
                && name.contains(|letter: char| letter.is_ascii_digit())
                && !is_of_tower(name)
            {
                let problem =
                    format!("names layers by the pattern \"{}\", which cannot be renamed", crate::error::shorten(name));
                return Err(SurgeryError::key(file, format!("quantization_config.{list}"), problem));
            } else {
                renamed.push(module.clone());
            }
        }
        *modules = renamed;
    }
    Ok(())
}

/// Whether a module belongs to what stands beside the decoder, whose layers no path moves.
fn is_of_tower(name: &str) -> bool {
    const TOWERS: [&str; 6] = ["vision", "visual", "image", "audio", "speech", "mtp"];
    name.split('.').take_while(|part| *part != "layers").any(|part| TOWERS.iter().any(|tower| part.starts_with(tower)))
}

/// A module's name around its layer's number; it may be the layer itself.
fn module_layer(name: &str) -> Option<(&str, usize, &str)> {
    let start = name.rfind("layers.")? + "layers.".len();
    let end = name[start..].find('.').map_or(name.len(), |dot| start + dot);
    let is_decoder = ["layers.", "model.layers.", "model.language_model.layers.", "language_model.model.layers."]
        .contains(&&name[..start]);
    let layer = name[start..end].parse().ok().filter(|_| is_decoder)?;
    Some((&name[..start], layer, &name[end..]))
}

#[cfg(test)]
mod tests;
