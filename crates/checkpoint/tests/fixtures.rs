//! Real folders: the committed parity fixtures, and trained models where they are at hand.

use std::path::{Path, PathBuf};

use neuro_checkpoint::{Checkpoint, Dtype};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Opens a folder and reads every tensor.
fn open_and_read(folder: &Path) -> Checkpoint {
    let checkpoint = Checkpoint::open(folder).expect("is valid");
    let mut read = 0;
    for (name, shape) in checkpoint.config.expected_tensors() {
        read += checkpoint.weights.read_f32(&name, &shape).expect("is finite").len() as u64;
    }
    assert_eq!(read, checkpoint.config.parameters(), "{}", folder.display());
    checkpoint
}

#[test]
fn every_parity_fixture_opens_and_reads() {
    let mut opened = 0;
    for entry in std::fs::read_dir(workspace().join("fixtures")).unwrap() {
        let folder = entry.unwrap().path();
        if folder.join("config.json").exists() {
            let checkpoint = open_and_read(&folder);
            assert!(!checkpoint.weights.files().is_empty());
            opened += 1;
        }
    }
    assert!(opened >= 4, "{opened} fixtures");
}

/// The folder of a trained model; `None`, with a message, where the data is not at hand.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn shared_model(name: &str) -> Option<PathBuf> {
    let folder = workspace().join("../shared/data/models").join(name);
    let found = folder.exists();
    if !found {
        println!("skipped: {} does not exist", folder.display());
    }
    found.then_some(folder)
}

#[test]
fn stories_260k_is_described_as_it_was_trained() {
    let Some(folder) = shared_model("stories260K") else { return };
    let checkpoint = open_and_read(&folder);
    let config = &checkpoint.config;
    let attention = &config.layers[4].attention;
    assert_eq!((config.num_layers(), config.hidden_size, config.vocab_size), (5, 64, 512));
    assert_eq!((attention.heads, attention.kv_heads, attention.head_dim), (8, 4, 8));
    assert_eq!(
        (checkpoint.generation.bos_token_id, checkpoint.generation.eos_token_ids.as_slice()),
        (Some(1), &[2][..])
    );
    assert_eq!(checkpoint.weights.dtype_summary(), Dtype::F32.to_string());
    assert_eq!(checkpoint.identity().unwrap().id, "stories260K");
}

#[test]
fn tiny_stories_656k_has_a_tied_head() {
    let Some(folder) = shared_model("TinyStories-656K") else { return };
    let checkpoint = open_and_read(&folder);
    assert!(checkpoint.config.tie_word_embeddings);
    assert!(!checkpoint.weights.contains("lm_head.weight"));
}
