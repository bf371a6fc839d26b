//! Tokens that files beside `tokenizer.model` add to its pieces, or rename.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::{Beside, content};

/// A token with its id.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) id: usize,
    pub(super) content: String,
    /// Whether it is a mark and no text.
    pub(super) is_special: bool,
}

/// The tokens by ascending ids. Those behind the pieces, of which there are `pieces`, follow one another; the error is a
/// message.
pub(super) fn tokens(beside: &Beside, pieces: usize) -> Result<Vec<Added>, String> {
    let special = special(beside);
    let mut tokens: BTreeMap<usize, Added> = BTreeMap::new();
    for (content, id) in &beside.added_tokens {
        let id = id.as_u64().and_then(|id| usize::try_from(id).ok()).ok_or_else(|| {
            let shown: String = content.chars().take(40).collect();
            format!("`added_tokens.json` gives {shown:?} no token id")
        })?;
        tokens.insert(id, Added { id, content: content.clone(), is_special: special.contains(content.as_str()) });
    }
    // As in transformers, the newer file goes before the older one.
    if let Some(Value::Object(decoder)) = beside.config.get("added_tokens_decoder") {
        for (key, token) in decoder {
            let parsed = key.parse().ok().zip(content(token));
            let (id, content) = parsed.ok_or_else(|| {
                let shown: String = key.chars().take(40).collect();
                format!(
                    "`added_tokens_decoder` of tokenizer_config.json has {shown:?}, expected token ids with `content`"
                )
            })?;
            let flag = token.get("special").and_then(Value::as_bool).unwrap_or(false);
            let is_special = flag || special.contains(content);
            tokens.insert(id, Added { id, content: content.to_owned(), is_special });
        }
    }
    let behind = tokens.keys().filter(|id| **id >= pieces);
    for (id, expected) in behind.zip(pieces..) {
        if *id != expected {
            return Err(format!(
                "the folder adds a token with the id {id}, and none with {expected}; ids must follow one another"
            ));
        }
    }
    if let Some(empty) = tokens.values().find(|token| token.content.is_empty()) {
        return Err(format!("the folder adds an empty token, {}", empty.id));
    }
    Ok(tokens.into_values().collect())
}

/// Spellings that the folder calls special: tokens with a role, and those listed without one.
fn special(beside: &Beside) -> HashSet<&str> {
    fn of(map: &Map<String, Value>) -> impl Iterator<Item = &str> {
        map.iter().flat_map(|(key, value)| match value {
            Value::Array(list) if key.ends_with("_special_tokens") => {
                list.iter().filter_map(content).collect::<Vec<_>>()
            }
            _ if key.ends_with("_token") => content(value).into_iter().collect(),
            _ => Vec::new(),
        })
    }
    of(&beside.config).chain(of(&beside.special_tokens_map)).collect()
}
