//! Mixtral, after `MixtralConfig` and `MixtralSparseMoeBlock`: Mistral with experts in every layer, whose weights are a
//! softmax over all of them, shared among the chosen.

use super::{Architecture, Defaults, Traits, expert_counts};
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::config::{ExpertsConfig, RouterScores};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "mixtral",
    defaults: Defaults {
        intermediate_size: 14_336,
        kv_heads: Some(8),
        max_position_embeddings: 4096 * 32,
        norm_eps: 1e-5,
        bos_token_id: Some(1),
        eos_token_id: Some(2),
        ..Defaults::BASE
    },
    traits,
    renames: &[("block_sparse_moe.", "mlp."), (".w1.", ".gate_proj."), (".w2.", ".down_proj."), (".w3.", ".up_proj.")],
    fixed: &[("num_experts", Only::As("num_local_experts"))],
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let (count, per_token) = expert_counts(fields, ("num_local_experts", 8), 2)?;
    let window = fields.optional_size("sliding_window", None)?;
    let experts = ExpertsConfig { normalised: true, ..ExpertsConfig::new(count, per_token, RouterScores::Softmax) };
    Ok(Traits {
        windows: vec![window; sizes.layers],
        experts: vec![Some((sizes.intermediate, experts)); sizes.layers],
        rope: RopeTraits { theta: ("rope_theta", 1e6), ..RopeTraits::PLAIN },
        ..Traits::plain(sizes)
    })
}
