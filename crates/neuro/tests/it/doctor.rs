use serde_json::Value;

use crate::support::{Place, assert_output, fixture};

/// What comes behind the description of the machine, which differs from one to the next.
fn model_part(output: &str) -> String {
    let start = output.find("llama-default (").expect("the model is described");
    output[start..].to_owned()
}

#[test]
fn a_model_is_described_layer_by_layer() {
    let output = Place::new().run(&["doctor", &fixture().display().to_string(), "--quick"]);
    assert!(output.starts_with("exit code: 0"), "{output}");
    assert_output!(model_part(&output), @r"
    llama-default (llama, 58,680 parameters)
      weights       229.2 KiB in one file (F32)
      memory        229.2 KiB as f32, and 1.2 KiB for each token of state
      quantised     [size] as Q8_0, [size] as Q4_K (--quantize)
      tokenizer     none: the model can be described, exported and run on token ids, but not asked
      vocabulary    97 tokens, head of its own
      hidden        40
      context       128 tokens
      end of text   [2]
      layers        4
      blocks        10 in a scan, beside the baseline

      layers 0..3   12,720 parameters · 4 heads of 10, 4 for keys and values · sees everything · rope
                    base 10000 · MLP 52 silu
    ----- stderr -----
    ");
}

#[test]
fn layers_that_differ_have_lines_of_their_own() {
    let folder = fixture().with_file_name("qwen3-rope-per-layer-type");
    let output = Place::new().run(&["doctor", &folder.display().to_string(), "--quick"]);
    let layers: Vec<&str> = output.lines().filter(|line| line.trim_start().starts_with("layer")).collect();
    assert!(layers.len() > 2, "{output}");
}

#[test]
fn recurrent_layers_are_described_by_their_heads_and_states() {
    let folder = fixture().with_file_name("qwen3_next-default").display().to_string();
    let output = Place::new().run(&["doctor", &folder, "--quick"]);
    let layers: Vec<&str> = output.lines().skip_while(|line| !line.trim_start().starts_with("layer")).collect();
    insta::assert_snapshot!(layers.join("\n"));
    let document = Place::new().json(&["doctor", &folder, "--quick", "--json"]);
    let model = &document["model"];
    // 4 heads of 8 × 10 numbers, in lines of 16.
    assert_eq!(model["state_bytes_per_text"], 3 * 4 * 8 * 16 * 4);
    // Three times 2 · 16 + 40 channels and 8 gates, once 2 · 2 heads of 16.
    assert_eq!(model["state_bytes_per_token"], (3 * (2 * 16 + 40 + 8) + 2 * 2 * 16) * 4);
    assert_eq!(model["layers"][0]["delta_net"]["value_heads"], 4);
    assert!(model["layers"][3]["delta_net"].is_null());
}

#[test]
fn the_machine_is_described() {
    let output = Place::new().run(&["doctor", "--quick"]);
    assert!(output.starts_with("exit code: 0"), "{output}");
    for line in ["compiled for", "processor", "devices", "threads", "memory"] {
        assert!(output.contains(&format!("\n  {line}")), "{line} is missing in {output}");
    }
}

#[test]
fn json_has_one_shape() {
    let document = Place::new().json(&["doctor", &fixture().display().to_string(), "--quick", "--json"]);
    assert_eq!(document["schema"], 1);
    assert_eq!(document["model"]["layers"].as_array().map(Vec::len), Some(4));
    assert_eq!(document["model"]["blocks"], 10);
    let keys = |value: &Value| value.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>().join(" "));
    insta::assert_snapshot!(keys(&document).unwrap_or_default(), @"schema build matmul_gflops verdict model");
    insta::assert_snapshot!(keys(&document["build"]).unwrap_or_default(), @"version debug architecture compiled_features unused_features devices threads memory_bytes available_bytes");
    insta::assert_snapshot!(keys(&document["model"]).unwrap_or_default(), @"name model_type parameters weight_bytes dtype random_weights memory_bytes quantised_bytes state_bytes_per_token state_bytes_per_text tokenizer vocab_size tie_word_embeddings hidden_size max_position_embeddings eos_token_ids blocks layers");
    insta::assert_snapshot!(keys(&document["model"]["layers"][0]).unwrap_or_default(), @"parameters heads kv_heads head_dim window qk_norm biases rope intermediate_size activation experts norm parallel softcap sinks output_gate delta_net");
}

#[test]
fn the_peak_is_measured_for_every_type() {
    let document = Place::new().json(&["doctor", "--json"]);
    let peaks = document["matmul_gflops"].as_array().expect("a list");
    assert_eq!(peaks.len(), 9);
    assert!(peaks.iter().all(|peak| peak["gflops"].as_f64().is_some_and(|rate| rate > 0.0)));
}
