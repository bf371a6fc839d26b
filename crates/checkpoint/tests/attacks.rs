//! Lying files, and what each of them is told: file, culprit, what was found, what was expected.

mod common;

use std::path::Path;

use common::{Case, tiny_config, with};
use neuro_checkpoint::{Checkpoint, GenerationConfig, Memory};
use serde_json::{Value, json};

/// Opens the changed checkpoint and reads every tensor; the message must hold every part, and must not name the machine.
fn attack(change: impl FnOnce(&mut Case), parts: &[&str]) {
    let mut case = Case::new(tiny_config());
    change(&mut case);
    check(&case, parts);
}

fn check(case: &Case, parts: &[&str]) {
    let folder = case.write();
    let opened = Checkpoint::open(folder.path()).and_then(|checkpoint| {
        for (name, shape) in checkpoint.config.expected_tensors() {
            checkpoint.weights.read_f32(&name, &shape)?;
        }
        Ok(())
    });
    let message = opened.expect_err(&format!("must be refused for {parts:?}")).to_string();
    assert_parts(&message, parts);
    assert!(message.contains(&*folder.path().to_string_lossy()), "no path in: {message}");
}

fn assert_parts(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert!(message.len() < 1000, "too long: {message}");
}

/// Sets keys of the config.
fn config(changes: Value, parts: &[&str]) {
    let mut all = vec!["config.json"];
    all.extend(parts);
    attack(|case| case.config = with(case.config.clone(), changes), &all);
}

#[test]
fn the_untouched_checkpoint_is_accepted() {
    let folder = Case::new(tiny_config()).write();
    assert!(Checkpoint::open(folder.path()).is_ok());
}

#[test]
fn absurd_config_values() {
    let sizes = [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "vocab_size",
        "max_position_embeddings",
        "head_dim",
        "sliding_window",
        "original_max_position_embeddings",
    ];
    for key in sizes {
        for value in [json!(0), json!(-4), json!(2.5), json!(3_000_000_000_u64), json!(1e300), json!("8"), json!(true)]
        {
            config(json!({key: value}), &[&format!("`{key}`"), "expected a whole number from 1 to 2147483648"]);
        }
    }
    for key in ["rms_norm_eps", "rope_theta", "initializer_range"] {
        for value in [json!(0), json!(-1e-6), json!(1e300), json!("1"), json!([])] {
            config(json!({key: value}), &[&format!("`{key}`"), "expected a number above 0"]);
        }
    }
    config(json!({"initializer_range": 1000.1}), &["`initializer_range` is 1000.1", "at most 1000"]);
    config(json!({"max_window_layers": -1}), &["`max_window_layers` is -1", "from 0"]);
    config(json!({"attention_dropout": 1.5}), &["`attention_dropout` is 1.5", "from 0 to 1"]);
    config(json!({"hidden_size": null}), &["`hidden_size` is null"]);
    config(json!({"attention_bias": 1}), &["`attention_bias` is 1", "true or false"]);
    config(json!({"tie_word_embeddings": "yes"}), &["`tie_word_embeddings` is \"yes\"", "true or false"]);
    config(json!({"eos_token_id": "</s>"}), &["`eos_token_id` is \"</s>\"", "token id"]);
    config(json!({"eos_token_id": [1, 2.5]}), &["`eos_token_id` is 2.5"]);
}

#[test]
fn sizes_that_do_not_fit_each_other() {
    config(json!({"hidden_size": 9}), &["`num_attention_heads` is 2", "does not divide", "9"]);
    config(json!({"hidden_size": 9, "head_dim": 4}), &["`num_attention_heads` is 2", "does not divide"]);
    config(json!({"num_key_value_heads": 3}), &["`num_key_value_heads` is 3", "does not divide", "2"]);
    config(json!({"head_dim": 5}), &["`head_dim` is 5", "even"]);
    config(json!({"num_hidden_layers": 100_000}), &["`num_hidden_layers` is 100000", "at most 65536"]);
    config(
        json!({"num_hidden_layers": 60_000, "hidden_size": 1 << 20}),
        &["`num_hidden_layers`", "weights, expected at most"],
    );
    config(json!({"head_dim": 1_u64 << 31}), &["`head_dim` is 2147483648 in 2 heads"]);
    config(json!({"vocab_size": 17}), &["embed_tokens"]);
}

