//! Ouro (arXiv 2510.25741), after its published `configuration_ouro.py` and `modeling_ouro.py`; transformers has no such
//! class. Norms before and behind both branches, no biases, and a stack that is run `total_ut_steps` times, with the model's
//! norm on the residual stream after each time.
//!
//! It is described as so many layers behind one another, of which all but the first stack's run with weights that are there
//! already: every visit has keys and values of its own, as there. The norm between two times stands before the first layer of
//! the later one, so that a path says how often the stack is run: of 24 layers run 4 times, `0..23` is once, and
//! `0..95,72..95` is five times.

use super::{Architecture, Defaults, Traits, qwen_windows};
use crate::config::keys::Only;
use crate::config::parse::Sizes;
use crate::config::{LayerNorms, NormKind};
use crate::error::CheckpointError;
use crate::fields::Fields;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    model_type: "ouro",
    defaults: Defaults {
        vocab_size: 151_936,
        intermediate_size: 22_016,
        kv_heads: Some(32),
        max_position_embeddings: 32_768,
        ..Defaults::BASE
    },
    traits,
    fixed: &[("chunk_size", Only::Any)],
    unused: &["model.early_exit_gate."],
    ..Architecture::BASE
};

const NORMS: LayerNorms = LayerNorms {
    kind: NormKind::Rms,
    before_attention: Some("input_layernorm"),
    after_attention: Some("input_layernorm_2"),
    before_mlp: Some("post_attention_layernorm"),
    after_mlp: Some("post_attention_layernorm_2"),
};

fn traits(fields: &Fields<'_>, sizes: &Sizes) -> Result<Traits, CheckpointError> {
    // At 1 the gates' probabilities add up to it behind the last time only, so no token stops before.
    if fields.positive("early_exit_threshold")?.is_some_and(|threshold| threshold < 1.0) {
        let problem =
            "is below 1, so that tokens leave the loop at times of their own, which is not supported; set it to 1";
        return Err(fields.refuse("early_exit_threshold", problem));
    }
    if fields.value("early_exit_step").is_some() {
        return Err(fields.refuse("early_exit_step", "is set; set `total_ut_steps` instead, or run a shorter path"));
    }
    Ok(Traits {
        norms: NORMS,
        windows: qwen_windows(fields, sizes.layers)?,
        rounds: fields.size("total_ut_steps", 4)?,
        ..Traits::plain(sizes)
    })
}
