//! GLM-4.5 to 4.7, after `Glm4MoeConfig` and `Glm4MoeMoE`: dense layers first, then experts chosen by sigmoids within the
//! best groups, beside some that every row takes; half of each head rotated.

use super::{Architecture, Defaults, Traits, expert_counts};
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::config::{ExpertsConfig, QkNorm, RouterGroups, RouterScores, SharedExpertConfig};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "glm4_moe",
    defaults: Defaults {
        vocab_size: 151_552,
        layers: 46,
        heads: 96,
        any_heads: true,
        intermediate_size: 10_944,
        kv_heads: Some(8),
        max_position_embeddings: 131_072,
        norm_eps: 1e-5,
        ..Defaults::BASE
    },
    traits,
    reads: &["first_k_dense_replace", "moe_intermediate_size", "n_routed_experts", "use_qk_norm"],
    predictors: true,
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let (count, per_token) = expert_counts(fields, ("n_routed_experts", 128), 8)?;
    let intermediate = fields.size("moe_intermediate_size", 1408)?;
    let groups = RouterGroups { count: fields.size("n_group", 1)?, kept: fields.size("topk_group", 1)?, summed: 2 };
    if count % groups.count != 0 || count / groups.count < groups.summed {
        let problem = format!("is {}, expected groups of two or more of the {count} experts", groups.count);
        return Err(fields.refuse("n_group", problem));
    }
    if groups.kept > groups.count || groups.kept * (count / groups.count) < per_token {
        let problem = format!(
            "is {} of {} groups, which do not hold the {per_token} experts of a row",
            groups.kept, groups.count
        );
        return Err(fields.refuse("topk_group", problem));
    }
    let experts = ExpertsConfig {
        correction_bias: true,
        normalised: fields.flag("norm_topk_prob", true)?,
        scale: fields.positive("routed_scaling_factor")?.unwrap_or(1.0),
        groups: Some(groups).filter(|groups| groups.count > 1),
        shared: Some(SharedExpertConfig {
            name: "shared_experts",
            intermediate_size: intermediate.saturating_mul(fields.size("n_shared_experts", 1)?),
            gated: false,
        }),
        ..ExpertsConfig::new(count, per_token, RouterScores::Sigmoid)
    };
    let dense = fields.count("first_k_dense_replace", 1)?;
    Ok(Traits {
        qkv_bias: fields.flag("attention_bias", false)?,
        qk_norm: if fields.flag("use_qk_norm", false)? { QkNorm::Head } else { QkNorm::None },
        experts: (0..sizes.layers).map(|layer| (layer >= dense).then(|| (intermediate, experts.clone()))).collect(),
        rope: RopeTraits { partial: Some(("partial_rotary_factor", 0.5)), ..RopeTraits::PLAIN },
        ..Traits::plain(sizes)
    })
}