#[test]
fn what_is_not_supported_is_named() {
    config(json!({"model_type": "bert"}), &["`model_type` is \"bert\"", "known: llama, mistral, ministral", "gpt_oss"]);
    config(json!({"model_type": null}), &["`model_type` is missing", "llama, mistral, ministral"]);
    config(json!({"model_type": 3}), &["`model_type` is 3", "a string"]);
    config(json!({"hidden_act": "mish"}), &["`hidden_act` is \"mish\"", "known: silu"]);
    config(json!({"quantization_config": {"bits": 4}}), &["`quantization_config`", "unquantised"]);
    config(json!({"per_layer_config": {"0": {}}}), &["`per_layer_config`", "not supported"]);
    config(json!({"partial_rotary_factor": 0.5}), &["`partial_rotary_factor`", "whole heads"]);
    config(json!({"text_config": 5}), &["`text_config` is 5", "an object"]);
    config(json!({"text_config": {"model_type": "gemma"}}), &["`text_config.model_type` is \"gemma\""]);
    let sliding = json!({"model_type": "qwen2", "layer_types": ["full_attention", "sliding_attention"]});
    config(sliding, &["`layer_types` gives layer 1 a sliding window", "use_sliding_window"]);
    config(
        json!({"layer_types": ["full_attention", "full_attention", "full_attention"]}),
        &["`layer_types` has 3 entries, expected 2"],
    );
    config(
        json!({"model_type": "qwen3", "layer_types": ["full_attention"]}),
        &["`layer_types` has 1 entries, expected 2"],
    );
    let linear = json!({"model_type": "qwen3", "layer_types": ["full_attention", "linear_attention"]});
    config(linear, &["`layer_types` has \"linear_attention\" for layer 1"]);
}

#[test]
fn rope_that_cannot_be() {
    let rope = |parameters: Value, parts: &[&str]| {
        config(json!({"rope_scaling": parameters}), parts);
        config(json!({"rope_parameters": parameters}), parts);
    };
    rope(json!({"type": "ntk"}), &[".type` is \"ntk\"", "known: default, linear, dynamic, llama3, longrope, yarn"]);
    rope(json!({"type": "longrope"}), &["short_factor` is missing"]);
    rope(json!({"factor": 2.0}), &["rope_type` is missing", "`factor`"]);
    rope(json!({"rope_type": "linear"}), &["factor` is missing"]);
    rope(json!({"rope_type": "yarn"}), &["factor` is missing"]);
    rope(json!({"rope_type": "dynamic", "factor": -2.0}), &["factor` is -2", "above 0"]);
    rope(json!({"rope_type": "default", "factor": 0}), &["factor` is 0", "above 0"]);
    rope(json!({"rope_type": 7}), &["rope_type` is 7"]);
    rope(json!({"rope_type": "default", "rope_theta": 0}), &["rope_theta` is 0"]);
    let llama3 = json!({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4});
    rope(llama3, &["high_freq_factor` is 4", "low_freq_factor"]);
    rope(json!({"rope_type": "yarn", "factor": 2, "rope_theta": 1}), &["rope_theta` is 1", "yarn"]);
    rope(json!({"rope_type": "yarn", "factor": 2, "beta_fast": 1, "beta_slow": 2}), &["beta_fast` is 1"]);
    rope(
        json!({"rope_type": "yarn", "factor": 2, "original_max_position_embeddings": 0}),
        &["original_max_position_embeddings` is 0"],
    );
    config(json!({"rope_scaling": "linear"}), &["`rope_scaling` is \"linear\"", "an object"]);
    config(json!({"head_dim": 2, "rope_scaling": {"type": "dynamic", "factor": 2}}), &["two rotated dimensions"]);
}

