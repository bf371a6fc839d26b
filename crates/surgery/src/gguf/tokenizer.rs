//! A folder's tokenizer in the words of a GGUF head.
//!
//! Two kinds have counterparts: byte-level BPE (`gpt2`), whose way to split is known by name, and BPE over whole texts with
//! bytes to fall back on (`llama`), whose merges become scores. What is written is read back and must encode a text the
//! same way; a tokenizer of which that is not true is left out, and the file then says so.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use neuro_checkpoint::HeaderTokenizer;
use neuro_text::{Text, split_name};
use serde_json::Value;

use super::GgufExport;
use super::meta::Meta;
use crate::{Result, SurgeryError};

/// The largest `tokenizer.json` known has 40 MB.
const LARGEST: u64 = 256 << 20;
/// Largest chat template that is taken over.
const LARGEST_TEMPLATE: u64 = 4 << 20;

/// Kinds of tokens (`enum llama_token_type`).
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// On these the head must encode as the folder does.
const SAMPLES: [&str; 4] = [
    "The quick brown fox jumps over the lazy dog.",
    " In 1969,  two people   walked on the Moon; 12 × 12 = 144.\n\n\tIt's DONE, isn't it?",
    "Grüße aus Köln, 你好，世界! 🙂",
    "",
];

/// A tokenizer as tables.
struct Tables {
    model: &'static str,
    pre: &'static str,
    tokens: Vec<String>,
    kinds: Vec<i32>,
    /// Of the kind `llama`.
    scores: Vec<f32>,
    /// Of the kind `gpt2`.
    merges: Vec<String>,
    roles: BTreeMap<String, u32>,
    add_bos: bool,
    add_space_prefix: bool,
    template: Option<String>,
}

/// Writes the tokenizer, or why there is none.
pub(super) fn write(meta: &mut Meta, export: &GgufExport<'_>, notes: &mut Vec<String>) -> Result<()> {
    let mut left_out = |meta: &mut Meta, reason: &str| {
        meta.text("tokenizer.ggml.model", "none");
        notes.push(format!("the file has no tokenizer: {reason}"));
    };
    let Some(text) = export.text else {
        left_out(meta, "the model has none that is read here");
        return Ok(());
    };
    match read(export, text)? {
        Err(reason) => left_out(meta, &reason),
        Ok(tables) => match differs(&tables, text) {
            Some(reason) => left_out(meta, &reason),
            None => {
                tables.write(meta);
                notes.extend(outside(&export.checkpoint.dir).filter(|_| tables.template.is_none()));
            }
        },
    }
    Ok(())
}

/// The tables of a folder's tokenizer; the inner error says why GGUF has no words for it.
fn read(export: &GgufExport<'_>, text: &Text) -> Result<Result<Tables, String>> {
    let folder = &export.checkpoint.dir;
    let file = folder.join("tokenizer.json");
    let mut bytes = Vec::new();
    File::open(&file)
        .and_then(|open| open.take(LARGEST).read_to_end(&mut bytes))
        .map_err(SurgeryError::io("read", &file))?;
    let Ok(json) = serde_json::from_slice::<Value>(&bytes) else {
        return Err(SurgeryError::place(&file, "is no JSON"));
    };
    let config = &export.checkpoint.config;
    Ok(tables(&json, config.vocab_size).map(|mut tables| {
        let eos = export.checkpoint.generation.eos_token_ids.first().or(config.eos_token_ids.first()).copied();
        for (role, id) in [
            ("bos", text.bos_token().map(|(_, id)| id).or(config.bos_token_id)),
            ("eos", text.eos_token().map(|(_, id)| id).or(eos)),
        ] {
            tables.roles.extend(id.map(|id| (role.to_owned(), id)));
        }
        let bos = tables.roles.get("bos");
        tables.add_bos = text.encode("a", true).is_ok_and(|ids| ids.len() > 1 && ids.first() == bos);
        tables.template = template(folder);
        tables
    }))
}

