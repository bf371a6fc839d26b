//! A path in the words of other programs. Each refuses what those words cannot say, or what the program would read as
//! another model.

use std::fmt::Write as _;

use neuro_checkpoint::{DecoderConfig, LayerConfig, QkNorm};
use neuro_path::{BranchScales, LayerPath, Scale, Visit};
use serde_json::{Map, Value, json};

use crate::hf::ConfigFile;
use crate::nearest::advice;
use crate::{Result, SurgeryError, TOOL, fold};

/// Version of the sidecar's format.
pub const SIDECAR_SCHEMA: u32 = 1;

/// Architectures whose forward pass in transformers 5.23.0 (`modeling_*.py`) asks for no layer's position, so that PEFT may
/// lengthen the list: what tells a layer from others lies in its own modules.
const POSITIONLESS: [&str; 13] = [
    "llama",
    "mistral",
    "phi3",
    "olmo2",
    "granite",
    "glm4",
    "stablelm",
    "mixtral",
    "qwen3_moe",
    "glm4_moe",
    "minimax_m2",
    "deepseek_v2",
    "deepseek_v3",
];

/// Architectures with names of their own: PEFT looks for `layers` below any number of `model`, mergekit's filters for `o_proj`
/// and `down_proj`.
const OWN_NAMES: [&str; 2] = ["gpt2", "gpt_neox"];

/// Which model a sidecar is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SidecarModel {
    /// Name for people.
    pub id: String,
    /// Hash of configuration and weights.
    pub hash: String,
    /// The architecture's name.
    pub model_type: String,
}

/// The path as a JSON document of our own: everything that a path can say, and which model it is of.
#[must_use]
pub fn sidecar(path: &LayerPath, model: &SidecarModel) -> Value {
    json!({
        "schema": SIDECAR_SCHEMA,
        "kind": "layer-path",
        "tool": TOOL,
        "model": { "id": model.id, "hash": model.hash, "model_type": model.model_type, "layers": path.depth() },
        "path": path.to_string(),
        "layers": path.layers(),
        "block": path.block().map(|block| [block.start, block.end]),
    })
}

/// exllamav3's layer map (`-layer_map`): single layers and inclusive ranges (`exllamav3/model_init.py`).
///
/// # Errors
/// When a visit is damped, for the map has layers only, or when the model runs its stored layers several times.
pub fn exllamav3(path: &LayerPath, config: &DecoderConfig) -> Result<String> {
    refuse_rounds("exllamav3", path, config)?;
    refuse_scales(
        "exllamav3",
        path,
        "its layer map has no scales; export to hf or mergekit, which fold them into weights",
    )?;
    Ok(path.to_string())
}

/// PEFT's `layer_replication`: half-open ranges (`peft/tuners/tuners_utils.py`, `replicate_layers`).
///
/// # Errors
/// When a visit is damped, when transformers chooses something by a layer's position, which PEFT does not change, when
/// PEFT does not find the layers, or when the model runs its stored layers several times.
pub fn peft(path: &LayerPath, config: &DecoderConfig, file: Option<&ConfigFile>) -> Result<String> {
    refuse_rounds("peft", path, config)?;
    refuse_scales(
        "peft",
        path,
        "layer_replication has no scales; export to hf or mergekit, which fold them into weights",
    )?;
    if OWN_NAMES.contains(&config.model_type.as_str()) || file.is_some_and(ConfigFile::is_nested) {
        let reason = "PEFT looks for a list `layers` in the model or in its `model`, and this one's lies elsewhere; export to hf instead";
        return Err(unsayable("peft", path, reason));
    }
    let positionless = POSITIONLESS.contains(&config.model_type.as_str());
    let keeps_kinds = |path: &LayerPath| {
        let layers = path.layers();
        let kept = layers.iter().enumerate().all(|(place, &layer)| same_kind(config, place, layer));
        layers.len() <= path.depth() && kept
    };
    if !positionless && !keeps_kinds(path) {
        let reason = format!(
            "transformers looks up the kind of each {} layer by its position (config.layer_types), and PEFT leaves that list \
             as it is; export to hf, which writes it anew",
            config.model_type
        );
        return Err(unsayable("peft", path, reason));
    }
    let ranges: Vec<String> = runs(path).iter().map(|run| format!("[{},{}]", run.start, run.end)).collect();
    Ok(format!("[{}]", ranges.join(",")))
}

/// mergekit's passthrough merge of the model with itself: half-open slices, scales of a branch as those of its last
/// projection.
///
/// # Errors
/// When mergekit's output would be another model: it changes the number of layers in `config.json` and nothing else.
pub fn mergekit(path: &LayerPath, config: &DecoderConfig, file: &ConfigFile, model: &str) -> Result<String> {
    if file.is_nested() {
        let reason = "the decoder is one of several modules of the model, and mergekit's slices are for models of a single one; \
                      export to hf instead";
        return Err(unsayable("mergekit", path, reason));
    }
    refuse_forgotten_tensors(path, config, file)?;
    refuse_unfiltered_scales(path, config)?;
    let fits = |path: &LayerPath| {
        file.with_layers_only(path.depth(), path.len()).is_ok_and(|merged| is_path_of(&merged, config, path))
    };
    if !fits(path) {
        let reason = match file.with_layers_only(path.depth(), path.len()) {
            Err(error) => {
                format!("with only the number of layers changed, as mergekit does, config.json is refused: {error}")
            }
            Ok(_) => {
                "mergekit changes only the number of layers in config.json, and some layer would become one of another \
                      kind, because its kind follows from its position"
                    .to_owned()
            }
        };
        return Err(unsayable("mergekit", path, format!("{reason}; export to hf instead{}", advice(path, fits))));
    }
    let mut text = format!("# Layer path {path}, written by {TOOL}\nslices:\n");
    for Run { start, end, scales } in runs(path) {
        // JSON strings are YAML strings, whatever is in them. Writing to a string cannot fail.
        let model = Value::from(model);
        let _ = write!(text, "  - sources:\n      - model: {model}\n        layer_range: [{start}, {end}]\n");
        if !scales.is_plain() {
            text.push_str("        parameters:\n          scale:\n");
            for (filter, scale) in [("o_proj", scales.attn), ("down_proj", scales.mlp)] {
                if scale != Scale::ONE {
                    let _ = write!(text, "            - filter: {filter}\n              value: {scale}\n");
                }
            }
            text.push_str("            - value: 1\n");
        }
    }
    text.push_str("merge_method: passthrough\n");
    Ok(text)
}

