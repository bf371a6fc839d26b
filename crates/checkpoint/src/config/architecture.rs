//! The architectures that this room can describe, one file each. A new one is a file and a line in [`KNOWN`].

mod deepseek;
mod gemma2;
mod gemma3;
mod glm4;
mod glm4_moe;
mod gpt2;
mod gpt_neox;
mod gpt_oss;
mod granite;
mod llama;
mod minimax_m2;
mod ministral;
mod mistral;
mod mixtral;
mod olmo2;
mod olmo3;
mod ouro;
mod phi3;
mod qwen2;
mod qwen2_moe;
mod qwen3;
mod qwen3_5;
mod qwen3_moe;
mod qwen3_next;
mod smollm3;
mod stablelm;

use serde_json::Value;

use super::delta_net::DeltaNetConfig;
use super::experts::ExpertsConfig;
use super::keys::Only;
use super::layer::{Activation, LatentConfig, LayerNorms, QkNorm};
use super::parse::Sizes;
use super::rope::RopeTraits;
use super::stored_form::Fused;
use crate::error::{CheckpointError, shorten};
use crate::fields::Fields;

/// Every architecture by the `model_type` of its config.
pub(super) const KNOWN: &[Architecture] = &[
    llama::ARCHITECTURE,
    mistral::ARCHITECTURE,
    ministral::ARCHITECTURE,
    mixtral::ARCHITECTURE,
    qwen2::ARCHITECTURE,
    qwen2_moe::ARCHITECTURE,
    qwen3::ARCHITECTURE,
    qwen3_moe::ARCHITECTURE,
    qwen3_next::ARCHITECTURE,
    qwen3_5::DENSE,
    qwen3_5::EXPERTS,
    phi3::ARCHITECTURE,
    smollm3::ARCHITECTURE,
    gemma2::ARCHITECTURE,
    gemma3::ARCHITECTURE,
    olmo2::ARCHITECTURE,
    olmo3::ARCHITECTURE,
    ouro::ARCHITECTURE,
    granite::ARCHITECTURE,
    glm4::ARCHITECTURE,
    glm4_moe::ARCHITECTURE,
    stablelm::ARCHITECTURE,
    gpt_neox::ARCHITECTURE,
    gpt2::ARCHITECTURE,
    gpt_oss::ARCHITECTURE,
    minimax_m2::ARCHITECTURE,
    deepseek::V2,
    deepseek::V3,
];

/// How an architecture turns a config into data.
pub(super) struct Architecture {
    /// The value of `model_type`.
    pub(super) model_type: &'static str,
    /// How its config spells what every config has.
    pub(super) keys: Keys,
    /// What the configuration class of transformers 5.23.0 fills in for missing keys.
    pub(super) defaults: Defaults,
    /// What the architecture's code decides, given the config and its sizes.
    pub(super) traits: fn(&Fields<'_>, &Sizes) -> Result<Traits, CheckpointError>,
    /// Keys of which its code computes one value only, whatever `traits` reads.
    pub(super) fixed: &'static [(&'static str, Only)],
    /// What stored names begin with where a base model is a part of one with a head.
    pub(super) prefix: &'static str,
    /// Parts of stored names, `model.` before them, and what they stand for; each replaces its first occurrence, in this
    /// order.
    pub(super) renames: &'static [(&'static str, &'static str)],
    /// Tensors that are stored in another form than the forward pass reads.
    pub(super) fused: &'static [Fused],
    /// What canonical names begin with of stored tensors that the description leaves out.
    pub(super) unused: &'static [&'static str],
    /// Whether layers beyond the last are stored that predict further tokens; they are left out, as in transformers.
    pub(super) predictors: bool,
}

impl Architecture {
    /// What most have in common; the name and the traits are to be given.
    const BASE: Self = Self {
        model_type: "",
        keys: Keys::HUGGING_FACE,
        defaults: Defaults::BASE,
        traits: |_, sizes| Ok(Traits::plain(sizes)),
        fixed: &[],
        prefix: "model.",
        renames: &[],
        fused: &[],
        unused: &[],
        predictors: false,
    };
}