fn tables(json: &Value, vocab_size: usize) -> Result<Tables, String> {
    let model = json.get("model").unwrap_or(&Value::Null);
    if model.get("type").and_then(Value::as_str) != Some("BPE") {
        let found = model.get("type").and_then(Value::as_str).unwrap_or("of no type");
        return Err(format!("tokenizer.json holds a {found} model, and GGUF has tables for BPE"));
    }
    let mut tokens: Vec<Option<String>> = vec![None; vocab_size];
    let mut kinds = vec![UNUSED; vocab_size];
    let mut put = |token: &str, id: Option<u64>, kind: i32| {
        let place = id.and_then(|id| usize::try_from(id).ok()).filter(|&id| id < vocab_size);
        let place = place.ok_or_else(|| format!("token {token:?} lies beyond the model's {vocab_size}"))?;
        tokens[place] = Some(token.to_owned());
        kinds[place] = kind;
        Ok::<(), String>(())
    };
    let falls_back = model.get("byte_fallback").and_then(Value::as_bool).unwrap_or(false);
    let vocabulary = model.get("vocab").and_then(Value::as_object).ok_or("tokenizer.json has no vocabulary")?;
    for (token, id) in vocabulary {
        put(token, id.as_u64(), if falls_back && is_byte(token) { BYTE } else { NORMAL })?;
    }
    let unknown = model.get("unk_token").and_then(Value::as_str);
    for added in json.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
        let Some(content) = added.get("content").and_then(Value::as_str) else { continue };
        let special = added.get("special").and_then(Value::as_bool).unwrap_or(false);
        let kind = match (special, Some(content) == unknown) {
            (_, true) => UNKNOWN,
            (true, _) => CONTROL,
            (false, _) => USER_DEFINED,
        };
        put(content, added.get("id").and_then(Value::as_u64), kind)?;
    }
    let merges = merges(model)?;
    let mut roles = BTreeMap::new();
    if let Some(id) = unknown.and_then(|token| vocabulary.get(token)).and_then(Value::as_u64) {
        roles.insert("unk".to_owned(), u32::try_from(id).unwrap_or(0));
    }
    let named = |(id, token): (usize, Option<String>)| token.unwrap_or_else(|| format!("[PAD{id}]"));
    let tokens: Vec<String> = tokens.into_iter().enumerate().map(named).collect();
    let common = Tables {
        model: "gpt2",
        pre: "default",
        scores: Vec::new(),
        merges: Vec::new(),
        roles,
        add_bos: false,
        add_space_prefix: false,
        template: None,
        kinds,
        tokens,
    };
    if falls_back && json.get("pre_tokenizer").is_none_or(Value::is_null) {
        let mut ranks: BTreeMap<String, usize> = BTreeMap::new();
        for (rank, (left, right)) in merges.iter().enumerate() {
            ranks.entry(format!("{left}{right}")).or_insert(rank);
        }
        // Earlier merges first; what no merge makes comes last.
        let score = |token: &String| -(ranks.get(token).copied().unwrap_or(merges.len()) as f32);
        let scores = common.tokens.iter().map(score).collect();
        let add_space_prefix =
            json.get("normalizer").is_some_and(|normalizer| normalizer.to_string().contains("Prepend"));
        return Ok(Tables { model: "llama", scores, add_space_prefix, ..common });
    }
    let pre = split_name(json).ok_or("its way to split text has no name in llama.cpp that is known here")?;
    // A space within a token would look like the one between two.
    if merges.iter().any(|(left, right)| left.contains(' ') || right.contains(' ')) {
        return Err("its merges hold spaces".to_owned());
    }
    let merges = merges.into_iter().map(|(left, right)| format!("{left} {right}")).collect();
    Ok(Tables { pre, merges, ..common })
}

/// Merges as pairs or as texts with a space between.
fn merges(model: &Value) -> Result<Vec<(&str, &str)>, String> {
    let merges = model.get("merges").and_then(Value::as_array).ok_or("tokenizer.json has no merges")?;
    merges.iter().map(|merge| pair(merge).ok_or_else(|| "a merge is no pair".to_owned())).collect()
}

fn pair(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(text) => text.split_once(' '),
        Value::Array(pair) => match pair.as_slice() {
            [left, right] => left.as_str().zip(right.as_str()),
            _ => None,
        },
        _ => None,
    }
}

