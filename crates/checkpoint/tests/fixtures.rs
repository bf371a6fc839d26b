//! Real folders: the committed parity fixtures, and trained models where they are at hand.

use std::path::{Path, PathBuf};

use neuro_checkpoint::{Checkpoint, Dtype};
use serde_json::Value;
use sha2::{Digest, Sha256};

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
        if ["config.json", "golden.json"].iter().all(|file| folder.join(file).exists()) {
            let checkpoint = open_and_read(&folder);
            assert!(!checkpoint.weights.files().is_empty());
            opened += 1;
        }
    }
    assert!(opened >= 4, "{opened} fixtures");
}

/// MiniMax-M2 as its makers store it, against what torch computes of E4M3 values and scales: the same to the last bit, read
/// whole, by rows and as a view.
#[test]
fn eight_bit_floats_are_read_as_torch_reads_them() {
    let folder = workspace().join("fixtures/fp8/minimax_m2");
    let checkpoint = open_and_read(&folder);
    let expected: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let expected = expected["sha256"].as_object().unwrap();
    let stored = |name: &str| {
        let name = name.replace("mlp.gate.e_score", "mlp.e_score").replace("mlp.", "block_sparse_moe.");
        [("gate_proj", "w1"), ("down_proj", "w2"), ("up_proj", "w3")]
            .into_iter()
            .fold(name, |name, (ours, theirs)| if name.contains("experts") { name.replace(ours, theirs) } else { name })
    };
    let hash = |values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        format!("{:x}", Sha256::digest(bytes))
    };
    let tensors = checkpoint.config.expected_tensors();
    assert_eq!(tensors.len(), expected.len());
    for (name, shape) in tensors {
        let values = checkpoint.weights.read_f32(&name, &shape).unwrap();
        assert_eq!(hash(&values), expected[&stored(&name)].as_str().unwrap(), "{name}");
        let view = checkpoint.weights.view(&name).unwrap();
        assert_eq!(view.shape, shape, "{name}");
        if let &[height, width] = shape.as_slice() {
            for rows in [0..1, height / 2..height, height - 1..height] {
                let read = checkpoint.weights.read_row_range_f32(&name, &shape, rows.clone()).unwrap();
                assert_eq!(read, values[rows.start * width..rows.end * width], "{name}");
            }
        }
    }
    let summary = checkpoint.weights.dtype_summary();
    assert!(summary.contains("F8_E4M3 (10 tensors)") && summary.contains("F32"), "{summary}");
    let on_disk = std::fs::metadata(folder.join("model.safetensors")).unwrap().len();
    assert!((on_disk - 4096..on_disk).contains(&checkpoint.weights.total_bytes()), "{summary}");
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
