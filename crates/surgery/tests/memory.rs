//! A checkpoint larger than memory exports. Alone in its binary, because it measures the process.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use neuro_checkpoint::{Checkpoint, DecoderConfig, Memory};
use neuro_path::LayerPath;
use neuro_surgery::hf::{HfExport, export};
use neuro_surgery::verify::Probe;
use neuro_surgery::{Card, Quiet};
use serde_json::{Map, Value, json};

const LAYERS: usize = 32;

/// A checkpoint of zeros, which takes no room on disk: 32 layers of 9 MiB.
fn sparse(folder: &Path) {
    let config = json!({
        "model_type": "llama", "vocab_size": 64, "hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": LAYERS,
        "num_attention_heads": 8, "num_key_value_heads": 4, "tie_word_embeddings": true, "torch_dtype": "float32",
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let described = DecoderConfig::from_json(config.to_string().as_bytes(), Path::new("config.json")).unwrap();
    let (mut entries, mut end) = (Map::new(), 0);
    for (name, shape) in described.expected_tensors() {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        entries.insert(name, json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let mut head = Value::Object(entries).to_string().into_bytes();
    head.resize(head.len().next_multiple_of(8), b' ');
    let mut file = File::create(folder.join("model.safetensors")).unwrap();
    file.write_all(&(head.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&head).unwrap();
    file.set_len((8 + head.len() + end) as u64).unwrap();
}

#[test]
fn memory_does_not_grow_with_the_checkpoint() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    fs::create_dir(&source).unwrap();
    sparse(&source);
    let checkpoint = Arc::new(Checkpoint::open(&source).unwrap());
    let path = LayerPath::parse("0..15,8..31", LAYERS).unwrap();
    let probe = Probe::new(None, None, 64).unwrap();
    let card = Card::default();
    let hf =
        HfExport { checkpoint: &checkpoint, source: "zeros", path: &path, link: false, card: &card, probe: &probe };

    let Some(before) = Memory::anonymous_of_this_process() else {
        println!("skipped: this system does not tell how much memory a process holds");
        return;
    };
    let (peak, done) = (AtomicU64::new(before), AtomicBool::new(false));
    let exported = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(Memory::anonymous_of_this_process().unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let exported = export(&hf, &place.path().join("out"), &mut Quiet);
        done.store(true, Ordering::Relaxed);
        exported.unwrap()
    });
    let (layer, growth) = (checkpoint.weights.total_bytes() / LAYERS as u64, peak.into_inner() - before);
    println!("{} MiB written, {} MiB of memory", exported.bytes >> 20, growth >> 20);
    assert!(exported.comparison.passed() && exported.bytes > 39 * layer);
    // Two layers of the comparison, its copies and a few buffers; the whole checkpoint is 32 layers.
    assert!(growth < 8 * layer, "{growth} bytes for layers of {layer}");
}
