//! What each architecture says in words of its own. Every value that a `config.json` may leave to a default of its
//! architecture is given, since llama.cpp's default is the file's meaning.

use serde_json::{Map, Value as Json, json};

use super::Reader;
use super::rope::THETA;
use crate::config::LatentConfig;
use crate::error::CheckpointError;
use crate::gguf::weights::{GgufWeights, ROPE_LONG, ROPE_SHORT};

/// Gemma 2's window and caps where a file names none (`gemma2.cpp`, `llama-hparams.h`).
pub(super) const GEMMA2_WINDOW: u64 = 4096;
const GEMMA2_CAPS: (f64, f64) = (50.0, 30.0);

/// Values of `expert_gating_func` (gguf-py's `ExpertGatingFuncType`).
const SOFTMAX: u64 = 1;
const SIGMOID: u64 = 2;

/// Architectures whose layers may have experts, and those of them that choose them as DeepSeek does.
const WITH_EXPERTS: [&str; 9] =
    ["llama", "qwen2moe", "qwen3moe", "qwen3next", "qwen35moe", "glm4moe", "gpt-oss", "minimax-m2", "deepseek2"];
const GROUPED: [&str; 2] = ["glm4moe", "deepseek2"];

type Words = Map<String, Json>;

fn put(words: &mut Words, word: &str, value: impl Into<Json>) {
    words.insert(word.to_owned(), value.into());
}

fn size(words: &Words, word: &str) -> u64 {
    words.get(word).and_then(Json::as_u64).unwrap_or(0)
}

