//! Qwen2, after `Qwen2Config` and `Qwen2Attention`: q, k and v always have biases, o never.

use super::{Architecture, Defaults, Traits, qwen_windows};
use crate::config::parse::Sizes;
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "qwen2",
    defaults: Defaults {
        vocab_size: 151_936,
        intermediate_size: 22_016,
        kv_heads: Some(32),
        max_position_embeddings: 32_768,
        ..Defaults::BASE
    },
    traits,
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    Ok(Traits { qkv_bias: true, windows: qwen_windows(fields, sizes.layers)?, ..Traits::plain(sizes) })
}
