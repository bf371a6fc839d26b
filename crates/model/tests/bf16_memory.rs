//! Loading a bf16 checkpoint for a quantised scan takes little more memory than what it becomes. Alone in its binary, because
//! it measures the process.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper of tests fails like a test, and says what it measured"
)]

#[path = "common/peak.rs"]
mod peak;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use neuro_checkpoint::{Checkpoint, DecoderConfig};
use neuro_model::WeightType;
use serde_json::{Map, json};

/// Writes a llama with bf16 weights, tensor by tensor.
fn write(folder: &Path, hidden: usize, layers: usize) {
    let config = json!({
        "model_type": "llama", "vocab_size": 512, "hidden_size": hidden, "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers, "num_attention_heads": 8, "num_key_value_heads": 8, "max_position_embeddings": 64,
        "tie_word_embeddings": true, "torch_dtype": "bfloat16"
    });
    let described = DecoderConfig::from_json(config.to_string().as_bytes(), Path::new("config.json")).unwrap();
    let (mut head, mut end) = (Map::new(), 0);
    for (name, shape) in described.expected_tensors() {
        let bytes = 2 * shape.iter().product::<usize>();
        head.insert(name, json!({"dtype": "BF16", "shape": shape, "data_offsets": [end, end + bytes]}));
        end += bytes;
    }
    let head = serde_json::Value::Object(head).to_string();
    let mut file = BufWriter::new(File::create(folder.join("model.safetensors")).unwrap());
    file.write_all(&(head.len() as u64).to_le_bytes()).unwrap();
    file.write_all(head.as_bytes()).unwrap();
    // Numbers of both signs around 2⁻⁶, no two neighbours alike.
    let page: Vec<u8> = (0..1 << 15).flat_map(|n: u32| [(n * 37 % 256) as u8, 0x3c | ((n as u8) << 7)]).collect();
    for start in (0..end).step_by(page.len()) {
        file.write_all(&page[..page.len().min(end - start)]).unwrap();
    }
    file.flush().unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// Loads as Q8_0 and compares the rise of anonymous memory with what is held.
fn check(hidden: usize, layers: usize) {
    // On the disk: the system's folder for temporary files may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    write(folder.path(), hidden, layers);
    let stored = Checkpoint::open(folder.path()).unwrap().weights.total_bytes();
    let Some((held, peak)) = peak::of_loading(folder.path(), |_| WeightType::Q8_0) else {
        return println!("skipped: memory cannot be measured here");
    };
    let layer = held / layers as u64;
    println!(
        "{stored} bytes of bf16: {held} are held as Q8_0, at most {peak} were taken while loading ({:.3} of what is held); \
         a layer has {layer}",
        peak as f64 / held as f64
    );
    assert!(peak <= held * 12 / 10 + layer, "{peak} for {held}");
}

#[test]
fn a_bf16_checkpoint_is_not_there_twice() {
    check(256, 24);
}

/// The same at the size that is promised: a gigabyte. `just memory` runs it.
#[test]
#[ignore = "writes a gigabyte and wants an optimised build"]
fn a_gigabyte_is_not_there_twice() {
    check(1024, 30);
}
