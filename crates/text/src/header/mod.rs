//! Tokenizers from GGUF headers: the tables of the header become a `tokenizer.json`, so that text is split, merged and
//! given back by the same code as that of a model folder.
//!
//! What a header means is llama.cpp's to say (`llama-vocab.cpp`): which kinds there are, what they add to a text, and how
//! each splits it. Where the two differ on text that is not in Unicode's composed form, the model's own tokenizer goes
//! before llama.cpp (NFC for Qwen2).

mod bpe;
mod splits;
mod spm;

pub use splits::split_name;
pub(crate) use spm::{Prefix, Spelling};

use std::collections::HashMap;

use neuro_checkpoint::HeaderTokenizer;
use serde_json::{Map, Value, json};

use crate::error::TextError;
use crate::files::TextFiles;
use crate::text::Text;

/// Kinds of tokens that are not merged from text.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const BYTE: i64 = 6;

/// The kinds of tokenizers that are read, as `tokenizer.ggml.model` calls them.
const MODELS: &str = "llama, gpt2";

impl Text {
    /// The tokenizer of a GGUF header; `name` is what errors call it.
    pub fn from_header(header: &HeaderTokenizer, name: &str) -> Result<Self, TextError> {
        let invalid = |reason: String| TextError::Invalid { file: name.to_owned(), reason };
        let files = files(header).map_err(invalid)?;
        Self::from_files(&files, name)
    }
}

/// What the parts of a kind of tokenizer are in a `tokenizer.json`.
struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    model: Value,
    add_bos: bool,
}

/// The header as the files of a model folder; the error is a message.
fn files(header: &HeaderTokenizer) -> Result<TextFiles, String> {
    let vocabulary = Vocabulary::read(header)?;
    let parts = match header.model.as_str() {
        "llama" => spm::parts(header, &vocabulary)?,
        "gpt2" => bpe::parts(header, &vocabulary)?,
        other => {
            let found: String = other.chars().take(40).collect();
            return Err(format!("`tokenizer.ggml.model` is \"{found}\", which is not read; known: {MODELS}"));
        }
    };
    assembled(header, &vocabulary, parts)
}

/// SentencePiece's pieces, given as those of a header would be, as the files of a model folder; the error is a message.
pub(crate) fn sentencepiece(header: &HeaderTokenizer, spelling: &Spelling<'_>) -> Result<TextFiles, String> {
    let vocabulary = Vocabulary::read(header)?;
    let parts = spm::spelled(header, &vocabulary, spelling);
    assembled(header, &vocabulary, parts)
}

fn assembled(header: &HeaderTokenizer, vocabulary: &Vocabulary, parts: Parts) -> Result<TextFiles, String> {
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added(header, vocabulary),
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": post_processor(header, vocabulary, parts.add_bos)?,
        "decoder": parts.decoder,
        "model": parts.model,
    });
    let mut config = Map::new();
    for role in ["bos", "eos", "unk", "pad", "sep", "mask"] {
        if let Some(content) = vocabulary.role(header, role) {
            config.insert(format!("{role}_token"), content.into());
        }
    }
    Ok(TextFiles {
        tokenizer: tokenizer.to_string().into_bytes(),
        config: Some(Value::Object(config).to_string().into_bytes()),
        special_tokens_map: None,
        templates: header.templates.clone(),
    })
}

/// Every token by its spelling.
struct Vocabulary {
    /// By id; each is there once.
    tokens: Vec<String>,
    ids: HashMap<String, usize>,
}

impl Vocabulary {
    fn read(header: &HeaderTokenizer) -> Result<Self, String> {
        let mut ids = HashMap::new();
        let mut tokens = Vec::with_capacity(header.tokens.len());
        for (id, token) in header.tokens.iter().enumerate() {
            // As llama.cpp spells it.
            let token = if token.is_empty() { format!("[EMPTY_{id}]") } else { token.clone() };
            if let Some(other) = ids.insert(token.clone(), id) {
                let shown: String = token.chars().take(40).collect();
                return Err(format!("`tokenizer.ggml.tokens` has {shown:?} twice, as {other} and as {id}"));
            }
            tokens.push(token);
        }
        if tokens.is_empty() {
            return Err("`tokenizer.ggml.tokens` is empty".to_owned());
        }
        Ok(Self { tokens, ids })
    }

    fn contains(&self, token: &str) -> bool {
        self.ids.contains_key(token)
    }

    /// The spelling of the token that has a role; SentencePiece's usual ids where the header names none.
    fn role(&self, header: &HeaderTokenizer, role: &str) -> Option<&str> {
        let usual = match role {
            "unk" => Some(0),
            "bos" => Some(1),
            "eos" => Some(2),
            _ => None,
        };
        let usual = usual.filter(|_| header.model == "llama");
        let id = header.roles.get(role).copied().or(usual)?;
        self.tokens.get(id as usize).map(String::as_str)
    }

    fn json(&self) -> Value {
        self.tokens.iter().enumerate().map(|(id, token)| (token.clone(), Value::from(id))).collect::<Map<_, _>>().into()
    }
}

fn kind(header: &HeaderTokenizer, id: usize) -> i64 {
    header.kinds.get(id).copied().unwrap_or(1)
}

/// Tokens that are found in a text before anything is split or merged.
fn added(header: &HeaderTokenizer, vocabulary: &Vocabulary) -> Vec<Value> {
    // Phi-3's special tokens take the white space behind them (`llama-vocab.cpp`, `_set_token_attribute`).
    let takes_space = |token: &str| {
        header.architecture.as_deref() == Some("phi3") && !["<unk>", "<s>", "<|endoftext|>"].contains(&token)
    };
    let tokens = vocabulary.tokens.iter().enumerate();
    let special = tokens.filter(|(id, _)| matches!(kind(header, *id), UNKNOWN | CONTROL | USER_DEFINED));
    special
        .map(|(id, token)| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": takes_space(token),
                "normalized": false, "special": kind(header, id) != USER_DEFINED,
            })
        })
        .collect()
}

/// What surrounds a text.
fn post_processor(header: &HeaderTokenizer, vocabulary: &Vocabulary, add_bos: bool) -> Result<Value, String> {
    let add_bos = header.add_bos.unwrap_or(add_bos);
    let add_eos = header.add_eos.unwrap_or(false);
    let mut special = Map::new();
    let mut piece = |add: bool, role: &str| {
        if !add {
            return Ok(None);
        }
        let Some(token) = vocabulary.role(header, role) else {
            return Err(format!(
                "`tokenizer.ggml.add_{role}_token` is true, but no `{role}_token_id` of the vocabulary is set"
            ));
        };
        let id = vocabulary.ids.get(token);
        special.insert(token.to_owned(), json!({"id": token, "ids": [id], "tokens": [token]}));
        Ok(Some(json!({"SpecialToken": {"id": token, "type_id": 0}})))
    };
    let (before, after) = (piece(add_bos, "bos")?, piece(add_eos, "eos")?);
    if before.is_none() && after.is_none() {
        return Ok(Value::Null);
    }
    let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let single: Vec<_> = before.into_iter().chain([sequence("A")]).chain(after).collect();
    let pair = [single.clone(), vec![sequence("B")]].concat();
    Ok(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}))
}
