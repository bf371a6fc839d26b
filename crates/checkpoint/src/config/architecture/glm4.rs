//! GLM-4, after `Glm4Config` and `Glm4DecoderLayer`: norms before and behind both branches, half of each head rotated in
//! adjacent pairs, gate and up stored as one matrix; `attention_bias` covers q, k and v.

use super::{Architecture, Defaults, Traits};
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::config::stored_form::Fused;
use crate::config::{LayerNorms, NormKind};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "glm4",
    defaults: Defaults {
        vocab_size: 151_552,
        layers: 40,
        intermediate_size: 13_696,
        kv_heads: Some(2),
        head_dim: Some(128),
        max_position_embeddings: 131_072,
        norm_eps: 1.562_5e-7,
        ..Defaults::BASE
    },
    traits,
    fused: &[Fused::GateUpStacked],
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    Ok(Traits {
        qkv_bias: fields.flag("attention_bias", true)?,
        norms: LayerNorms {
            kind: NormKind::Rms,
            before_attention: Some("input_layernorm"),
            after_attention: Some("post_self_attn_layernorm"),
            before_mlp: Some("post_attention_layernorm"),
            after_mlp: Some("post_mlp_layernorm"),
        },
        rope: RopeTraits { partial: Some(("partial_rotary_factor", 0.5)), interleaved: true, ..RopeTraits::PLAIN },
        ..Traits::plain(sizes)
    })
}
