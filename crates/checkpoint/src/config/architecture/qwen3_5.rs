//! Qwen3.5, after `Qwen3_5TextConfig` and `Qwen3_5MoeTextConfig`: Qwen3-Next with other stored forms, dense or with experts
//! on every layer. The positions of pictures (`mrope_section`) are those of text where there is nothing else.

use super::qwen3_next::{FIXED, experts, hybrid};
use super::{Architecture, Defaults, Traits};
use crate::config::parse::Sizes;
use crate::config::stored_form::Fused;
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const DENSE: Architecture = Architecture {
    model_type: "qwen3_5_text",
    defaults: Defaults {
        vocab_size: 248_320,
        heads: 16,
        any_heads: true,
        intermediate_size: 12_288,
        kv_heads: Some(4),
        head_dim: Some(256),
        max_position_embeddings: 32_768,
        ..Defaults::BASE
    },
    traits: hybrid,
    fixed: FIXED,
    unused: &["mtp."],
    fused: &[Fused::DeltaStacked],
    ..Architecture::BASE
};

pub(super) const EXPERTS: Architecture = Architecture {
    model_type: "qwen3_5_moe_text",
    defaults: Defaults { hidden_size: 2048, layers: 40, kv_heads: Some(2), ..DENSE.defaults },
    traits: with_experts,
    fixed: FIXED,
    unused: &["mtp."],
    fused: &[Fused::DeltaStacked, Fused::ExpertsStacked],
    ..Architecture::BASE
};

/// The chosen weights always sum to one (`Qwen3_5MoeTopKRouter`).
fn with_experts(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let (intermediate, experts) = experts(fields, (256, 8), true)?;
    Ok(Traits { experts: vec![Some((intermediate, experts)); sizes.layers], ..hybrid(fields, sizes)? })
}
