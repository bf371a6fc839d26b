//! The architectures whose GGUF files are read and written: what llama.cpp calls them and the parts of their layers, and
//! what it makes of a layer by its number alone.
//!
//! Facts: gguf-py's `constants.py` (names), llama.cpp's `src/models/*.cpp` (`load_arch_hparams`, graphs) and
//! `convert_hf_to_gguf.py` (order of rows, what is added to norms).

mod parts;

use self::parts::{DELTA_NET, DELTA_NET_KEYS, MODULES, OUTSIDE, SANDWICH, SHARED_EXPERTS, WHOLE, WINDOW};

/// In which order the value heads of a delta net are stored, each of which belongs to a key head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueHeads {
    /// Those of a key head together, as in a folder.
    Grouped,
    /// The first of each key head, then the second of each, … (`_LinearAttentionVReorderBase` in llama.cpp's conversion).
    Tiled,
}

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
    /// Of architectures with delta nets: how these are stored. Their attention has gates.
    pub delta_nets: Option<ValueHeads>,
    /// Whether pairs of rotary positions are shared out to sections (`rope.dimension_sections`), all of which count alike in a
    /// text.
    pub rope_sections: bool,
    /// Whether dense layers come first and all further ones have experts.
    pub dense_first: bool,
    /// Keys that only some architectures know, beside those that all do.
    pub(super) reads: &'static [&'static str],
}

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
        delta_nets: None,
        rope_sections: false,
        dense_first: false,
        reads: &[],
    };

    /// What the architectures with delta nets have in common, with Qwen3.5's order of heads.
    const QWEN35: Self = Self {
        modules: DELTA_NET,
        adds_one: true,
        predictors: true,
        delta_nets: Some(ValueHeads::Tiled),
        rope_sections: true,
        reads: DELTA_NET_KEYS,
        ..Self::BASE
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
        Self {
            name: "qwen3next",
            model_types: &["qwen3_next"],
            delta_nets: Some(ValueHeads::Grouped),
            rope_sections: false,
            ..Self::QWEN35
        },
        Self { name: "qwen35", model_types: &["qwen3_5_text"], ..Self::QWEN35 },
        Self { name: "qwen35moe", model_types: &["qwen3_5_moe_text"], ..Self::QWEN35 },
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