#[test]
fn rope_that_is_not_used_is_checked_too() {
    let absurd = [
        (json!({"rope_type": "default", "factor": 0}), "factor` is 0"),
        (json!({"rope_theta": -1}), "rope_theta` is -1"),
        (
            json!({"original_max_position_embeddings": 3_000_000_000_u64}),
            "original_max_position_embeddings` is 3000000000",
        ),
        (json!({"sliding_attention": {"rope_type": "default", "beta_fast": -1}}), "sliding_attention.beta_fast` is -1"),
        (json!({"other_attention": {"rope_theta": 1e300}}), "other_attention.rope_theta` is "),
    ];
    for (parameters, found) in absurd {
        let valid = json!({"rope_type": "default", "rope_theta": 500.0});
        for (winner, loser) in [(&valid, &parameters), (&parameters, &valid)] {
            config(json!({"rope_scaling": winner, "rope_parameters": loser}), &[found, "expected"]);
        }
        // The same beside entries for layer types.
        let beside = with(json!({"full_attention": {"rope_type": "default"}}), parameters);
        config(json!({"rope_parameters": beside}), &[found, "expected"]);
    }
}

#[test]
fn absurd_numbers_beside_a_text_config() {
    let nested = |outer: Value| with(json!({"model_type": "mistral3", "text_config": tiny_config()}), outer);
    for key in ["hidden_size", "num_hidden_layers", "vocab_size", "head_dim", "max_position_embeddings"] {
        for value in [json!(0), json!(-4), json!(2.5), json!(3_000_000_000_u64), json!(1e300)] {
            attack(
                |case| case.config = nested(json!({key: value})),
                &[&format!("`{key}` is "), "from 1 to 2147483648"],
            );
        }
    }
    for key in ["rms_norm_eps", "rope_theta", "initializer_range"] {
        for value in [json!(0), json!(-1), json!(1e300)] {
            attack(|case| case.config = nested(json!({key: value})), &[&format!("`{key}` is "), "a number above 0"]);
        }
    }
    for key in ["rope_scaling", "rope_parameters"] {
        attack(|case| case.config = nested(json!({key: {"factor": -1}})), &[&format!("`{key}.factor` is -1")]);
    }
}

#[test]
fn files_that_are_no_json() {
    for (text, part) in
        [("", "EOF"), ("[1]", "an array"), ("{\"a\": NaN}", "line 1"), ("{\"a\": 1e999}", "out of range")]
    {
        let replace = |case: &mut Case| case.files.push(("config.json".into(), text.into()));
        attack(replace, &["config.json", "not valid JSON", part]);
    }
    attack(|case| case.files.push(("config.json".into(), vec![0xff, 0xfe])), &["config.json", "not valid JSON"]);
    attack(|case| case.files.push(("config.json".into(), vec![b'['; 100_000])), &["recursion limit"]);
    attack(
        |case| case.files.push(("config.json".into(), vec![b' '; (4 << 20) + 1])),
        &["config.json", "larger than 4194304 bytes"],
    );
    attack(
        |case| case.files.push(("generation_config.json".into(), b"{".to_vec())),
        &["generation_config.json", "not valid JSON"],
    );
}

