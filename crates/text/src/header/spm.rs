//! SentencePiece's BPE: pieces with scores, spaces written as `▁`, and bytes for what no piece has.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use neuro_checkpoint::HeaderTokenizer;
use serde_json::{Value, json};

use super::{BYTE, CONTROL, Parts, UNKNOWN, Vocabulary, kind};

const SPACE: &str = "▁";

/// Longest piece, in characters, whose merges are looked for: real ones have at most some 200.
const LONGEST: usize = 512;

/// What is done to a text before pieces are looked for, and about what no piece has.
#[derive(Debug)]
pub(crate) struct Spelling<'a> {
    /// Where a space is put before a text.
    pub(crate) prefix: Prefix,
    /// Whether spaces at the ends go, and several become one.
    pub(crate) trims: bool,
    /// SentencePiece's compiled rules of normalisation; none where empty.
    pub(crate) charsmap: &'a [u8],
    /// Whether what no piece has becomes bytes; else it is unknown.
    pub(crate) byte_fallback: bool,
    /// Whether pieces are chosen by likelihood; else they are merged.
    pub(crate) is_unigram: bool,
}

/// Which text begins as if behind a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// All text, also what comes behind a token that is found in it.
    Always,
    /// Only the beginning.
    First,
    /// None.
    Never,
}

pub(super) fn parts(header: &HeaderTokenizer, vocabulary: &Vocabulary) -> Result<Parts, String> {
    if header.scores.is_empty() {
        return Err("`tokenizer.ggml.scores` is missing, without which no text can be merged".to_owned());
    }
    let prefix = if header.add_space_prefix.unwrap_or(true) { Prefix::Always } else { Prefix::Never };
    let spelling = Spelling { prefix, trims: false, charsmap: &[], byte_fallback: true, is_unigram: false };
    Ok(spelled(header, vocabulary, &spelling))
}

/// The parts where the spelling is known.
pub(super) fn spelled(header: &HeaderTokenizer, vocabulary: &Vocabulary, spelling: &Spelling<'_>) -> Parts {
    let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let mut normalizers = Vec::new();
    if !spelling.charsmap.is_empty() {
        normalizers
            .push(json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(spelling.charsmap)}));
    }
    if spelling.trims {
        normalizers.push(replace(json!({"Regex": "^ +| +$"}), ""));
        normalizers.push(replace(json!({"Regex": " {2,}"}), " "));
    }
    if spelling.prefix == Prefix::Always {
        normalizers.push(json!({"type": "Prepend", "prepend": SPACE}));
    }
    normalizers.push(replace(json!({"String": " "}), SPACE));
    let first = json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": false});
    let mut decoders =
        vec![replace(json!({"String": SPACE}), " "), json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    if spelling.prefix != Prefix::Never {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let unknown = vocabulary.role(header, "unk");
    let model = if spelling.is_unigram {
        let pieces = vocabulary.tokens.iter().zip(&header.scores);
        json!({
            "type": "Unigram", "unk_id": unknown.and_then(|token| vocabulary.ids.get(token)),
            "byte_fallback": spelling.byte_fallback,
            "vocab": pieces.map(|(piece, score)| json!([piece, score])).collect::<Vec<_>>(),
        })
    } else {
        json!({
            "type": "BPE", "dropout": null, "unk_token": unknown,
            "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": true, "byte_fallback": spelling.byte_fallback, "ignore_merges": false,
            "vocab": vocabulary.json(), "merges": merges(header, vocabulary),
        })
    };
    Parts {
        normalizer: json!({"type": "Sequence", "normalizers": normalizers}),
        pre_tokenizer: if spelling.prefix == Prefix::First { first } else { Value::Null },
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        model,
        add_bos: true,
    }
}

/// Every way to put a piece together from two others, in the order in which SentencePiece does: by the score of the whole,
/// the highest first.
fn merges(header: &HeaderTokenizer, vocabulary: &Vocabulary) -> Vec<[String; 2]> {
    let mut found: Vec<(f32, usize, &str, &str)> = Vec::new();
    for (id, (token, score)) in vocabulary.tokens.iter().zip(&header.scores).enumerate() {
        if matches!(kind(header, id), UNKNOWN | CONTROL | BYTE) || token.chars().nth(LONGEST).is_some() {
            continue;
        }
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if vocabulary.contains(left) && vocabulary.contains(right) {
                found.push((*score, id, left, right));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found.into_iter().map(|(_, _, left, right)| [left.to_owned(), right.to_owned()]).collect()
}
