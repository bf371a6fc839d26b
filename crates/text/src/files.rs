//! The files of a tokenizer, read from a folder with bounds on their sizes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::TextError;
use crate::sentencepiece::{self, Beside};

/// The largest `tokenizer.json` known has 40 MB.
const TOKENIZER_LIMIT: u64 = 512 << 20;
/// The largest `tokenizer.model` known has 5 MB.
const PIECES_LIMIT: u64 = 64 << 20;
/// The largest `tokenizer_config.json` known has 3 MB.
const CONFIG_LIMIT: u64 = 64 << 20;
/// Real chat templates have at most some 40 kB; `template::SOURCE_LIMIT` then says so in its own words.
const TEMPLATE_LIMIT: u64 = 4 << 20;
/// More template files than that are not looked at.
const MAX_EXTRA_TEMPLATES: usize = 64;

/// The contents of a tokenizer's files, so that a tokenizer can also live inside a program.
#[derive(Clone, Debug, Default)]
pub struct TextFiles {
    /// `tokenizer.json`, or what a `tokenizer.model` becomes.
    pub tokenizer: Vec<u8>,
    /// `tokenizer_config.json`.
    pub config: Option<Vec<u8>>,
    /// `special_tokens_map.json`, read only where the config has no `added_tokens_decoder`, as transformers does.
    pub special_tokens_map: Option<Vec<u8>>,
    /// Template files by name: `default` is `chat_template.jinja`, the others lie in `additional_chat_templates/`.
    /// Where there is one, the config's own `chat_template` is ignored.
    pub templates: BTreeMap<String, String>,
}

impl TextFiles {
    /// Reads a folder's files; `None` where the folder has no tokenizer of any kind. A `tokenizer.json` goes before
    /// SentencePiece's `tokenizer.model`, which is converted.
    pub fn read(dir: &Path) -> Result<Option<Self>, TextError> {
        let Some(tokenizer) = read(&dir.join("tokenizer.json"), TOKENIZER_LIMIT)? else {
            if let Some(pieces) = read(&dir.join("tokenizer.model"), PIECES_LIMIT)? {
                return Self::of_pieces(dir, &pieces).map(Some);
            }
            if dir.join("vocab.json").is_file() {
                return Err(TextError::VocabularyOnly { dir: dir.to_path_buf() });
            }
            return Ok(None);
        };
        Ok(Some(Self {
            tokenizer,
            config: read(&dir.join("tokenizer_config.json"), CONFIG_LIMIT)?,
            special_tokens_map: read(&dir.join("special_tokens_map.json"), CONFIG_LIMIT)?,
            templates: read_templates(dir)?,
        }))
    }
}

impl TextFiles {
    /// What SentencePiece's `tokenizer.model` becomes, together with files beside it, by their names: of them,
    /// `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` matter. `file` is what errors name.
    ///
    /// # Errors
    ///
    /// When the model is none, or has a part that is not read; when a file beside it is no JSON object.
    pub fn from_sentencepiece(model: &[u8], beside: &BTreeMap<String, Vec<u8>>, file: &str) -> Result<Self, TextError> {
        let object = |name: &str| -> Result<Map<String, Value>, TextError> {
            let Some(bytes) = beside.get(name) else { return Ok(Map::new()) };
            serde_json::from_slice(bytes).map_err(|error| TextError::Invalid {
                file: Path::new(file).with_file_name(name).display().to_string(),
                reason: error.to_string(),
            })
        };
        let parsed = Beside {
            config: object("tokenizer_config.json")?,
            special_tokens_map: object("special_tokens_map.json")?,
            added_tokens: object("added_tokens.json")?,
        };
        let invalid = |reason| TextError::Invalid { file: file.to_owned(), reason };
        let files = sentencepiece::convert(model, &parsed).map_err(invalid)?;
        Ok(Self { special_tokens_map: beside.get("special_tokens_map.json").cloned(), ..files })
    }

    /// The files of a folder with `tokenizer.model`.
    fn of_pieces(dir: &Path, pieces: &[u8]) -> Result<Self, TextError> {
        let mut beside = BTreeMap::new();
        for name in ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"] {
            if let Some(bytes) = read(&dir.join(name), CONFIG_LIMIT)? {
                beside.insert(name.to_owned(), bytes);
            }
        }
        let file = dir.join("tokenizer.model").display().to_string();
        let files = Self::from_sentencepiece(pieces, &beside, &file)?;
        Ok(Self { templates: read_templates(dir)?, ..files })
    }
}

fn read_templates(dir: &Path) -> Result<BTreeMap<String, String>, TextError> {
    let mut templates = BTreeMap::new();
    let single = dir.join("chat_template.jinja");
    if let Some(bytes) = read(&single, TEMPLATE_LIMIT)? {
        templates.insert("default".to_string(), utf8(bytes, &single)?);
    }
    let extra = dir.join("additional_chat_templates");
    let entries = match fs::read_dir(&extra) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(templates),
        Err(source) => return Err(TextError::Read { path: extra, source }),
    };
    for entry in entries.take(MAX_EXTRA_TEMPLATES) {
        let path = entry.map_err(|source| TextError::Read { path: extra.clone(), source })?.path();
        if path.extension().is_none_or(|extension| extension != "jinja") {
            continue;
        }
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_string) else {
            continue;
        };
        if let Some(bytes) = read(&path, TEMPLATE_LIMIT)? {
            templates.insert(name, utf8(bytes, &path)?);
        }
    }
    Ok(templates)
}

fn utf8(bytes: Vec<u8>, path: &Path) -> Result<String, TextError> {
    String::from_utf8(bytes)
        .map_err(|error| TextError::Invalid { file: path.display().to_string(), reason: error.to_string() })
}

/// The bytes of a file; `None` where it does not exist.
fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, TextError> {
    let failed = |source| TextError::Read { path: path.to_path_buf(), source };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    // A device may never end, and a pipe may never begin.
    if !metadata.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
    }
    let bytes = metadata.len();
    let mut content = Vec::new();
    // The limit also holds where the file grows meanwhile.
    let file = File::open(path).map_err(failed)?;
    file.take(limit + 1).read_to_end(&mut content).map_err(failed)?;
    let bytes = bytes.max(content.len() as u64);
    if bytes > limit {
        return Err(TextError::TooLarge { path: path.to_path_buf(), bytes, limit });
    }
    Ok(Some(content))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// SHA-256 in lowercase hexadecimal digits, as `sha256sum` prints it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_sha256sum() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