/// `<0x0A>`.
fn is_byte(token: &str) -> bool {
    let digits = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// Files in which a chat template lies.
const TEMPLATES: [&str; 2] = ["chat_template.jinja", "tokenizer_config.json"];

/// Why the template of a folder is not taken, where that is because it lies elsewhere.
fn outside(folder: &Path) -> Option<String> {
    let is_outside = |name: &&str| {
        let file = folder.join(name);
        file.is_file() && crate::links::own(folder, &file).is_none()
    };
    let name = TEMPLATES.into_iter().find(is_outside)?;
    Some(format!("{name}: no chat template is taken from it, because {}", crate::links::OUTSIDE))
}

/// The chat template of a folder, in a file of its own or in the tokenizer's settings.
fn template(folder: &Path) -> Option<String> {
    let read = |name: &str| {
        // What is written into the export as it is must be the model's.
        let file = crate::links::own(folder, &folder.join(name))?;
        let small = fs::metadata(&file).is_ok_and(|found| found.is_file() && found.len() <= LARGEST_TEMPLATE);
        if small { fs::read_to_string(&file).ok() } else { None }
    };
    let [own, settings] = TEMPLATES;
    read(own).or_else(|| {
        let config: Value = serde_json::from_str(&read(settings)?).ok()?;
        config.get("chat_template")?.as_str().map(ToOwned::to_owned)
    })
}

/// Why the tables are not the tokenizer, as far as samples show.
fn differs(tables: &Tables, text: &Text) -> Option<String> {
    let read = match Text::from_header(&tables.header(), "the export") {
        Ok(read) => read,
        Err(error) => return Some(format!("its tables are refused: {error}")),
    };
    SAMPLES.iter().find_map(|sample| match (text.encode(sample, true), read.encode(sample, true)) {
        (Ok(expected), Ok(found)) if expected == found => None,
        (Err(_), Err(_)) => None,
        _ => Some(format!("written as tables it would encode {sample:?} otherwise")),
    })
}

impl Tables {
    fn header(&self) -> HeaderTokenizer {
        HeaderTokenizer {
            model: self.model.to_owned(),
            pre: Some(self.pre.to_owned()),
            tokens: self.tokens.clone(),
            scores: self.scores.clone(),
            kinds: self.kinds.iter().map(|&kind| kind.into()).collect(),
            merges: self.merges.clone(),
            roles: self.roles.clone(),
            add_bos: Some(self.add_bos),
            add_eos: Some(false),
            add_space_prefix: Some(self.add_space_prefix),
            ..HeaderTokenizer::default()
        }
    }

    fn write(&self, meta: &mut Meta) {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        meta.text(&key("model"), self.model);
        meta.text(&key("pre"), self.pre);
        meta.texts(&key("tokens"), self.tokens.iter().map(String::as_str));
        if !self.scores.is_empty() {
            meta.f32s(&key("scores"), &self.scores);
        }
        meta.i32s(&key("token_type"), &self.kinds);
        if !self.merges.is_empty() {
            meta.texts(&key("merges"), self.merges.iter().map(String::as_str));
        }
        for (role, name) in [("bos", "bos_token_id"), ("eos", "eos_token_id"), ("unk", "unknown_token_id")] {
            if let Some(id) = self.roles.get(role) {
                meta.u32(&key(name), *id);
            }
        }
        meta.flag(&key("add_bos_token"), self.add_bos);
        meta.flag(&key("add_eos_token"), false);
        if self.model == "llama" {
            meta.flag(&key("add_space_prefix"), self.add_space_prefix);
        }
        if let Some(template) = &self.template {
            meta.text("tokenizer.chat_template", template);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_template_elsewhere_is_not_taken_and_told() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("model");
        fs::create_dir(&folder).unwrap();
        assert_eq!((template(&folder), outside(&folder)), (None, None));
        fs::write(place.path().join("secret"), "{{ 'the key' }}").unwrap();
        std::os::unix::fs::symlink("../secret", folder.join(TEMPLATES[0])).unwrap();
        assert_eq!(template(&folder), None);
        let told = outside(&folder).unwrap();
        assert!(
            told.starts_with("chat_template.jinja: no chat template is taken from it, because it is a link"),
            "{told}"
        );
        fs::remove_file(folder.join(TEMPLATES[0])).unwrap();
        fs::write(folder.join(TEMPLATES[0]), "{{ messages }}").unwrap();
        assert_eq!((template(&folder).as_deref(), outside(&folder)), (Some("{{ messages }}"), None));
    }
}
