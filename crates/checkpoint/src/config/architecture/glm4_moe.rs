//! GLM-4.5 to 4.7, after `Glm4MoeConfig` and `Glm4MoeMoE`: dense layers first, then experts chosen by sigmoids within the
//! best groups, beside some that every row takes; half of each head rotated.

use super::{Architecture, Defaults, Traits, expert_counts};
use crate::config::keys::Only;
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
    fixed: &[("scoring_func", Only::Word("sigmoid")), ("topk_method", Only::Word("noaux_tc"))],
    predictors: true,
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let (intermediate, experts) = sigmoid_experts(fields, (128, 1408), (1, 1), 1.0)?;
    let dense = fields.count("first_k_dense_replace", 1)?;
    Ok(Traits {
        qkv_bias: fields.flag("attention_bias", false)?,
        qk_norm: if fields.flag("use_qk_norm", false)? { QkNorm::Head } else { QkNorm::None },
        experts: (0..sizes.layers).map(|layer| (layer >= dense).then(|| (intermediate, experts.clone()))).collect(),
        rope: RopeTraits { partial: Some(("partial_rotary_factor", 0.5)), ..RopeTraits::PLAIN },
        ..Traits::plain(sizes)
    })
}

/// Width and mixture of experts that are chosen by sigmoids and a correction within the best groups, as DeepSeek-V3's
/// (arXiv 2412.19437, section 2.1.2); given what missing keys mean: experts and their width, groups and kept ones, scale.
pub(super) fn sigmoid_experts(
    fields: &Fields<'_>,
    (count, width): (usize, usize),
    groups: (usize, usize),
    scale: f64,
) -> Result<(usize, ExpertsConfig), CheckpointError> {
    let (count, per_token) = expert_counts(fields, ("n_routed_experts", count), 8)?;
    let intermediate = fields.size("moe_intermediate_size", width)?;
    let groups = expert_groups(fields, groups, (count, per_token), 2)?;
    let experts = ExpertsConfig {
        correction_bias: true,
        normalised: fields.flag("norm_topk_prob", true)?,
        scale: fields.positive("routed_scaling_factor")?.unwrap_or(scale),
        groups,
        shared: shared_experts(fields, intermediate, 1)?,
        ..ExpertsConfig::new(count, per_token, RouterScores::Sigmoid)
    };
    Ok((intermediate, experts))
}

/// The MLP of so many experts' width that every row takes; none of no width, which transformers 5.23.0 builds and which adds
/// zeros. `null` is refused, as by its configs, in which the count is an `int`.
pub(super) fn shared_experts(
    fields: &Fields<'_>,
    intermediate: usize,
    default: usize,
) -> Result<Option<SharedExpertConfig>, CheckpointError> {
    let intermediate_size = intermediate.saturating_mul(fields.count("n_shared_experts", default)?);
    let shared = SharedExpertConfig { name: "shared_experts", intermediate_size, gated: false };
    Ok(Some(shared).filter(|shared| shared.intermediate_size > 0))
}

/// The groups of experts and how many are kept; `None` where there is one.
pub(super) fn expert_groups(
    fields: &Fields<'_>,
    (groups, kept): (usize, usize),
    (count, per_token): (usize, usize),
    summed: usize,
) -> Result<Option<RouterGroups>, CheckpointError> {
    let groups =
        RouterGroups { count: fields.size("n_group", groups)?, kept: fields.size("topk_group", kept)?, summed };
    if count % groups.count != 0 || count / groups.count < groups.summed {
        let problem = format!("is {}, expected groups of {summed} or more of the {count} experts", groups.count);
        return Err(fields.refuse("n_group", problem));
    }
    if groups.kept > groups.count || groups.kept * (count / groups.count) < per_token {
        let problem = format!(
            "is {} of {} groups, which do not hold the {per_token} experts of a row",
            groups.kept, groups.count
        );
        return Err(fields.refuse("topk_group", problem));
    }
    Ok(Some(groups).filter(|groups| groups.count > 1))
}
