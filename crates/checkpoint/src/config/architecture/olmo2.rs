//! OLMo 2, after `Olmo2Config` and `Olmo2DecoderLayer`: norms only behind the branches, queries and keys normed over all
//! heads together; `attention_bias` covers q, k, v and o.

use super::{Architecture, Defaults, Traits};
use crate::config::parse::Sizes;
use crate::config::{LayerNorms, NormKind, QkNorm};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture =
    Architecture { model_type: "olmo2", defaults: DEFAULTS, traits, ..Architecture::BASE };

pub(super) const DEFAULTS: Defaults =
    Defaults { vocab_size: 50_304, norm_eps: 1e-5, eos_token_id: Some(50_279), ..Defaults::BASE };

const NORMS: LayerNorms = LayerNorms {
    kind: NormKind::Rms,
    before_attention: None,
    after_attention: Some("post_attention_layernorm"),
    before_mlp: None,
    after_mlp: Some("post_feedforward_layernorm"),
};

pub(super) fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let attention_bias = fields.flag("attention_bias", false)?;
    Ok(Traits {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        qk_norm: QkNorm::Row,
        norms: NORMS,
        ..Traits::plain(sizes)
    })
}
