//! Qwen3-Next, after `Qwen3NextConfig` and `Qwen3NextGatedDeltaNet`: three layers with a delta net for one with attention,
//! which is gated; norms around one; experts beside one that every row takes.

use serde_json::Value;

use super::{Architecture, Defaults, Traits, expert_counts, sparse_layers};
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::config::stored_form::Fused;
use crate::config::{DeltaNetConfig, ExpertsConfig, LayerNorms, NormKind, QkNorm, RouterScores, SharedExpertConfig};
use crate::error::{CheckpointError, shorten};
use crate::fields::{Fields, LARGEST_SIZE};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "qwen3_next",
    defaults: Defaults {
        vocab_size: 151_936,
        hidden_size: 2048,
        layers: 48,
        heads: 16,
        any_heads: true,
        intermediate_size: 5632,
        kv_heads: Some(2),
        head_dim: Some(256),
        max_position_embeddings: 32_768,
        ..Defaults::BASE
    },
    traits,
    fixed: FIXED,
    unused: &["mtp."],
    fused: &[Fused::DeltaByKeyHead, Fused::ExpertsStacked],
    ..Architecture::BASE
};

/// What the code of both does not look at: the type of the recurrent state, which is f32 in any case, and how many layers
/// predict further tokens.
pub(super) const FIXED: &[(&str, Only)] = &[
    ("full_attention_interval", Only::Any),
    ("mamba_ssm_dtype", Only::Word("float32")),
    ("mtp_num_hidden_layers", Only::Any),
    ("mtp_use_dedicated_embeddings", Only::Any),
];

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let (intermediate, experts) = experts(fields, (512, 10), fields.flag("norm_topk_prob", true)?)?;
    let sparse = sparse_layers(fields, sizes.layers)?;
    Ok(Traits {
        experts: sparse.into_iter().map(|sparse| sparse.then(|| (intermediate, experts.clone()))).collect(),
        ..hybrid(fields, sizes)?
    })
}

/// Width and mixture of the experts, given what missing numbers of them mean and whether weights are made to sum to one.
pub(super) fn experts(
    fields: &Fields<'_>,
    (count, per_token): (usize, usize),
    normalised: bool,
) -> Result<(usize, ExpertsConfig), CheckpointError> {
    let (count, per_token) = expert_counts(fields, ("num_experts", count), per_token)?;
    let intermediate = fields.size("moe_intermediate_size", 512)?;
    let shared = fields.size("shared_expert_intermediate_size", 512)?;
    let experts = ExpertsConfig {
        normalised,
        shared: Some(SharedExpertConfig { name: "shared_expert", intermediate_size: shared, gated: true }),
        ..ExpertsConfig::new(count, per_token, RouterScores::Softmax)
    };
    Ok((intermediate, experts))
}

/// What Qwen3-Next and Qwen3.5 have in common: delta nets among gated attention.
pub(super) fn hybrid(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    // transformers reads neither key: its code has the gate and this activation of the other one.
    if !fields.flag("attn_output_gate", true)? {
        return Err(fields.refuse("attn_output_gate", "is false; this architecture's attention has gates"));
    }
    if let Some(other) = fields.text("output_gate_type")?.filter(|name| !["silu", "swish"].contains(name)) {
        let problem = format!("is \"{}\", expected swish, the delta net's gate", shorten(other));
        return Err(fields.refuse("output_gate_type", problem));
    }
    if let Some(other) = fields.text("hidden_act")?.filter(|name| !["silu", "swish"].contains(name)) {
        let problem = format!("is \"{}\", expected silu, which the delta net's convolution ends with", shorten(other));
        return Err(fields.refuse("hidden_act", problem));
    }
    let delta_net = delta_net(fields)?;
    let attention_bias = fields.flag("attention_bias", false)?;
    let recurrent = recurrent_layers(fields, sizes.layers)?;
    Ok(Traits {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        qk_norm: QkNorm::Head,
        output_gate: true,
        delta_nets: recurrent.into_iter().map(|recurrent| recurrent.then_some(delta_net)).collect(),
        norms: LayerNorms { kind: NormKind::RmsAroundOne, ..LayerNorms::BEFORE },
        rope: RopeTraits { partial: Some(("partial_rotary_factor", 0.25)), ..RopeTraits::PLAIN },
        ..Traits::plain(sizes)
    })
}

fn delta_net(fields: &Fields<'_>) -> Result<DeltaNetConfig, CheckpointError> {
    /// Far above any real model; as many rows are read for each.
    const MOST_TAPS: usize = 64;
    let delta_net = DeltaNetConfig {
        key_heads: fields.size("linear_num_key_heads", 16)?,
        value_heads: fields.size("linear_num_value_heads", 32)?,
        key_dim: fields.size("linear_key_head_dim", 128)?,
        value_dim: fields.size("linear_value_head_dim", 128)?,
        taps: fields.size("linear_conv_kernel_dim", 4)?,
    };
    let DeltaNetConfig { key_heads, value_heads, key_dim, value_dim, taps } = delta_net;
    if value_heads % key_heads != 0 {
        let problem = format!("is {value_heads}, expected a multiple of `linear_num_key_heads`, which is {key_heads}");
        return Err(fields.refuse("linear_num_value_heads", problem));
    }
    if taps > MOST_TAPS {
        return Err(fields.refuse("linear_conv_kernel_dim", format!("is {taps}, expected at most {MOST_TAPS}")));
    }
    let state = (value_heads as u64).saturating_mul(key_dim as u64).saturating_mul(value_dim as u64);
    if delta_net.channels() as u64 > LARGEST_SIZE || state > LARGEST_SIZE {
        let problem = format!(
            "is {value_dim}: with {key_heads} and {value_heads} heads and keys of {key_dim} the state has {state} numbers, \
             expected at most {LARGEST_SIZE}"
        );
        return Err(fields.refuse("linear_value_head_dim", problem));
    }
    Ok(delta_net)
}

/// Which layers have a delta net: those that `layer_types`, whose length has been checked, calls linear; without it all but
/// each `full_attention_interval`-th.
fn recurrent_layers(fields: &Fields<'_>, layers: usize) -> Result<Vec<bool>, CheckpointError> {
    let Some(layer_types) = fields.array("layer_types")? else {
        let interval = fields.size("full_attention_interval", 4)?;
        return Ok((1..=layers).map(|number| number % interval != 0).collect());
    };
    let is_recurrent = |(layer, layer_type): (usize, &Value)| match layer_type.as_str() {
        Some("linear_attention") => Ok(true),
        Some("full_attention") => Ok(false),
        other => {
            let found = other.map_or_else(|| "no string".to_owned(), |name| format!("\"{}\"", shorten(name)));
            let problem = format!("has {found} for layer {layer}, expected full_attention or linear_attention");
            Err(fields.refuse("layer_types", problem))
        }
    };
    layer_types.iter().enumerate().map(is_recurrent).collect()
}
