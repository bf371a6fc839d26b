//! GPT-NeoX and Pythia, after `GPTNeoXConfig` and `GPTNeoXLayer`: LayerNorms, branches side by side, a quarter of each head
//! rotated, q, k and v of each head stored behind one another, and an MLP without a gate.

use super::{Architecture, Defaults, Keys, Traits};
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::config::stored_form::Fused;
use crate::config::{LayerNorms, NormKind};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "gpt_neox",
    keys: Keys {
        has_kv_heads: false,
        norm_eps: "layer_norm_eps",
        activation: ("hidden_act", "gelu"),
        ..Keys::HUGGING_FACE
    },
    defaults: Defaults {
        vocab_size: 50_432,
        hidden_size: 6144,
        layers: 44,
        heads: 64,
        intermediate_size: 24_576,
        norm_eps: 1e-5,
        bos_token_id: Some(0),
        eos_token_id: Some(2),
        ..Defaults::BASE
    },
    traits,
    prefix: "gpt_neox.",
    renames: &[
        ("model.embed_in.", "model.embed_tokens."),
        ("model.final_layer_norm.", "model.norm."),
        ("model.embed_out.", "lm_head."),
        ("attention.query_key_value.", "self_attn.query_key_value."),
        ("attention.dense.", "self_attn.o_proj."),
        ("mlp.dense_h_to_4h.", "mlp.up_proj."),
        ("mlp.dense_4h_to_h.", "mlp.down_proj."),
    ],
    fused: &[Fused::QkvByHead],
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let attention_bias = fields.flag("attention_bias", true)?;
    let parallel = fields.flag("use_parallel_residual", true)?;
    Ok(Traits {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        mlp_bias: true,
        gated: false,
        norms: LayerNorms { kind: NormKind::Layer, ..LayerNorms::BEFORE },
        parallel,
        rope: RopeTraits { theta: ("rotary_emb_base", 1e4), partial: Some(("rotary_pct", 0.25)), ..RopeTraits::PLAIN },
        ..Traits::plain(sizes)
    })
}