#[test]
fn headers_that_lie_about_the_file() {
    const FILE: &str = "model.safetensors";
    let raw = |bytes: Vec<u8>, parts: &[&str]| {
        attack(|case| case.files.push((FILE.into(), bytes)), &[&[FILE], parts].concat());
    };
    raw(vec![], &["0 bytes, expected at least 8"]);
    raw(vec![1, 2, 3], &["3 bytes, expected at least 8"]);
    raw(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec(), &["Git LFS pointer", "git lfs pull"]);
    for length in [u64::MAX, 1 << 63, 1 << 40, 100_000_001] {
        attack(
            |case| case.header_length = Some(length),
            &[FILE, &format!("claims a length of {length} bytes, expected at most")],
        );
    }
    attack(|case| case.header_length = Some(10), &[FILE, "not valid"]);
    raw(common::weight_file("[]", None, &[]), &["not valid", "an object with one entry per tensor"]);
    raw(common::weight_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],", None, &[]), &["not valid", "EOF"]);
    let twice = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    raw(common::weight_file(twice, None, &[0; 4]), &["tensor `a` appears twice"]);
    let entry = |text: &str| common::weight_file(&format!("{{\"a\":{text}}}"), None, &[0; 4]);
    raw(entry("{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}"), &["tensor `a`", "F31"]);
    raw(entry("{\"dtype\":\"F32\",\"data_offsets\":[0,4]}"), &["tensor `a`", "missing field `shape`"]);
    raw(entry("{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}"), &["tensor `a`", "-1"]);
    raw(
        entry("{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}"),
        &["tensor `a`", "more than 8 axes"],
    );
    raw(
        entry("{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}"),
        &["tensor `a`", "larger than any memory"],
    );
    raw(
        entry("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}"),
        &["tensor `a`", "takes 8 bytes, but claims 4"],
    );
    raw(entry("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}"), &["tensor `a`", "claims bytes 4 to 0"]);
    raw(
        entry("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[18446744073709551612,18446744073709551615]}"),
        &["tensor `a`", "holds 4 bytes"],
    );
    attack(|case| case.data.truncate(case.data.len() - 1), &[FILE, "claims bytes", "incomplete"]);
    attack(|case| case.data.push(0), &[FILE, "bytes, but the file has"]);
    let overlap = |case: &mut Case| {
        case.header["model.norm.weight"]["data_offsets"] =
            case.header["model.layers.0.input_layernorm.weight"]["data_offsets"].clone();
    };
    attack(overlap, &[FILE, "overlaps tensor", "by 32 bytes"]);
    let gap = |case: &mut Case| {
        let _removed = case.header.remove("model.layers.0.input_layernorm.weight");
    };
    attack(gap, &[FILE, "starts 32 bytes after the end"]);
}

#[test]
fn tensors_that_do_not_fit_the_config() {
    const FILE: &str = "model.safetensors";
    let with_tensor = |name: &str, shape: &[usize], parts: &[&str]| {
        attack(|case| case.push(name, shape), &[&[FILE, &format!("`{name}`")], parts].concat());
    };
    with_tensor("model.layers.0.self_attn.q_proj.bias", &[8], &["bias", "attention_bias"]);
    with_tensor("model.layers.2.mlp.up_proj.weight", &[12, 8], &["beyond the 2 of `num_hidden_layers`"]);
    with_tensor("model.layers.0.self_attn.q_norm.weight", &[4], &["no place in a llama model"]);
    with_tensor("model.layers.0.mlp.up_proj.weight_scale", &[1], &["quantised"]);
    with_tensor("model.layers.0.mlp.up_proj.lora_A.weight", &[1, 8], &["adapter"]);
    with_tensor("score.weight", &[2, 8], &["no place"]);
    with_tensor("norm.weight", &[8], &["appears twice", "model.norm.weight"]);
    let tensors = common::describe(&tiny_config()).expected_tensors();
    for (position, (name, _)) in tensors.iter().enumerate() {
        let mut fewer = tensors.clone();
        fewer.remove(position);
        check(&Case::with_tensors(tiny_config(), &fewer), &[&format!("`{name}` is missing, expected shape")]);
        let mut wrong = tensors.clone();
        wrong[position].1[0] += 1;
        check(&Case::with_tensors(tiny_config(), &wrong), &[FILE, &format!("`{name}` has shape"), "expected ["]);
    }
    let untied = with(tiny_config(), json!({"tie_word_embeddings": false}));
    check(&Case::with_tensors(untied, &tensors), &["`lm_head.weight` is missing", "`tie_word_embeddings` to true"]);
    let integers = |case: &mut Case| case.header["model.norm.weight"]["dtype"] = json!("I32");
    attack(integers, &[FILE, "`model.norm.weight` is stored as I32, expected F32, F16 or BF16"]);
}

#[test]
fn numbers_that_are_none_are_refused_when_read() {
    for (number, text) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let poison = |case: &mut Case| {
            let start = case.header["model.layers.1.mlp.up_proj.weight"]["data_offsets"][0].as_u64().unwrap() as usize;
            case.data[start + 40..start + 44].copy_from_slice(&number.to_le_bytes());
        };
        attack(
            poison,
            &["model.safetensors", "`model.layers.1.mlp.up_proj.weight`", &format!("{text} at [1, 2]"), "finite"],
        );
    }
}

