//! What lies beside the weights: tokenizer, template, settings for generation, licence.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::config::CONFIG_FILE;
use crate::card::Licence;
use crate::error::shorten;
use crate::staging::sync_folder;
use crate::{Result, SurgeryError, links};

/// Files that belong to a model whatever its weights are.
const NAMES: [&str; 18] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "phantom.json",
    "recipe.toml",
    "params.json",
    "spiece.model",
];
/// The same by their beginnings, in any case of letters, and endings.
const BEGINNINGS: [&str; 5] = ["LICENSE", "LICENCE", "NOTICE", "USE_POLICY", "TOKENIZER.MODEL"];
const ENDINGS: [&str; 2] = [".tiktoken", "tokenizer.model"];
/// Templates by name.
const TEMPLATES: &str = "additional_chat_templates";
/// Which shard holds what.
const INDEX_FILE: &str = "model.safetensors.index.json";
/// The model card, which the export has its own of.
const CARD: &str = "README.md";
/// As much of a model card as is looked at for its licence, which stands at its head.
const CARD_BYTES: u64 = 1 << 20;
/// Names that a remark lists.
const MOST_NAMES: usize = 8;

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) licence: Licence,
    pub(super) notes: Vec<String>,
    /// Files and folders that stay behind and are not written anew.
    left_out: Vec<String>,
}

/// A model's folder, and what else decides which of its files an export needs.
pub(super) struct Model<'a> {
    pub(super) folder: &'a Path,
    /// Its `config.json`.
    pub(super) config: &'a Map<String, Value>,
    /// The files of its weights.
    pub(super) weights: Vec<&'a Path>,
    /// Whether programs read the model only with code that lies beside it.
    pub(super) with_code: bool,
}

/// Copies the files that an export needs.
pub(super) fn copy(model: &Model<'_>, to: &Path) -> Result<Copied> {
    let Model { folder: from, config, with_code, .. } = *model;
    let mut copied = Copied::default();
    copied.find_licence(from, config);
    let listed = fs::read_dir(from).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = listed.map_err(SurgeryError::io("list", from))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let (place, is_code) = (entry.path(), name.ends_with(".py"));
        if name == TEMPLATES && place.is_dir() {
            copied.templates(from, &place, &to.join(name))?;
        } else if (is_wanted(name) || (is_code && with_code)) && place.is_file() {
            copied.file(from, &place, &to.join(name))?;
        } else if is_code {
            copied.notes.push(format!(
                "{name}: code of the model is not copied, nor named in config.json; transformers knows the architecture without"
            ));
        } else if !model.writes_anew(name) && !name.starts_with('.') {
            copied.left_out.push(if place.is_dir() { format!("{}/", shorten(name)) } else { shorten(name) });
        }
    }
    Ok(copied)
}

fn is_wanted(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    NAMES.contains(&name)
        || BEGINNINGS.iter().any(|beginning| upper.starts_with(beginning))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

impl Model<'_> {
    /// Weights, their index, the config and the card.
    fn writes_anew(&self, name: &str) -> bool {
        [CONFIG_FILE, INDEX_FILE, CARD].contains(&name)
            || self.weights.iter().any(|file| file.file_name().is_some_and(|file| file == name))
    }
}

impl Copied {
    /// What the user should know beyond what the card says.
    pub(super) fn behind(&self) -> Option<String> {
        let (first, rest) = self.left_out.split_at(self.left_out.len().min(MOST_NAMES));
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        let names = first.join(", ");
        (!first.is_empty())
            .then(|| format!("left out of the export: {names}{more}; copy what else belongs to the model"))
    }

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

    /// Returns when it is on the disk.
    fn file(&mut self, model: &Path, from: &Path, to: &Path) -> Result<()> {
        let Some(source) = links::own(model, from) else {
            let name = from.strip_prefix(model).unwrap_or(from).display();
            self.notes.push(format!("{name}: is not copied, because {}", links::OUTSIDE));
            return Ok(());
        };
        let mut input = fs::File::open(&source).map_err(SurgeryError::io("open", from))?;
        let copied = fs::File::create_new(to).and_then(|mut output| {
            io::copy(&mut input, &mut output)?;
            output.sync_all()
        });
        copied.map_err(SurgeryError::io("copy", from))
    }

    /// The licence that the source's model card names in its head, or else its config.
    fn find_licence(&mut self, folder: &Path, config: &Map<String, Value>) {
        let card = folder.join(CARD);
        if let Some(own) = links::own(folder, &card) {
            let mut bytes = Vec::new();
            let read = fs::File::open(own).and_then(|file| file.take(CARD_BYTES).read_to_end(&mut bytes));
            if read.is_ok() {
                // The end may be in the middle of a letter.
                self.licence = Licence::of_card(&String::from_utf8_lossy(&bytes));
            }
        } else if card.is_file() {
            self.notes.push(format!("{CARD}: is not read for the licence, because {}", links::OUTSIDE));
        }
        if self.licence.is_unknown() {
            self.licence = Licence::of_config(config);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_of_any_length_and_encoding_names_its_licence() {
        let (from, config) = (tempfile::tempdir().unwrap(), Map::new());
        let mut card = b"---\nlicense: mit\n---\n".to_vec();
        // Cut within a letter of two bytes.
        card.resize(CARD_BYTES as usize - 1, b'x');
        card.extend("é".as_bytes());
        fs::write(from.path().join(CARD), &card).unwrap();
        let model = Model { folder: from.path(), config: &config, weights: Vec::new(), with_code: false };
        let copied = copy(&model, tempfile::tempdir().unwrap().path()).unwrap();
        assert!(!copied.licence.is_unknown());
        assert_eq!(copied.behind(), None);
    }

    #[test]
    fn what_stays_behind_is_named() {
        let (from, to, config) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Map::new());
        for name in ["config.json", "a.safetensors", "model.safetensors.index.json", ".gitattributes", "modeling.py"] {
            fs::write(from.path().join(name), "x").unwrap();
        }
        for name in ["tekken.json", "License.txt", "USE_POLICY.md", "tokenizer.model.v3"] {
            fs::write(from.path().join(name), name).unwrap();
        }
        fs::create_dir(from.path().join("original")).unwrap();
        for number in 0..9 {
            fs::write(from.path().join(format!("image{number}.png")), "x").unwrap();
        }
        let weights = [from.path().join("a.safetensors")];
        let weights = weights.iter().map(std::path::PathBuf::as_path).collect();
        let model = Model { folder: from.path(), config: &config, weights, with_code: false };
        let copied = copy(&model, to.path()).unwrap();
        let mut names: Vec<_> = to.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["License.txt", "USE_POLICY.md", "tekken.json", "tokenizer.model.v3"]);
        let behind = copied.behind().unwrap();
        assert!(behind.contains("image0.png") && behind.contains("image7.png and 2 more"), "{behind}");
        assert!(copied.notes.iter().any(|note| note.starts_with("modeling.py: code")), "{:?}", copied.notes);

        let to = tempfile::tempdir().unwrap();
        copy(&Model { with_code: true, ..model }, to.path()).unwrap();
        assert!(to.path().join("modeling.py").is_file());
    }
}
