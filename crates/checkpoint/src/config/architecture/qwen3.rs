//! Qwen3, after `Qwen3Config` and `Qwen3Attention`: queries and keys are normed per head, `attention_bias` covers
//! q, k, v and o, and a missing `head_dim` means 128.

use super::{Architecture, Defaults, Traits, qwen_windows};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "qwen3",
    defaults: Defaults {
        vocab_size: 151_936,
        intermediate_size: 22_016,
        kv_heads: Some(32),
        head_dim: Some(128),
        max_position_embeddings: 32_768,
        bos_token_id: None,
        eos_token_id: None,
    },
    traits,
};

fn traits(fields: &Fields<'_>, layers: usize) -> Result<Traits, CheckpointError> {
    let attention_bias = fields.flag("attention_bias", false)?;
    let windows = qwen_windows(fields, layers)?;
    Ok(Traits { qkv_bias: attention_bias, o_bias: attention_bias, mlp_bias: false, qk_norm: true, windows })
}
