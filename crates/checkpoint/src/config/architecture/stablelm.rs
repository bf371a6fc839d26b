//! StableLM, after `StableLmConfig` and `StableLmDecoderLayer`: LayerNorms, also of queries and keys where `qk_layernorm`
//! says so, a quarter of each head rotated, and branches
//! side by side where `use_parallel_residual` says so; both then read the one norm.

use super::{Architecture, Defaults, Keys, Traits};
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::config::{LayerNorms, NormKind, QkNorm};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "stablelm",
    keys: Keys { norm_eps: "layer_norm_eps", ..Keys::HUGGING_FACE },
    defaults: Defaults {
        vocab_size: 50_304,
        hidden_size: 2560,
        intermediate_size: 6912,
        kv_heads: Some(32),
        max_position_embeddings: 4096,
        norm_eps: 1e-5,
        bos_token_id: Some(0),
        eos_token_id: Some(0),
        ..Defaults::BASE
    },
    traits,
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    if sizes.head_dim != sizes.hidden / sizes.heads {
        return Err(fields.refuse("head_dim", "is not `hidden_size` over `num_attention_heads`, which StableLM needs"));
    }
    let parallel = fields.flag("use_parallel_residual", false)?;
    let norms = LayerNorms { kind: NormKind::Layer, ..LayerNorms::BEFORE };
    Ok(Traits {
        qkv_bias: fields.flag("use_qkv_bias", false)?,
        qk_norm: if fields.flag("qk_layernorm", false)? { QkNorm::EachHead } else { QkNorm::None },
        norms: LayerNorms { before_mlp: norms.before_mlp.filter(|_| !parallel), ..norms },
        parallel,
        rope: RopeTraits { partial: Some(("partial_rotary_factor", 0.25)), ..RopeTraits::PLAIN },
        ..Traits::plain(sizes)
    })
}
