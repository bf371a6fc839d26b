//! Phi-3 and Phi-4, after `Phi3Config` and `Phi3Attention`: no biases, q, k and v stored as one matrix and so are gate and
//! up; a share of each head rotated, with longrope also under the names `su` and `yarn`.

use super::{Architecture, Defaults, Traits};
use crate::config::parse::Sizes;
use crate::config::rope::RopeTraits;
use crate::config::stored_form::Fused;
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "phi3",
    defaults: Defaults {
        vocab_size: 32_064,
        hidden_size: 3072,
        intermediate_size: 8192,
        max_position_embeddings: 4096,
        norm_eps: 1e-5,
        bos_token_id: Some(1),
        eos_token_id: Some(32_000),
        ..Defaults::BASE
    },
    traits,
    fused: &[Fused::QkvStacked, Fused::GateUpStacked],
    ..Architecture::BASE
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    let window = fields.optional_size("sliding_window", None)?;
    let rope = RopeTraits {
        partial: Some(("partial_rotary_factor", 1.0)),
        original: Some(4096),
        longrope: &["su", "yarn"],
        ..RopeTraits::PLAIN
    };
    Ok(Traits { windows: vec![window; sizes.layers], rope, ..Traits::plain(sizes) })
}
