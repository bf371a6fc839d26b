//! Llama, after `LlamaConfig` and `LlamaAttention`: `attention_bias` covers q, k, v and o; never a window.

use super::{Architecture, Defaults, Traits};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "llama",
    defaults: Defaults {
        vocab_size: 32_000,
        intermediate_size: 11_008,
        kv_heads: None,
        head_dim: None,
        max_position_embeddings: 2048,
        bos_token_id: Some(1),
        eos_token_id: Some(2),
    },
    traits,
};

fn traits(fields: &Fields<'_>, layers: usize) -> Result<Traits, CheckpointError> {
    let attention_bias = fields.flag("attention_bias", false)?;
    Ok(Traits {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        mlp_bias: fields.flag("mlp_bias", false)?,
        qk_norm: false,
        windows: vec![None; layers],
    })
}
