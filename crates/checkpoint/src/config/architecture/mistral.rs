//! Mistral, after `MistralConfig` and `MistralModel`: no biases; `sliding_window`, unless null, on every layer,
//! whatever `layer_types` says.

use super::{Architecture, Defaults, Traits};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "mistral",
    defaults: Defaults {
        vocab_size: 32_000,
        intermediate_size: 14_336,
        kv_heads: Some(8),
        head_dim: None,
        max_position_embeddings: 4096 * 32,
        bos_token_id: Some(1),
        eos_token_id: Some(2),
    },
    traits,
};

fn traits(fields: &Fields<'_>, layers: usize) -> Result<Traits, CheckpointError> {
    let window = fields.optional_size("sliding_window", Some(4096))?;
    Ok(Traits { qkv_bias: false, o_bias: false, mlp_bias: false, qk_norm: false, windows: vec![window; layers] })
}
