//! GGUF files compute what folders do, what llama.cpp's formulas do, and what their blocks stand for.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod common;
#[path = "../../checkpoint/tests/common/gguf.rs"]
mod gguf;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{fixtures, max_difference};
use gguf::{converted, text};
use neuro_checkpoint::{Checkpoint, RopeScaling};
use neuro_model::{Decoder, Device, Tensor, WeightType};
use neuro_path::LayerPath;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn every_format() -> Arc<Checkpoint> {
    Arc::new(Checkpoint::open(&root().join("fixtures/gguf/every-format.gguf")).unwrap())
}

/// Tokens, and the logits that `fixtures/gguf_quants.py` computes by llama.cpp's formulas.
fn expected() -> (Vec<u32>, Vec<Vec<f64>>) {
    let record = std::fs::read(root().join("fixtures/gguf/expected.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    (
        serde_json::from_value(record["tokens"].clone()).unwrap(),
        serde_json::from_value(record["logits"].clone()).unwrap(),
    )
}

fn logits(checkpoint: &Arc<Checkpoint>, kind: WeightType, tokens: &[u32], path: Option<&str>) -> Tensor {
    let decoder = Decoder::load_as(checkpoint, &Device::Cpu, kind).unwrap();
    let depth = decoder.config().num_layers();
    let path = path.map_or_else(|| LayerPath::baseline(depth).unwrap(), |path| LayerPath::parse(path, depth).unwrap());
    decoder.logits(tokens, &path.visits()).unwrap()
}

fn distance(found: &Tensor, expected: &[Vec<f64>]) -> f64 {
    let found = found.to_vec2::<f32>().unwrap();
    assert_eq!((found.len(), found[0].len()), (expected.len(), expected[0].len()));
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    pairs.map(|(found, expected)| (f64::from(*found) - expected).abs()).fold(0.0, f64::max)
}

#[test]
fn every_format_computes_as_llama_cpp_does() {
    let (checkpoint, (tokens, expected)) = (every_format(), expected());
    assert_eq!(WeightType::for_stored(&checkpoint), WeightType::Q8_0);
    let exact = distance(&logits(&checkpoint, WeightType::F32, &tokens, None), &expected);
    println!("f32: {exact:.1e}");
    assert!(exact < 1e-4, "{exact}");
    // Logits have a spread of 1.1; what was rounded to fewer bits, and activations, are rounded to 8 bits.
    let quantised = distance(&logits(&checkpoint, WeightType::Q8_0, &tokens, None), &expected);
    println!("Q8_0: {quantised:.1e}");
    assert!(quantised > 0.0 && quantised < 0.2, "{quantised}");
}

/// The four architectures and their rope, biases, norms and ties: the fixtures' own weights, converted.
#[test]
fn converted_folders_compute_as_the_folders_do() {
    let mut compared = 0;
    for fixture in fixtures() {
        let config = &fixture.checkpoint.config;
        let attention = &config.layers[0].attention;
        let mut file = converted(config, &fixture.checkpoint.weights);
        let architecture = if config.model_type == "mistral" { "llama" } else { &config.model_type };
        match attention.rope.scaling {
            RopeScaling::Default => {}
            // As llama.cpp's conversion of Llama 3 computes the divisors.
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original } => {
                let divisor = |pair: usize| {
                    let frequency = attention.rope.theta.powf(-2.0 * pair as f64 / attention.head_dim as f64);
                    let turns = original as f64 * frequency / std::f64::consts::TAU;
                    let kept = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                    (1.0 / ((1.0 - kept) / factor + kept)) as f32
                };
                let divisors: Vec<f32> = (0..attention.head_dim / 2).map(divisor).collect();
                file.push("rope_freqs.weight", &[divisors.len() as u64], &divisors);
            }
            RopeScaling::Linear { factor } => {
                file.set(&format!("{architecture}.rope.scaling.type"), text("linear"));
                file.set(&format!("{architecture}.rope.scaling.factor"), gguf::float(factor as f32));
            }
            // Of the others, not every setting can be written into a GGUF file.
            _ => continue,
        }
        let is_silu = config.layers[0].mlp.activation == neuro_checkpoint::Activation::Silu;
        let is_uniform = config.layers.iter().all(|layer| layer.attention == *attention);
        // The others are written and compared in the room `surgery`.
        let is_read = ["llama", "mistral", "qwen2", "qwen3"].contains(&config.model_type.as_str());
        if !is_silu || !is_uniform || !is_read {
            continue;
        }
        if let Some(window) = attention.window {
            file.set(&format!("{architecture}.attention.sliding_window"), gguf::number(window as u32));
        }
        let checkpoint =
            Arc::new(Checkpoint::from_gguf_bytes(&format!("{}.gguf", fixture.name), file.bytes()).unwrap());
        assert_eq!(checkpoint.config.tie_word_embeddings, config.tie_word_embeddings, "{}", fixture.name);
        for golden in &fixture.golden {
            let path = golden.path.to_string();
            let found = logits(&checkpoint, WeightType::F32, &fixture.tokens, Some(&path));
            let difference = max_difference(&found, &golden.logits);
            println!("{:30} {path:12} {difference:.1e}", fixture.name);
            assert!(difference <= fixture.tolerance, "{}, path {path}: {difference}", fixture.name);
        }
        compared += 1;
    }
    assert_eq!(compared, 5, "{compared} fixtures");
}

/// A trained model, as a file and as a folder.
#[test]
fn stories_have_the_same_logits_in_both_formats() {
    let folder = root().join("../shared/data/models");
    if !folder.is_dir() {
        println!("skipped: {} is not here", folder.display());
        return;
    }
    let [file, plain] =
        ["stories260K.gguf", "stories260K"].map(|name| Arc::new(Checkpoint::open(&folder.join(name)).unwrap()));
    let tokens: Vec<u32> = (0..64).map(|at| [1, 403, 407, 261, 378, 432, 383, 286][at % 8] + at as u32 / 8).collect();
    for path in ["0..4", "0..3,1..4"] {
        let [file, plain] = [&file, &plain].map(|model| logits(model, WeightType::F32, &tokens, Some(path)));
        let difference = max_difference(&file, &plain);
        println!("{path}: {difference:.1e}");
        assert!(difference <= 1e-4, "{path}: {difference}");
    }
}
