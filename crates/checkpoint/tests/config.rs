//! `config.json` in both spellings, against what transformers 5.23.0 makes of the same files.

mod common;

use common::{describe, refusal, tiny_config, with};
use neuro_checkpoint::{Activation, DecoderConfig, Dtype, QkNorm, RopeConfig, RopeScaling};
use serde_json::{Value, json};

fn architecture(model_type: &str) -> Value {
    with(tiny_config(), json!({"model_type": model_type}))
}

fn rope(config: &Value) -> RopeConfig {
    describe(config).layers[0].attention.rope.clone()
}

fn windows(config: &Value) -> Vec<Option<usize>> {
    describe(config).layers.iter().map(|layer| layer.attention.window).collect()
}

fn biases(config: &DecoderConfig) -> [bool; 5] {
    let layer = &config.layers[0];
    let attention = &layer.attention;
    [attention.q_bias, attention.k_bias, attention.v_bias, attention.o_bias, layer.mlp.bias]
}

#[test]
fn missing_keys_take_the_defaults_of_the_configuration_class() {
    let llama = describe(&json!({"model_type": "llama"}));
    let mistral = describe(&json!({"model_type": "mistral"}));
    let qwen2 = describe(&json!({"model_type": "qwen2"}));
    let qwen3 = describe(&json!({"model_type": "qwen3"}));
    let sizes = |config: &DecoderConfig| {
        let layer = &config.layers[31];
        let (attention, mlp) = (&layer.attention, layer.mlp.intermediate_size);
        (config.vocab_size, mlp, attention.kv_heads, attention.head_dim, config.max_position_embeddings)
    };
    assert_eq!(sizes(&llama), (32_000, 11_008, 32, 128, 2048));
    assert_eq!(sizes(&mistral), (32_000, 14_336, 8, 128, 131_072));
    assert_eq!(sizes(&qwen2), (151_936, 22_016, 32, 128, 32_768));
    assert_eq!(sizes(&qwen3), (151_936, 22_016, 32, 128, 32_768));
    for config in [&llama, &mistral, &qwen2, &qwen3] {
        assert_eq!((config.num_layers(), config.hidden_size, config.norm_eps), (32, 4096, 1e-6));
        assert_eq!((config.tie_word_embeddings, config.initializer_range, config.dtype), (false, 0.02, None));
        assert_eq!(config.layers[0].mlp.activation, Activation::Silu);
        assert_eq!(config.layers[0].attention.rope.theta, 10_000.0);
        assert_eq!(config.layers[0].attention.scale, 0.088_388_347_648_318_45);
    }
    assert_eq!((llama.bos_token_id, llama.eos_token_ids), (Some(1), vec![2]));
    assert_eq!((qwen2.bos_token_id, qwen2.eos_token_ids), (None, vec![]));
    assert_eq!(mistral.layers[0].attention.window, Some(4096));
    assert_eq!(qwen3.layers[0].attention.window, None);
}

#[test]
fn each_architecture_has_its_own_biases_and_norms() {
    let with_bias = |model_type: &str, key: &str| with(architecture(model_type), json!({key: true}));
    assert_eq!(biases(&describe(&with(with_bias("llama", "mlp_bias"), json!({"attention_bias": true})))), [true; 5]);
    assert_eq!(biases(&describe(&with_bias("qwen3", "attention_bias"))), [true, true, true, true, false]);
    assert_eq!(biases(&describe(&architecture("mistral"))), [false; 5]);
    for (model_type, key) in
        [("mistral", "attention_bias"), ("mistral", "mlp_bias"), ("qwen2", "attention_bias"), ("qwen3", "mlp_bias")]
    {
        let refusal = refusal(&with_bias(model_type, key));
        assert!(refusal.contains(&format!("`{key}` is true, but {model_type} models do not read it")), "{refusal}");
    }
    assert_eq!(biases(&describe(&architecture("llama"))), [false; 5]);
    assert_eq!(biases(&describe(&architecture("qwen2"))), [true, true, true, false, false]);
    let normed = |model_type: &str| describe(&architecture(model_type)).layers[0].attention.qk_norm != QkNorm::None;
    assert_eq!(["llama", "mistral", "qwen2", "qwen3"].map(normed), [false, false, false, true]);
}

#[test]
fn a_head_is_as_wide_as_said_or_its_share_of_the_hidden_size() {
    let head_dim = |config: &Value| describe(config).layers[0].attention.head_dim;
    assert_eq!(head_dim(&tiny_config()), 4);
    assert_eq!(head_dim(&with(tiny_config(), json!({"head_dim": 6}))), 6);
    assert_eq!(head_dim(&with(tiny_config(), json!({"head_dim": null}))), 4);
    assert_eq!(head_dim(&architecture("qwen3")), 128);
    let kv_heads = |config: &Value| describe(config).layers[0].attention.kv_heads;
    assert_eq!(kv_heads(&with(tiny_config(), json!({"num_key_value_heads": null}))), 2);
}

