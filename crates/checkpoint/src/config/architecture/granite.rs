//! Granite, after `GraniteConfig` and `GraniteDecoderLayer`: Llama with a multiplier of embeddings, scores and branches,
//! and a divisor of logits.

use super::{Architecture, Defaults, Traits};
use crate::config::parse::Sizes;
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "granite",
    defaults: Defaults { bos_token_id: Some(1), eos_token_id: Some(2), ..Defaults::BASE },
    traits,
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let attention_bias = fields.flag("attention_bias", false)?;
    let factor = |key| Ok::<_, CheckpointError>(fields.positive(key)?.unwrap_or(1.0));
    Ok(Traits {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        mlp_bias: fields.flag("mlp_bias", false)?,
        attention_scale: Some(factor("attention_multiplier")?),
        branch_scale: factor("residual_multiplier")?,
        embedding_scale: factor("embedding_multiplier")?,
        logit_scale: 1.0 / factor("logits_scaling")?,
        ..Traits::plain(sizes)
    })
}
