//! How far a tokenizer's replacements can blow a text up. A chain of forty that write two letters for one is a kilobyte of
//! JSON and turns one letter into a terabyte.

use serde_json::Value;

use crate::charsmap;

/// Bytes that may become of one. Real tokenizers write three for a space, and some do so twice.
const MOST: f64 = 65_536.0;

/// What is wrong with a `tokenizer.json` whose replacements, one behind the other, may write too much, or whose compiled
/// ones are not what they claim.
pub(crate) fn excess(tokenizer: &Value) -> Option<String> {
    ["normalizer", "pre_tokenizer", "decoder"].into_iter().find_map(|part| {
        let value = tokenizer.get(part)?;
        if let Some(problem) = flaw(value) {
            return Some(problem);
        }
        let growth = growth(value);
        (growth > MOST).then(|| {
            format!("the replacements of its {part} can make {growth:.1e} bytes of one, expected at most {MOST}; it is hostile")
        })
    })
}

/// The key under which compiled replacements stand.
const CHARSMAP: &str = "precompiled_charsmap";

/// What is wrong with compiled replacements anywhere in a part.
fn flaw(part: &Value) -> Option<String> {
    match part {
        Value::Array(parts) => parts.iter().find_map(flaw),
        Value::Object(fields) => {
            let own = fields.get(CHARSMAP).and_then(Value::as_str);
            own.and_then(|text| charsmap::longest_of_text(text).err()).or_else(|| fields.values().find_map(flaw))
        }
        _ => None,
    }
}

/// An upper bound of the bytes that become of one, for a part and all within it.
fn growth(part: &Value) -> f64 {
    match part {
        // Of parts behind one another each works on what came out of those before.
        Value::Array(parts) => parts.iter().map(growth).product(),
        Value::Object(fields) => {
            let length = |key: &str| fields.get(key).and_then(Value::as_str).map_or(0.0, |text| text.len() as f64);
            let written = length("content") + length("prepend") + length("replacement");
            let own = match fields.get("pattern").and_then(|pattern| pattern.get("String")?.as_str()) {
                Some(replaced) if !replaced.is_empty() => (written / replaced.len() as f64).max(1.0),
                // Once for each byte, and once more where nothing stands.
                _ => 1.0 + written,
            };
            // A character, which may be a single byte, becomes one of the compiled texts.
            let compiled = fields.get(CHARSMAP).and_then(Value::as_str).map(charsmap::longest_of_text);
            let own = own * compiled.and_then(Result::ok).map_or(1.0, |longest| longest.max(1) as f64);
            own * fields.values().filter(|value| value.is_array() || value.is_object()).map(growth).product::<f64>()
        }
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replace(content: &str) -> Value {
        json!({"type": "Replace", "pattern": {"String": " "}, "content": content})
    }

    #[test]
    fn chains_multiply_and_real_ones_pass() {
        let llama = json!({"normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, replace("▁")]},
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"},
            "decoder": {"type": "Sequence", "decoders": [replace(" "), {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}});
        assert_eq!(excess(&llama), None);
        assert_eq!(growth(&llama["normalizer"]), 4.0 * 3.0);
        let quotes = json!({"type": "Replace", "pattern": {"String": "''"}, "content": "\""});
        assert_eq!(growth(&json!({"normalizers": vec![quotes; 100]})), 1.0);
        let anywhere = json!({"type": "Replace", "pattern": {"Regex": "x*"}, "content": "ab"});
        assert_eq!(growth(&anywhere), 3.0);
        assert_eq!(excess(&json!({"normalizer": null, "model": {"vocab": {"a": 0}}})), None);
        let chain = |length: usize| json!({"decoder": {"decoders": vec![replace("aa"); length]}});
        assert_eq!(excess(&chain(16)), None);
        assert!(excess(&chain(17)).is_some_and(|problem| problem.contains("decoder")));
        // 256 bytes of one, twice and three times.
        let compiled = json!({"type": "Precompiled", "precompiled_charsmap": format!("AAAAA{}", "B".repeat(342))});
        assert_eq!(growth(&compiled), 256.0);
        assert_eq!(excess(&json!({"normalizer": {"normalizers": [compiled, compiled]}})), None);
        assert!(excess(&json!({"normalizer": {"normalizers": [compiled, compiled, compiled]}})).is_some());
        let hostile = json!({"normalizer": {"normalizers": [{"precompiled_charsmap": "/////wA="}]}});
        assert!(excess(&hostile).is_some_and(|problem| problem.contains("a trie of 4294967295 bytes")));
        // No overflow however long it is.
        assert!(excess(&chain(10_000)).is_some());
    }
}
