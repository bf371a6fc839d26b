//! The fuzz corpus as an ordinary test: files called `valid-…` are paths over 12 layers, all others are refused.

use std::path::Path;

use neuro_path::LayerPath;

#[test]
fn the_corpus_is_parsed_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/path");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let text = String::from_utf8(std::fs::read(&file).unwrap()).unwrap();
        let expected = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("valid-"));
        let outcome = LayerPath::parse(&text, 12);
        assert_eq!(outcome.is_ok(), expected, "{}: {outcome:?}", file.display());
        files += 1;
    }
    assert!(files >= 10, "{files} files");
}
