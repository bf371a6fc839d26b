//! Special tokens and the templates inside `tokenizer_config.json`, with the precedence of transformers 5.23
//! (`tokenization_utils_base.py`, `_from_pretrained`).
//!
//! `add_bos_token` and `add_eos_token` are deliberately not read: beside a `tokenizer.json` transformers drops them, and
//! the post-processor in that file alone says which tokens surround a text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use crate::error::TextError;
use crate::files::TextFiles;

/// The names that every tokenizer of transformers knows.
const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What the files beside `tokenizer.json` say.
#[derive(Debug, Default)]
pub(crate) struct Special {
    /// Named tokens (`bos_token`, …, also a model's own such as `image_token`), as a template sees them.
    pub(crate) named: BTreeMap<String, AddedToken>,
    /// Special tokens without a name.
    pub(crate) extra: Vec<AddedToken>,
    /// `added_tokens_decoder`, in the order of its ids.
    pub(crate) added: Vec<AddedToken>,
    /// Chat templates by name.
    pub(crate) templates: BTreeMap<String, String>,
}

impl Special {
    pub(crate) fn read(files: &TextFiles) -> Result<Self, TextError> {
        let mut config = object("tokenizer_config.json", files.config.as_deref())?;
        let mut special = Self::default();
        if let Some(Value::Object(decoder)) = config.get("added_tokens_decoder") {
            let mut by_id = BTreeMap::new();
            for (id, token) in decoder {
                let id: u64 = id
                    .parse()
                    .map_err(|_| invalid(&format!("key `{id}` of `added_tokens_decoder` is not a token id")))?;
                let token = added_token(token, false)
                    .ok_or_else(|| invalid(&format!("`added_tokens_decoder` has no `content` for token {id}")))?;
                by_id.insert(id, token);
            }
            special.added = by_id.into_values().collect();
        } else {
            // Older folders keep the special tokens in a file of their own, which then wins.
            for (key, value) in object("special_tokens_map.json", files.special_tokens_map.as_deref())? {
                config.insert(key, value);
            }
        }
        special.read_named(&config)?;
        special.templates = if files.templates.is_empty() { templates(&config)? } else { files.templates.clone() };
        Ok(special)
    }

    fn read_named(&mut self, config: &Map<String, Value>) -> Result<(), TextError> {
        let known = |content: &str| self.added.iter().find(|token| token.content == content).cloned();
        let mut named = BTreeMap::new();
        for (key, value) in config {
            let standard = NAMED.contains(&key.as_str());
            // A model's own names count only as plain strings: `add_bos_token` and the like are settings.
            if value.is_null() || !(standard || key.ends_with("_token") && value.is_string()) {
                continue;
            }
            let token = added_token(value, true).ok_or_else(|| {
                invalid(&format!("`{key}` is {value}, expected a string or an object with `content`"))
            })?;
            named.insert(key.clone(), known(&token.content).unwrap_or(token));
        }
        let extra = config.get("extra_special_tokens").or_else(|| config.get("additional_special_tokens"));
        match extra {
            Some(Value::Object(tokens)) => {
                named.extend(tokens.iter().filter_map(|(key, value)| Some((key.clone(), added_token(value, true)?))));
            }
            Some(Value::Array(tokens)) => {
                self.extra = tokens.iter().filter_map(|token| added_token(token, true)).collect()
            }
            _ => {}
        }
        self.named = named;
        Ok(())
    }
}

/// `chat_template`: one template, or a list of named ones.
fn templates(config: &Map<String, Value>) -> Result<BTreeMap<String, String>, TextError> {
    match config.get("chat_template") {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::String(template)) => Ok(BTreeMap::from([("default".to_string(), template.clone())])),
        Some(Value::Array(list)) => list
            .iter()
            .map(|entry| {
                let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_string);
                text("name").zip(text("template")).ok_or_else(|| {
                    invalid(
                        "an entry of the list `chat_template` lacks its `name` or its `template`, expected two strings",
                    )
                })
            })
            .collect(),
        Some(_) => Err(invalid("`chat_template` is neither a string nor a list of named templates")),
    }
}

/// An `AddedToken` from a string or from its JSON object.
fn added_token(value: &Value, special: bool) -> Option<AddedToken> {
    if let Some(content) = value.as_str() {
        return Some(AddedToken::from(content, special));
    }
    let flag = |key: &str, otherwise: bool| value.get(key).and_then(Value::as_bool).unwrap_or(otherwise);
    let special = special || flag("special", false);
    let mut token = AddedToken::from(value.get("content")?.as_str()?, special);
    token.single_word = flag("single_word", false);
    token.lstrip = flag("lstrip", false);
    token.rstrip = flag("rstrip", false);
    token.normalized = flag("normalized", !special);
    Some(token)
}

fn object(file: &str, bytes: Option<&[u8]>) -> Result<Map<String, Value>, TextError> {
    let Some(bytes) = bytes else { return Ok(Map::new()) };
    serde_json::from_slice(bytes).map_err(|error| TextError::Invalid { file: file.into(), reason: error.to_string() })
}

fn invalid(reason: &str) -> TextError {
    TextError::Invalid { file: "tokenizer_config.json".into(), reason: reason.into() }
}
