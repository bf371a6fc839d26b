//! Llama, after `LlamaConfig` and `LlamaAttention`: `attention_bias` covers q, k, v and o; never a window.

use super::{Architecture, Defaults, Traits};
use crate::config::parse::Sizes;
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "llama",
    defaults: Defaults { bos_token_id: Some(1), eos_token_id: Some(2), ..Defaults::BASE },
    traits,
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let attention_bias = fields.flag("attention_bias", false)?;
    Ok(Traits {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        mlp_bias: fields.flag("mlp_bias", false)?,
        ..Traits::plain(sizes)
    })
}