#[test]
fn windows_follow_the_architecture() {
    let sliding = json!({"sliding_window": 5, "use_sliding_window": true, "max_window_layers": 1});
    assert!(refusal(&with(architecture("llama"), sliding.clone())).contains("llama models do not read it"));
    assert_eq!(windows(&with(architecture("mistral"), json!({"sliding_window": 5}))), [Some(5), Some(5)]);
    assert_eq!(windows(&with(architecture("mistral"), json!({"sliding_window": null}))), [None, None]);
    for model_type in ["qwen2", "qwen3"] {
        let base = with(architecture(model_type), sliding.clone());
        assert_eq!(windows(&base), [None, Some(5)]);
        assert_eq!(windows(&with(base.clone(), json!({"use_sliding_window": false}))), [None, None]);
        let types = json!({"layer_types": ["sliding_attention", "full_attention"]});
        assert_eq!(windows(&with(base.clone(), types)), [Some(5), None]);
        // The default of max_window_layers lies above the depth.
        assert_eq!(windows(&with(base, json!({"max_window_layers": 28}))), [None, None]);
    }
}

#[test]
fn both_spellings_of_rope_mean_the_same() {
    let scalings = [
        (json!({"factor": 4.0}), "linear", RopeScaling::Linear { factor: 4.0 }),
        (json!({"factor": 2}), "dynamic", RopeScaling::Dynamic { factor: 2.0, trained: 64 }),
        (
            json!({"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}),
            "llama3",
            RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original: 16 },
        ),
        (json!({}), "default", RopeScaling::Default),
    ];
    for (parameters, name, scaling) in scalings {
        let expected = RopeConfig { theta: 500.0, rotary_dim: 4, interleaved: false, scaling };
        for key in ["type", "rope_type"] {
            let old = json!({"rope_theta": 500.0, "rope_scaling": with(parameters.clone(), json!({key: name}))});
            assert_eq!(rope(&with(tiny_config(), old)), expected, "{name} by {key}");
        }
        let inner = with(parameters.clone(), json!({"rope_type": name, "rope_theta": 500.0}));
        assert_eq!(rope(&with(tiny_config(), json!({"rope_parameters": inner}))), expected, "{name}");
        let outer = json!({"rope_parameters": with(parameters, json!({"rope_type": name})), "rope_theta": 500.0});
        assert_eq!(rope(&with(tiny_config(), outer)), expected, "{name}");
    }
    assert_eq!(rope(&with(tiny_config(), json!({"rope_scaling": null, "rope_theta": 7.0}))).theta, 7.0);
    let both = json!({"rope_theta": 7.0, "rope_parameters": {"rope_type": "default", "rope_theta": 9.0}});
    assert_eq!(rope(&with(tiny_config(), both)).theta, 9.0);
}

#[test]
fn yarn_is_resolved_as_transformers_does() {
    let yarn = |changes: Value| {
        let parameters = with(json!({"rope_type": "yarn", "factor": 4.0}), changes);
        match rope(&with(tiny_config(), json!({"rope_parameters": parameters}))).scaling {
            RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original, truncate } => {
                ((factor, beta_fast, beta_slow, original, truncate), attention_factor)
            }
            other => panic!("{other:?}"),
        }
    };
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
    let (settings, attention_factor) = yarn(json!({}));
    assert_eq!(settings, (4.0, 32.0, 1.0, 64, true));
    close(attention_factor, 1.138_629_436_111_989);
    let (_, attention_factor) = yarn(json!({"mscale": 0.707, "mscale_all_dim": 0.5}));
    close(attention_factor, 1.026_836_152_903_002_6);
    // An mscale of 0 counts as none.
    close(yarn(json!({"mscale": 0.707, "mscale_all_dim": 0})).1, 1.138_629_436_111_989);
    close(yarn(json!({"attention_factor": 0.5, "mscale": 2.0})).1, 0.5);
    let explicit = json!({"factor": null, "original_max_position_embeddings": 16, "truncate": false,
        "beta_fast": 24, "beta_slow": 2});
    assert_eq!(yarn(explicit).0, (4.0, 24.0, 2.0, 16, false));
    // Outside of the parameters it goes first.
    let outside = json!({"original_max_position_embeddings": 32,
        "rope_parameters": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 16}});
    assert!(matches!(rope(&with(tiny_config(), outside)).scaling, RopeScaling::Yarn { original: 32, .. }));
}

#[test]
fn rope_may_depend_on_the_layer_type() {
    let config = with(
        architecture("qwen3"),
        json!({"layer_types": ["sliding_attention", "full_attention"], "use_sliding_window": true, "sliding_window": 3,
            "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default"}}}),
    );
    let layers = describe(&config).layers;
    assert_eq!(
        layers[0].attention.rope,
        RopeConfig { theta: 1e4, rotary_dim: 128, interleaved: false, scaling: RopeScaling::Default }
    );
    assert_eq!(layers[1].attention.rope.theta, 1e6);
    assert_eq!(layers[1].attention.rope.scaling, RopeScaling::Linear { factor: 2.0 });
    // A parameter beside the entries would count for none of them, or for all.
    for (key, value) in [("chunked_attention", json!({"rope_type": "default"})), ("factor", json!(2.0))] {
        let mut beside = config.clone();
        beside["rope_parameters"][key] = value;
        assert!(refusal(&beside).contains(&format!("rope_parameters.{key}` is ")), "{}", refusal(&beside));
    }
    let missing = with(config, json!({"rope_parameters": {"full_attention": {"rope_type": "default"}}}));
    assert!(refusal(&missing).contains("no entry for sliding_attention"));
}

