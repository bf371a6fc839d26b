//! A stack that is run several times holds its weights once. Alone in its binary, because it measures the process.

use std::collections::HashMap;
use std::path::Path;

use neuro_checkpoint::{DecoderConfig, Memory};
use neuro_model::{Decoder, Device, Kernels, Tensor};

/// Two layers, run three times: later rounds differ by the norm through which they enter.
const CONFIG: &str = r#"{
    "model_type": "ouro", "vocab_size": 64, "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 2,
    "num_attention_heads": 8, "num_key_value_heads": 1, "max_position_embeddings": 64, "rope_theta": 10000.0,
    "rms_norm_eps": 1e-6, "total_ut_steps": 3, "tie_word_embeddings": true
}"#;
const LAYER_BYTES: usize = 4 * (2 * 384 * 384 + 2 * 384 * 48 + 3 * 384 * 1536 + 4 * 384);

/// Counted where they lie, and measured while they are loaded.
#[test]
fn rounds_hold_the_weights_of_one() {
    let config = DecoderConfig::from_json(CONFIG.as_bytes(), Path::new("config.json")).unwrap();
    assert_eq!((config.num_layers(), config.twin_of(2), config.weights_of(2)), (6, None, 0));
    let parameter = |(name, shape)| (name, Tensor::full(0.01f32, shape, &Device::Cpu).unwrap());
    let parameters: HashMap<String, Tensor> = config.expected_tensors().into_iter().map(parameter).collect();
    let before = Memory::anonymous_of_this_process();
    let decoder = Decoder::from_source(&config, &parameters, &Device::Cpu, Kernels::Fused).unwrap();
    let after = Memory::anonymous_of_this_process();
    // Beside the parameters the final norm once more, for the second and the third round together.
    let held = 4 * (config.parameters() as usize + 384);
    assert_eq!(decoder.weight_bytes(), held);
    assert_eq!(held, 2 * LAYER_BYTES + 4 * (64 * 384 + 2 * 384));
    let Some((before, after)) = before.zip(after) else { return };
    let growth = after.saturating_sub(before);
    println!("{held} bytes of weights show as {growth}");
    assert!(growth < (held + LAYER_BYTES / 2) as u64, "{growth} bytes for weights of {held}");
}
