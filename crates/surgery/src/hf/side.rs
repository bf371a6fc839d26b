//! What lies beside the weights: tokenizer, template, settings for generation, licence.

use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use crate::card::Licence;
use crate::{Result, SurgeryError};

/// Files that belong to a model whatever its weights are.
const NAMES: [&str; 14] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "phantom.json",
    "params.json",
];
/// The same by their beginnings and endings.
const BEGINNINGS: [&str; 3] = ["LICENSE", "LICENCE", "NOTICE"];
const ENDINGS: [&str; 3] = [".tiktoken", "tokenizer.model", "tokenizer.model.v3"];
/// Templates by name.
const TEMPLATES: &str = "additional_chat_templates";
/// Longest model card that is looked at for its licence.
const CARD_BYTES: u64 = 1 << 20;

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) licence: Licence,
    pub(super) notes: Vec<String>,
}

/// Copies the files of a folder that an export needs; `config` is its `config.json`.
pub(super) fn copy(from: &Path, to: &Path, config: &Map<String, Value>) -> Result<Copied> {
    let mut copied = Copied { licence: licence(from, config), notes: Vec::new() };
    for entry in fs::read_dir(from).map_err(SurgeryError::io("list", from))? {
        let entry = entry.map_err(SurgeryError::io("list", from))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let wanted = NAMES.contains(&name)
            || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
            || ENDINGS.iter().any(|ending| name.ends_with(ending));
        if wanted && entry.path().is_file() {
            copy_file(&entry.path(), &to.join(name))?;
        } else if name == TEMPLATES && entry.path().is_dir() {
            copy_templates(&entry.path(), &to.join(name))?;
        } else if name.ends_with(".py") {
            copied.notes.push(format!("{name}: code of the model is not copied; the architecture is known without it"));
        }
    }
    Ok(copied)
}

fn copy_templates(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to).map_err(SurgeryError::io("create", to))?;
    for entry in fs::read_dir(from).map_err(SurgeryError::io("list", from))?.flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "jinja") && entry.path().is_file() {
            copy_file(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(SurgeryError::io("copy", from))
}

/// The licence that the source's model card names in its head, or else its config.
fn licence(folder: &Path, config: &Map<String, Value>) -> Licence {
    let mut text = String::new();
    let read =
        fs::File::open(folder.join("README.md")).and_then(|file| file.take(CARD_BYTES).read_to_string(&mut text));
    let licence = if read.is_ok() { Licence::of_card(&text) } else { Licence::default() };
    if licence.is_unknown() { Licence::of_config(config) } else { licence }
}
