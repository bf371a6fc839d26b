//! Tokenizers of folders that have only SentencePiece's own file, `tokenizer.model`. Its pieces become a `tokenizer.json`, as
//! those of a GGUF header do, together with what the files beside it add.
//!
//! The meaning is SentencePiece's (`normalizer.cc`, `bpe_model.cc`, `unigram_model.cc`), and transformers' where the files
//! beside it speak: which tokens are added (`added_tokens_decoder`, `added_tokens.json`), what surrounds a text
//! (`add_bos_token`, `add_eos_token`), and whether text behind a special token begins as if behind a space (`legacy`).

mod added;
mod proto;

use std::collections::HashMap;

use neuro_checkpoint::HeaderTokenizer;
use serde_json::{Map, Value};

use self::added::Added;
use self::proto::{Kind, Model};
use crate::charsmap;
use crate::files::TextFiles;
use crate::header::{self, Prefix, Spelling};

/// Kinds of pieces that matter here.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const UNUSED: i64 = 5;

/// What lies beside `tokenizer.model`, parsed.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// `tokenizer_config.json`.
    pub(crate) config: Map<String, Value>,
    /// `special_tokens_map.json`.
    pub(crate) special_tokens_map: Map<String, Value>,
    /// `added_tokens.json`.
    pub(crate) added_tokens: Map<String, Value>,
}

impl Beside {
    fn flag(&self, key: &str) -> Option<bool> {
        self.config.get(key).and_then(Value::as_bool)
    }

    /// The spelling of a token with a role, such as `bos_token`.
    fn named(&self, key: &str) -> Option<&str> {
        // The order of `special.rs`: without `added_tokens_decoder` the map goes first.
        let map = self.special_tokens_map.get(key).filter(|_| !self.config.contains_key("added_tokens_decoder"));
        content(map.or_else(|| self.config.get(key))?)
    }
}

/// A token's text, from a string or from its JSON object.
fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// `tokenizer.json` and `tokenizer_config.json` that mean the same as `tokenizer.model` with what lies beside it; the error
/// is a message.
pub(crate) fn convert(bytes: &[u8], beside: &Beside) -> Result<TextFiles, String> {
    if is_ranks(bytes) {
        return Err("it holds tiktoken's ranks, not SentencePiece's pieces; convert it with transformers: \
                    AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) writes a tokenizer.json"
            .to_owned());
    }
    let model = Model::read(bytes)?;
    if !model.charsmap.is_empty() {
        // Here the file can be named that has it.
        charsmap::longest(model.charsmap)?;
    }
    let unused = model.pieces.iter().filter(|piece| piece.kind == UNUSED).count();
    if unused > 0 {
        return Err(format!("{unused} of its pieces are marked as unused, which is not read"));
    }
    let unknown: Vec<usize> = (0..model.pieces.len()).filter(|id| model.pieces[*id].kind == UNKNOWN).collect();
    let [unknown] = unknown[..] else {
        return Err(format!("{} of its pieces are the unknown one, expected 1", unknown.len()));
    };
    let mut header = HeaderTokenizer {
        model: "llama".to_owned(),
        tokens: model.pieces.iter().map(|piece| piece.text.clone()).collect(),
        scores: model.pieces.iter().map(|piece| piece.score).collect(),
        kinds: model.pieces.iter().map(|piece| piece.kind).collect(),
        ..HeaderTokenizer::default()
    };
    for Added { id, content, is_special } in added::tokens(beside, header.tokens.len())? {
        let kind = if is_special { CONTROL } else { USER_DEFINED };
        if id < header.tokens.len() {
            // The unknown piece stays what it is, whatever it is called.
            if header.kinds[id] != UNKNOWN {
                header.kinds[id] = kind;
            }
            header.tokens[id] = content;
        } else {
            header.tokens.push(content);
            header.scores.push(0.0);
            header.kinds.push(kind);
        }
    }
    let mut ids: HashMap<&str, usize> = HashMap::new();
    for (id, token) in header.tokens.iter().enumerate() {
        if let Some(other) = ids.insert(token, id) {
            let shown: String = token.chars().take(40).collect();
            return Err(format!("{shown:?} is there twice, as {other} and as {id}"));
        }
    }
    let is_control = |id: usize| header.kinds[id] == CONTROL;
    let mut roles = std::collections::BTreeMap::from([("unk".to_owned(), unknown as u32)]);
    for (role, own) in [("bos", &model.bos), ("eos", &model.eos), ("pad", &model.pad)] {
        // As `SentencePieceProcessor::bos_id`: the piece of that name, where it is a control one.
        let own = ids.get(own.as_str()).copied().filter(|id| is_control(*id));
        let named = beside.named(&format!("{role}_token")).and_then(|token| ids.get(token)).copied();
        // A number that is no token keeps the usual ids from being taken.
        roles.insert(role.to_owned(), named.or(own).map_or(u32::MAX, |id| id as u32));
    }
    let has = |role: &str| roles[role] != u32::MAX;
    header.add_bos = Some(has("bos") && beside.flag("add_bos_token").unwrap_or(true));
    header.add_eos = Some(has("eos") && beside.flag("add_eos_token").unwrap_or(false));
    header.roles = roles;
    let prefix = match (model.add_dummy_prefix && beside.flag("add_prefix_space") != Some(false), beside.flag("legacy"))
    {
        (false, _) => Prefix::Never,
        (true, Some(false)) => Prefix::First,
        (true, _) => Prefix::Always,
    };
    let spelling = Spelling {
        prefix,
        trims: model.remove_extra_whitespaces,
        charsmap: model.charsmap,
        byte_fallback: model.byte_fallback,
        is_unigram: model.kind == Kind::Unigram,
    };
    let files = header::sentencepiece(&header, &spelling)?;
    // What the folder says about special tokens goes before what the pieces say.
    let own: Map<String, Value> =
        files.config.as_deref().and_then(|config| serde_json::from_slice(config).ok()).unwrap_or_default();
    let mut config = beside.config.clone();
    for (key, value) in own {
        config.entry(key).or_insert(value);
    }
    Ok(TextFiles { config: Some(Value::Object(config).to_string().into_bytes()), ..files })
}

/// Whether this is a file of tiktoken, as Llama 3 has it under the same name: lines of base64 and a rank.
fn is_ranks(bytes: &[u8]) -> bool {
    let line = bytes.iter().take(200).position(|byte| *byte == b'\n').map(|end| &bytes[..end]);
    let text = line.and_then(|line| std::str::from_utf8(line).ok()).and_then(|line| line.split_once(' '));
    text.is_some_and(|(token, rank)| {
        let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        !token.is_empty() && token.bytes().all(is_digit) && rank.trim_end().parse::<u32>().is_ok()
    })
}
