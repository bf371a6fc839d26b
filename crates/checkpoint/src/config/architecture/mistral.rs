//! Mistral, after `MistralConfig` and `MistralModel`: no biases; `sliding_window`, unless null, on every layer,
//! whatever `layer_types` says.

use super::{Architecture, Defaults, Traits};
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture =
    Architecture { model_type: "mistral", defaults: DEFAULTS, traits, fixed: FIXED, ..Architecture::BASE };

const FIXED: &[(&str, Only)] = &[("layer_types", Only::Any)];

/// Ministral's as well.
pub(super) const DEFAULTS: Defaults = Defaults {
    intermediate_size: 14_336,
    kv_heads: Some(8),
    max_position_embeddings: 4096 * 32,
    bos_token_id: Some(1),
    eos_token_id: Some(2),
    ..Defaults::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let window = fields.optional_size("sliding_window", Some(4096))?;
    Ok(Traits { windows: vec![window; sizes.layers], ..Traits::plain(sizes) })
}
