//! Qwen3-MoE, after `Qwen3MoeConfig` and `Qwen3MoeSparseMoeBlock`: Qwen3 with experts, and a window on every layer where
//! `use_sliding_window` says so.

use super::{Architecture, Defaults, Traits, expert_counts, sparse_layers};
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::config::{ExpertsConfig, QkNorm, RouterScores};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "qwen3_moe",
    defaults: Defaults {
        vocab_size: 151_936,
        hidden_size: 2048,
        layers: 24,
        intermediate_size: 6144,
        kv_heads: Some(4),
        max_position_embeddings: 32_768,
        ..Defaults::BASE
    },
    traits,
    fixed: &[("use_qk_norm", Only::True)],
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let key = if fields.has("num_experts") { "num_experts" } else { "num_local_experts" };
    let (count, per_token) = expert_counts(fields, (key, 128), 8)?;
    let intermediate = fields.size("moe_intermediate_size", 768)?;
    let experts = ExpertsConfig {
        normalised: fields.flag("norm_topk_prob", false)?,
        ..ExpertsConfig::new(count, per_token, RouterScores::Softmax)
    };
    let attention_bias = fields.flag("attention_bias", false)?;
    let window = fields.optional_size("sliding_window", Some(4096))?;
    let window = if fields.flag("use_sliding_window", false)? { window } else { None };
    let sparse = sparse_layers(fields, sizes.layers)?;
    Ok(Traits {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        qk_norm: QkNorm::Head,
        windows: vec![window; sizes.layers],
        experts: sparse.into_iter().map(|sparse| sparse.then(|| (intermediate, experts.clone()))).collect(),
        ..Traits::plain(sizes)
    })
}
