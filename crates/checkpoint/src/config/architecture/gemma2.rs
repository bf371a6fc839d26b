//! Gemma 2, after `Gemma2Config` and `Gemma2DecoderLayer`: norms before and behind both branches, scores and logits
//! capped, every other layer windowed, embeddings times the root of their width.

use super::{Architecture, Defaults, Keys, Traits, windows_by_type};
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::config::{LayerNorms, NormKind};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "gemma2",
    keys: KEYS,
    defaults: Defaults { vocab_size: 256_000, max_position_embeddings: 8192, ..DEFAULTS },
    traits: |fields, sizes| {
        let window = fields.optional_size("sliding_window", Some(4096))?;
        Ok(Traits {
            windows: windows_by_type(fields, sizes.layers, window, |layer| layer % 2 == 0)?,
            ..traits(fields, sizes, (Some(30.0), Some(50.0)))?
        })
    },
    fixed: &[("hidden_act", Only::Any), ("sliding_window_size", Only::As("sliding_window"))],
    ..Architecture::BASE
};

pub(super) const KEYS: Keys = Keys { activation: ("hidden_activation", "gelu_pytorch_tanh"), ..Keys::HUGGING_FACE };

pub(super) const DEFAULTS: Defaults = Defaults {
    hidden_size: 2304,
    layers: 26,
    heads: 8,
    intermediate_size: 9216,
    kv_heads: Some(4),
    head_dim: Some(256),
    tie_word_embeddings: true,
    bos_token_id: Some(2),
    eos_token_id: Some(1),
    ..Defaults::BASE
};

const NORMS: LayerNorms = LayerNorms {
    kind: NormKind::RmsAroundOne,
    before_attention: Some("input_layernorm"),
    after_attention: Some("post_attention_layernorm"),
    before_mlp: Some("pre_feedforward_layernorm"),
    after_mlp: Some("post_feedforward_layernorm"),
};

/// What Gemma 2 and Gemma 3 share, given the caps of missing keys: of logits and of scores.
pub(super) fn traits(
    fields: &Fields<'_>,
    sizes: &Sizes,
    (logits, scores): (Option<f64>, Option<f64>),
) -> Result<Traits, CheckpointError> {
    let attention_bias = fields.flag("attention_bias", false)?;
    let cap = |key, default: Option<f64>| if fields.has(key) { fields.positive(key) } else { Ok(default) };
    Ok(Traits {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        attention_scale: Some(fields.positive("query_pre_attn_scalar")?.unwrap_or(256.0).powf(-0.5)),
        attention_softcap: cap("attn_logit_softcapping", scores)?,
        logit_softcap: cap("final_logit_softcapping", logits)?,
        norms: NORMS,
        embedding_scale: (sizes.hidden as f64).sqrt(),
        ..Traits::plain(sizes)
    })
}
