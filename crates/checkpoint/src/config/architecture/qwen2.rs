//! Qwen2, after `Qwen2Config` and `Qwen2Attention`: q, k and v always have biases, o never.

use super::{Architecture, Defaults, Traits, qwen_windows};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "qwen2",
    defaults: Defaults {
        vocab_size: 151_936,
        intermediate_size: 22_016,
        kv_heads: Some(32),
        head_dim: None,
        max_position_embeddings: 32_768,
        bos_token_id: None,
        eos_token_id: None,
    },
    traits,
};

fn traits(fields: &Fields<'_>, layers: usize) -> Result<Traits, CheckpointError> {
    let windows = qwen_windows(fields, layers)?;
    Ok(Traits { qkv_bias: true, o_bias: false, mlp_bias: false, qk_norm: false, windows })
}
