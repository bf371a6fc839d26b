//! Qwen3, after `Qwen3Config` and `Qwen3Attention`: queries and keys are normed per head, `attention_bias` covers
//! q, k, v and o, and a missing `head_dim` means 128.

use super::{Architecture, Defaults, Traits, qwen_windows};
use crate::config::QkNorm;
use crate::config::keys::Only;
use crate::config::parse::Sizes;
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
        ..Defaults::BASE
    },
    traits,
    fixed: &[("use_qk_norm", Only::True)],
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let attention_bias = fields.flag("attention_bias", false)?;
    let windows = qwen_windows(fields, sizes.layers)?;
    let qk_norm = QkNorm::Head;
    Ok(Traits { qkv_bias: attention_bias, o_bias: attention_bias, qk_norm, windows, ..Traits::plain(sizes) })
}
