//! The architectures whose GGUF files are read and written: what llama.cpp calls them and the parts of their layers, and
//! what it makes of a layer by its number alone.
//!
//! Facts: gguf-py's `constants.py` (names), llama.cpp's `src/models/*.cpp` (`load_arch_hparams`, graphs) and
//! `convert_hf_to_gguf.py` (order of rows, what is added to norms).

/// An architecture in llama.cpp's words.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, and every entry names those that hold")]
pub struct GgufArchitecture {
    /// The value of `general.architecture`.
    pub name: &'static str,
    /// The `model_type` of folders that hold such models.
    pub model_types: &'static [&'static str],
    /// Parts of a layer whose names are not those that all share: GGUF's and the canonical ones.
    modules: &'static [(&'static str, &'static str)],
    /// Whether rows of queries and keys, which rotate as halves in a folder, are in the order of rotated pairs.
    pub in_pairs: bool,
    /// Whether queries, keys and values are one tensor, `attn_qkv`.
    pub fused_qkv: bool,
    /// Whether gate and up are one tensor, `ffn_up`.
    pub fused_gate_up: bool,
    /// Whether norms are LayerNorms.
    pub layer_norm: bool,
    /// Whether norms are stored with 1 added to their weights.
    pub adds_one: bool,
    /// Of windowed architectures: every so-many-th layer sees everything, unless a key says otherwise.
    pub window_period: Option<usize>,
    /// Of architectures with such layers: every so-many-th layer has no rotary positions, and no key says otherwise.
    pub no_rope_period: Option<usize>,
    /// A number of layers by which a model is told whose attention has another scale.
    pub scale_depth: Option<usize>,
    /// Whether the last blocks may be ones that predict further tokens.
    pub predictors: bool,
    /// Whether dense layers come first and all further ones have experts.
    pub dense_first: bool,
    /// Keys that only some architectures know, beside those that all do.
    pub(super) reads: &'static [&'static str],
}

