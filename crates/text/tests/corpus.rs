//! The fuzz corpora of tokenizers as ordinary tests: files called `valid-…` are accepted, and nothing panics.

use std::collections::BTreeMap;
use std::path::Path;

use neuro_text::{Text, TextFiles};
use serde_json::Value;

#[test]
fn the_corpus_of_tokenizers_is_read_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/tokenizer");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let tokenizer = TextFiles { tokenizer: std::fs::read(&file).unwrap(), ..TextFiles::default() };
        let outcome = Text::from_files(&tokenizer, "corpus")
            .and_then(|text| text.encode("ab", true).and_then(|ids| text.decode(&ids, false)));
        let valid = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("valid-"));
        if valid {
            assert!(outcome.is_ok(), "{}: {outcome:?}", file.display());
        }
        files += 1;
    }
    assert!(files >= 6, "{files} files");
}

/// Behind an empty line, a JSON object of the files beside the model may follow, by their names.
#[test]
fn the_corpus_of_pieces_is_read_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/pieces");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        let split = bytes.windows(3).rposition(|window| window == b"\n\n{");
        let (model, rest) = bytes.split_at(split.unwrap_or(bytes.len()));
        let beside: BTreeMap<String, Value> = serde_json::from_slice(rest).unwrap_or_default();
        let beside = beside.into_iter().map(|(name, value)| (name, value.to_string().into_bytes())).collect();
        let outcome = TextFiles::from_sentencepiece(model, &beside, "tokenizer.model")
            .and_then(|files| Text::from_files(&files, "corpus"))
            .and_then(|text| text.encode("ab", true).and_then(|ids| text.decode(&ids, false)));
        let valid = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("valid-"));
        assert_eq!(valid, outcome.is_ok(), "{}: {outcome:?}", file.display());
        files += 1;
    }
    assert!(files >= 15, "{files} files");
}
