//! SmolLM3, after `SmolLM3Config` and `SmolLM3Attention`: some layers have no rotary positions, by default every fourth,
//! and those are the ones that a window is for.

use super::{Architecture, Defaults, Traits, windows_by_type};
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "smollm3",
    defaults: Defaults {
        vocab_size: 128_256,
        hidden_size: 2048,
        layers: 36,
        heads: 16,
        kv_heads: Some(4),
        max_position_embeddings: 32_768,
        tie_word_embeddings: true,
        bos_token_id: Some(128_000),
        eos_token_id: Some(128_001),
        ..Defaults::BASE
    },
    traits,
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let attention_bias = fields.flag("attention_bias", false)?;
    let no_rope = layers_without_rope(fields, sizes.layers)?;
    let window = fields.optional_size("sliding_window", None)?;
    let window = if fields.flag("use_sliding_window", false)? { window } else { None };
    Ok(Traits {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        mlp_bias: fields.flag("mlp_bias", false)?,
        windows: windows_by_type(fields, sizes.layers, window, |layer| no_rope[layer])?,
        no_rope,
        rope: RopeTraits { theta: ("rope_theta", 2e6), ..RopeTraits::PLAIN },
        ..Traits::plain(sizes)
    })
}

/// `no_rope_layers` holds 1 for a layer that has rotary positions, whatever its name says.
fn layers_without_rope(fields: &Fields<'_>, layers: usize) -> Result<Vec<bool>, CheckpointError> {
    let interval = fields.size("no_rope_layer_interval", 4)?;
    let Some(listed) = fields.array("no_rope_layers")? else {
        return Ok((0..layers).map(|layer| (layer + 1) % interval == 0).collect());
    };
    if listed.len() != layers {
        let problem = format!("has {} entries, expected {layers}, one per layer", listed.len());
        return Err(fields.refuse("no_rope_layers", problem));
    }
    let is_without = |entry: &serde_json::Value| match entry.as_u64() {
        Some(has_rope @ 0..=1) => Ok(has_rope == 0),
        _ => Err(fields.refuse("no_rope_layers", format!("holds {entry}, expected 1 or 0: with RoPE or without"))),
    };
    listed.iter().map(is_without).collect()
}
