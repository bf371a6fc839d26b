//! The fuzz corpus as an ordinary test: files called `valid-…` are accepted, all others are refused, and nothing panics.

use std::path::Path;

use neuro_checkpoint::{Checkpoint, CheckpointError, DecoderConfig, GenerationConfig, Header, ShardIndex};

fn each(target: &str, parse: impl Fn(&[u8], &Path) -> Result<(), CheckpointError>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is in the repository") {
        let path = entry.expect("the corpus can be listed").path();
        let bytes = std::fs::read(&path).expect("the corpus can be read");
        let expected = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("valid-"));
        let outcome = parse(&bytes, &path);
        assert_eq!(outcome.is_ok(), expected, "{}: {outcome:?}", path.display());
        files += 1;
    }
    assert!(files >= 10, "{files} files for {target}");
}

#[test]
fn config() {
    each("config", |bytes, file| DecoderConfig::from_json(bytes, file).map(drop));
}

#[test]
fn generation() {
    each("generation", |bytes, file| GenerationConfig::from_json(bytes, file, 100).map(drop));
}

#[test]
fn header() {
    each("header", |bytes, file| Header::parse(bytes, file).map(drop));
}

#[test]
fn index() {
    each("index", |bytes, file| ShardIndex::from_json(bytes, file).map(drop));
}

#[test]
fn weights() {
    let config = include_bytes!("../../../fuzz/corpus/config/valid-one-layer.json");
    each("weights", |bytes, _| {
        let checkpoint = Checkpoint::from_bytes("corpus", config, None, bytes.to_vec())?;
        for (name, shape) in checkpoint.config.expected_tensors() {
            checkpoint.weights.read_f32(&name, &shape)?;
        }
        Ok(())
    });
}

#[test]
fn gguf() {
    each("gguf", |bytes, _| {
        let checkpoint = Checkpoint::from_gguf_bytes("corpus.gguf", bytes.to_vec())?;
        for (name, shape) in checkpoint.config.expected_tensors() {
            checkpoint.weights.read_f32(&name, &shape)?;
        }
        Ok(())
    });
}
