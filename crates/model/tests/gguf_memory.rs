//! Loading a quantised file takes little more memory than what it becomes. Alone in its binary, because it measures the
//! process.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

#[path = "../../checkpoint/tests/common/gguf.rs"]
mod gguf;
#[path = "common/peak.rs"]
mod peak;

use gguf::{Gguf, Tensor, float, number, text};
use neuro_model::WeightType;

const HIDDEN: u64 = 1024;
const MLP: u64 = 4096;
const LAYERS: u32 = 5;

/// A llama whose matrices are all of one format: id, numbers and bytes of a block.
fn file(format: u32, (length, bytes): (u64, u64)) -> Gguf {
    let mut file = Gguf::empty();
    file.set("general.architecture", text("llama"));
    for (key, value) in [
        ("context_length", 64),
        ("embedding_length", HIDDEN as u32),
        ("block_count", LAYERS),
        ("feed_forward_length", MLP as u32),
        ("attention.head_count", 8),
    ] {
        file.set(&format!("llama.{key}"), number(value));
    }
    file.set("llama.attention.layer_norm_rms_epsilon", float(1e-5));
    // Scales are small numbers whatever the bits are: their upper byte is that of 0.25.
    let matrix = |name: String, columns: u64, rows: u64| {
        let mut block = vec![0x5a; bytes as usize];
        block[1] = 0x24;
        let (name, shape) = (name.into_bytes(), vec![columns, rows]);
        Tensor { name, shape, format, bytes: block.repeat((columns / length * rows) as usize), offset: None }
    };
    file.tensors.push(matrix("token_embd.weight".to_owned(), HIDDEN, 512));
    file.push("output_norm.weight", &[HIDDEN], &[1.0; HIDDEN as usize]);
    for layer in 0..LAYERS {
        for part in ["attn_q", "attn_k", "attn_v", "attn_output"] {
            file.tensors.push(matrix(format!("blk.{layer}.{part}.weight"), HIDDEN, HIDDEN));
        }
        for (part, columns, rows) in [("ffn_gate", HIDDEN, MLP), ("ffn_up", HIDDEN, MLP), ("ffn_down", MLP, HIDDEN)] {
            file.tensors.push(matrix(format!("blk.{layer}.{part}.weight"), columns, rows));
        }
        for part in ["attn_norm", "ffn_norm"] {
            file.push(&format!("blk.{layer}.{part}.weight"), &[HIDDEN], &[1.0; HIDDEN as usize]);
        }
    }
    file
}

#[test]
fn a_quantised_file_is_not_there_twice() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format, block) in [("Q4_0", 2, (32, 18)), ("Q8_0", 8, (32, 34))] {
        let path = folder.path().join(format!("{name}.gguf"));
        std::fs::write(&path, file(format, block).bytes()).unwrap();
        let Some((held, peak)) = peak::of_loading(&path, WeightType::for_stored) else {
            return println!("skipped: memory cannot be measured here");
        };
        let layer = held / u64::from(LAYERS);
        println!("{name}: {held} bytes are held, at most {peak} were taken while loading; a layer has {layer}");
        assert!(peak <= held * 12 / 10 + layer, "{name}: {peak} for {held}");
    }
}