/// Names of keys.
pub(super) struct Keys {
    pub(super) hidden_size: &'static str,
    pub(super) layers: &'static str,
    pub(super) heads: &'static str,
    /// Whether there is `num_key_value_heads`.
    pub(super) has_kv_heads: bool,
    pub(super) intermediate: &'static str,
    pub(super) context: &'static str,
    pub(super) norm_eps: &'static str,
    /// And what a missing activation is.
    pub(super) activation: (&'static str, &'static str),
}

impl Keys {
    const HUGGING_FACE: Self = Self {
        hidden_size: "hidden_size",
        layers: "num_hidden_layers",
        heads: "num_attention_heads",
        has_kv_heads: true,
        intermediate: "intermediate_size",
        context: "max_position_embeddings",
        norm_eps: "rms_norm_eps",
        activation: ("hidden_act", "silu"),
    };
}

/// Values of missing keys that differ between architectures.
pub(super) struct Defaults {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Whether the query heads need not divide `hidden_size`.
    pub(super) any_heads: bool,
    pub(super) intermediate_size: usize,
    /// `None`: as many as query heads.
    pub(super) kv_heads: Option<usize>,
    /// `None`: `hidden_size / num_attention_heads`.
    pub(super) head_dim: Option<usize>,
    pub(super) max_position_embeddings: usize,
    pub(super) norm_eps: f64,
    pub(super) tie_word_embeddings: bool,
    pub(super) bos_token_id: Option<u32>,
    pub(super) eos_token_id: Option<u32>,
}

impl Defaults {
    /// Those that many share.
    const BASE: Self = Self {
        vocab_size: 32_000,
        hidden_size: 4096,
        layers: 32,
        heads: 32,
        any_heads: false,
        intermediate_size: 11_008,
        kv_heads: None,
        head_dim: None,
        max_position_embeddings: 2048,
        norm_eps: 1e-6,
        tie_word_embeddings: false,
        bos_token_id: None,
        eos_token_id: None,
    };
}

/// What the architecture's code decides beyond sizes.
pub(super) struct Traits {
    /// Biases of `q_proj`, `k_proj` and `v_proj`.
    pub(super) qkv_bias: bool,
    pub(super) o_bias: bool,
    pub(super) mlp_bias: bool,
    pub(super) qk_norm: QkNorm,
    /// The sliding window of each layer; `None` for full attention.
    pub(super) windows: Vec<Option<usize>>,
    /// Layers without rotary positions; empty where all have them.
    pub(super) no_rope: Vec<bool>,
    pub(super) rope: RopeTraits,
    /// `None`: `1 / sqrt(head_dim)`.
    pub(super) attention_scale: Option<f64>,
    pub(super) attention_softcap: Option<f64>,
    pub(super) sinks: bool,
    /// How queries, keys and values come out of latents, where they do.
    pub(super) latent: Option<LatentConfig>,
    /// Whether `q_proj` gives gates of what is attended to.
    pub(super) output_gate: bool,
    /// What stands in the place of each layer's attention; empty where nothing does.
    pub(super) delta_nets: Vec<Option<DeltaNetConfig>>,
    pub(super) norms: LayerNorms,
    pub(super) parallel: bool,
    /// How many times the stack is run; 1 in most models.
    pub(super) rounds: usize,
    pub(super) branch_scale: f64,
    /// Whether MLPs have a `gate_proj`.
    pub(super) gated: bool,
    /// `None`: what the config names.
    pub(super) activation: Option<Activation>,
    /// Width and mixture of each layer that has experts; empty where none has.
    pub(super) experts: Vec<Option<(usize, ExpertsConfig)>>,
    pub(super) embedding_scale: f64,
    pub(super) learned_positions: bool,
    pub(super) logit_scale: f64,
    pub(super) logit_softcap: Option<f64>,
}