impl Reader<'_> {
    pub(super) fn own_words(&self, words: &mut Words, weights: &GgufWeights) -> Result<(), CheckpointError> {
        let experts = self.count("expert_count")?.unwrap_or(0);
        if experts > 0 && !WITH_EXPERTS.contains(&self.architecture.name) {
            let problem = format!("is {experts}, expected 0: this is not supported in this architecture");
            return Err(self.refuse("expert_count", problem));
        }
        if !GROUPED.contains(&self.architecture.name) {
            self.expect_plain_choice()?;
        }
        match self.architecture.name {
            "gemma2" | "gemma3" => self.gemma(words)?,
            "phi3" => self.phi3(words, weights)?,
            "granite" => self.granite(words)?,
            "olmo2" => self.olmo(words)?,
            "glm4" => self.partial(words, "partial_rotary_factor")?,
            "glm4moe" => {
                self.partial(words, "partial_rotary_factor")?;
                put(words, "use_qk_norm", weights.contains("model.layers.0.self_attn.q_norm.weight"));
                self.groups_of_experts(words)?;
            }
            "smollm3" => put(words, "no_rope_layer_interval", self.architecture.no_rope_period.unwrap_or(0)),
            "stablelm" => {
                self.partial(words, "partial_rotary_factor")?;
                let parallel = !weights.contains("model.layers.0.post_attention_layernorm.weight");
                put(words, "use_parallel_residual", parallel);
            }
            "gptneox" => self.gpt_neox(words)?,
            "gpt2" => gpt2(words),
            "qwen2moe" => {
                self.experts(words, "num_experts")?;
                self.shared_expert(words)?;
                put(words, "norm_topk_prob", false);
            }
            "qwen35" => self.hybrid(words)?,
            "qwen3next" | "qwen35moe" => {
                self.hybrid(words)?;
                self.experts(words, "num_experts")?;
                self.shared_expert(words)?;
                if self.architecture.name == "qwen3next" {
                    put(words, "norm_topk_prob", true);
                }
            }
            "qwen3moe" => {
                self.experts(words, "num_experts")?;
                put(words, "norm_topk_prob", true);
            }
            "gpt-oss" => self.gpt_oss(words)?,
            "minimax-m2" => {
                self.partial(words, "partial_rotary_factor")?;
                self.experts(words, "num_local_experts")?;
                self.expect_gating(SIGMOID, SIGMOID)?;
                let width = self.expert_width(words)?;
                put(words, "intermediate_size", width);
            }
            "deepseek2" => self.deepseek(words)?,
            _ => self.llama(words)?,
        }
        Ok(())
    }

    /// Llama, and Mixtral where there are experts. Qwen's windows are settled by their keys.
    fn llama(&self, words: &mut Words) -> Result<(), CheckpointError> {
        if self.count("expert_count")?.unwrap_or(0) == 0 {
            if self.architecture.model_types.is_empty() {
                put(words, "sliding_window", Json::Null);
            }
            return Ok(());
        }
        put(words, "model_type", "mixtral");
        put(words, "sliding_window", Json::Null);
        put(words, "num_local_experts", self.require("expert_count")?);
        put(words, "num_experts_per_tok", self.require("expert_used_count")?);
        Ok(())
    }

    /// Gemma 2 and 3. Scores are scaled by the width of a head, but in the 27B models, which are told by their layers.
    fn gemma(&self, words: &mut Words) -> Result<(), CheckpointError> {
        let is_27b = self.architecture.scale_depth.map(|depth| depth as u64) == Some(size(words, "num_hidden_layers"));
        let by_width = size(words, "hidden_size").checked_div(size(words, "num_attention_heads"));
        let scalar = if is_27b { by_width } else { None };
        let scalar = scalar.unwrap_or_else(|| size(words, "head_dim"));
        put(words, "query_pre_attn_scalar", scalar);
        let window = self.window()?;
        let cap = |name: &str| Ok::<_, CheckpointError>(self.number(name)?.filter(|&cap| cap != 0.0));
        if self.architecture.name == "gemma2" {
            put(words, "attn_logit_softcapping", cap("attn_logit_softcapping")?.unwrap_or(GEMMA2_CAPS.0));
            put(words, "final_logit_softcapping", cap("final_logit_softcapping")?.unwrap_or(GEMMA2_CAPS.1));
            put(words, "tie_word_embeddings", true);
            self.layer_types(words, Some(window.unwrap_or(GEMMA2_WINDOW)))
        } else {
            put(words, "final_logit_softcapping", json!(cap("final_logit_softcapping")?));
            put(words, "rope_local_base_freq", self.number("rope.freq_base_swa")?.unwrap_or(THETA));
            self.layer_types(words, window)
        }
    }

    /// The window, and which layers have it, written out.
    fn layer_types(&self, words: &mut Words, window: Option<u64>) -> Result<(), CheckpointError> {
        put(words, "sliding_window", json!(window));
        let layers = usize::try_from(size(words, "num_hidden_layers")).unwrap_or(0);
        if layers > crate::config::MAX_LAYERS {
            // Refused with the config.
            return Ok(());
        }
        let kind = |windowed: bool| if windowed && window.is_some() { "sliding_attention" } else { "full_attention" };
        let kinds: Vec<&str> = self.windowed(layers)?.into_iter().map(kind).collect();
        put(words, "layer_types", kinds);
        Ok(())
    }

    /// The rotated share of a head. Half a dimension more, so that rounding down gives the number that was stated.
    pub(super) fn partial(&self, words: &mut Words, word: &str) -> Result<(), CheckpointError> {
        let head_dim = size(words, "head_dim");
        let Some(rotated) = self.count("rope.dimension_count")? else {
            put(words, word, 1.0);
            return Ok(());
        };
        if rotated == 0 || rotated > head_dim {
            let problem = format!("is {rotated}, expected at most the {head_dim} of a head");
            return Err(self.refuse("rope.dimension_count", problem));
        }
        let share = if rotated == head_dim { 1.0 } else { (rotated as f64 + 0.5) / head_dim as f64 };
        put(words, word, share);
        Ok(())
    }

    fn phi3(&self, words: &mut Words, weights: &GgufWeights) -> Result<(), CheckpointError> {
        self.partial(words, "partial_rotary_factor")?;
        put(words, "sliding_window", json!(self.window()?));
        let (short, long) = (weights.divisors(ROPE_SHORT)?, weights.divisors(ROPE_LONG)?);
        let (short, long) = match (short, long) {
            (None, None) => return Ok(()),
            (Some(short), Some(long)) => (short, long),
            _ => return Err(weights.missing("rope_factors_short.weight or rope_factors_long.weight")),
        };
        let original = self.count("rope.scaling.original_context_length")?;
        let original = original.unwrap_or_else(|| size(words, "max_position_embeddings"));
        put(words, "original_max_position_embeddings", original);
        let magnitude = self.number("rope.scaling.attn_factor")?.unwrap_or(1.0);
        let scaling = json!({
            "rope_type": "longrope", "short_factor": short, "long_factor": long, "attention_factor": magnitude,
        });
        put(words, "rope_scaling", scaling);
        Ok(())
    }

    fn granite(&self, words: &mut Words) -> Result<(), CheckpointError> {
        // A switch in this architecture (`granite.cpp`).
        if self.keys.flag(&self.key("rope.scaling.finetuned"))? == Some(false) {
            return Err(self.refuse("rope.scaling.finetuned", "is false, a model without positions; not supported"));
        }
        let usual = (size(words, "head_dim") as f64).powf(-0.5);
        let scale = self.number("attention.scale")?.filter(|&scale| scale != 0.0).unwrap_or(usual);
        put(words, "attention_multiplier", scale);
        put(words, "embedding_multiplier", self.factor("embedding_scale")?);
        put(words, "residual_multiplier", self.factor("residual_scale")?);
        put(words, "logits_scaling", self.factor("logit_scale")?);
        Ok(())
    }

    /// OLMo 2, and OLMo 3 where there is a window; its windowed layers are never scaled.
    fn olmo(&self, words: &mut Words) -> Result<(), CheckpointError> {
        let Some(window) = self.window()? else { return Ok(()) };
        put(words, "model_type", "olmo3");
        let theta = words.remove("rope_theta").unwrap_or_else(|| THETA.into());
        let local = self.number("rope.freq_base_swa")?.map_or_else(|| theta.clone(), Json::from);
        let mut full = words.remove("rope_scaling").unwrap_or_else(|| json!({"rope_type": "default"}));
        if full.get("rope_type") == Some(&json!("yarn")) && full.get("original_max_position_embeddings").is_none() {
            full["original_max_position_embeddings"] = json!(size(words, "max_position_embeddings"));
        }
        full["rope_theta"] = theta;
        let sliding = json!({"rope_type": "default", "rope_theta": local});
        put(words, "rope_parameters", json!({"full_attention": full, "sliding_attention": sliding}));
        self.layer_types(words, Some(window))
    }

    fn gpt_neox(&self, words: &mut Words) -> Result<(), CheckpointError> {
        self.partial(words, "rotary_pct")?;
        let theta = words.remove("rope_theta").unwrap_or_else(|| THETA.into());
        put(words, "rotary_emb_base", theta);
        let parallel = self.keys.flag(&self.key("use_parallel_residual"))?;
        put(words, "use_parallel_residual", parallel.unwrap_or(true));
        Ok(())
    }

    fn gpt_oss(&self, words: &mut Words) -> Result<(), CheckpointError> {
        self.experts(words, "num_local_experts")?;
        let width = self.expert_width(words)?;
        put(words, "intermediate_size", width);
        let theta = self.number("rope.freq_base")?.unwrap_or(THETA);
        if let Some(local) = self.number("rope.freq_base_swa")?.filter(|&local| local != theta) {
            let problem = format!("is {local} where full layers have {theta}; this is not supported");
            return Err(self.refuse("rope.freq_base_swa", problem));
        }
        if !words.contains_key("rope_scaling") {
            put(words, "rope_parameters", json!({"rope_type": "default", "rope_theta": theta}));
        }
        let window = self.window()?;
        self.layer_types(words, window)
    }

    fn deepseek(&self, words: &mut Words) -> Result<(), CheckpointError> {
        self.groups_of_experts(words)?;
        let gating = self.count("expert_gating_func")?.filter(|&gating| gating != 0).unwrap_or(SOFTMAX);
        let version = match gating {
            SOFTMAX => "deepseek_v2",
            SIGMOID => "deepseek_v3",
            _ => return Err(self.unknown_gating(gating)),
        };
        put(words, "model_type", version);
        if gating == SOFTMAX && size(words, "n_group") > 1 {
            put(words, "topk_method", "group_limited_greedy");
        }
        let eps = "attention.layer_norm_rms_epsilon";
        if let Some(found) = self.number(eps)?.filter(|found| (found / LatentConfig::NORM_EPS - 1.0).abs() > 1e-3) {
            let problem = format!("is {found}, expected {}: norms of latents have no other", LatentConfig::NORM_EPS);
            return Err(self.refuse(eps, problem));
        }
        let rotated = self.require("rope.dimension_count")?;
        let length = |own: &'static str, common: &'static str| {
            Ok::<_, CheckpointError>(match self.count(own)? {
                Some(length) => length,
                None => self.require(common)?,
            })
        };
        let keys = length("attention.key_length_mla", "attention.key_length")?;
        let values = length("attention.value_length_mla", "attention.value_length")?;
        let Some(plain) = keys.checked_sub(rotated).filter(|&plain| plain > 0) else {
            let problem = format!("is {rotated}, expected less than the {keys} of a key");
            return Err(self.refuse("rope.dimension_count", problem));
        };
        put(words, "qk_nope_head_dim", plain);
        put(words, "qk_rope_head_dim", rotated);
        put(words, "v_head_dim", values);
        put(words, "kv_lora_rank", self.require("attention.kv_lora_rank")?);
        put(words, "q_lora_rank", json!(self.count("attention.q_lora_rank")?.filter(|&rank| rank > 0)));
        // Files in which keys and values stay in the latent name one head of them.
        let heads = size(words, "num_attention_heads");
        put(words, "num_key_value_heads", heads);
        Ok(())
    }

    /// The expert that all rows take: as wide as an MLP where no key says how wide.
    fn shared_expert(&self, words: &mut Words) -> Result<(), CheckpointError> {
        let shared = self.count("expert_shared_feed_forward_length")?.filter(|&width| width > 0);
        let shared = shared.unwrap_or_else(|| size(words, "intermediate_size"));
        put(words, "shared_expert_intermediate_size", shared);
        Ok(())
    }

    /// How many experts there are, how many a row takes, and how wide they are.
    fn experts(&self, words: &mut Words, count: &str) -> Result<(), CheckpointError> {
        put(words, count, self.require("expert_count")?);
        put(words, "num_experts_per_tok", self.require("expert_used_count")?);
        if count == "num_experts" || count == "n_routed_experts" {
            let width = self.expert_width(words)?;
            put(words, "moe_intermediate_size", width);
        }
        Ok(())
    }

    fn expert_width(&self, words: &Words) -> Result<u64, CheckpointError> {
        let width = self.count("expert_feed_forward_length")?.filter(|&width| width > 0);
        let used = self.count("expert_used_count")?.unwrap_or(0);
        let share = size(words, "intermediate_size").checked_div(used);
        width.or(share).ok_or_else(|| self.refuse("expert_feed_forward_length", "is missing; the file is incomplete"))
    }

    /// Experts as DeepSeek-V3 chooses them.
    fn groups_of_experts(&self, words: &mut Words) -> Result<(), CheckpointError> {
        self.experts(words, "n_routed_experts")?;
        put(words, "n_shared_experts", self.require("expert_shared_count")?);
        put(words, "first_k_dense_replace", self.count("leading_dense_block_count")?.unwrap_or(0));
        put(words, "routed_scaling_factor", self.factor("expert_weights_scale")?);
        let normalised = self.keys.flag(&self.key("expert_weights_norm"))?.unwrap_or(false);
        put(words, "norm_topk_prob", normalised);
        put(words, "n_group", self.count("expert_group_count")?.filter(|&groups| groups > 1).unwrap_or(1));
        put(words, "topk_group", self.count("expert_group_used_count")?.filter(|&kept| kept > 0).unwrap_or(1));
        if self.architecture.name == "glm4moe" {
            self.expect_gating(SIGMOID, SIGMOID)?;
        }
        Ok(())
    }

    /// llama.cpp scales the chosen weights and groups experts wherever the keys say so.
    fn expect_plain_choice(&self) -> Result<(), CheckpointError> {
        let scale = self.factor("expert_weights_scale")?;
        if scale != 1.0 {
            let problem = format!("is {scale}, expected 1: this is not supported in this architecture");
            return Err(self.refuse("expert_weights_scale", problem));
        }
        match self.count("expert_group_count")? {
            Some(groups) if groups > 1 => {
                let problem = format!("is {groups}, expected 1: this is not supported in this architecture");
                Err(self.refuse("expert_group_count", problem))
            }
            _ => Ok(()),
        }
    }

    fn expect_gating(&self, expected: u64, default: u64) -> Result<(), CheckpointError> {
        let found = self.count("expert_gating_func")?.filter(|&gating| gating != 0).unwrap_or(default);
        if found == expected { Ok(()) } else { Err(self.unknown_gating(found)) }
    }

    fn unknown_gating(&self, found: u64) -> CheckpointError {
        let problem = format!("is {found}, which this architecture does not have; known: 1 (softmax), 2 (sigmoid)");
        self.refuse("expert_gating_func", problem)
    }
}

/// GPT-2's own spelling.
fn gpt2(words: &mut Words) {
    for (common, own) in [
        ("max_position_embeddings", "n_positions"),
        ("hidden_size", "n_embd"),
        ("num_hidden_layers", "n_layer"),
        ("intermediate_size", "n_inner"),
        ("num_attention_heads", "n_head"),
        ("layer_norm_eps", "layer_norm_epsilon"),
    ] {
        if let Some(value) = words.remove(common) {
            words.insert(own.to_owned(), value);
        }
    }
    for absent in ["num_key_value_heads", "rope_theta", "rope_scaling"] {
        words.remove(absent);
    }
}