#[test]
fn a_nested_config_is_read_from_its_text_part() {
    let nested = json!({"model_type": "mistral3", "torch_dtype": "bfloat16", "tie_word_embeddings": true,
        "eos_token_id": 5, "vision_config": {"hidden_size": 3},
        "text_config": with(architecture("mistral"), json!({"tie_word_embeddings": false, "head_dim": 10}))});
    let config = describe(&nested);
    assert_eq!((config.model_type.as_str(), config.layers[0].attention.head_dim), ("mistral", 10));
    assert_eq!((config.tie_word_embeddings, config.dtype), (true, Some(Dtype::BF16)));
    assert_eq!(config.eos_token_ids, [2]);
}

#[test]
fn what_lies_beside_a_text_config_may_mean_something_else() {
    let plain = describe(&tiny_config());
    let nested = json!({"model_type": "llava", "text_config": tiny_config(), "hidden_size": null, "vocab_size": 99,
        "head_dim": {"text": 0}, "num_hidden_layers": "many", "rms_norm_eps": [0], "rope_scaling": null,
        "rope_theta": "auto", "rope_parameters": "as in the text", "sliding_window": null, "image_token_index": -200,
        "vision_feature_layer": -2, "pad_token_id": -1, "max_window_layers": 0, "initializer_range": 0.02,
        "vision_config": {"hidden_size": 0, "rope_theta": -1.0}});
    assert_eq!(describe(&nested), plain);
    // An unused description of RoPE may be of a kind that is not known, with numbers that are.
    let unused = json!({"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": {"rope_type": "longrope",
        "long_factor": [1.0, 2.0], "mscale_all_dim": 0, "factor": null, "partial_rotary_factor": 0.5, "x": {"y": -1}}});
    assert_eq!(rope(&with(tiny_config(), unused)).scaling, RopeScaling::Linear { factor: 2.0 });
}

#[test]
fn words_for_dtypes_activations_and_tokens() {
    let dtype = |changes: Value| describe(&with(tiny_config(), changes)).dtype;
    assert_eq!(dtype(json!({"torch_dtype": "float16"})), Some(Dtype::F16));
    assert_eq!(dtype(json!({"torch_dtype": "float16", "dtype": "float32"})), Some(Dtype::F32));
    assert_eq!(dtype(json!({"dtype": "float64"})), None);
    let activation = |name: &str| describe(&with(tiny_config(), json!({"hidden_act": name}))).layers[0].mlp.activation;
    assert_eq!(["silu", "swish"].map(activation), [Activation::Silu; 2]);
    assert_eq!(["gelu", "gelu_python"].map(activation), [Activation::Gelu; 2]);
    assert_eq!(["gelu_new", "gelu_pytorch_tanh", "gelu_fast"].map(activation), [Activation::GeluTanh; 3]);
    assert_eq!(activation("relu"), Activation::Relu);
    let eos = |value: Value| describe(&with(tiny_config(), json!({"eos_token_id": value}))).eos_token_ids;
    assert_eq!(eos(json!([7, 3, 7])), [3, 7]);
    assert_eq!(eos(json!(null)), [0_u32; 0]);
    // Real files have these; no such token can be produced.
    assert_eq!(eos(json!([-1, 4_294_967_295_u64, 16, 15])), [15]);
}

#[test]
fn tensors_and_parameters_are_counted_alike() {
    for model_type in ["llama", "mistral", "qwen2", "qwen3"] {
        for tied in [false, true] {
            let keys = match model_type {
                "llama" => json!({"attention_bias": true, "mlp_bias": true}),
                "qwen3" => json!({"attention_bias": true}),
                _ => json!({}),
            };
            let changes = with(keys, json!({"tie_word_embeddings": tied}));
            let config = describe(&with(architecture(model_type), changes));
            let tensors = config.expected_tensors();
            let total: usize = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
            assert_eq!(total as u64, config.parameters(), "{model_type}");
            assert_eq!(tensors.iter().any(|(name, _)| name == "lm_head.weight"), !tied);
        }
    }
    let shapes: Vec<_> = describe(&with(architecture("qwen3"), json!({"head_dim": 6}))).expected_tensors();
    let shape = |name: &str| shapes.iter().find(|(found, _)| found == name).map(|(_, shape)| shape.as_slice());
    assert_eq!(shape("model.layers.1.self_attn.k_proj.weight"), Some(&[6, 8][..]));
    assert_eq!(shape("model.layers.1.self_attn.o_proj.weight"), Some(&[8, 12][..]));
    assert_eq!(shape("model.layers.1.self_attn.k_norm.weight"), Some(&[6][..]));
    assert_eq!(shape("model.layers.1.mlp.down_proj.weight"), Some(&[8, 12][..]));
}
