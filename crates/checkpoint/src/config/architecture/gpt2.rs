//! GPT-2, after `GPT2Config` and `GPT2Block`: LayerNorms, learned positions, an MLP without a gate, and matrices stored
//! with their axes the other way round (`Conv1D`).

use super::{Architecture, Defaults, Keys, Traits};
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::config::stored_form::Fused;
use crate::config::{LayerNorms, NormKind};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "gpt2",
    keys: Keys {
        hidden_size: "n_embd",
        layers: "n_layer",
        heads: "n_head",
        has_kv_heads: false,
        intermediate: "n_inner",
        context: "n_positions",
        norm_eps: "layer_norm_epsilon",
        activation: ("activation_function", "gelu_new"),
    },
    defaults: Defaults {
        vocab_size: 50_257,
        hidden_size: 768,
        layers: 12,
        heads: 12,
        max_position_embeddings: 1024,
        norm_eps: 1e-5,
        tie_word_embeddings: true,
        bos_token_id: Some(50_256),
        eos_token_id: Some(50_256),
        ..Defaults::BASE
    },
    traits,
    prefix: "transformer.",
    renames: &[
        ("model.h.", "model.layers."),
        ("model.wte.", "model.embed_tokens."),
        ("model.wpe.", "model.embed_positions."),
        ("model.ln_f.", "model.norm."),
        (".ln_1.", ".input_layernorm."),
        (".ln_2.", ".post_attention_layernorm."),
        (".attn.", ".self_attn."),
    ],
    // transformers' other names for the same (`GPT2Config.attribute_map`), and what only its first versions read.
    fixed: &[
        ("hidden_size", Only::As("n_embd")),
        ("max_position_embeddings", Only::As("n_positions")),
        ("n_ctx", Only::Any),
        ("n_special", Only::Any),
        ("num_attention_heads", Only::As("n_head")),
        ("num_hidden_layers", Only::As("n_layer")),
        ("predict_special_tokens", Only::Any),
    ],
    fused: &[Fused::Gpt2],
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    for key in ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] {
        if fields.flag(key, false)? {
            return Err(fields.refuse(key, "is true, which is not supported"));
        }
    }
    let scaled = fields.flag("scale_attn_weights", true)?;
    Ok(Traits {
        qkv_bias: true,
        o_bias: true,
        mlp_bias: true,
        gated: false,
        attention_scale: (!scaled).then_some(1.0),
        norms: LayerNorms { kind: NormKind::Layer, ..LayerNorms::BEFORE },
        no_rope: vec![true; sizes.layers],
        learned_positions: true,
        ..Traits::plain(sizes)
    })
}
