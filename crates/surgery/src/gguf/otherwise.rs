//! What llama.cpp computes otherwise in every file of a model, whoever wrote it, because no key says it the model's way.
//!
//! People run these models with llama.cpp all the same. So a path of such a model is written, the user is told what differs and
//! by how much, and the file is held against the path as llama.cpp computes it.

use std::sync::Arc;

use neuro_checkpoint::{Checkpoint, DecoderConfig, RopeScaling};

use crate::Result;
use crate::verify::Comparison;

/// How many of a group's best experts llama.cpp sums to its score (`llama-graph.cpp`, `build_moe_ffn`).
pub(super) const SUMMED: usize = 2;

/// The ends of YaRN's ramp (ggml's `ggml_rope_yarn_corr_dims`). gpt-oss is published without that rounding.
const RAMP: &str = "llama.cpp rounds the ends of YaRN's ramp to whole pairs, which this model does not (`truncate`)";
/// DeepSeek-V2's groups, to which llama.cpp gives the scores of DeepSeek-V3's.
const GROUPS: &str =
    "llama.cpp scores a group of experts by its best two, and this model by its best one (`topk_method`)";

/// Makes a description that of what llama.cpp computes. Gives a sentence for each thing that differs.
fn change(config: &mut DecoderConfig) -> Vec<&'static str> {
    let (mut ramp, mut grouped) = (false, false);
    for layer in &mut config.layers {
        if let RopeScaling::Yarn { truncate, .. } = &mut layer.attention.rope.scaling {
            ramp |= !*truncate;
            *truncate = true;
        }
        if let Some(groups) = layer.mlp.experts.as_mut().and_then(|experts| experts.groups.as_mut()) {
            grouped |= groups.summed != SUMMED;
            groups.summed = SUMMED;
        }
    }
    [(ramp, RAMP), (grouped, GROUPS)].into_iter().filter(|(differs, _)| *differs).map(|(_, what)| what).collect()
}

/// A sentence for each thing that differs, for people.
pub(super) fn notes(config: &DecoderConfig) -> Vec<String> {
    let told = |what| format!("{what}; so it does in every GGUF file of this model, along any path");
    change(&mut config.clone()).into_iter().map(told).collect()
}

/// What that does to logits, for people; `own` is the comparison with the model's own way.
pub(super) fn measured(own: &Comparison) -> String {
    format!(
        "computed the model's own way, the path's logits differ from the file's by up to {:.1e} (logits up to {:.1}), and {} \
         of {} best tokens are the same",
        own.largest, own.scale, own.same_best, own.positions
    )
}

/// The model as llama.cpp computes it, where that is another than the model's own description; its weights are the same.
///
/// # Errors
/// When the checkpoint cannot be opened again.
pub fn as_run(checkpoint: &Checkpoint) -> Result<Option<Arc<Checkpoint>>> {
    let mut config = checkpoint.config.clone();
    if change(&mut config).is_empty() {
        return Ok(None);
    }
    let mut run = Checkpoint::open(&checkpoint.dir)?;
    run.config = config;
    Ok(Some(Arc::new(run)))
}