#[test]
fn folders_that_are_no_checkpoints() {
    let open = |path: &Path| Checkpoint::open(path).expect_err("is no checkpoint").to_string();
    let folder = Case::new(tiny_config()).write();
    assert_parts(&open(&folder.path().join("absent")), &["absent", "no such folder"]);
    assert_parts(&open(&folder.path().join("config.json")), &["is a file, expected a folder", "did you mean"]);
    let gguf = folder.path().join("model.gguf");
    std::fs::write(&gguf, b"GGUF").unwrap();
    assert_parts(&open(&gguf), &["model.gguf", "GGUF", "damaged"]);

    let without = |without: &[&'static str], files: &[&str], parts: &[&str]| {
        let mut case = Case::new(tiny_config());
        case.without = without.to_vec();
        case.files = files.iter().map(|&name| (name.to_owned(), b"{}".to_vec())).collect();
        check(&case, parts);
    };
    let both: &[&'static str] = &["config.json", "model.safetensors"];
    without(&["config.json"], &[], &["has no config.json"]);
    without(both, &["a.gguf"], &["holds GGUF files but no config.json"]);
    without(both, &["adapter_config.json"], &["adapter", "merge"]);
    without(&["config.json"], &["params.json"], &["params.json", "Hugging Face"]);
    without(&["model.safetensors"], &[], &["has no weights", "random weights"]);
    without(&["model.safetensors"], &["pytorch_model.bin"], &["pickles", "save_pretrained"]);
    without(&["model.safetensors"], &["a.gguf"], &["only as GGUF"]);
    without(&["model.safetensors"], &["weights.safetensors"], &["neither model.safetensors nor", "rename"]);
    let dir = Case { without: vec!["model.safetensors"], ..Case::new(tiny_config()) }.write();
    std::fs::create_dir(dir.path().join("model.safetensors")).unwrap();
    assert_parts(&open(dir.path()), &["model.safetensors", "no regular file"]);
}

#[test]
fn shard_indices_that_lie() {
    const INDEX: &str = "model.safetensors.index.json";
    /// Splits the tiny checkpoint into a shard with all but the last tensor and one with the last.
    fn sharded() -> (Case, Value) {
        let tensors = common::describe(&tiny_config()).expected_tensors();
        let (last, first) = tensors.split_last().unwrap();
        let mut case = Case::with_tensors(tiny_config(), first);
        let shards = [case.weight_file(), Case::with_tensors(tiny_config(), std::slice::from_ref(last)).weight_file()];
        case.files = ["a.safetensors", "b.safetensors"].map(str::to_owned).into_iter().zip(shards).collect();
        case.without = vec!["model.safetensors"];
        let mut map: serde_json::Map<String, Value> =
            first.iter().map(|(name, _)| (name.clone(), json!("a.safetensors"))).collect();
        map.insert(last.0.clone(), json!("b.safetensors"));
        (case, json!({"metadata": {"total_size": 1}, "weight_map": map}))
    }
    let index = |change: &dyn Fn(&mut Case, &mut Value), parts: &[&str]| {
        let (mut case, mut index) = sharded();
        change(&mut case, &mut index);
        case.files.push((INDEX.into(), index.to_string().into_bytes()));
        check(&case, parts);
    };
    let (mut case, valid) = sharded();
    case.files.push((INDEX.into(), valid.to_string().into_bytes()));
    assert!(Checkpoint::open(case.write().path()).is_ok());

    for name in [
        "../a.safetensors",
        "/etc/a.safetensors",
        "x/a.safetensors",
        "x\\a.safetensors",
        "C:a.safetensors",
        "a.bin",
        ".safetensors",
        "..",
        "",
        "a\0.safetensors",
    ] {
        let change = |_: &mut Case, index: &mut Value| index["weight_map"]["model.norm.weight"] = json!(name);
        index(&change, &[INDEX, "`model.norm.weight`", "plain name of a .safetensors file"]);
    }
    index(&|case, _| drop(case.files.pop()), &[INDEX, "b.safetensors", "not in the folder"]);
    index(
        &|_, index| index["weight_map"]["x.weight"] = json!("a.safetensors"),
        &[INDEX, "`x.weight`", "does not hold it"],
    );
    index(
        &|_, index| index["weight_map"]["model.norm.weight"] = json!("a.safetensors"),
        &["`model.norm.weight`", "does not hold it"],
    );
    let unlisted = |case: &mut Case, _: &mut Value| {
        let mut second = Case::with_tensors(tiny_config(), &[("model.norm.weight".into(), vec![8])]);
        second.push("extra.weight", &[1]);
        case.files[1].1 = second.weight_file();
    };
    index(&unlisted, &["b.safetensors", "`extra.weight`", "not in the index"]);
    let doubled = |case: &mut Case, index: &mut Value| {
        case.files[1].1 = case.weight_file();
        index["weight_map"]["model.embed_tokens.weight"] = json!("b.safetensors");
        index["weight_map"].as_object_mut().unwrap().remove("model.norm.weight");
    };
    index(&doubled, &["appears twice", "a.safetensors", "b.safetensors"]);
    index(&|_, index| index["weight_map"] = json!({}), &[INDEX, "`weight_map` is empty"]);
    index(&|_, index| index["weight_map"] = json!([]), &[INDEX, "not valid JSON"]);
    index(&|_, index| *index = json!({}), &[INDEX, "missing field `weight_map`"]);
    index(&|_, index| index["weight_map"]["a"] = json!(3), &[INDEX, "tensor `a`", "a string"]);
}

#[test]
fn generation_settings_that_cannot_be() {
    let refuse = |settings: Value, parts: &[&str]| {
        let file = Path::new("generation_config.json");
        let refused = GenerationConfig::from_json(settings.to_string().as_bytes(), file, 16);
        assert_parts(&refused.expect_err("is nonsense").to_string(), &[&["generation_config.json"], parts].concat());
    };
    refuse(json!({"temperature": -1}), &["`temperature` is -1"]);
    refuse(json!({"temperature": "hot"}), &["`temperature` is \"hot\""]);
    refuse(json!({"top_p": 1.5}), &["`top_p` is 1.5", "from 0 to 1"]);
    refuse(json!({"min_p": -0.1}), &["`min_p` is -0.1"]);
    refuse(json!({"top_k": -1}), &["`top_k` is -1"]);
    refuse(json!({"top_k": 1.5}), &["`top_k` is 1.5"]);
    refuse(json!({"repetition_penalty": 0}), &["`repetition_penalty` is 0"]);
    refuse(json!({"do_sample": "no"}), &["`do_sample` is \"no\""]);
    refuse(json!({"eos_token_id": {"id": 1}}), &["`eos_token_id` is an object"]);
    refuse(json!({"suppress_tokens": [[1]]}), &["`suppress_tokens` is an array"]);
    refuse(json!([]), &["expected an object"]);
}

#[test]
fn random_weights_that_no_memory_can_hold() {
    let large = with(tiny_config(), json!({"hidden_size": 1 << 18, "intermediate_size": 1 << 20}));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), large.to_string()).unwrap();
    let message = Checkpoint::open_random(folder.path(), 1).expect_err("is too large").to_string();
    assert_parts(
        &message,
        &["config.json", "weights of its largest part would take", "more than the memory of", "smaller model"],
    );
    let message = Checkpoint::open_random(&folder.path().join("absent"), 1).expect_err("is absent").to_string();
    assert_parts(&message, &["absent", "no such folder"]);
}

#[test]
fn weights_of_files_that_no_memory_can_hold() {
    let folder = Case::new(tiny_config()).write();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let memory = Memory { total: Some(4000), available: None };
    assert!(checkpoint.check_memory(4000, &memory).is_ok());
    let message = checkpoint.check_memory(4001, &memory).expect_err("is too large").to_string();
    assert_parts(&message, &["weights would take 4001 bytes", "more than the memory of 4000 bytes", "smaller model"]);
    // Random weights are bounded even where the system does not tell how much memory there is.
    let random = Checkpoint::open_random(folder.path(), 1).unwrap();
    assert!(random.check_memory(u64::MAX, &Memory::default()).is_err());
    assert!(checkpoint.check_memory(u64::MAX, &Memory::default()).is_ok());
}
