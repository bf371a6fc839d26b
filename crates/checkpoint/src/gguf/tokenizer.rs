//! The tokenizer that a GGUF header holds, as plain data.

use std::collections::BTreeMap;

use super::keys::Keys;
use super::value::Value;
use crate::error::CheckpointError;

/// A tokenizer as a GGUF header describes it. What it means is the text room's to say; here only types and lengths are
/// certain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderTokenizer {
    /// The kind, for example `llama` (SentencePiece) or `gpt2` (byte-level BPE).
    pub model: String,
    /// How text is split before merging: `default`, `llama-bpe`, `qwen2`, ….
    pub pre: Option<String>,
    /// The architecture that the file is for.
    pub architecture: Option<String>,
    /// Every token, by id.
    pub tokens: Vec<String>,
    /// Their scores; as many as tokens, or none.
    pub scores: Vec<f32>,
    /// Their kinds (1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte); as many as tokens, or none.
    pub kinds: Vec<i64>,
    /// Merges in the order in which they are tried, each two tokens with a space between.
    pub merges: Vec<String>,
    /// Ids of tokens with a role, for example `bos`, `eos`, `unknown`, `padding`; all are in the vocabulary.
    pub roles: BTreeMap<String, u32>,
    /// Whether a text begins with the `bos` token.
    pub add_bos: Option<bool>,
    /// Whether a text ends with the `eos` token.
    pub add_eos: Option<bool>,
    /// Whether a text begins as if behind a space.
    pub add_space_prefix: Option<bool>,
    /// Chat templates by name; `default` is the main one.
    pub templates: BTreeMap<String, String>,
}

/// Names of roles as keys and as they are called here.
const ROLES: [(&str, &str); 8] = [
    ("bos_token_id", "bos"),
    ("eos_token_id", "eos"),
    ("eot_token_id", "eot"),
    ("eom_token_id", "eom"),
    ("unknown_token_id", "unk"),
    ("padding_token_id", "pad"),
    ("seperator_token_id", "sep"),
    ("mask_token_id", "mask"),
];

/// Tokens that end a turn in some model, by what llama.cpp goes by where a header does not name them (`llama-vocab.cpp`,
/// `special_eog_ids`).
const ENDS: [&str; 10] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<|eot|>",
];

const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

impl HeaderTokenizer {
    /// `None` where the file has none.
    pub(super) fn read(keys: Keys<'_>) -> Result<Option<Self>, CheckpointError> {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        let Some(model) = keys.text(&key("model"))?.filter(|model| !matches!(*model, "none" | "no_vocab")) else {
            return Ok(None);
        };
        let Some(tokens) = keys.texts(&key("tokens"))? else {
            return Err(keys.refuse(&key("tokens"), "is missing beside `tokenizer.ggml.model`; the file is incomplete"));
        };
        let scores = keys.numbers(&key("scores"), "numbers", |value| match value {
            Value::Float(number) if number.is_finite() => Some(*number as f32),
            Value::Integer(number) => Some(*number as f32),
            _ => None,
        })?;
        let kinds = keys.numbers(&key("token_type"), "whole numbers", |value| match value {
            Value::Integer(number) => i64::try_from(*number).ok(),
            _ => None,
        })?;
        let (scores, kinds) = (scores.unwrap_or_default(), kinds.unwrap_or_default());
        for (name, found) in [("scores", scores.len()), ("token_type", kinds.len())] {
            if found != 0 && found != tokens.len() {
                let problem = format!("has {found} items, expected {}, one per token", tokens.len());
                return Err(keys.refuse(&key(name), problem));
            }
        }
        let mut roles = BTreeMap::new();
        for (name, role) in ROLES {
            // Real files write 4294967295 for "none".
            let id = keys.count(&key(name))?.and_then(|id| u32::try_from(id).ok());
            if let Some(id) = id.filter(|&id| (id as usize) < tokens.len()) {
                roles.insert(role.to_owned(), id);
            }
        }
        let mut templates = BTreeMap::new();
        for name in keys.names() {
            let Some(rest) = name.strip_prefix("tokenizer.chat_template") else { continue };
            let named = if rest.is_empty() { Some("default") } else { rest.strip_prefix('.') };
            if let (Some(named), Some(Value::Text(template))) = (named, keys.value(name)) {
                templates.insert(named.to_owned(), template.clone());
            }
        }
        Ok(Some(Self {
            model: model.to_owned(),
            pre: keys.text(&key("pre"))?.map(ToOwned::to_owned),
            architecture: keys.text("general.architecture")?.map(ToOwned::to_owned),
            tokens: tokens.to_vec(),
            scores,
            kinds,
            merges: keys.texts(&key("merges"))?.unwrap_or_default().to_vec(),
            roles,
            add_bos: keys.flag(&key("add_bos_token"))?,
            add_eos: keys.flag(&key("add_eos_token"))?,
            add_space_prefix: keys.flag(&key("add_space_prefix"))?,
            templates,
        }))
    }
}

/// Ids of tokens that end an answer: those that the header names, and special ones with a name that ends turns elsewhere.
pub(super) fn end_tokens(keys: Keys<'_>) -> Result<Vec<u64>, CheckpointError> {
    let mut ends = Vec::new();
    for name in ["eos_token_id", "eot_token_id", "eom_token_id"] {
        ends.extend(keys.count(&format!("tokenizer.ggml.{name}"))?);
    }
    if let Some(tokenizer) = HeaderTokenizer::read(keys)? {
        let special = |id: usize| matches!(tokenizer.kinds.get(id), Some(&(CONTROL | USER_DEFINED)));
        let by_name =
            tokenizer.tokens.iter().enumerate().filter(|(id, token)| special(*id) && ENDS.contains(&token.as_str()));
        ends.extend(by_name.map(|(id, _)| id as u64));
    }
    Ok(ends)
}
