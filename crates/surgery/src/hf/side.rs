//! What lies beside the weights: tokenizer, template, settings for generation, licence.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value};

use crate::card::Licence;
use crate::staging::sync_folder;
use crate::{Result, SurgeryError, links};

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
            copied.file(from, &entry.path(), &to.join(name))?;
        } else if name == TEMPLATES && entry.path().is_dir() {
            copied.templates(from, &entry.path(), &to.join(name))?;
        } else if name.ends_with(".py") {
            copied.notes.push(format!("{name}: code of the model is not copied; the architecture is known without it"));
        }
    }
    Ok(copied)
}

impl Copied {
    /// `model` is the folder of the model.
    fn templates(&mut self, model: &Path, from: &Path, to: &Path) -> Result<()> {
        fs::create_dir(to).map_err(SurgeryError::io("create", to))?;
        for entry in fs::read_dir(from).map_err(SurgeryError::io("list", from))?.flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "jinja") && entry.path().is_file() {
                self.file(model, &entry.path(), &to.join(entry.file_name()))?;
            }
        }
        sync_folder(to);
        Ok(())
    }

    /// Returns when it is on the disk, as [`super::write::text`].
    fn file(&mut self, model: &Path, from: &Path, to: &Path) -> Result<()> {
        let Some(source) = links::own(model, from) else {
            let name = from.strip_prefix(model).unwrap_or(from).display();
            self.notes.push(format!(
                "{name}: is not copied, because it is a link that leads out of the model's folder; put the file itself there \
                 if it belongs to the model"
            ));
            return Ok(());
        };
        let mut input = fs::File::open(&source).map_err(SurgeryError::io("open", from))?;
        let copied = fs::File::create_new(to).and_then(|mut output| {
            io::copy(&mut input, &mut output)?;
            output.sync_all()
        });
        copied.map_err(SurgeryError::io("copy", from))
    }
}

/// The licence that the source's model card names in its head, or else its config.
fn licence(folder: &Path, config: &Map<String, Value>) -> Licence {
    let mut text = String::new();
    let read = fs::File::open(links::own(folder, &folder.join("README.md")).unwrap_or_default())
        .and_then(|file| file.take(CARD_BYTES).read_to_string(&mut text));
    let licence = if read.is_ok() { Licence::of_card(&text) } else { Licence::default() };
    if licence.is_unknown() { Licence::of_config(config) } else { licence }
}