impl Traits {
    /// Llama without biases.
    fn plain(sizes: &Sizes) -> Self {
        Self {
            qkv_bias: false,
            o_bias: false,
            mlp_bias: false,
            qk_norm: QkNorm::None,
            windows: vec![None; sizes.layers],
            no_rope: Vec::new(),
            rope: RopeTraits::PLAIN,
            attention_scale: None,
            attention_softcap: None,
            sinks: false,
            latent: None,
            output_gate: false,
            delta_nets: Vec::new(),
            norms: LayerNorms::BEFORE,
            parallel: false,
            rounds: 1,
            branch_scale: 1.0,
            gated: true,
            activation: None,
            experts: Vec::new(),
            embedding_scale: 1.0,
            learned_positions: false,
            logit_scale: 1.0,
            logit_softcap: None,
        }
    }
}

/// Windows by `layer_types`, whose length has been checked; without it, of the layers for which `by_default` holds.
fn windows_by_type(
    fields: &Fields<'_>,
    layers: usize,
    window: Option<usize>,
    by_default: impl Fn(usize) -> bool,
) -> Result<Vec<Option<usize>>, CheckpointError> {
    let Some(layer_types) = fields.array("layer_types")? else {
        return Ok((0..layers).map(|layer| window.filter(|_| by_default(layer))).collect());
    };
    let window_of = |(layer, layer_type): (usize, &Value)| match (layer_type.as_str(), window) {
        (Some("full_attention" | "attention"), _) => Ok(None),
        (Some("sliding_attention"), Some(window)) => Ok(Some(window)),
        (Some("sliding_attention"), None) => Err(fields.refuse(
            "layer_types",
            format!(
                "gives layer {layer} a sliding window, but no window is set; \
                 set `use_sliding_window` to true and `sliding_window` to its width, or use full_attention"
            ),
        )),
        (other, _) => {
            let found = other.map_or_else(|| "no string".to_owned(), |name| format!("\"{}\"", shorten(name)));
            let problem = format!("has {found} for layer {layer}, expected full_attention or sliding_attention");
            Err(fields.refuse("layer_types", problem))
        }
    };
    layer_types.iter().enumerate().map(window_of).collect()
}

/// Windows of the Qwen family: none unless `use_sliding_window`; then by `layer_types`, and without those from layer
/// `max_window_layers` on (`Qwen2Config.__post_init__`). The length of `layer_types` has been checked.
fn qwen_windows(fields: &Fields<'_>, layers: usize) -> Result<Vec<Option<usize>>, CheckpointError> {
    let sliding_window = fields.optional_size("sliding_window", Some(4096))?;
    let window = if fields.flag("use_sliding_window", false)? { sliding_window } else { None };
    let first_window_layer = fields.count("max_window_layers", 28)?;
    windows_by_type(fields, layers, window, |layer| layer >= first_window_layer)
}

/// Which layers have experts: those that `decoder_sparse_step` divides and `mlp_only_layers` does not name
/// (`Qwen2MoeDecoderLayer`).
fn sparse_layers(fields: &Fields<'_>, layers: usize) -> Result<Vec<bool>, CheckpointError> {
    let step = fields.size("decoder_sparse_step", 1)?;
    let dense = fields.array("mlp_only_layers")?.unwrap_or_default();
    if let Some(wrong) = dense.iter().find(|layer| layer.as_u64().is_none()) {
        return Err(fields.refuse("mlp_only_layers", format!("holds {wrong}, expected indices of layers")));
    }
    Ok((0..layers).map(|layer| (layer + 1) % step == 0 && !dense.contains(&Value::from(layer))).collect())
}

/// How many experts there are and how many of them a row takes.
fn expert_counts(
    fields: &Fields<'_>,
    (key, default): (&str, usize),
    per_token: usize,
) -> Result<(usize, usize), CheckpointError> {
    /// Far above any real model; each is several tensors.
    const MOST_EXPERTS: usize = 4096;
    let count = fields.size(key, default)?;
    if count > MOST_EXPERTS {
        return Err(fields.refuse(key, format!("is {count}, expected at most {MOST_EXPERTS}")));
    }
    let per_token = fields.size("num_experts_per_tok", per_token)?;
    if per_token > count {
        let problem = format!("is {per_token}, expected at most the {count} experts of `{key}`");
        return Err(fields.refuse("num_experts_per_tok", problem));
    }
    Ok((count, per_token))
}