/// mergekit 0.1.5 copies the tensors that its definition of an architecture lists and leaves out all others without a word
/// (`mergekit/_data/architectures`); of architectures that it has no definition of it copies what the files hold, but for
/// experts in some of the layers.
fn refuse_forgotten_tensors(path: &LayerPath, config: &DecoderConfig, file: &ConfigFile) -> Result<()> {
    // Biases of q, k and v; of everything else.
    let (knows_qkv, knows_others) = match config.model_type.as_str() {
        "llama" | "mistral" | "mixtral" | "qwen3" | "qwen3_moe" | "gemma2" | "gemma3_text" | "olmo2" | "phi3" => {
            (false, false)
        }
        "qwen2" | "glm4" | "glm4_moe" | "stablelm" => (true, false),
        _ => (true, true),
    };
    let biases = |layer: &LayerConfig| {
        let attention = &layer.attention;
        let qkv = attention.q_bias || attention.k_bias || attention.v_bias;
        (qkv && !knows_qkv) || ((attention.o_bias || layer.mlp.bias) && !knows_others)
    };
    let any = |has: &dyn Fn(&LayerConfig) -> bool| config.layers.iter().any(has);
    let has_experts = |layer: &LayerConfig| layer.mlp.experts.is_some();
    let has_some_experts = any(&has_experts)
        && any(&|layer| !has_experts(layer))
        && !["glm4_moe", "qwen3_moe"].contains(&config.model_type.as_str());
    let forgotten = [
        (any(&biases), "biases"),
        (has_some_experts, "experts in some layers only"),
        (any(&|layer| layer.attention.qk_norm == QkNorm::EachHead), "norms of single heads"),
        (file.is_quantised(), "quantised weights"),
    ];
    let Some((_, what)) = forgotten.into_iter().find(|(is_there, _)| *is_there) else { return Ok(()) };
    let reason =
        format!("the model has {what}, which mergekit leaves out of {}; export to hf instead", config.model_type);
    Err(unsayable("mergekit", path, reason))
}

/// mergekit scales the tensors in whose names it finds the filter.
fn refuse_unfiltered_scales(path: &LayerPath, config: &DecoderConfig) -> Result<()> {
    fold::check_layers("mergekit", path, config)?;
    let has_own_names = OWN_NAMES.contains(&config.model_type.as_str());
    let is_recurrent = |layer: usize| config.layers.get(layer).is_some_and(|layer| layer.delta_net.is_some());
    let is_missed = |visit: &Visit| {
        (has_own_names && !visit.scales.is_plain()) || (visit.scales.attn != Scale::ONE && is_recurrent(visit.layer))
    };
    if path.visits().iter().any(is_missed) {
        let reason = "mergekit scales tensors by their names, o_proj and down_proj, and a damped branch of this model ends in \
                      another; export to hf, which folds scales into that";
        return Err(unsayable("mergekit", path, reason));
    }
    Ok(())
}

/// Layers that follow one another with the same scales.
pub(crate) struct Run {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) scales: BranchScales,
}

pub(crate) fn runs(path: &LayerPath) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for visit in path.visits() {
        match runs.last_mut() {
            Some(run) if run.end == visit.layer && run.scales == visit.scales => run.end += 1,
            _ => runs.push(Run { start: visit.layer, end: visit.layer + 1, scales: visit.scales }),
        }
    }
    runs
}

/// Whether each layer of a description is the one that the path runs there.
pub(crate) fn is_path_of(merged: &DecoderConfig, source: &DecoderConfig, path: &LayerPath) -> bool {
    let layers = path.layers();
    merged.layers.len() == layers.len()
        && layers.iter().zip(&merged.layers).all(|(&layer, merged)| source.layers.get(layer) == Some(merged))
}

fn same_kind(config: &DecoderConfig, place: usize, layer: usize) -> bool {
    config.layers.get(place) == config.layers.get(layer)
}

pub(crate) fn unsayable(form: &'static str, path: &LayerPath, reason: impl Into<String>) -> SurgeryError {
    SurgeryError::Unsayable { form, path: path.to_string(), reason: reason.into() }
}

/// Other programs number the layers that are stored, a path those that are run.
fn refuse_rounds(form: &'static str, path: &LayerPath, config: &DecoderConfig) -> Result<()> {
    match config.layers.iter().find_map(|layer| layer.repeats) {
        None => Ok(()),
        Some(depth) => {
            let reason = format!(
                "the model runs its {depth} stored layers several times, and that program numbers stored layers; export to hf"
            );
            Err(unsayable(form, path, reason))
        }
    }
}

pub(crate) fn refuse_scales(form: &'static str, path: &LayerPath, reason: &str) -> Result<()> {
    if path.visits().iter().any(|visit| !visit.scales.is_plain()) {
        return Err(unsayable(form, path, reason));
    }
    Ok(())
}

/// A JSON object, or an empty one.
pub(crate) fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
