//! What differs from layer to layer, or shows only in the tensors.

use super::Reader;
use crate::config::{DecoderConfig, ExpertsConfig, LayerConfig, NormKind, RopeScaling, RouterScores};
use crate::error::CheckpointError;
use crate::gguf::weights::GgufWeights;

impl Reader<'_> {
    pub(super) fn settle(&self, config: &mut DecoderConfig, weights: &GgufWeights) -> Result<(), CheckpointError> {
        let divisors = weights.rope_divisors()?;
        let (window, windowed) = (self.settled_window()?, self.windowed(config.num_layers())?);
        // Where the key means nothing it has been refused.
        let scale = self.number("attention.scale")?.filter(|&scale| scale != 0.0);
        if self.architecture.adds_one {
            config.norm = NormKind::Rms;
        }
        for (index, (layer, windowed)) in config.layers.iter_mut().zip(windowed).enumerate() {
            self.settle_rotated(layer)?;
            settle_biases(index, layer, weights);
            if self.architecture.adds_one {
                // What is stored is what multiplies.
                layer.norms.kind = NormKind::Rms;
            }
            let attention = &mut layer.attention;
            if self.architecture.reads.contains(&"attention.sliding_window") {
                attention.window = window.filter(|_| windowed);
            }
            attention.scale = scale.unwrap_or(attention.scale);
            if attention.latent.is_some() {
                attention.scale *= self.latent_magnitude()?;
            }
            if let Some(experts) = &mut layer.mlp.experts {
                self.settle_groups(experts)?;
            }
            if let Some(experts) = &mut layer.mlp.experts
                && experts.scores == RouterScores::Sigmoid
            {
                experts.correction_bias =
                    weights.contains(&format!("model.layers.{index}.mlp.gate.e_score_correction_bias"));
            }
            if let Some(divisors) = &divisors {
                if attention.rope.scaling != RopeScaling::Default {
                    let problem = "is set beside rope_freqs.weight; only one of both is supported";
                    return Err(self.refuse("rope.scaling.factor", problem));
                }
                let expected = attention.rope.rotary_dim / 2;
                if divisors.len() != expected && expected > 0 {
                    let found = divisors.len();
                    return Err(weights.refuse_rope(format!("has {found} numbers, expected {expected}, one per pair")));
                }
                if expected > 0 {
                    attention.rope.scaling = RopeScaling::Factors { divisors: divisors.clone() };
                }
            }
        }
        Ok(())
    }

    /// llama.cpp scores groups by their two best experts, whatever the model (`llama-graph.cpp`, `build_moe_ffn`): of
    /// DeepSeek-V2, which takes the best one, it makes that much of another model.
    fn settle_groups(&self, experts: &mut ExpertsConfig) -> Result<(), CheckpointError> {
        const SUMMED: usize = 2;
        let Some(groups) = &mut experts.groups else { return Ok(()) };
        if experts.count / groups.count.max(1) < SUMMED {
            let problem =
                format!("is {} for {} experts, expected groups of {SUMMED} or more", groups.count, experts.count);
            return Err(self.refuse("expert_group_count", problem));
        }
        groups.summed = SUMMED;
        Ok(())
    }

    fn settled_window(&self) -> Result<Option<usize>, CheckpointError> {
        let default = (self.architecture.name == "gemma2").then_some(super::words::GEMMA2_WINDOW);
        // Bounded where it was read.
        Ok(self.window()?.or(default).map(|window| window as usize))
    }

    /// How much of a head is rotated: that number is stated, and must be one that the architecture can have.
    fn settle_rotated(&self, layer: &LayerConfig) -> Result<(), CheckpointError> {
        let attention = &layer.attention;
        let name = "rope.dimension_count";
        let expected = attention.latent.map_or(attention.rope.rotary_dim, |latent| latent.rope_dim);
        match self.count(name)? {
            Some(found) if found != expected as u64 && attention.rope.rotary_dim > 0 => {
                let head_dim = attention.head_dim;
                let problem = format!(
                    "is {found} in heads of {head_dim}; heads that are rotated in part are not supported in this architecture"
                );
                Err(self.refuse(name, problem))
            }
            _ => Ok(()),
        }
    }
}

/// Biases are there where their tensors are.
fn settle_biases(index: usize, layer: &mut LayerConfig, weights: &GgufWeights) {
    let has = |module: &str| weights.contains(&format!("model.layers.{index}.{module}.bias"));
    let attention = &mut layer.attention;
    let together = has("self_attn.qkv_proj") || layer.delta_net.is_none() && has("linear_attn.in_proj_qkv");
    attention.q_bias = together || has("self_attn.q_proj");
    attention.k_bias = together || has("self_attn.k_proj");
    attention.v_bias = together || has("self_attn.v_proj");
    attention.o_bias = has("self_attn.o_proj");
    if layer.mlp.experts.is_none() {
        layer.mlp.bias = has("mlp.gate_proj") || has("mlp.up_proj");
    } else {
        layer.mlp.bias = has("mlp.experts.up_proj") || has("mlp.experts.gate_up_proj");
    }
}
