//! Experts as keys.

use neuro_checkpoint::{ExpertsConfig, LayerConfig, RouterScores};

use super::Writer;
use crate::Result;
use crate::gguf::meta::Meta;
use crate::gguf::otherwise::SUMMED;
use crate::gguf::rules::Kinds;

/// Values of `expert_gating_func` (gguf-py's `ExpertGatingFuncType`).
const SOFTMAX: u32 = 1;
const SIGMOID: u32 = 2;

impl Writer<'_> {
    /// Refuses experts that llama.cpp would choose or weigh otherwise (`build_moe_ffn` and its callers).
    pub(super) fn check_experts(&self, layer: &LayerConfig) -> Result<()> {
        let Some(experts) = &layer.mlp.experts else {
            let needs = ["qwen2moe", "qwen3moe", "qwen3next", "qwen35moe", "gpt-oss", "minimax-m2"];
            return match needs.contains(&self.architecture.name) {
                true => Err(self.refuse(
                    "some layers along the path have no experts, and llama.cpp has no key for that in this architecture; \
                     export to hf",
                )),
                false => Ok(()),
            };
        };
        let ExpertsConfig { scores, normalised, correction_bias, router_bias, scale, groups, shared, .. } = experts;
        let fits = match self.architecture.name {
            "llama" | "qwen3moe" => *scores == RouterScores::Softmax && *normalised && shared.is_none(),
            "qwen2moe" => *scores == RouterScores::Softmax && !normalised && shared.is_some_and(|shared| shared.gated),
            "qwen3next" | "qwen35moe" => {
                *scores == RouterScores::Softmax && *normalised && shared.is_some_and(|shared| shared.gated)
            }
            "gpt-oss" => *scores == RouterScores::SoftmaxOfChosen && *router_bias && shared.is_none(),
            "minimax-m2" => *scores == RouterScores::Sigmoid && *normalised && *correction_bias && shared.is_none(),
            "glm4moe" => *scores == RouterScores::Sigmoid && *correction_bias,
            "deepseek2" => {
                *scores != RouterScores::SoftmaxOfChosen && (*scores == RouterScores::Sigmoid || !correction_bias)
            }
            _ => false,
        };
        let grouped = ["glm4moe", "deepseek2"].contains(&self.architecture.name);
        if !fits || (!grouped && (*scale != 1.0 || groups.is_some())) || (*router_bias && !self.is("gpt-oss")) {
            return Err(self.refuse(
                "its experts are chosen or weighed in a way that llama.cpp has no key for in this architecture; export to hf",
            ));
        }
        if let Some(groups) = groups {
            let size = experts.count / groups.count.max(1);
            // What V2's groups count differs in every file; see `gguf::otherwise`.
            if groups.summed > SUMMED || size < SUMMED {
                return Err(self.refuse(format!(
                    "a group of {size} experts counts as much as its best {}, and llama.cpp takes the best {SUMMED}; export to hf",
                    groups.summed
                )));
            }
        }
        let width = layer.mlp.intermediate_size.max(1);
        if grouped && shared.is_none() {
            return Err(self.refuse(
                "no expert is taken by all rows, and llama.cpp always runs one in this architecture; export to hf",
            ));
        }
        if grouped && !shared.is_some_and(|shared| shared.intermediate_size.is_multiple_of(width) && !shared.gated) {
            return Err(self.refuse("the expert that all rows take is no multiple of the others' width; export to hf"));
        }
        Ok(())
    }

    pub(super) fn describe_experts(&self, meta: &mut Meta, layer: &LayerConfig, kinds: &Kinds) -> Result<()> {
        let Some(experts) = &layer.mlp.experts else { return Ok(()) };
        let width = layer.mlp.intermediate_size;
        self.size(meta, "expert_count", experts.count)?;
        self.size(meta, "expert_used_count", experts.per_token)?;
        if self.is("llama") {
            return Ok(());
        }
        self.size(meta, "expert_feed_forward_length", width)?;
        if ["qwen2moe", "qwen3next", "qwen35moe"].contains(&self.architecture.name)
            && let Some(shared) = experts.shared
        {
            self.size(meta, "expert_shared_feed_forward_length", shared.intermediate_size)?;
        }
        if self.is("minimax-m2") {
            meta.u32(&self.key("expert_gating_func"), SIGMOID);
        }
        if !self.architecture.dense_first {
            return Ok(());
        }
        let shared = experts.shared.map_or(0, |shared| shared.intermediate_size / width.max(1));
        self.size(meta, "expert_shared_count", shared)?;
        self.size(meta, "leading_dense_block_count", kinds.dense)?;
        meta.f32(&self.key("expert_weights_scale"), experts.scale as f32);
        meta.flag(&self.key("expert_weights_norm"), experts.normalised);
        let gating = if experts.scores == RouterScores::Sigmoid { SIGMOID } else { SOFTMAX };
        meta.u32(&self.key("expert_gating_func"), gating);
        if let Some(groups) = experts.groups {
            self.size(meta, "expert_group_count", groups.count)?;
            self.size(meta, "expert_group_used_count", groups.kept)?;
        }
        Ok(())
    }
}
