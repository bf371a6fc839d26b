//! Qwen2-MoE, after `Qwen2MoeConfig` and `Qwen2MoeSparseMoeBlock`: Qwen2 with experts beside one that every row takes,
//! times a gate of its own.

use super::{Architecture, Defaults, Traits, expert_counts, sparse_layers, windows_by_type};
use crate::config::parse::Sizes;
use crate::config::{ExpertsConfig, RouterScores, SharedExpertConfig};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "qwen2_moe",
    defaults: Defaults {
        vocab_size: 151_936,
        hidden_size: 2048,
        layers: 24,
        heads: 16,
        intermediate_size: 5632,
        kv_heads: Some(16),
        max_position_embeddings: 32_768,
        ..Defaults::BASE
    },
    traits,
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let (count, per_token) = expert_counts(fields, ("num_experts", 60), 4)?;
    let intermediate = fields.size("moe_intermediate_size", 1408)?;
    let shared = fields.size("shared_expert_intermediate_size", 5632)?;
    let experts = ExpertsConfig {
        normalised: fields.flag("norm_topk_prob", false)?,
        shared: Some(SharedExpertConfig { name: "shared_expert", intermediate_size: shared, gated: true }),
        ..ExpertsConfig::new(count, per_token, RouterScores::Softmax)
    };
    let window = fields.window(Some(4096))?;
    let window = if fields.flag("use_sliding_window", false)? { window } else { None };
    let last_window_layer = fields.count("max_window_layers", 28)?;
    let sparse = sparse_layers(fields, sizes.layers)?;
    Ok(Traits {
        qkv_bias: fields.flag("qkv_bias", true)?,
        windows: windows_by_type(fields, sizes.layers, window, |layer| layer % 2 == 0 && layer < last_window_layer)?,
        experts: sparse.into_iter().map(|sparse| sparse.then(|| (intermediate, experts.clone()))).collect(),
        ..Traits::plain(sizes)
    })
}
