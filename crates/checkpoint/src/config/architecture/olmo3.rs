//! OLMo 3, after `Olmo3Config` and `Olmo3Attention`: as OLMo 2, with a window on three layers of four; scaled rotary
//! positions only where there is none.

use super::olmo2::{self, DEFAULTS};
use super::{Architecture, Traits, windows_by_type};
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture =
    Architecture { model_type: "olmo3", defaults: DEFAULTS, traits, ..Architecture::BASE };

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let window = fields.optional_size("sliding_window", Some(4096))?;
    Ok(Traits {
        windows: windows_by_type(fields, sizes.layers, window, |layer| (layer + 1) % 4 != 0)?,
        // A `rope_theta` beside the parameters reaches full layers alone (`Olmo3Config.convert_rope_params_to_dict`).
        rope: RopeTraits { theta: ("rope_theta", 5e5), local_theta: Some((None, 5e5)), ..RopeTraits::PLAIN },
        ..olmo2::traits(fields, sizes)?
    })
}
