//! Keys of a `config.json` along paths.

use super::*;

/// What the rules make of it, without the last word of [`ConfigFile::rewrite`]: our own reader refuses most of these keys in
/// a llama, and what is rewritten does not depend on that.
fn by_rules(config: &str, path: &str) -> Result<Map<String, Value>> {
    let file = Path::new("config.json");
    let described = DecoderConfig::from_json(with(r#""hidden_act":"silu""#).as_bytes(), file).unwrap();
    let path = LayerPath::parse(path, described.num_layers()).unwrap();
    let config = ConfigFile::from_bytes(config.as_bytes(), file).unwrap();
    config.unchecked(&described, &path, "org/base").map(|rewritten| rewritten.root)
}

fn with(extra: &str) -> String {
    format!(r#"{{"model_type":"llama","num_hidden_layers":8,"hidden_size":8,"num_attention_heads":2,{extra}}}"#)
}

#[test]
fn rules_by_number_are_rewritten() {
    let written = by_rules(&with(r#""mlp_only_layers":[0,1,5],"decoder_sparse_step":1"#), "0..3,1..7").unwrap();
    assert_eq!(written["mlp_only_layers"], json!([0, 1, 4, 8]));
    // Every second layer has experts: said by a list, it holds along any path.
    let written = by_rules(&with(r#""decoder_sparse_step":2"#), "0..2,1..7").unwrap();
    assert_eq!(written["mlp_only_layers"], json!([0, 2, 4, 6, 8]));
    assert_eq!(written["decoder_sparse_step"], 1);
    let written = by_rules(&with(r#""first_k_dense_replace":2"#), "0..1,0..7").unwrap();
    assert_eq!(written["first_k_dense_replace"], 4);
    let written =
        by_rules(&with(r#""no_rope_layers":[1,1,1,0,1,1,1,0],"no_rope_layer_interval":4"#), "0..3,2..7").unwrap();
    assert_eq!(written["no_rope_layers"], json!([1, 1, 1, 0, 1, 0, 1, 1, 1, 0]));
    let written = by_rules(&with(r#""full_attention_interval":4"#), "0..3,0..7").unwrap();
    assert_eq!(written["layer_types"][7], "full_attention");
    assert_eq!(written["layer_types"][8], "linear_attention");
    let written = by_rules(&with(r#""num_nextn_predict_layers":1"#), "0..3,2..7").unwrap();
    assert_eq!(written["num_nextn_predict_layers"], 0);
    let written = by_rules(&with(r#""num_mtp_modules":3"#), "0..3,2..7").unwrap();
    assert_eq!(written["num_mtp_modules"], 0);
    let written = by_rules(&with(r#""auto_map":{"AutoConfig":"configuration_x.X"}"#), "0..3,2..7").unwrap();
    assert!(!written.contains_key("auto_map"));
    let written = by_rules(&with(r#""eos_token_id":[1,2,3,4,5,6,7,8]"#), "0..3,2..7").unwrap();
    assert_eq!(written["eos_token_id"].as_array().unwrap().len(), 8);
}

#[test]
fn settings_of_single_layers_go_with_them() {
    let settings = r#""per_layer_config":{"1":{"head_dim":4},"5":{"intermediate_size":8},"7":{"skip":["mlp"]}}"#;
    let written = by_rules(&with(settings), "0..2,1..6").unwrap();
    let expected = json!({ "1": { "head_dim": 4 }, "3": { "head_dim": 4 }, "7": { "intermediate_size": 8 } });
    assert_eq!(written["per_layer_config"], expected);
    for wrong in [r#"{"8":{}}"#, r#"{"first":{}}"#, "[1,2,3,4,5,6,7,8]"] {
        let error = by_rules(&with(&format!(r#""per_layer_config":{wrong}"#)), "(1,4)").unwrap_err().to_string();
        assert!(error.contains("per_layer_config"), "{wrong}: {error}");
    }
}

#[test]
fn lists_of_a_quantiser_name_the_places_of_the_path() {
    let listed = |key: &str, modules: &str| with(&format!(r#""quantization_config":{{"{key}":[{modules}]}}"#));
    let modules = r#""lm_head","model.layers.1.mlp.gate","layers.2","model.language_model.layers.0.self_attn",
        "vision_tower.transformer.layers.3.attention.q_proj","model.visual.layers.1","mtp.layers.0.fc","re:.*router""#;
    for key in ["modules_to_not_convert", "ignore", "ignored_layers", "llm_int8_skip_modules"] {
        let written = by_rules(&listed(key, modules), "0..2,1..7").unwrap();
        let expected = json!([
            "lm_head",
            "model.layers.1.mlp.gate",
            "model.layers.3.mlp.gate",
            "layers.2",
            "layers.4",
            "model.language_model.layers.0.self_attn",
            "vision_tower.transformer.layers.3.attention.q_proj",
            "model.visual.layers.1",
            "mtp.layers.0.fc",
            "re:.*router",
        ]);
        assert_eq!(written["quantization_config"][key], expected);
    }
    // A layer that the path skips is in no list.
    let written = by_rules(&listed("ignore", r#""model.layers.1.mlp","lm_head""#), "0,2..7").unwrap();
    assert_eq!(written["quantization_config"]["ignore"], json!(["lm_head"]));
    let error = by_rules(&listed("ignore", r#""re:.*layers.[0-3].mlp""#), "(1,4)").unwrap_err().to_string();
    assert!(error.contains("by the pattern") && error.contains("quantization_config.ignore"), "{error}");
}

#[test]
fn what_cannot_be_written_is_refused_with_the_nearest_block_that_can() {
    for (extra, path, words) in [
        (r#""first_k_dense_replace":2"#, "(1,4)", "the nearest block that works is (2, 4)"),
        (r#""moe_layer_freq":2"#, "(1,4)", "the nearest block that works is"),
        (r#""num_kv_shared_layers":2"#, "(1,4)", "keys and values of earlier ones"),
        (
            r#""per_layer_config":null,"strange":[1,2,3,4,5,6,7,8]"#,
            "(1,4)",
            "`strange` seems to have an entry for each",
        ),
        (r#""strange":{"0":1,"3":2}"#, "(1,4)", "its meaning is not known here"),
        (r#""hybrid_override_pattern":"M-M*M-M*""#, "(1,4)", "not known here"),
        (r#""mlp_layer_types":["dense"]"#, "(1,4)", "has 1 entries, expected 8"),
    ] {
        let error = by_rules(&with(extra), path).unwrap_err().to_string();
        assert!(error.contains(words), "{extra}: {error}");
        // The baseline changes nothing and is always allowed.
        by_rules(&with(extra), "0..7").unwrap();
    }
}

#[test]
fn what_the_rules_overlook_is_refused() {
    let file = Path::new("config.json");
    let config = ConfigFile::from_bytes(with(r#""hidden_act":"silu""#).as_bytes(), file).unwrap();
    let mut described = describe(&config.root, file).unwrap();
    let path = LayerPath::parse("(1,4)", 8).unwrap();
    assert_eq!(config.rewrite(&described, &path, "org/base").unwrap().root()["num_hidden_layers"], 11);
    // As of a model whose third layer is of another kind by a rule that nobody here knows.
    described.layers[2].branch_scale = 2.0;
    config.unchecked(&described, &path, "org/base").unwrap();
    let error = config.rewrite(&described, &path, "org/base").unwrap_err().to_string();
    assert!(error.contains("keeps its kind"), "{error}");
}

#[test]
fn layers_without_positions_are_written_out() {
    let config = |extra: &str| with(extra).replace("\"llama\"", "\"smollm3\"");
    let rewrite = |text: String| {
        let file = Path::new("config.json");
        let config = ConfigFile::from_bytes(text.as_bytes(), file).unwrap();
        let described = describe(&config.root, file).unwrap();
        config.rewrite(&described, &LayerPath::parse("0..3,2..7", 8).unwrap(), "org/base").unwrap().root
    };
    // Every fourth layer, and of an own list the path's.
    let expected = json!([1, 1, 1, 0, 1, 0, 1, 1, 1, 0]);
    assert_eq!(rewrite(config(r#""num_key_value_heads":2"#))["no_rope_layers"], expected);
    assert_eq!(rewrite(config(r#""num_key_value_heads":2,"no_rope_layer_interval":4"#))["no_rope_layers"], expected);
    let listed = rewrite(config(r#""num_key_value_heads":2,"no_rope_layers":[1,0,1,1,1,1,1,1]"#));
    assert_eq!(listed["no_rope_layers"], json!([1, 0, 1, 1, 1, 1, 1, 1, 1, 1]));
}
