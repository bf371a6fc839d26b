//! The fuzz corpus of tokenizers as an ordinary test: files called `valid-…` are accepted, and nothing panics.

use std::path::Path;

use neuro_text::{Text, TextFiles};

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