/// Parts of a layer as all architectures call them: in GGUF, canonical.
const MODULES: [(&str, &str); 29] = [
    ("attn_norm", "input_layernorm"),
    ("attn_qkv", "self_attn.qkv_proj"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("attn_q_a", "self_attn.q_a_proj"),
    ("attn_q_a_norm", "self_attn.q_a_layernorm"),
    ("attn_q_b", "self_attn.q_b_proj"),
    ("attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"),
    ("attn_kv_a_norm", "self_attn.kv_a_layernorm"),
    ("attn_kv_b", "self_attn.kv_b_proj"),
    ("attn_k_b", "self_attn.k_b_proj"),
    ("attn_v_b", "self_attn.v_b_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("ffn_gate_inp", "mlp.gate"),
    ("ffn_gate_exps", "mlp.experts.gate_proj"),
    ("ffn_up_exps", "mlp.experts.up_proj"),
    ("ffn_down_exps", "mlp.experts.down_proj"),
    ("ffn_gate_up_exps", "mlp.experts.gate_up_proj"),
    ("ffn_gate_inp_shexp", "mlp.shared_expert_gate"),
    ("ffn_gate_shexp", "mlp.shared_expert.gate_proj"),
    ("ffn_up_shexp", "mlp.shared_expert.up_proj"),
    ("ffn_down_shexp", "mlp.shared_expert.down_proj"),
];

/// Whole names behind the layer's number that are not of the form MODULE.weight or MODULE.bias on both sides.
const WHOLE: [(&str, &str); 3] = [
    ("attn_sinks.weight", "self_attn.sinks"),
    ("exp_probs_b.bias", "mlp.gate.e_score_correction_bias"),
    // As files of early 2025 have it.
    ("exp_probs_b", "mlp.gate.e_score_correction_bias"),
];

/// Names of tensors that belong to no layer.
const OUTSIDE: [(&str, &str); 6] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("position_embd.weight", "model.embed_positions.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output_norm.bias", "model.norm.bias"),
    ("output.weight", "lm_head.weight"),
    ("output.bias", "lm_head.bias"),
];

const SHARED_EXPERTS: [(&str, &str); 3] = [
    ("ffn_gate_shexp", "mlp.shared_experts.gate_proj"),
    ("ffn_up_shexp", "mlp.shared_experts.up_proj"),
    ("ffn_down_shexp", "mlp.shared_experts.down_proj"),
];

/// Norms before and behind both branches, as Gemma has them.
const SANDWICH: &[(&str, &str)] = &[
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];

const WINDOW: &[&str] = &["attention.sliding_window", "attention.sliding_window_pattern"];

impl GgufArchitecture {
    /// What most have in common.
    const BASE: Self = Self {
        name: "",
        model_types: &[],
        modules: &[],
        in_pairs: false,
        fused_qkv: false,
        fused_gate_up: false,
        layer_norm: false,
        adds_one: false,
        window_period: None,
        no_rope_period: None,
        scale_depth: None,
        predictors: false,
        dense_first: false,
        reads: &[],
    };

    /// Every architecture.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "llama",
            model_types: &["llama", "mistral", "ministral", "mixtral"],
            in_pairs: true,
            reads: &["attention.scale", WINDOW[0], WINDOW[1]],
            ..Self::BASE
        },
        Self {
            name: "qwen2",
            model_types: &["qwen2"],
            reads: &["attention.scale", WINDOW[0], WINDOW[1]],
            ..Self::BASE
        },
        Self {
            name: "qwen3",
            model_types: &["qwen3"],
            reads: &["attention.scale", WINDOW[0], WINDOW[1]],
            ..Self::BASE
        },
        // Llama with another scale for long texts, which is refused, and YaRN in its own way.
        Self {
            name: "mistral3",
            in_pairs: true,
            reads: &["rope.scaling.yarn_log_multiplier", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"],
            ..Self::BASE
        },
        Self { name: "qwen2moe", model_types: &["qwen2_moe"], ..Self::BASE },
        Self { name: "qwen3moe", model_types: &["qwen3_moe"], ..Self::BASE },
        Self {
            name: "gemma2",
            model_types: &["gemma2"],
            modules: SANDWICH,
            adds_one: true,
            window_period: Some(2),
            scale_depth: Some(46),
            reads: &[WINDOW[0], WINDOW[1], "attn_logit_softcapping", "final_logit_softcapping"],
            ..Self::BASE
        },
        Self {
            name: "gemma3",
            model_types: &["gemma3_text"],
            modules: SANDWICH,
            adds_one: true,
            window_period: Some(6),
            scale_depth: Some(62),
            reads: &[WINDOW[0], WINDOW[1], "final_logit_softcapping", "rope.freq_base_swa"],
            ..Self::BASE
        },
        Self {
            name: "phi3",
            model_types: &["phi3"],
            modules: &[("ffn_up", "mlp.gate_up_proj")],
            fused_qkv: true,
            fused_gate_up: true,
            reads: &[WINDOW[0]],
            ..Self::BASE
        },
        Self {
            name: "granite",
            model_types: &["granite"],
            in_pairs: true,
            reads: &["attention.scale", "embedding_scale", "residual_scale", "logit_scale"],
            ..Self::BASE
        },
        Self {
            name: "olmo2",
            model_types: &["olmo2", "olmo3"],
            modules: &[
                ("post_attention_norm", "post_attention_layernorm"),
                ("post_ffw_norm", "post_feedforward_layernorm"),
            ],
            window_period: Some(4),
            reads: &[WINDOW[0], WINDOW[1], "rope.freq_base_swa"],
            ..Self::BASE
        },
        Self {
            name: "glm4",
            model_types: &["glm4"],
            modules: &[
                ("post_attention_norm", "post_self_attn_layernorm"),
                ("post_ffw_norm", "post_mlp_layernorm"),
                ("ffn_up", "mlp.gate_up_proj"),
            ],
            fused_gate_up: true,
            predictors: true,
            ..Self::BASE
        },
        Self {
            name: "glm4moe",
            model_types: &["glm4_moe"],
            modules: &[
                ("post_attention_norm", "post_attention_layernorm"),
                SHARED_EXPERTS[0],
                SHARED_EXPERTS[1],
                SHARED_EXPERTS[2],
            ],
            predictors: true,
            dense_first: true,
            ..Self::BASE
        },
        Self { name: "smollm3", model_types: &["smollm3"], in_pairs: true, no_rope_period: Some(4), ..Self::BASE },
        Self {
            name: "stablelm",
            model_types: &["stablelm"],
            layer_norm: true,
            reads: &["use_parallel_residual"],
            ..Self::BASE
        },
        Self {
            name: "gptneox",
            model_types: &["gpt_neox"],
            fused_qkv: true,
            layer_norm: true,
            reads: &["use_parallel_residual"],
            ..Self::BASE
        },
        Self { name: "gpt2", model_types: &["gpt2"], fused_qkv: true, layer_norm: true, ..Self::BASE },
        Self {
            name: "gpt-oss",
            model_types: &["gpt_oss"],
            modules: &[("post_attention_norm", "post_attention_layernorm")],
            window_period: Some(2),
            reads: &[WINDOW[0], WINDOW[1], "rope.freq_base_swa"],
            ..Self::BASE
        },
        Self { name: "minimax-m2", model_types: &["minimax_m2"], ..Self::BASE },
        Self {
            name: "deepseek2",
            model_types: &["deepseek_v2", "deepseek_v3"],
            modules: &SHARED_EXPERTS,
            dense_first: true,
            reads: &[
                "attention.q_lora_rank",
                "attention.kv_lora_rank",
                "attention.key_length_mla",
                "attention.value_length_mla",
                "rope.scaling.yarn_log_multiplier",
            ],
            ..Self::BASE
        },
    ];

    /// The architecture of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|known| known.name == name)
    }

    /// What llama.cpp calls the models of a `model_type`.
    #[must_use]
    pub fn of_model_type(model_type: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|known| known.model_types.contains(&model_type))
    }

    fn modules(&self) -> impl Iterator<Item = &(&'static str, &'static str)> {
        self.modules.iter().chain(&MODULES)
    }

    /// The canonical name of a stored one; `None` for what is no part of a decoder that is known here.
    pub(super) fn canonical(&self, stored: &str) -> Option<String> {
        if let Some((_, canonical)) = OUTSIDE.iter().find(|(name, _)| *name == stored) {
            return Some((*canonical).to_owned());
        }
        let (layer, rest) = stored.strip_prefix("blk.")?.split_once('.')?;
        let index: usize = layer.parse().ok()?;
        // `+1` and `01` parse as well, but are other names.
        if index.to_string() != layer {
            return None;
        }
        if let Some((_, canonical)) = WHOLE.iter().find(|(name, _)| *name == rest) {
            return Some(format!("model.layers.{index}.{canonical}"));
        }
        let (module, part) = rest.rsplit_once('.').filter(|(_, part)| matches!(*part, "weight" | "bias"))?;
        if let Some((_, module)) = self.modules().find(|(name, _)| *name == module) {
            return Some(format!("model.layers.{index}.{module}.{part}"));
        }
        // Each expert by itself, as in files before April 2024.
        let (module, expert) = module.rsplit_once('.')?;
        let projection = module.strip_prefix("ffn_").filter(|name| matches!(*name, "gate" | "up" | "down"))?;
        let expert = expert.parse::<usize>().ok().filter(|number| number.to_string() == expert)?;
        Some(format!("model.layers.{index}.mlp.experts.{expert}.{projection}_proj.{part}"))
    }

    /// The stored name of a canonical one that belongs to no layer.
    #[must_use]
    pub fn stored_outside(canonical: &str) -> Option<&'static str> {
        OUTSIDE.iter().find(|(_, name)| *name == canonical).map(|(stored, _)| *stored)
    }

    /// The stored name, behind the block's number, of a canonical one behind the layer's:
    /// `self_attn.q_proj.weight` → `attn_q.weight`. Experts are stored as one tensor, `mlp.experts.up_proj.weight`.
    #[must_use]
    pub fn stored_part(&self, canonical: &str) -> Option<String> {
        if let Some((stored, _)) = WHOLE.iter().find(|(_, name)| *name == canonical) {
            return Some((*stored).to_owned());
        }
        let (module, part) = canonical.rsplit_once('.')?;
        // A name that this architecture gives to another part is not the common part's.
        let is_free = |(stored, _): &&(&str, &str)| {
            self.modules.iter().all(|(own, canonical)| own != stored || *canonical == module)
        };
        let (stored, _) = self.modules().filter(is_free).find(|(_, name)| *name == module)?;
        Some(format!("{stored}.{part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_canonical() {
        let llama = GgufArchitecture::named("llama").unwrap();
        for (stored, expected) in [
            ("token_embd.weight", Some("model.embed_tokens.weight")),
            ("output.weight", Some("lm_head.weight")),
            ("blk.0.attn_q.weight", Some("model.layers.0.self_attn.q_proj.weight")),
            ("blk.12.attn_k.bias", Some("model.layers.12.self_attn.k_proj.bias")),
            ("blk.7.ffn_norm.weight", Some("model.layers.7.post_attention_layernorm.weight")),
            ("blk.3.ffn_down.11.weight", Some("model.layers.3.mlp.experts.11.down_proj.weight")),
            ("blk.3.ffn_down_exps.weight", Some("model.layers.3.mlp.experts.down_proj.weight")),
            ("blk.3.exp_probs_b.bias", Some("model.layers.3.mlp.gate.e_score_correction_bias")),
            ("blk.01.attn_q.weight", None),
            ("blk.1.attn_q.scale", None),
            ("blk.3.ffn_down.01.weight", None),
            ("v.blk.0.attn_q.weight", None),
        ] {
            assert_eq!(llama.canonical(stored).as_deref(), expected, "{stored}");
        }
        let gemma = GgufArchitecture::named("gemma2").unwrap();
        let of_gemma = |stored: &str| gemma.canonical(stored).unwrap();
        assert_eq!(of_gemma("blk.1.ffn_norm.weight"), "model.layers.1.pre_feedforward_layernorm.weight");
        assert_eq!(of_gemma("blk.1.post_attention_norm.weight"), "model.layers.1.post_attention_layernorm.weight");
    }

    #[test]
    fn canonical_names_are_stored_under_names_that_lead_back() {
        for architecture in GgufArchitecture::ALL {
            for (stored, canonical) in architecture.modules.iter().chain(&MODULES) {
                let canonical = format!("{canonical}.weight");
                let Some(name) = architecture.stored_part(&canonical) else {
                    // Only what the architecture says in another way has no name.
                    assert!(architecture.modules.iter().any(|(own, _)| own == stored), "{canonical}");
                    continue;
                };
                let back = architecture.canonical(&format!("blk.5.{name}")).unwrap();
                assert_eq!(back, format!("model.layers.5.{canonical}"), "{}", architecture.name);
            }
        }
        let names: std::collections::BTreeSet<_> = GgufArchitecture::ALL.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), GgufArchitecture::ALL.len());
        assert_eq!(GgufArchitecture::of_model_type("mixtral").unwrap().name, "llama");
        assert!(GgufArchitecture::of_model_type("mamba").is_none());
    }
}
