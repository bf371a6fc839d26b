//! MiniMax-M2 and M2.5, after `MiniMaxM2Config` and `MiniMaxM2SparseMoeBlock`: experts in every layer, chosen by sigmoids
//! and a learned correction; queries and keys normed over all heads together; `rotary_dim` of each head rotated.

use super::{Architecture, Defaults, Traits, expert_counts};
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::config::{ExpertsConfig, QkNorm, RouterScores};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "minimax_m2",
    defaults: Defaults {
        vocab_size: 200_064,
        hidden_size: 3072,
        layers: 62,
        heads: 48,
        any_heads: true,
        intermediate_size: 1536,
        kv_heads: Some(8),
        head_dim: Some(128),
        max_position_embeddings: 196_608,
        bos_token_id: Some(200_034),
        eos_token_id: Some(200_020),
        ..Defaults::BASE
    },
    traits,
    renames: &[
        ("block_sparse_moe.e_score_correction_bias", "mlp.gate.e_score_correction_bias"),
        ("block_sparse_moe.", "mlp."),
        (".w1.", ".gate_proj."),
        (".w2.", ".down_proj."),
        (".w3.", ".up_proj."),
    ],
    // After `MiniMaxM2Attention` and `MiniMaxM2SparseMoeBlock`; what is not theirs was MiniMax-Text-01's.
    fixed: &[
        ("attn_type_list", Only::Number(1)),
        ("mlp_intermediate_size", Only::Any),
        ("num_experts", Only::As("num_local_experts")),
        ("qk_norm_type", Only::Word("per_layer")),
        ("scoring_func", Only::Word("sigmoid")),
        ("shared_intermediate_size", Only::Number(0)),
        ("shared_moe_mode", Only::Any),
        ("use_qk_norm", Only::True),
        ("use_routing_bias", Only::True),
    ],
    predictors: true,
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let (count, per_token) = expert_counts(fields, ("num_local_experts", 256), 8)?;
    let experts = ExpertsConfig {
        correction_bias: true,
        normalised: true,
        ..ExpertsConfig::new(count, per_token, RouterScores::Sigmoid)
    };
    let rotary_dim = fields.optional_size("rotary_dim", None)?.unwrap_or(sizes.head_dim);
    if rotary_dim > sizes.head_dim {
        let problem = format!("is {rotary_dim}, expected at most `head_dim`, which is {}", sizes.head_dim);
        return Err(fields.refuse("rotary_dim", problem));
    }
    Ok(Traits {
        qk_norm: QkNorm::Row,
        experts: vec![Some((sizes.intermediate, experts)); sizes.layers],
        rope: RopeTraits {
            theta: ("rope_theta", 5e6),
            partial: Some(("partial_rotary_factor", rotary_dim as f64 / sizes.head_dim as f64)),
            ..RopeTraits::PLAIN
        },
        ..Traits::plain(sizes)
    })
}
