//! SentencePiece's BPE: pieces with scores, spaces written as `▁`, and bytes for what no piece has.

use neuro_checkpoint::HeaderTokenizer;
use serde_json::json;

use super::{BYTE, CONTROL, Parts, UNKNOWN, Vocabulary, kind};

const SPACE: &str = "▁";

/// Longest piece, in characters, whose merges are looked for: real ones have at most some 200.
const LONGEST: usize = 512;

pub(super) fn parts(header: &HeaderTokenizer, vocabulary: &Vocabulary) -> Result<Parts, String> {
    if header.scores.is_empty() {
        return Err("`tokenizer.ggml.scores` is missing, without which no text can be merged".to_owned());
    }
    let prefix = header.add_space_prefix.unwrap_or(true);
    let escape = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let normalizers = if prefix { vec![json!({"type": "Prepend", "prepend": SPACE}), escape] } else { vec![escape] };
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    Ok(Parts {
        normalizer: json!({"type": "Sequence", "normalizers": normalizers}),
        pre_tokenizer: json!(null),
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        model: json!({
            "type": "BPE", "dropout": null, "unk_token": vocabulary.role(header, "unk"),
            "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocabulary.json(), "merges": merges(header, vocabulary),
        }),
        add_bos: true,
    })
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
