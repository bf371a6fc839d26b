//! Architectures as their makers publish them: shapes, per-layer patterns and counts of weights.

use std::path::Path;

use neuro_checkpoint::{
    Activation, CheckpointError, DecoderConfig, DeltaNetConfig, LayerConfig, NormKind, QkNorm, RopeScaling,
};
use serde_json::{Value, json};

fn read(config: &Value) -> Result<DecoderConfig, CheckpointError> {
    DecoderConfig::from_json(config.to_string().as_bytes(), Path::new("config.json"))
}

fn describe(config: Value) -> DecoderConfig {
    read(&config).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(config: Value, parts: &[&str]) {
    let error = read(&config).expect_err("must be refused").to_string();
    for part in parts {
        assert!(error.contains(part), "no {part:?} in: {error}");
    }
}

/// Indices of the layers for which something holds.
fn layers(config: &DecoderConfig, holds: impl Fn(&LayerConfig) -> bool) -> Vec<usize> {
    (0..config.num_layers()).filter(|&layer| holds(&config.layers[layer])).collect()
}

fn billions(config: &DecoderConfig) -> f64 {
    (config.parameters() as f64 / 1e7).round() / 100.0
}

/// The model of the first RYS scan: 80 layers, 72.7 billion weights as its card says.
#[test]
fn qwen2_72b() {
    let config = describe(json!({
        "model_type": "qwen2", "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64,
        "num_key_value_heads": 8, "intermediate_size": 29_568, "vocab_size": 152_064, "rope_theta": 1e6,
        "max_position_embeddings": 32_768, "sliding_window": 131_072, "max_window_layers": 80,
        "use_sliding_window": false, "tie_word_embeddings": false, "rms_norm_eps": 1e-6, "hidden_act": "silu"
    }));
    assert_eq!((config.num_layers(), billions(&config)), (80, 72.71));
    assert!(layers(&config, |layer| layer.attention.window.is_some()).is_empty());
}

/// GLM-4.5's shape, which GLM-4.6 and 4.7 keep: three dense layers, then 89 with 160 experts; 355 billion weights with the
/// layer that predicts one token more, which is left out.
#[test]
fn glm_4_7() {
    let config = describe(json!({
        "model_type": "glm4_moe", "hidden_size": 5120, "num_hidden_layers": 92, "num_attention_heads": 96,
        "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 12_288, "moe_intermediate_size": 1536,
        "n_routed_experts": 160, "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3,
        "n_group": 1, "topk_group": 1, "routed_scaling_factor": 2.5, "norm_topk_prob": true, "use_qk_norm": true,
        "attention_bias": true, "partial_rotary_factor": 0.5, "rope_theta": 1e6, "vocab_size": 151_552,
        "max_position_embeddings": 202_752, "rms_norm_eps": 1e-5, "num_nextn_predict_layers": 1,
        "tie_word_embeddings": false, "eos_token_id": [151_329, 151_336, 151_338]
    }));
    assert_eq!(layers(&config, |layer| layer.mlp.experts.is_none()), [0, 1, 2]);
    let layer = &config.layers[91];
    let experts = layer.mlp.experts.as_ref().expect("has experts");
    assert_eq!((experts.count, experts.per_token, experts.scale, experts.groups), (160, 8, 2.5, None));
    assert_eq!((layer.attention.rope.rotary_dim, layer.attention.qk_norm), (64, QkNorm::Head));
    assert!((345.0..356.0).contains(&billions(&config)), "{}", billions(&config));
}

/// 62 layers of 256 experts, 230 billion weights as its card says; half of each head is rotated.
#[test]
fn minimax_m2_5() {
    let config = describe(json!({
        "model_type": "minimax_m2", "hidden_size": 3072, "num_hidden_layers": 62, "num_attention_heads": 48,
        "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 1536, "num_local_experts": 256,
        "num_experts_per_tok": 8, "rotary_dim": 64, "rope_theta": 5e6, "vocab_size": 200_064,
        "max_position_embeddings": 196_608, "use_qk_norm": true, "qk_norm_type": "per_layer",
        "scoring_func": "sigmoid", "use_routing_bias": true, "tie_word_embeddings": false, "rms_norm_eps": 1e-6
    }));
    assert_eq!(layers(&config, |layer| layer.mlp.experts.is_some()).len(), 62);
    assert_eq!(config.layers[0].attention.rope.rotary_dim, 64);
    assert_eq!(config.layers[0].attention.qk_norm, QkNorm::Row);
    assert!((228.0..231.0).contains(&billions(&config)), "{}", billions(&config));
}

/// 671 billion weights and 15.7 billion, as their cards say.
#[test]
fn deepseek() {
    let v3 = describe(json!({
        "model_type": "deepseek_v3", "max_position_embeddings": 163_840, "num_nextn_predict_layers": 1,
        "rope_scaling": {"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0,
            "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096}
    }));
    assert_eq!(layers(&v3, |layer| layer.mlp.experts.is_none()), [0, 1, 2]);
    assert_eq!(billions(&v3), 671.03);
    let attention = &v3.layers[0].attention;
    // (0.1 ln 40 + 1)² / √192
    assert!((attention.scale - 0.135_234).abs() < 1e-6, "{}", attention.scale);
    assert_eq!((attention.head_dim, attention.rope.rotary_dim), (192, 64));

    let lite = describe(json!({
        "model_type": "deepseek_v2", "hidden_size": 2048, "num_hidden_layers": 27, "num_attention_heads": 16,
        "num_key_value_heads": 16, "intermediate_size": 10_944, "moe_intermediate_size": 1408, "q_lora_rank": null,
        "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1,
        "topk_method": "greedy", "norm_topk_prob": false, "vocab_size": 102_400
    }));
    assert_eq!(billions(&lite), 15.71);
    refused(json!({"model_type": "deepseek_v2"}), &["num_experts_per_tok", "no default"]);
    refused(json!({"model_type": "deepseek_v3", "v_head_dim": 256}), &["v_head_dim", "at most the 192"]);
    refused(json!({"model_type": "deepseek_v3", "num_key_value_heads": 8}), &["num_key_value_heads", "128 heads"]);
}

/// Upstream's shared expert of no width adds nothing, and a count that is `null` is no `int`.
#[test]
fn no_shared_experts() {
    for kind in ["glm4_moe", "deepseek_v2", "deepseek_v3"] {
        let shape = |shared: Value| json!({"model_type": kind, "num_attention_heads": 32, "num_experts_per_tok": 6, "n_shared_experts": shared});
        let (none, one) = (describe(shape(json!(0))), describe(shape(json!(1))));
        let shared = |config: &DecoderConfig| config.layers[5].mlp.experts.as_ref().expect("has experts").shared;
        assert_eq!(shared(&none), None, "{kind}");
        let width = shared(&one).expect("has a shared expert").intermediate_size;
        let sparse = layers(&one, |layer| layer.mlp.experts.is_some()).len();
        assert_eq!(one.parameters() - none.parameters(), (3 * width * one.hidden_size * sparse) as u64, "{kind}");
        refused(shape(json!(null)), &["`n_shared_experts` is null", "whole number from 0"]);
    }
}

/// 24 layers that are run 4 times: 96 to take paths from, with the weights of 24, and the model's norm between times.
#[test]
fn ouro() {
    let shape = json!({
        "model_type": "ouro", "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16,
        "num_key_value_heads": 16, "intermediate_size": 5632, "vocab_size": 49_152, "max_position_embeddings": 65_536,
        "rope_theta": 1e6, "early_exit_threshold": 1.0
    });
    let config = describe(shape.clone());
    assert_eq!((config.num_layers(), billions(&config)), (96, 1.43));
    assert_eq!(layers(&config, |layer| layer.enters_normed), [24, 48, 72]);
    assert_eq!(layers(&config, |layer| layer.repeats.is_none()), (0..24).collect::<Vec<_>>());
    assert_eq!([0, 23, 24, 30, 95].map(|layer| config.weights_of(layer)), [0, 23, 0, 6, 23]);
    // The first of each later round enters through the norm; the others compute what their first does.
    assert_eq!(
        [0, 24, 25, 48, 49, 72].map(|layer| config.twin_of(layer)),
        [None, None, Some(1), Some(24), Some(1), Some(24)]
    );
    let once = describe(with(shape.clone(), "total_ut_steps", json!(1)));
    assert_eq!((once.num_layers(), once.parameters()), (24, config.parameters()));
    assert_eq!(once.layers, config.layers[..24]);
    let tensors = config.expected_tensors();
    assert!(tensors.iter().all(|(name, _)| !name.starts_with("model.layers.24.")));
    assert!(tensors.iter().any(|(name, _)| name == "model.layers.23.post_attention_layernorm_2.weight"));
    refused(with(shape, "total_ut_steps", json!(0)), &["total_ut_steps", "from 1"]);
}

fn with(mut config: Value, key: &str, value: Value) -> Value {
    config[key] = value;
    config
}

/// Each head of queries and keys has a norm with a weight of its own.
#[test]
fn stablelm_2_12b() {
    let config = describe(json!({
        "model_type": "stablelm", "hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 13_824, "vocab_size": 100_352, "qk_layernorm": true,
        "use_parallel_residual": true
    }));
    assert_eq!(billions(&config), 12.14);
    let tensors = config.expected_tensors();
    let norms = |part: &str| tensors.iter().filter(|(name, _)| name.contains(part)).count();
    assert_eq!([norms("q_layernorm.norms."), norms("k_layernorm.norms.")], [40 * 32, 40 * 8]);
}

/// 64 layers, each fourth with attention, 27 billion weights as its name says. `text_config` as Qwen3.5-27B's `config.json`
/// has it; what it is nested in (pictures) is left out.
#[test]
fn qwen3_5_27b() {
    let config = describe(json!({
        "architectures": ["Qwen3_5ForConditionalGeneration"], "model_type": "qwen3_5", "image_token_id": 248_056,
        "tie_word_embeddings": false, "vision_config": {"model_type": "qwen3_5", "depth": 27, "hidden_size": 1152},
        "text_config": {
            "model_type": "qwen3_5_text", "attention_bias": false, "attention_dropout": 0.0, "attn_output_gate": true,
            "bos_token_id": null, "eos_token_id": 248_044, "full_attention_interval": 4, "head_dim": 256,
            "hidden_act": "silu", "hidden_size": 5120, "initializer_range": 0.02, "intermediate_size": 17_408,
            "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16,
            "linear_num_value_heads": 48, "linear_value_head_dim": 128, "mamba_ssm_dtype": "float32",
            "max_position_embeddings": 262_144, "mlp_only_layers": [], "mtp_num_hidden_layers": 1,
            "mtp_use_dedicated_embeddings": false, "num_attention_heads": 24, "num_hidden_layers": 64,
            "num_key_value_heads": 4, "pad_token_id": null, "partial_rotary_factor": 0.25, "rms_norm_eps": 1e-6,
            "rope_parameters": {"mrope_interleaved": true, "mrope_section": [11, 11, 10], "partial_rotary_factor": 0.25,
                "rope_theta": 10_000_000, "rope_type": "default"},
            "tie_word_embeddings": false, "use_cache": true, "vocab_size": 248_320
        }
    }));
    assert_eq!(config.num_layers(), 64);
    let attention: Vec<usize> = layers(&config, |layer| layer.delta_net.is_none());
    assert_eq!(attention, (3..64).step_by(4).collect::<Vec<_>>());
    assert!((26.5..27.5).contains(&billions(&config)), "{}", billions(&config));
    let delta_net = config.layers[0].delta_net.expect("is recurrent");
    let expected = DeltaNetConfig { key_heads: 16, value_heads: 48, key_dim: 128, value_dim: 128, taps: 4 };
    assert_eq!((delta_net, delta_net.channels()), (expected, 10_240));
    let layer = &config.layers[63];
    let attention = &layer.attention;
    assert_eq!((attention.heads, attention.kv_heads, attention.head_dim, attention.output_gate), (24, 4, 256, true));
    assert_eq!((attention.rope.rotary_dim, attention.rope.theta, attention.qk_norm), (64, 1e7, QkNorm::Head));
    assert_eq!((layer.norms.kind, layer.mlp.intermediate_size), (NormKind::RmsAroundOne, 17_408));
    assert_eq!((config.layers[0].attention.heads, config.eos_token_ids), (0, vec![248_044]));
}

/// 80 billion weights and 35 billion, as their names say; the defaults of transformers are their shapes.
#[test]
fn qwen3_next_and_qwen3_5_with_experts() {
    let next = describe(json!({"model_type": "qwen3_next"}));
    assert_eq!(layers(&next, |layer| layer.delta_net.is_none()), (3..48).step_by(4).collect::<Vec<_>>());
    assert!((79.0..81.0).contains(&billions(&next)), "{}", billions(&next));
    let experts = next.layers[3].mlp.experts.as_ref().expect("has experts");
    assert_eq!((experts.count, experts.per_token, experts.normalised), (512, 10, true));
    assert!(experts.shared.is_some_and(|shared| shared.gated && shared.intermediate_size == 512));

    let smaller = describe(json!({"model_type": "qwen3_5_moe_text"}));
    assert_eq!((smaller.num_layers(), smaller.vocab_size), (40, 248_320));
    assert!((34.0..36.0).contains(&billions(&smaller)), "{}", billions(&smaller));

    let hybrid = |key: &str, value: Value| json!({"model_type": "qwen3_5_text", "num_hidden_layers": 2, key: value});
    let linear = describe(hybrid("layer_types", json!(["full_attention", "linear_attention"])));
    assert_eq!(layers(&linear, |layer| layer.delta_net.is_some()), [1]);
    for (key, value, parts) in [
        ("layer_types", json!(["linear_attention", "sliding_attention"]), &["sliding_attention", "layer 1"][..]),
        ("linear_num_value_heads", json!(33), &["is 33", "multiple", "16"]),
        ("linear_num_key_heads", json!(0), &["linear_num_key_heads", "is 0"]),
        ("linear_conv_kernel_dim", json!(65), &["is 65", "at most 64"]),
        ("linear_value_head_dim", json!(2_147_483_648_u64), &["linear_value_head_dim", "at most"]),
        ("attn_output_gate", json!(false), &["attn_output_gate", "is false"]),
        ("output_gate_type", json!("sigmoid"), &["output_gate_type", "sigmoid", "swish"]),
        ("hidden_act", json!("gelu"), &["hidden_act", "gelu", "silu"]),
        ("num_experts", json!(8), &["num_experts", "qwen3_5_text models do not read it"]),
    ] {
        refused(hybrid(key, value), parts);
    }
    refused(json!({"model_type": "qwen3", "linear_num_value_heads": 32}), &["linear_num_value_heads", "do not read"]);
}

#[test]
fn patterns_of_missing_keys_are_those_of_transformers() {
    let windows = |config: &DecoderConfig| layers(config, |layer| layer.attention.window.is_some());
    let gemma2 = describe(json!({"model_type": "gemma2"}));
    assert_eq!(windows(&gemma2), (0..26).step_by(2).collect::<Vec<_>>());
    assert_eq!((gemma2.logit_softcap, gemma2.layers[0].attention.softcap), (Some(30.0), Some(50.0)));
    assert_eq!((gemma2.embedding_scale, gemma2.norm), (48.0, NormKind::RmsAroundOne));
    assert_eq!(gemma2.layers[0].mlp.activation, Activation::GeluTanh);
    assert!(gemma2.tie_word_embeddings);

    let gemma3 = describe(json!({"model_type": "gemma3_text"}));
    assert_eq!(layers(&gemma3, |layer| layer.attention.window.is_none()), [5, 11, 17, 23]);
    let theta = |layer: usize| gemma3.layers[layer].attention.rope.theta;
    assert_eq!([theta(0), theta(5)], [1e4, 1e6]);
    assert_eq!((gemma3.logit_softcap, gemma3.layers[0].attention.softcap), (None, None));

    let smollm3 = describe(json!({"model_type": "smollm3"}));
    assert_eq!(layers(&smollm3, |layer| layer.attention.rope.rotary_dim == 0), (3..36).step_by(4).collect::<Vec<_>>());

    let olmo3 = describe(json!({"model_type": "olmo3", "rope_theta": 5e5,
        "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192}}));
    let scaled = |layer: &LayerConfig| matches!(layer.attention.rope.scaling, RopeScaling::Yarn { .. });
    assert_eq!(layers(&olmo3, scaled), layers(&olmo3, |layer| layer.attention.window.is_none()));
    assert_eq!(windows(&olmo3).len(), 24);

    let gpt_oss = describe(json!({"model_type": "gpt_oss", "rope_scaling": {"rope_type": "yarn", "factor": 32.0,
        "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false, "original_max_position_embeddings": 4096}}));
    assert_eq!(windows(&gpt_oss), (0..36).step_by(2).collect::<Vec<_>>());
    // 116.8 billion weights, as its card says.
    assert!((116.0..117.5).contains(&billions(&gpt_oss)), "{}", billions(&gpt_oss));

    let mixtral = describe(json!({"model_type": "mixtral"}));
    assert_eq!(billions(&mixtral), 46.7);
    let gpt2 = describe(json!({"model_type": "gpt2"}));
    assert_eq!((gpt2.parameters(), gpt2.learned_positions), (124_439_808, Some(1024)));
}

#[test]
fn pythia_and_phi() {
    let pythia = describe(json!({"model_type": "gpt_neox", "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 50_304, "rotary_pct": 0.25}));
    // The count of Pythia-160m's card.
    assert_eq!(pythia.parameters(), 162_322_944);
    assert_eq!((pythia.layers[0].attention.rope.rotary_dim, pythia.layers[0].parallel), (16, true));

    let phi = |kind: &str, factors: usize| {
        json!({"model_type": "phi3", "max_position_embeddings": 131_072, "original_max_position_embeddings": 4096,
            "rope_scaling": {"type": kind, "short_factor": vec![1.0; factors], "long_factor": vec![2.0; factors]}})
    };
    for kind in ["longrope", "su", "yarn"] {
        let config = describe(phi(kind, 48));
        let RopeScaling::LongRope { attention_factor, original, .. } = config.layers[0].attention.rope.scaling else {
            panic!("{kind} is no longrope");
        };
        // √(1 + ln 32 / ln 4096)
        assert!((attention_factor - 1.190_238_071).abs() < 1e-8 && original == 4096, "{attention_factor}");
    }
    refused(phi("longrope", 47), &["short_factor", "47", "expected 48"]);
}

#[test]
fn what_another_architecture_reads_is_not_ignored() {
    let llama = |key: &str, value: Value| json!({"model_type": "llama", key: value});
    for (key, value) in [
        ("final_logit_softcapping", json!(30.0)),
        ("num_local_experts", json!(8)),
        ("no_rope_layers", json!([1, 0])),
        ("residual_multiplier", json!(0.22)),
        ("kv_lora_rank", json!(512)),
        ("use_parallel_residual", json!(true)),
    ] {
        refused(llama(key, value), &[key, "llama models do not read it", "remove it from the file"]);
    }
    for (key, value) in [
        ("final_logit_softcapping", json!(null)),
        ("residual_multiplier", json!(1.0)),
        ("use_parallel_residual", json!(false)),
        ("num_experts", json!(0)),
        ("mlp_only_layers", json!([])),
    ] {
        describe(llama(key, value));
    }
}

#[test]
fn settings_that_cannot_be() {
    refused(json!({"model_type": "smollm3", "no_rope_layers": [1, 0]}), &["no_rope_layers", "has 2 entries", "36"]);
    refused(json!({"model_type": "smollm3", "num_hidden_layers": 1, "no_rope_layers": [2]}), &["holds 2", "1 or 0"]);
    refused(json!({"model_type": "glm4", "partial_rotary_factor": 0.01}), &["partial_rotary_factor", "rotates 1"]);
    refused(json!({"model_type": "glm4", "partial_rotary_factor": 1.5}), &["partial_rotary_factor", "at most 1"]);
    refused(json!({"model_type": "stablelm", "qk_layernorm": 1}), &["qk_layernorm", "true or false"]);
    refused(json!({"model_type": "mixtral", "num_experts_per_tok": 9}), &["num_experts_per_tok", "8 experts"]);
    refused(json!({"model_type": "mixtral", "num_local_experts": 1_000_000}), &["num_local_experts", "4096"]);
    refused(json!({"model_type": "glm4_moe", "n_group": 7}), &["n_group", "is 7", "128"]);
    refused(json!({"model_type": "glm4_moe", "n_group": 0}), &["n_group", "is 0"]);
    refused(json!({"model_type": "glm4_moe", "n_group": 64, "topk_group": 2}), &["topk_group", "2 of 64"]);
    refused(json!({"model_type": "qwen3_moe", "mlp_only_layers": ["a"]}), &["mlp_only_layers", "indices"]);
    refused(json!({"model_type": "minimax_m2", "rotary_dim": 256}), &["rotary_dim", "at most `head_dim`"]);
    refused(json!({"model_type": "gpt_oss"}), &["rope_scaling", "missing"]);
    refused(json!({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": true}), &["scale_attn_by_inverse"]);
    refused(json!({"model_type": "gpt2", "n_head": 5}), &["`n_head` is 5", "`n_embd`"]);
    refused(
        json!({"model_type": "gemma3_text", "attn_logit_softcapping": 50.0}),
        &["attn_logit_softcapping", "ignores", "null"],
    );
    describe(json!({"model_type": "gemma3_text", "attn_logit_softcapping": null}));
    // As transformers 5.23.0 writes it.
    let qwen2_moe = |on: bool| json!({"model_type": "qwen2_moe", "use_sliding_window": on, "sliding_window": 0});
    assert!(layers(&describe(qwen2_moe(false)), |layer| layer.attention.window.is_some()).is_empty());
    refused(qwen2_moe(true), &["`sliding_window` is 0", "from 1"]);
    refused(json!({"model_type": "llama", "sliding_window": 0}), &["`sliding_window` is 0", "from 1"]);
    refused(json!({"model_type": "granite", "residual_multiplier": 0}), &["residual_multiplier", "above 0"]);
}
