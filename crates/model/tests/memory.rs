//! Weights are shared: a path may repeat a layer as often as it likes and holds it once. Alone in its binary, because
//! it measures the process.

use std::collections::HashMap;
use std::path::Path;

use neuro_checkpoint::{DecoderConfig, Memory};
use neuro_model::{Batch, Decoder, Device, Kernels, State, Tensor};
use neuro_path::LayerPath;

const CONFIG: &str = r#"{
    "model_type": "llama", "vocab_size": 64, "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 2,
    "num_attention_heads": 8, "num_key_value_heads": 1, "max_position_embeddings": 64, "rope_theta": 10000.0,
    "tie_word_embeddings": true
}"#;
const LAYER_BYTES: usize = 4 * (2 * 384 * 384 + 2 * 384 * 48 + 3 * 384 * 1536 + 2 * 384);

#[test]
fn repeats_hold_no_more_weights() {
    let config = DecoderConfig::from_json(CONFIG.as_bytes(), Path::new("config.json")).unwrap();
    let parameter = |(name, shape)| (name, Tensor::full(0.01f32, shape, &Device::Cpu).unwrap());
    let parameters: HashMap<String, Tensor> = config.expected_tensors().into_iter().map(parameter).collect();
    let decoder = Decoder::from_source(&config, &parameters, &Device::Cpu, Kernels::Fused).unwrap();
    let weights = decoder.weight_bytes();
    assert_eq!(weights, 2 * LAYER_BYTES + 4 * (64 * 384 + 384));
    assert_eq!(weights as u64, 4 * config.parameters());

    // The states stay alive while memory is measured: they are small, 8 tokens of one kv head per visit.
    let run = |path: &str| {
        let visits = LayerPath::parse(path, 2).unwrap().visits();
        let mut state = State::new(visits.len());
        let resid = decoder.embed(&[3, 1, 4, 1, 5, 9, 2, 6]).unwrap();
        decoder.run(resid, &Batch::single(8), &visits, &mut state.slots, &mut ()).unwrap();
        state
    };
    let warm = run("0,1,1");
    // The meter is tried on one layer's worth of memory first: not every system tells, and a busy one may swap. That
    // memory stays held, or what comes next could hide in it.
    let start = resident_bytes();
    let held = std::hint::black_box(vec![1u8; LAYER_BYTES]);
    let before = resident_bytes();
    let state = run("0,1x100");
    let after = resident_bytes();
    assert_eq!(decoder.weight_bytes(), weights);
    assert_eq!((warm.slots.len(), state.slots.len()), (3, 101));
    assert_eq!(held.len(), LAYER_BYTES);
    let [metered, growth] = [start.zip(before), before.zip(after)].map(|span| span.map_or(0, |(from, to)| to - from));
    println!("one layer of {LAYER_BYTES} bytes shows as {metered}; 100 repeats as {growth}");
    if metered > LAYER_BYTES as i64 * 3 / 4 {
        assert!(growth < LAYER_BYTES as i64 / 2, "100 repeats hold {growth} bytes more; one layer is {LAYER_BYTES}");
    } else {
        println!("skipped: resident memory cannot be measured here");
    }
}

/// Bytes of this process that no file backs, where the system says (Linux).
fn resident_bytes() -> Option<i64> {
    Memory::anonymous_of_this_process().map(|bytes| bytes as i64)
}
