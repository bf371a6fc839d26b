//! The models of the first scans as they are published, with their real layers, heads, experts and patterns, and widths so
//! small that they can be run: a path over them computes what it says.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

use std::fs;

use neuro_checkpoint::Checkpoint;
use neuro_model::{Decoder, Device, Tensor};
use neuro_path::LayerPath;
use serde_json::{Value, json};

/// The published config with other widths.
fn small(name: &str, widths: Value) -> Value {
    let published: Vec<Value> = serde_json::from_str(include_str!("../../checkpoint/tests/published.json")).unwrap();
    let entry = published.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let mut config = entry["config"].clone();
    config.as_object_mut().unwrap().remove("quantization_config");
    let nested = config.get("text_config").is_some();
    let decoder = if nested { &mut config["text_config"] } else { &mut config };
    for (key, value) in widths.as_object().unwrap() {
        assert!(decoder[key].is_u64(), "{name} has no `{key}`");
        decoder[key] = value.clone();
    }
    // Weights are drawn here, and wide enough for their shares of the stream to be seen.
    decoder["initializer_range"] = json!(0.5);
    config
}

fn logits(decoder: &Decoder, path: &LayerPath) -> Vec<f32> {
    decoder.logits(&[3, 1, 4, 1, 5], &path.visits()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The model runs, along its baseline and with a block repeated, and what comes later changes nothing before it.
fn check(name: &str, widths: Value, layers: usize, block: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), small(name, widths).to_string()).unwrap();
    let checkpoint = Checkpoint::open_random(folder.path(), 7).unwrap();
    let decoder = Decoder::load(&checkpoint, &Device::Cpu).unwrap();
    assert_eq!(decoder.config().num_layers(), layers, "{name}");
    let baseline = logits(&decoder, &LayerPath::baseline(layers).unwrap());
    let repeated = logits(&decoder, &LayerPath::parse(block, layers).unwrap());
    assert!(baseline.iter().chain(&repeated).all(|logit| logit.is_finite()), "{name}");
    assert!(distance(&baseline, &repeated) > 1e-4, "{name}: the block changes nothing");
    let token: Vec<f32> = {
        let decoded: Tensor = decoder.logits(&[3], &LayerPath::baseline(layers).unwrap().visits()).unwrap();
        decoded.flatten_all().unwrap().to_vec1().unwrap()
    };
    // Where sums have another order for one token, delta nets take rounding up.
    let is_recurrent = decoder.config().layers.iter().any(|layer| layer.delta_net.is_some());
    let difference = distance(&token, &baseline[..token.len()]);
    assert!(difference < if is_recurrent { 1e-3 } else { 1e-4 }, "{name}: {difference}");
}

#[test]
fn qwen2_72b() {
    let widths = json!({"hidden_size": 128, "intermediate_size": 8, "vocab_size": 16});
    check("Qwen2-72B-Instruct", widths, 80, "(45,52)");
}

/// Three of four layers are recurrent; what sees pictures is left out.
#[test]
fn qwen3_5_27b() {
    let widths = json!({"hidden_size": 16, "head_dim": 8, "linear_key_head_dim": 2, "linear_value_head_dim": 2,
        "intermediate_size": 8, "vocab_size": 16});
    check("Qwen3.8-27B, in the shape of Qwen3.5-27B", widths, 64, "(26,34)");
}

#[test]
fn glm_4_7() {
    let widths =
        json!({"hidden_size": 8, "head_dim": 4, "intermediate_size": 6, "moe_intermediate_size": 2, "vocab_size": 16});
    check("GLM-4.7", widths, 92, "(1,5)");
}

#[test]
fn minimax_m2_5() {
    let widths = json!({"hidden_size": 8, "head_dim": 4, "rotary_dim": 2, "intermediate_size": 2, "vocab_size": 16});
    check("MiniMax-M2.5", widths, 62, "(30,34)");
}

#[test]
fn deepseek_v3() {
    let widths = json!({"hidden_size": 256, "q_lora_rank": 4, "kv_lora_rank": 4, "qk_nope_head_dim": 2, "qk_rope_head_dim": 2,
        "v_head_dim": 2, "intermediate_size": 6, "moe_intermediate_size": 2, "vocab_size": 16});
    check("DeepSeek-V3", widths, 61, "(1,5)");
}

/// The stack of 24 runs four times; a fifth time is a path.
#[test]
fn ouro() {
    let widths = json!({"hidden_size": 32, "head_dim": 2, "intermediate_size": 8, "vocab_size": 16});
    check("Ouro-1.4B", widths, 96, "0..95,72..95");
}
