//! Ministral, after `MinistralConfig` and `MinistralModel`: no biases; windows by `layer_types`, without those on every
//! layer.

use super::{Architecture, Traits, mistral, windows_by_type};
use crate::config::parse::Sizes;
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture =
    Architecture { model_type: "ministral", defaults: mistral::DEFAULTS, traits, ..Architecture::BASE };

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let window = fields.optional_size("sliding_window", Some(4096))?;
    Ok(Traits { windows: windows_by_type(fields, sizes.layers, window, |_| true)?, ..Traits::plain(sizes) })
}
