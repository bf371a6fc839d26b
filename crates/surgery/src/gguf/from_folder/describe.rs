//! The layers along the path as keys.

use neuro_checkpoint::{
    Activation, AttentionConfig, LatentConfig, LayerConfig, LayerNorms, MlpConfig, NormKind, QkNorm, RopeScaling,
};

use super::Writer;
use crate::Result;
use crate::gguf::meta::Meta;
use crate::gguf::rules::{Kinds, recurrence};

/// What gpt-oss's gate and up are clamped with, which llama.cpp has as numbers in its code (`LLM_FFN_SWIGLU_OAI_MOE`).
const GPT_OSS: Activation = Activation::ClampedSwiglu { alpha: 1.702, limit: 7.0 };

/// Architectures that rotate a part of each head where a key says so, beside those with delta nets.
const PARTIAL: [&str; 7] = ["phi3", "glm4", "glm4moe", "stablelm", "gptneox", "minimax-m2", "deepseek2"];
/// Architectures whose projections llama.cpp expects as wide as the model (`load_arch_tensors`).
const AS_WIDE_AS_THE_MODEL: [&str; 6] = ["olmo2", "stablelm", "gptneox", "gpt2", "phi3", "qwen2moe"];

impl Writer<'_> {
    /// Refuses what no key says and llama.cpp's code does not do by itself.
    pub(super) fn check(&self) -> Result<()> {
        let first = self.any()?;
        for layer in &self.layers {
            let recurs = layer.delta_net.is_some();
            let of_kind = self.first(|other| other.delta_net.is_some() == recurs).unwrap_or(first);
            if !is_alike(first, layer) || !is_alike(of_kind, layer) {
                return Err(self.refuse(
                    "its layers are of different kinds, which llama.cpp has no key for in this architecture; export to hf",
                ));
            }
            match &layer.delta_net {
                Some(delta_net) => self.check_delta_net(delta_net)?,
                None => self.check_attention(&layer.attention)?,
            }
            self.check_layer(layer)?;
            self.check_biases(layer)?;
            self.check_experts(layer)?;
        }
        if (self.config.embedding_scale - self.usual_embedding_scale()).abs() > 1e-6 && !self.is("granite") {
            return Err(self.refuse("its embeddings are scaled, which llama.cpp does not do in this architecture"));
        }
        if self.config.logit_scale != 1.0 && !self.is("granite") {
            return Err(self.refuse("its logits are scaled, which llama.cpp does not do in this architecture"));
        }
        if self.config.logit_softcap.is_some() && !self.is("gemma2") && !self.is("gemma3") {
            return Err(self.refuse("its logits are capped, which llama.cpp does not do in this architecture"));
        }
        if self.is("gemma2") && (self.config.logit_softcap.is_none() || first.attention.softcap.is_none()) {
            return Err(self.refuse("llama.cpp caps logits and scores in gemma2, and the model does not"));
        }
        if self.is("gemma2") && !self.config.tie_word_embeddings {
            return Err(
                self.refuse("llama.cpp takes gemma2's embedding as its head, and the model has a head of its own")
            );
        }
        if self.is("gpt2") && self.config.learned_positions != Some(self.config.max_position_embeddings) {
            return Err(self.refuse("its table of positions is not as long as its context"));
        }
        Ok(())
    }

    fn check_layer(&self, layer: &LayerConfig) -> Result<()> {
        let refuse = |reason: &str| Err(self.refuse(reason.to_owned()));
        let (expected, found) = (self.usual_activation(), layer.mlp.activation);
        if found != expected {
            let [expected, found] = [expected, found].map(name_of);
            return Err(
                self.refuse(format!("llama.cpp runs this architecture with {expected}, and the model has {found}"))
            );
        }
        if layer.branch_scale != 1.0 && !self.is("granite") {
            return refuse("its branches are scaled, which llama.cpp does not do in this architecture");
        }
        if !self.has_norms(layer) {
            return refuse("its norms are not those of this architecture in llama.cpp");
        }
        Ok(())
    }

    fn check_attention(&self, attention: &AttentionConfig) -> Result<()> {
        let refuse = |reason: &str| Err(self.refuse(reason.to_owned()));
        let is_bound = attention.window.is_some_and(|window| window < self.config.max_position_embeddings);
        if is_bound
            && self.architecture.window_period.is_none()
            && matches!(attention.rope.scaling, RopeScaling::LongRope { .. })
        {
            return refuse(
                "its layers have a window, which llama.cpp does not run in this architecture, and LongRoPE, whose divisors llama.cpp \
                 chooses by the context that is asked for and not by the text; export to hf",
            );
        }
        if attention.softcap.is_some() && !self.is("gemma2") {
            return refuse("its scores are capped, which llama.cpp does not do in this architecture");
        }
        // Gemma's is a rule about the number of layers, and DeepSeek's goes with its rotary positions.
        let usual = (attention.head_dim as f64).powf(-0.5);
        let is_free = self.is("granite") || attention.latent.is_some() || self.architecture.scale_depth.is_some();
        if !is_free && (attention.scale / usual - 1.0).abs() > 1e-6 {
            return refuse("its scores are scaled in a way that llama.cpp has no key for in this architecture");
        }
        if attention.output_gate != self.architecture.delta_nets.is_some() {
            return refuse("its attention has gates, or lacks those that llama.cpp needs in this architecture");
        }
        if AS_WIDE_AS_THE_MODEL.contains(&self.architecture.name)
            && attention.heads * attention.head_dim != self.config.hidden_size
        {
            return refuse(
                "its heads together are not as wide as the model, and llama.cpp does not load that in this architecture",
            );
        }
        if attention.rope.rotary_dim > 0 && !self.rotates(attention) {
            return refuse("it rotates a part of each head, or in another order than llama.cpp in this architecture");
        }
        if let Some(latent) = attention.latent
            && (latent.bias || self.config.norm_eps != LatentConfig::NORM_EPS)
        {
            return refuse(
                "its latents have biases, or norms with another epsilon than the others, which GGUF cannot say",
            );
        }
        Ok(())
    }

    /// Whether llama.cpp rotates as the model does: whole heads or a part, halves or pairs.
    fn rotates(&self, attention: &AttentionConfig) -> bool {
        let whole = attention.rope.rotary_dim == attention.head_dim;
        let interleaved = ["glm4", "deepseek2"].contains(&self.architecture.name);
        let partial = self.architecture.delta_nets.is_some() || PARTIAL.contains(&self.architecture.name);
        (whole || partial) && attention.rope.interleaved == interleaved
    }

    fn has_norms(&self, layer: &LayerConfig) -> bool {
        let kind = match () {
            () if self.architecture.layer_norm => NormKind::Layer,
            () if self.architecture.adds_one => NormKind::RmsAroundOne,
            () => NormKind::Rms,
        };
        let LayerNorms { before_attention, after_attention, before_mlp, after_mlp, .. } = layer.norms;
        let sandwich = ["gemma2", "gemma3", "glm4", "olmo2"].contains(&self.architecture.name);
        let before = !self.is("olmo2");
        let alone = self.is("stablelm") && layer.parallel;
        let of_heads = match self.architecture.name {
            "qwen3" | "qwen3moe" | "gemma3" | "qwen3next" | "qwen35" | "qwen35moe" => &[QkNorm::Head][..],
            "glm4moe" => &[QkNorm::Head, QkNorm::None],
            "olmo2" | "minimax-m2" => &[QkNorm::Row],
            _ => &[QkNorm::None],
        };
        layer.norms.kind == kind
            && self.config.norm == kind
            && before_attention.is_some() == before
            && before_mlp.is_some() == (before && !alone)
            && after_attention.is_some() == sandwich
            && after_mlp.is_some() == sandwich
            && (layer.delta_net.is_some() || of_heads.contains(&layer.attention.qk_norm))
            && (!layer.parallel || ["stablelm", "gptneox"].contains(&self.architecture.name))
    }

    /// Biases that llama.cpp adds in an architecture, and those without which it does not load.
    fn check_biases(&self, layer: &LayerConfig) -> Result<()> {
        let AttentionConfig { q_bias, k_bias, v_bias, o_bias, .. } = layer.attention;
        let (qkv, all) = (q_bias || k_bias || v_bias, q_bias && k_bias && v_bias);
        let mlp = layer.mlp.bias;
        let fits = match self.architecture.name {
            "llama" | "granite" => true,
            "qwen2" | "qwen2moe" | "glm4" | "glm4moe" | "stablelm" | "smollm3" => !o_bias && !mlp,
            "gptneox" | "gpt2" => all && o_bias && mlp,
            "gpt-oss" => all && o_bias,
            _ => !qkv && !o_bias && !mlp,
        };
        let of_experts = layer.mlp.experts.is_some() && mlp != self.is("gpt-oss");
        if fits && !of_experts {
            return Ok(());
        }
        Err(self.refuse("it has biases that llama.cpp leaves out in this architecture, or lacks some that it needs"))
    }

    fn usual_activation(&self) -> Activation {
        match self.architecture.name {
            "gemma2" | "gemma3" | "gpt2" => Activation::GeluTanh,
            // llama.cpp computes the approximation; the models have the function itself.
            "gptneox" => Activation::Gelu,
            "gpt-oss" => GPT_OSS,
            _ => Activation::Silu,
        }
    }

    fn usual_embedding_scale(&self) -> f64 {
        let is_gemma = self.is("gemma2") || self.is("gemma3");
        if is_gemma { (self.config.hidden_size as f64).sqrt() } else { 1.0 }
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture.name)
    }

    pub(super) fn size(&self, meta: &mut Meta, name: &str, size: usize) -> Result<()> {
        let size = u32::try_from(size).map_err(|_| self.refuse("a size is too large for GGUF"))?;
        meta.u32(&self.key(name), size);
        Ok(())
    }

    pub(super) fn describe(&self, meta: &mut Meta, kinds: &Kinds, notes: &mut Vec<String>) -> Result<()> {
        let first = self.any()?;
        self.size(meta, "context_length", self.context(notes))?;
        self.size(meta, "embedding_length", self.config.hidden_size)?;
        self.size(meta, "block_count", self.layers.len())?;
        self.size(meta, "vocab_size", self.config.vocab_size)?;
        let dense = self.first(|layer| layer.mlp.experts.is_none()).unwrap_or(first);
        self.size(meta, "feed_forward_length", dense.mlp.intermediate_size)?;
        let attention = self.attention()?;
        self.describe_heads(meta, attention, kinds)?;
        if let Some(recurrent) = &kinds.recurrent {
            self.describe_delta_nets(meta)?;
            recurrence::write(meta, self.architecture.name, recurrent, notes);
        }
        let eps = if self.architecture.layer_norm { "layer_norm_epsilon" } else { "layer_norm_rms_epsilon" };
        meta.f32(&self.key(&format!("attention.{eps}")), self.config.norm_eps as f32);
        if self.is("granite") {
            meta.f32(&self.key("attention.scale"), attention.scale as f32);
            meta.f32(&self.key("embedding_scale"), self.config.embedding_scale as f32);
            meta.f32(&self.key("residual_scale"), first.branch_scale as f32);
            meta.f32(&self.key("logit_scale"), (1.0 / self.config.logit_scale) as f32);
        }
        if let Some(cap) = attention.softcap {
            meta.f32(&self.key("attn_logit_softcapping"), cap as f32);
        }
        if let Some(cap) = self.config.logit_softcap {
            meta.f32(&self.key("final_logit_softcapping"), cap as f32);
        }
        if ["stablelm", "gptneox"].contains(&self.architecture.name) {
            meta.flag(&self.key("use_parallel_residual"), first.parallel);
        }
        if self.is("gptneox") {
            notes
                .push("llama.cpp computes GELU by its tanh approximation, the model by the function itself".to_owned());
        }
        self.describe_windows(meta, kinds, notes)?;
        if let Some(layer) = self.first(|layer| layer.mlp.experts.is_some()) {
            self.describe_experts(meta, layer, kinds)?;
        }
        Ok(())
    }

    /// Tokens of context. llama.cpp runs most architectures without windows; up to the length of a window that makes no
    /// difference, so the file has no longer context.
    fn context(&self, notes: &mut Vec<String>) -> usize {
        let whole = self.config.max_position_embeddings;
        let windows = self.layers.iter().filter_map(|layer| layer.attention.window);
        let Some(window) = windows.min().filter(|&window| self.architecture.window_period.is_none() && window < whole)
        else {
            return whole;
        };
        notes.push(format!(
            "its layers see {window} tokens, and llama.cpp runs this architecture without a window; so the file has {window} \
             tokens of context (`{}`), within which both compute the same, instead of {whole}; export to hf for longer texts",
            self.key("context_length")
        ));
        window
    }

    fn describe_heads(&self, meta: &mut Meta, attention: &AttentionConfig, kinds: &Kinds) -> Result<()> {
        self.size(meta, "attention.head_count", attention.heads)?;
        let Some(latent) = attention.latent else {
            self.size(meta, "attention.head_count_kv", attention.kv_heads)?;
            self.size(meta, "attention.key_length", attention.head_dim)?;
            self.size(meta, "attention.value_length", attention.head_dim)?;
            if !self.is("gpt2") {
                let rotated = self.first(|layer| layer.attention.rope.rotary_dim > 0);
                let own = Some(attention.rope.rotary_dim).filter(|&own| own > 0).unwrap_or(attention.head_dim);
                let rotated = rotated.map_or(own, |layer| layer.attention.rope.rotary_dim);
                self.size(meta, "rope.dimension_count", rotated)?;
                if self.architecture.rope_sections {
                    self.describe_sections(meta, rotated);
                }
            }
            return Ok(());
        };
        // Keys and values stay in the latent, of which there is one for all heads (`DeepseekV2Model.set_gguf_parameters`).
        self.size(meta, "attention.head_count_kv", 1)?;
        self.size(meta, "attention.key_length", latent.kv_rank + latent.rope_dim)?;
        self.size(meta, "attention.value_length", latent.kv_rank)?;
        self.size(meta, "attention.key_length_mla", latent.nope_dim + latent.rope_dim)?;
        self.size(meta, "attention.value_length_mla", latent.v_dim)?;
        self.size(meta, "attention.kv_lora_rank", latent.kv_rank)?;
        self.size(meta, "rope.dimension_count", latent.rope_dim)?;
        match latent.q_rank {
            Some(rank) => self.size(meta, "attention.q_lora_rank", rank),
            None if kinds.names_no_query_latent => self.size(meta, "attention.q_lora_rank", 0),
            None => Ok(()),
        }
    }

    fn describe_windows(&self, meta: &mut Meta, kinds: &Kinds, notes: &mut Vec<String>) -> Result<()> {
        if self.architecture.window_period.is_none() {
            return Ok(());
        }
        let windowed = self.first(|layer| layer.attention.window.is_some());
        let window = match windowed.and_then(|layer| layer.attention.window) {
            Some(window) => window,
            // A window is not optional here, but its layers are.
            None if ["gemma2", "gpt-oss"].contains(&self.architecture.name) => self.config.max_position_embeddings,
            None => return Ok(()),
        };
        self.size(meta, "attention.sliding_window", window)?;
        if let Some(windowed) = &kinds.windowed {
            let key = self.key("attention.sliding_window_pattern");
            notes.push(crate::gguf::rules::listed_windows(&key));
            meta.flags(&key, windowed);
        }
        Ok(())
    }
}

fn name_of(activation: Activation) -> String {
    match activation {
        Activation::Silu => "SiLU".to_owned(),
        Activation::Gelu => "GELU".to_owned(),
        Activation::GeluTanh => "the tanh approximation of GELU".to_owned(),
        Activation::Relu => "ReLU".to_owned(),
        Activation::ClampedSwiglu { alpha, limit } => format!("gates clamped at {limit} with a sharpness of {alpha}"),
    }
}

/// Whether two layers differ in nothing but windows, rotary positions, having experts, and having a delta net.
fn is_alike(first: &LayerConfig, layer: &LayerConfig) -> bool {
    let (mut one, mut other) = (first.clone(), layer.clone());
    for layer in [&mut one, &mut other] {
        layer.attention.window = None;
    }
    if one.delta_net.is_some() != other.delta_net.is_some() {
        other.attention.clone_from(&one.attention);
        other.delta_net = one.delta_net;
    }
    other.attention.rope.clone_from(&one.attention.rope);
    if one.mlp.experts.is_some() != other.mlp.experts.is_some() {
        other.mlp = MlpConfig { activation: other.mlp.activation, ..one.mlp.clone() };
    }
    one == other
}
