//! Configs with the keys that makers of models publish: all of them load, and none of them with one key more that nobody
//! knows. Each entry of `published.json` says what of it was compared with a public copy of the file, and what is from
//! memory. What sees pictures is shortened in some.

use std::path::Path;

use neuro_checkpoint::{CheckpointError, DecoderConfig};
use serde_json::{Map, Value, json};

struct Published {
    name: String,
    config: Map<String, Value>,
    layers: usize,
    billions: f64,
}

fn published() -> Vec<Published> {
    let entries: Vec<Value> = serde_json::from_str(include_str!("published.json")).expect("is JSON");
    let entry = |entry: Value| {
        let name = entry["name"].as_str().expect("has a name").to_owned();
        assert!(entry["source"].is_string(), "{name} says where it comes from");
        Published {
            name,
            config: entry["config"].as_object().expect("has a config").clone(),
            layers: entry["layers"].as_u64().expect("says its layers") as usize,
            billions: entry["billions"].as_f64().expect("says its weights"),
        }
    };
    entries.into_iter().map(entry).collect()
}

fn read(config: &Map<String, Value>) -> Result<DecoderConfig, CheckpointError> {
    DecoderConfig::from_json(Value::Object(config.clone()).to_string().as_bytes(), Path::new("config.json"))
}

/// The decoder's own object.
fn decoder(config: &mut Map<String, Value>) -> &mut Map<String, Value> {
    if config.contains_key("text_config") {
        return config["text_config"].as_object_mut().expect("is an object");
    }
    config
}

/// Weights are counted as the model cards do, without layers that predict further tokens.
#[test]
fn every_published_config_loads() {
    let entries = published();
    assert!(entries.len() >= 43, "{}", entries.len());
    for Published { name, config, layers, billions } in entries {
        let described = read(&config).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(described.num_layers(), layers, "{name}");
        let found = described.parameters() as f64 / 1e9;
        assert!((found - billions).abs() < 0.006 + billions * 1e-4, "{name}: {found}");
    }
}

#[test]
fn none_loads_with_a_key_that_nobody_knows() {
    for Published { name, mut config, .. } in published() {
        for (key, value) in [("attention_warp", json!(0.3)), ("use_warp", json!(true)), ("warp", json!({"a": 1}))] {
            decoder(&mut config).insert(key.to_owned(), value.clone());
            let error = read(&config).expect_err(&name).to_string();
            assert!(error.contains(&format!("{key}` is ")) && error.contains("do not read it"), "{name}: {error}");
            decoder(&mut config).remove(key);
        }
        if let Some(scaling) = decoder(&mut config).get_mut("rope_scaling").and_then(Value::as_object_mut) {
            scaling.insert("warp".to_owned(), json!(2));
            let error = read(&config).expect_err(&name).to_string();
            assert!(error.contains("rope_scaling.warp` is 2"), "{name}: {error}");
        }
    }
}

/// Every key but those of sizes can be left out or set to a value of another kind, and nothing panics.
#[test]
fn no_key_can_do_harm() {
    for Published { name, mut config, .. } in published() {
        let keys: Vec<String> = decoder(&mut config).keys().cloned().collect();
        for key in keys {
            for value in [json!(null), json!("x"), json!(-1), json!(1e300), json!([[]]), json!({"a": {}}), json!(true)]
            {
                let mut changed = config.clone();
                decoder(&mut changed).insert(key.clone(), value);
                if let Err(error) = read(&changed) {
                    assert!(error.to_string().len() < 1200, "{name}, {key}: {error}");
                }
            }
        }
    }
}

#[test]
fn values_that_the_code_does_not_compute_are_refused() {
    let of = |name: &str| published().into_iter().find(|entry| entry.name == name).expect("is published").config;
    for (name, key, value, expected) in [
        ("MiniMax-M2.5", "scoring_func", json!("softmax"), "expected \"sigmoid\""),
        ("MiniMax-M2.5", "use_routing_bias", json!(false), "expected true"),
        ("MiniMax-M2.5", "use_qk_norm", json!(false), "expected true"),
        ("MiniMax-M2.5", "attn_type_list", json!([1, 0]), "expected 1"),
        ("MiniMax-M2.5", "shared_intermediate_size", json!(64), "expected 0"),
        ("DeepSeek-V3", "moe_layer_freq", json!(2), "expected 1"),
        ("DeepSeek-V3", "scoring_func", json!("softmax"), "expected \"sigmoid\""),
        ("DeepSeek-V3", "qk_head_dim", json!(100), "expected 192"),
        ("DeepSeek-V2-Lite", "scoring_func", json!("sigmoid"), "expected \"softmax\""),
        ("gpt-oss-20b", "experts_per_token", json!(8), "expected what `num_experts_per_tok` says"),
        ("gpt-oss-20b", "hidden_act", json!("gelu"), "expected \"silu\""),
        ("gemma-2-9b-it", "sliding_window_size", json!(512), "expected what `sliding_window` says"),
        ("gemma-2-9b-it", "rope_local_base_freq", json!(500), "do not read it"),
        ("Llama-2-7b-hf", "sliding_window", json!(512), "do not read it"),
        ("Llama-2-7b-hf", "layer_types", json!(vec!["sliding_attention"; 32]), "do not read it"),
        ("Llama-2-7b-hf", "pruned_heads", json!({"0": [1]}), "do not read it"),
        ("Llama-2-7b-hf", "is_encoder_decoder", json!(true), "do not read it"),
        ("pythia-160m", "num_key_value_heads", json!(4), "one for each of the 12 heads"),
        ("Qwen3-Coder-480B-A35B", "use_qk_norm", json!(false), "expected true"),
        ("Ouro-1.4B", "early_exit_threshold", json!(0.9), "below 1"),
        ("Ouro-1.4B", "early_exit_step", json!(1), "total_ut_steps"),
        ("Ouro-1.4B", "total_ut_steps", json!(4000), "more than 65536"),
    ] {
        let mut config = of(name);
        config.insert(key.to_owned(), value);
        let error = read(&config).expect_err(key).to_string();
        assert!(error.contains(&format!("`{key}`")) && error.contains(expected), "{name}: {error}");
    }
    let mut full = of("Llama-2-7b-hf");
    full.insert("layer_types".to_owned(), json!(vec!["full_attention"; 32]));
    read(&full).expect("layers that are all alike are said to be");
}
