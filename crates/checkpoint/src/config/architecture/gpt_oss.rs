//! gpt-oss, after `GptOssConfig` and `GptOssMLP`: experts with biases, gate and up clamped and stored interleaved, a learned
//! score in each head's softmax, every other layer windowed. Experts may be stored as MXFP4.

use super::{Architecture, Defaults, Traits, expert_counts, windows_by_type};
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::config::stored_form::Fused;
use crate::config::{Activation, ExpertsConfig, RouterScores};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "gpt_oss",
    defaults: Defaults {
        vocab_size: 201_088,
        hidden_size: 2880,
        layers: 36,
        heads: 64,
        any_heads: true,
        intermediate_size: 2880,
        kv_heads: Some(8),
        head_dim: Some(64),
        max_position_embeddings: 131_072,
        norm_eps: 1e-5,
        ..Defaults::BASE
    },
    traits,
    renames: &[("mlp.router.", "mlp.gate.")],
    fused: &[Fused::GptOssExperts, Fused::GptOssBlocks],
    fixed: &[
        ("num_experts", Only::As("num_local_experts")),
        ("experts_per_token", Only::As("num_experts_per_tok")),
        ("hidden_act", Only::Word("silu")),
    ],
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let (count, per_token) = expert_counts(fields, ("num_local_experts", 128), 4)?;
    let experts =
        ExpertsConfig { router_bias: true, ..ExpertsConfig::new(count, per_token, RouterScores::SoftmaxOfChosen) };
    if !fields.has("rope_parameters") && !fields.has("rope_scaling") {
        return Err(fields.refuse("rope_scaling", "is missing; gpt-oss scales its rotary positions with yarn"));
    }
    let alpha = fields.positive("swiglu_alpha")?.unwrap_or(1.702);
    let limit = fields.positive("swiglu_limit")?.unwrap_or(7.0);
    let attention_bias = fields.flag("attention_bias", true)?;
    let window = fields.optional_size("sliding_window", Some(128))?;
    Ok(Traits {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        mlp_bias: true,
        sinks: true,
        windows: windows_by_type(fields, sizes.layers, window, |layer| layer % 2 == 0)?,
        activation: Some(Activation::ClampedSwiglu { alpha: alpha as f32, limit: limit as f32 }),
        experts: vec![Some((sizes.intermediate, experts)); sizes.layers],
        rope: RopeTraits { theta: ("rope_theta", 150_000.0), ..RopeTraits::PLAIN },
        ..Traits::plain(sizes)
    })
}
