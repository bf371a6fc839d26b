//! Byte-level BPE: merges in order, behind a split of the text that each model family makes in its own way.

use neuro_checkpoint::HeaderTokenizer;
use serde_json::{Value, json};

use super::splits::Split;
use super::{Parts, Vocabulary};

pub(super) fn parts(header: &HeaderTokenizer, vocabulary: &Vocabulary) -> Result<Parts, String> {
    if header.merges.is_empty() {
        return Err("`tokenizer.ggml.merges` is missing, without which no text can be merged".to_owned());
    }
    let split = Split::named(header.pre.as_deref().unwrap_or("default"))?;
    let merges = header.merges.iter().map(|merge| parted(merge, vocabulary)).collect::<Result<Vec<_>, _>>()?;
    let patterns = split.patterns.iter().map(
        |pattern| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false}),
    );
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    Ok(Parts {
        normalizer: if split.composed { json!({"type": "NFC"}) } else { Value::Null },
        pre_tokenizer: json!({"type": "Sequence", "pretokenizers": patterns.chain([bytes]).collect::<Vec<_>>()}),
        decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        model: json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": split.whole_words,
            "vocab": vocabulary.json(), "merges": merges,
        }),
        add_bos: split.add_bos,
    })
}

/// A merge's two tokens: the space between them is the first that is not the beginning.
fn parted<'a>(merge: &'a str, vocabulary: &Vocabulary) -> Result<[&'a str; 2], String> {
    let first = merge.chars().next().map_or(0, char::len_utf8);
    let at = merge[first..].find(' ').map(|at| at + first);
    let parts = at.map(|at| [&merge[..at], &merge[at + 1..]]).filter(|[_, right]| !right.is_empty());
    let refuse = |problem: &str| {
        let shown: String = merge.chars().take(40).collect();
        Err(format!("`tokenizer.ggml.merges` has {shown:?}, {problem}"))
    };
    let Some([left, right]) = parts else { return refuse("expected two tokens with a space between") };
    let are_tokens = [left, right, &[left, right].concat()].iter().all(|token| vocabulary.contains(token));
    if are_tokens { Ok([left, right]) } else { refuse("expected two tokens that make a third one") }
}
