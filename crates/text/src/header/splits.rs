//! How text is split before it is merged, by the names of `tokenizer.ggml.pre`.
//!
//! Names and kinds are those of llama.cpp (`llama-vocab.cpp`); patterns are those of the models' own `tokenizer.json`, which
//! llama.cpp notes beside its own. Each is applied to what the one before has left together.

use serde_json::Value;

/// A way to split.
pub(super) struct Split {
    names: &'static [&'static str],
    /// Regular expressions; what they match and what lies between becomes a piece each.
    pub(super) patterns: &'static [&'static str],
    /// Whether a piece that is a token stays whole, whatever the merges say.
    pub(super) whole_words: bool,
    /// Whether a text begins with the `bos` token where the header does not say.
    pub(super) add_bos: bool,
    /// Whether text is brought into Unicode's composed form (NFC) first.
    pub(super) composed: bool,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

/// Split by patterns, and nothing else out of the ordinary.
const fn plain(names: &'static [&'static str], patterns: &'static [&'static str]) -> Split {
    Split { names, patterns, whole_words: false, add_bos: false, composed: false }
}

const SPLITS: &[Split] = &[
    // What llama.cpp does where nothing is said: a guess that suits few models.
    plain(&["default"], &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"]),
    plain(
        &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "exaone4",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "granite-docling",
        ],
        &[GPT2],
    ),
    Split {
        whole_words: true,
        add_bos: true,
        ..plain(&["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"], &[LLAMA3])
    },
    Split { composed: true, ..plain(&["qwen2"], &[QWEN2]) },
    plain(&["deepseek-r1-qwen", "kormo", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"], &[QWEN2]),
    Split { composed: true, ..plain(&["qwen35"], &[QWEN35]) },
    plain(&["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], &[LLAMA3]),
    plain(&["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"], &[r"\p{N}", GPT2]),
    plain(&["falcon"], &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]"]),
    Split { whole_words: true, add_bos: true, ..plain(&["tekken"], &[TEKKEN]) },
    plain(&["gpt-4o", "llama4", "kanana2", "minimax-m2"], &[GPT4O]),
    plain(&["deepseek-coder"], &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"]),
    plain(&["deepseek-v3", "hunyuan-dense", "joyai-llm"], &[r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3]),
];

impl Split {
    /// The way of that name; the error is a message.
    pub(super) fn named(name: &str) -> Result<&'static Self, String> {
        SPLITS.iter().find(|split| split.names.contains(&name)).ok_or_else(|| {
            let found: String = name.chars().take(40).collect();
            let known: Vec<&str> = SPLITS.iter().flat_map(|split| split.names).copied().collect();
            format!(
                "`tokenizer.ggml.pre` is \"{found}\", a split of text that is not known; known: {}",
                known.join(", ")
            )
        })
    }
}

/// The name under `tokenizer.ggml.pre` of a way to split text as a `tokenizer.json` does; `None` where no way that is known
/// here does exactly that.
#[must_use]
pub fn split_name(tokenizer: &Value) -> Option<&'static str> {
    let mut patterns = Vec::new();
    add_patterns(tokenizer.get("pre_tokenizer")?, &mut patterns)?;
    let whole_words = tokenizer.pointer("/model/ignore_merges").and_then(Value::as_bool).unwrap_or(false);
    let composed = is_composed(tokenizer.get("normalizer").unwrap_or(&Value::Null))?;
    let is_same =
        |split: &&Split| split.patterns == patterns && split.whole_words == whole_words && split.composed == composed;
    SPLITS.iter().find(is_same)?.names.first().copied()
}

/// The regular expressions of a pre-tokenizer, in order; `None` where it does something else as well.
fn add_patterns<'a>(pre_tokenizer: &'a Value, patterns: &mut Vec<&'a str>) -> Option<()> {
    match pre_tokenizer.get("type")?.as_str()? {
        "Sequence" => {
            let parts = pre_tokenizer.get("pretokenizers")?.as_array()?;
            parts.iter().try_for_each(|part| add_patterns(part, patterns))
        }
        "Split" => {
            let plain = pre_tokenizer.get("behavior")? == "Isolated" && pre_tokenizer.get("invert")? == false;
            patterns.push(pre_tokenizer.pointer("/pattern/Regex")?.as_str().filter(|_| plain)?);
            Some(())
        }
        "Digits" => {
            patterns.push(if pre_tokenizer.get("individual_digits")? == true { r"\p{N}" } else { r"\p{N}+" });
            Some(())
        }
        "ByteLevel" => {
            if pre_tokenizer.get("use_regex").and_then(Value::as_bool).unwrap_or(true) {
                patterns.push(GPT2);
            }
            Some(())
        }
        _ => None,
    }
}

/// Whether text is brought into its composed form; `None` where something else is done to it.
fn is_composed(normalizer: &Value) -> Option<bool> {
    match normalizer.get("type").and_then(Value::as_str) {
        None if normalizer.is_null() => Some(false),
        Some("NFC") => Some(true),
        Some("Sequence") => match normalizer.get("normalizers")?.as_array()?.as_slice() {
            [] => Some(false),
            [only] => is_composed(only),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ways_to_split_are_known_by_what_they_do() {
        let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false});
        let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let of = |parts: Vec<Value>, normalizer: Value, whole: bool| {
            let pre = json!({"type": "Sequence", "pretokenizers": parts});
            let tokenizer = json!({"pre_tokenizer": pre, "normalizer": normalizer, "model": {"ignore_merges": whole}});
            split_name(&tokenizer)
        };
        assert_eq!(of(vec![split(QWEN2), byte_level.clone()], json!({"type": "NFC"}), false), Some("qwen2"));
        assert_eq!(of(vec![split(LLAMA3), byte_level.clone()], Value::Null, true), Some("llama-bpe"));
        assert_eq!(of(vec![split("x"), byte_level], Value::Null, true), None);
        let digits = json!({"type": "Digits", "individual_digits": true});
        let gpt2 = json!({"type": "ByteLevel", "use_regex": true});
        assert_eq!(of(vec![digits, gpt2.clone()], Value::Null, false), Some("starcoder"));
        assert_eq!(split_name(&json!({"pre_tokenizer": gpt2, "normalizer": null, "model": {}})), Some("gpt-2"));
        assert_eq!(split_name(&json!({"pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {}})), None);
    }
}
