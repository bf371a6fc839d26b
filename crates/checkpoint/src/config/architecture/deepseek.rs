//! DeepSeek-V2 and V3, after `DeepseekV2Config`, `DeepseekV3Config` and their attention: queries, keys and values come out
//! of latents, dense layers first, then experts chosen within groups, by a softmax in V2 and by sigmoids in V3.

use super::glm4_moe::{expert_groups, shared_experts, sigmoid_experts};
use super::{Architecture, Defaults, Traits, expert_counts};
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::config::{ExpertsConfig, LatentConfig, RouterScores};
use crate::error::{CheckpointError, shorten};
use crate::fields::{Fields, LARGEST_SIZE};

pub(super) const V2: Architecture = Architecture {
    model_type: "deepseek_v2",
    defaults: Defaults { vocab_size: 102_400, bos_token_id: Some(1), eos_token_id: Some(2), ..Defaults::BASE },
    traits: v2,
    // Groups are looked at where `topk_method` chooses among them.
    fixed: &[
        ("moe_layer_freq", Only::Number(1)),
        ("n_group", Only::Any),
        ("scoring_func", Only::Word("softmax")),
        ("topk_group", Only::Any),
    ],
    ..Architecture::BASE
};

pub(super) const V3: Architecture = Architecture {
    model_type: "deepseek_v3",
    defaults: Defaults {
        vocab_size: 129_280,
        hidden_size: 7168,
        layers: 61,
        heads: 128,
        intermediate_size: 18_432,
        max_position_embeddings: 4096,
        bos_token_id: Some(0),
        eos_token_id: Some(1),
        ..Defaults::BASE
    },
    traits: v3,
    fixed: &[
        ("moe_layer_freq", Only::Number(1)),
        ("scoring_func", Only::Word("sigmoid")),
        ("topk_method", Only::Word("noaux_tc")),
    ],
    predictors: true,
    ..Architecture::BASE
};

fn v2(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    if fields.flag("norm_topk_prob", false)? {
        return Err(
            fields.refuse("norm_topk_prob", "is true, which transformers ignores in DeepSeek-V2; set it to false")
        );
    }
    let Some(per_token) = fields.optional_size("num_experts_per_tok", None)? else {
        return Err(fields.refuse("num_experts_per_tok", "is missing; DeepSeek-V2 has no default for it"));
    };
    let (count, per_token) = expert_counts(fields, ("n_routed_experts", 64), per_token)?;
    let groups = match fields.text("topk_method")?.unwrap_or("greedy") {
        "greedy" => None,
        "group_limited_greedy" => expert_groups(fields, (1, 1), (count, per_token), 1)?,
        other => {
            let known = "known: greedy, group_limited_greedy";
            return Err(fields.refuse("topk_method", format!("is \"{}\"; {known}", shorten(other))));
        }
    };
    let intermediate = fields.size("moe_intermediate_size", 1407)?;
    let experts = ExpertsConfig {
        scale: fields.positive("routed_scaling_factor")?.unwrap_or(1.0),
        groups,
        shared: shared_experts(fields, intermediate, 2)?,
        ..ExpertsConfig::new(count, per_token, RouterScores::Softmax)
    };
    let mlp_bias = fields.flag("mlp_bias", false)?;
    if mlp_bias {
        return Err(fields.refuse("mlp_bias", "is true, which its experts do not have; it is not supported"));
    }
    latent(fields, sizes, (intermediate, experts), 0, true)
}

fn v3(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let experts = sigmoid_experts(fields, (256, 2048), (8, 4), 2.5)?;
    let interleaved = fields.flag("rope_interleave", true)?;
    latent(fields, sizes, experts, 3, interleaved)
}

/// What both share, given the experts, how many dense layers come first by default, and how pairs are rotated.
fn latent(
    fields: &Fields<'_>,
    sizes: &Sizes,
    experts: (usize, ExpertsConfig),
    dense: usize,
    interleaved: bool,
) -> Result<Traits, CheckpointError> {
    if sizes.kv_heads != sizes.heads {
        let problem = format!("is {}, expected one for each of the {} heads", sizes.kv_heads, sizes.heads);
        return Err(fields.refuse("num_key_value_heads", problem));
    }
    let attention_bias = fields.flag("attention_bias", false)?;
    let latent = LatentConfig {
        q_rank: fields.optional_size("q_lora_rank", Some(1536))?,
        kv_rank: fields.size("kv_lora_rank", 512)?,
        nope_dim: fields.size("qk_nope_head_dim", 128)?,
        rope_dim: fields.size("qk_rope_head_dim", 64)?,
        v_dim: fields.size("v_head_dim", 128)?,
        bias: attention_bias,
    };
    let head_dim = latent.nope_dim + latent.rope_dim;
    if let Some(found) = fields.optional_size("qk_head_dim", None)?.filter(|&found| found != head_dim) {
        let problem = format!("is {found}, expected {head_dim}: `qk_nope_head_dim` and `qk_rope_head_dim` together");
        return Err(fields.refuse("qk_head_dim", problem));
    }
    if !latent.rope_dim.is_multiple_of(2) {
        let problem = format!("is {}, expected an even number: RoPE turns pairs", latent.rope_dim);
        return Err(fields.refuse("qk_rope_head_dim", problem));
    }
    if latent.v_dim > head_dim {
        let problem = format!("is {}, expected at most the {head_dim} of a key", latent.v_dim);
        return Err(fields.refuse("v_head_dim", problem));
    }
    if (sizes.heads as u64).saturating_mul((head_dim + latent.v_dim) as u64) > LARGEST_SIZE {
        return Err(fields.refuse("qk_nope_head_dim", format!("and the heads are wider than {LARGEST_SIZE}")));
    }
    let dense = fields.count("first_k_dense_replace", dense)?;
    Ok(Traits {
        o_bias: attention_bias,
        attention_scale: Some((head_dim as f64).powf(-0.5) * yarn_magnitude(fields)?.powi(2)),
        latent: Some(latent),
        experts: (0..sizes.layers).map(|layer| (layer >= dense).then(|| experts.clone())).collect(),
        rope: RopeTraits { interleaved, ..RopeTraits::PLAIN },
        ..Traits::plain(sizes)
    })
}

/// What scaled rotary positions do to the scores' scale beside cos and sin (`yarn_apply_mscale`).
fn yarn_magnitude(fields: &Fields<'_>) -> Result<f64, CheckpointError> {
    let scaling = fields.object("rope_scaling")?.filter(|object| !object.is_empty());
    let Some(scaling) = scaling.or(fields.object("rope_parameters")?) else { return Ok(1.0) };
    let kind = scaling.text("rope_type")?.or(scaling.text("type")?).unwrap_or("default");
    let all_dim = scaling.number("mscale_all_dim", "a number of at least 0", |number| number >= 0.0)?.unwrap_or(0.0);
    let factor = scaling.positive("factor")?.unwrap_or(1.0);
    let applies = kind != "default" && all_dim > 0.0 && factor > 1.0;
    Ok(if applies { 0.1 * all_dim * factor.ln() + 1.0 } else { 1.0 })
}
