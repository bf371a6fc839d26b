//! Gemma 3, after `Gemma3TextConfig` and `Gemma3DecoderLayer`: as Gemma 2, but queries and keys are normed, five layers of
//! six are windowed, and those have a base period of their own without scaling. Its attention never caps scores.

use super::gemma2::{self, DEFAULTS, KEYS};
use super::{Architecture, Defaults, Traits, windows_by_type};
use crate::config::QkNorm;
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "gemma3_text",
    keys: KEYS,
    defaults: Defaults { vocab_size: 262_208, max_position_embeddings: 131_072, ..DEFAULTS },
    traits,
    // What 5.x writes of a pattern beside the `layer_types` that came of it.
    fixed: &[("hidden_act", Only::Any), ("_sliding_window_pattern", Only::Any)],
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    if fields.value("attn_logit_softcapping").is_some() {
        let problem = "is set, which transformers ignores in Gemma 3; set it to null";
        return Err(fields.refuse("attn_logit_softcapping", problem));
    }
    let window = fields.optional_size("sliding_window", Some(4096))?;
    let pattern = fields.size("sliding_window_pattern", 6)?;
    Ok(Traits {
        windows: windows_by_type(fields, sizes.layers, window, |layer| (layer + 1) % pattern != 0)?,
        qk_norm: QkNorm::Head,
        rope: RopeTraits {
            theta: ("rope_theta", 1e6),
            local_theta: Some((Some("rope_local_base_freq"), 1e4)),
            ..RopeTraits::PLAIN
        },
        ..gemma2::traits(fields, sizes, (None, None))?
    })
}
