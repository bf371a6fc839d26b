//! The architectures that this room can describe, one file each. A new one is a file and a line in [`KNOWN`].

mod llama;
mod mistral;
mod qwen2;
mod qwen3;

use serde_json::Value;

use crate::error::{CheckpointError, shorten};
use crate::fields::Fields;

/// Every architecture by the `model_type` of its config.
pub(super) const KNOWN: &[Architecture] =
    &[llama::ARCHITECTURE, mistral::ARCHITECTURE, qwen2::ARCHITECTURE, qwen3::ARCHITECTURE];

/// How an architecture turns a config into data.
pub(super) struct Architecture {
    /// The value of `model_type`.
    pub(super) model_type: &'static str,
    /// What the configuration class of transformers 5.23.0 fills in for missing keys.
    pub(super) defaults: Defaults,
    /// What the architecture's code decides, given the config and its number of layers.
    pub(super) traits: fn(&Fields<'_>, usize) -> Result<Traits, CheckpointError>,
}

/// Values of missing keys that differ between architectures.
pub(super) struct Defaults {
    pub(super) vocab_size: usize,
    pub(super) intermediate_size: usize,
    /// `None`: as many as query heads.
    pub(super) kv_heads: Option<usize>,
    /// `None`: `hidden_size / num_attention_heads`.
    pub(super) head_dim: Option<usize>,
    pub(super) max_position_embeddings: usize,
    pub(super) bos_token_id: Option<u32>,
    pub(super) eos_token_id: Option<u32>,
}

/// What the architecture's code decides beyond sizes.
pub(super) struct Traits {
    /// Biases of `q_proj`, `k_proj` and `v_proj`.
    pub(super) qkv_bias: bool,
    pub(super) o_bias: bool,
    pub(super) mlp_bias: bool,
    pub(super) qk_norm: bool,
    /// The sliding window of each layer; `None` for full attention.
    pub(super) windows: Vec<Option<usize>>,
}

/// Windows of the Qwen family: none unless `use_sliding_window`; then by `layer_types`, and without those from layer
/// `max_window_layers` on (`Qwen2Config.__post_init__`). The length of `layer_types` has been checked.
fn qwen_windows(fields: &Fields<'_>, layers: usize) -> Result<Vec<Option<usize>>, CheckpointError> {
    let sliding_window = fields.optional_size("sliding_window", Some(4096))?;
    let window = if fields.flag("use_sliding_window", false)? { sliding_window } else { None };
    let first_window_layer = fields.count("max_window_layers", 28)?;
    let Some(layer_types) = fields.array("layer_types")? else {
        return Ok((0..layers).map(|layer| window.filter(|_| layer >= first_window_layer)).collect());
    };
    let window_of = |(layer, layer_type): (usize, &Value)| match (layer_type.as_str(), window) {
        (Some("full_attention" | "attention"), _) => Ok(None),
        (Some("sliding_attention"), Some(window)) => Ok(Some(window)),
        (Some("sliding_attention"), None) => Err(fields.refuse(
            "layer_types",
            format!(
                "gives layer {layer} a sliding window, but no window is set; \
                 set `use_sliding_window` to true and `sliding_window` to its width, or use full_attention"
            ),
        )),
        (other, _) => {
            let found = other.map_or_else(|| "no string".to_owned(), |name| format!("\"{}\"", shorten(name)));
            let problem = format!("has {found} for layer {layer}, expected full_attention or sliding_attention");
            Err(fields.refuse("layer_types", problem))
        }
    };
    layer_types.iter().enumerate().map(window_of).collect()
}
