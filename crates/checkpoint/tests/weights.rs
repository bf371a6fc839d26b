//! Reading what was written: formats, names, shards, heads, random weights, and files with random damage.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Case, describe, tiny_config, with};
use half::{bf16, f16};
use neuro_checkpoint::{Checkpoint, Dtype, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

const NORM: &str = "model.norm.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// Opens a changed tiny checkpoint, which must be valid.
fn open(change: impl FnOnce(&mut Case)) -> Checkpoint {
    let mut case = Case::new(tiny_config());
    change(&mut case);
    let config = case.config.to_string();
    Checkpoint::from_bytes("tiny", config.as_bytes(), None, case.weight_file()).expect("is valid")
}

fn rename(case: &mut Case, new_name: impl Fn(&str) -> String) {
    case.header = std::mem::take(&mut case.header).into_iter().map(|(name, entry)| (new_name(&name), entry)).collect();
}

#[test]
fn names_of_larger_models_are_mapped_and_their_other_parts_left_out() {
    let plain = open(|_| ());
    let expected = plain.weights.read_f32(NORM, &[8]).unwrap();
    type Scheme = fn(&str) -> String;
    let schemes: [(&str, Scheme); 3] = [
        ("model.language_model.", |name| name.replacen("model.", "model.language_model.", 1)),
        ("language_model.model.", |name| format!("language_model.{name}")),
        ("", |name| name.replacen("model.", "", 1)),
    ];
    for (prefix, scheme) in schemes {
        let checkpoint = open(|case| {
            rename(case, scheme);
            if !prefix.is_empty() {
                case.push("model.vision_tower.layers.0.weight", &[3]);
                case.push("multi_modal_projector.linear.bias", &[3]);
            }
        });
        assert_eq!(checkpoint.weights.read_f32(NORM, &[8]).unwrap(), expected, "{prefix}");
        assert_eq!(checkpoint.weights.names(), plain.weights.names(), "{prefix}");
        assert_eq!(checkpoint.weights.total_bytes(), plain.weights.total_bytes(), "{prefix}");
    }
}

#[test]
fn computed_buffers_of_old_files_are_left_out() {
    let checkpoint = open(|case| {
        case.push("model.layers.0.self_attn.rotary_emb.inv_freq", &[2]);
        case.push("model.rotary_emb.inv_freq", &[2]);
    });
    assert_eq!(checkpoint.weights.names().len(), checkpoint.config.expected_tensors().len());
}

/// As transformers writes them for shared experts of which there are none.
#[test]
fn tensors_without_a_number_are_left_out() {
    let checkpoint = open(|case| {
        case.push("model.layers.0.mlp.shared_experts.up_proj.weight", &[0, 8]);
        case.push("model.layers.0.mlp.shared_experts.down_proj.weight", &[8, 0]);
    });
    assert_eq!(checkpoint.weights.names(), open(|_| ()).weights.names());
    // One with numbers still has no place.
    let mut case = Case::new(tiny_config());
    case.push("model.layers.0.mlp.shared_experts.up_proj.weight", &[1, 8]);
    let config = case.config.to_string();
    let error = Checkpoint::from_bytes("tiny", config.as_bytes(), None, case.weight_file()).expect_err("has no place");
    assert!(error.to_string().contains("shared_experts.up_proj.weight"), "{error}");
}

#[test]
fn a_tied_config_obeys_the_stored_head() {
    let equal = open(|case| {
        let embedding = case.data[..16 * 8 * 4].to_vec();
        let start = case.data.len();
        case.push(HEAD, &[16, 8]);
        case.data[start..].copy_from_slice(&embedding);
    });
    assert!(equal.config.tie_word_embeddings && !equal.weights.contains(HEAD));
    let different = open(|case| case.push(HEAD, &[16, 8]));
    assert!(!different.config.tie_word_embeddings && different.weights.contains(HEAD));
    let alone = open(|case| rename(case, |name| if name == EMBEDDING { HEAD.to_owned() } else { name.to_owned() }));
    assert!(alone.config.tie_word_embeddings && !alone.weights.contains(HEAD));
    let plain = open(|_| ());
    let read = |checkpoint: &Checkpoint| checkpoint.weights.read_f32(EMBEDDING, &[16, 8]).unwrap();
    assert_eq!(read(&alone), read(&plain));
}

#[test]
fn views_show_the_stored_bytes() {
    let checkpoint = open(|_| ());
    let view = checkpoint.weights.view(EMBEDDING).unwrap();
    assert_eq!((view.name, view.dtype, view.shape, view.bytes.len()), (EMBEDDING, Dtype::F32, &[16, 8][..], 512));
    assert!(checkpoint.weights.view("model.norm.bias").unwrap_err().to_string().contains("does not exist"));
    let wrong = checkpoint.weights.read_f32(EMBEDDING, &[8, 16]).unwrap_err().to_string();
    assert!(wrong.contains("[16, 8], expected [8, 16]"), "{wrong}");
}

#[test]
fn generation_settings_fall_back_to_the_config() {
    let case = Case::new(tiny_config());
    let open = |generation: Option<Value>| {
        let generation = generation.map(|settings| settings.to_string());
        let config = case.config.to_string();
        let generation = generation.as_ref().map(String::as_bytes);
        Checkpoint::from_bytes("tiny", config.as_bytes(), generation, case.weight_file()).unwrap().generation
    };
    assert_eq!((open(None).eos_token_ids, open(None).bos_token_id), (vec![2], Some(1)));
    let settings = json!({"eos_token_id": [7, 3, 99], "suppress_tokens": [4, -1], "temperature": 0.6, "top_k": 20,
        "top_p": 0.95, "min_p": 0, "do_sample": true, "repetition_penalty": 1.1, "max_length": "unread"});
    let generation = open(Some(settings));
    assert_eq!((generation.eos_token_ids, generation.suppress_tokens), (vec![3, 7], vec![4]));
    assert_eq!((generation.temperature, generation.top_k, generation.top_p), (Some(0.6), Some(20), Some(0.95)));
    assert_eq!((generation.min_p, generation.do_sample), (Some(0.0), Some(true)));
    assert_eq!(open(Some(json!({"suppress_tokens": null}))).eos_token_ids, [2]);
}

#[test]
fn an_identity_depends_on_config_and_weights_alone() {
    let case = Case::new(tiny_config());
    let identity = |case: &Case| {
        let folder = case.write();
        let identity = Checkpoint::open(folder.path()).unwrap().identity().unwrap();
        assert_eq!(identity.id, folder.path().file_name().unwrap().to_string_lossy());
        assert_eq!(identity.hash.len(), 64);
        identity.hash
    };
    let original = identity(&case);
    let copy = Case { files: vec![("generation_config.json".into(), b"{}".to_vec())], ..Case::new(tiny_config()) };
    assert_eq!(identity(&copy), original);
    let mut other_weight = Case::new(tiny_config());
    *other_weight.data.last_mut().unwrap() ^= 1;
    assert_ne!(identity(&other_weight), original);
    assert_ne!(identity(&Case::new(with(tiny_config(), json!({"rope_theta": 9.0})))), original);
}

#[test]
fn random_weights_depend_on_seed_and_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(tiny_config(), json!({"vocab_size": 1000, "hidden_size": 64, "model_type": "qwen2"}));
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let open = |path: &Path, seed| Checkpoint::open_random(path, seed).unwrap();
    let first = open(folder.path(), 1);
    let again = open(&folder.path().join("config.json"), 1);
    let other = open(folder.path(), 2);
    let mut tensors = describe(&config).expected_tensors();
    let values = |checkpoint: &Checkpoint, tensors: &[(String, Vec<usize>)]| -> BTreeMap<String, Vec<f32>> {
        tensors.iter().map(|(name, shape)| (name.clone(), checkpoint.weights.read_f32(name, shape).unwrap())).collect()
    };
    let forwards = values(&first, &tensors);
    tensors.reverse();
    assert_eq!(forwards, values(&again, &tensors));
    assert_ne!(forwards[EMBEDDING], values(&other, &tensors)[EMBEDDING]);
    assert_ne!(forwards["model.layers.0.mlp.up_proj.weight"], forwards["model.layers.0.mlp.gate_proj.weight"]);
    assert!(forwards[NORM].iter().all(|&value| value == 1.0));
    assert!(forwards["model.layers.1.self_attn.k_proj.bias"].iter().all(|&value| value == 0.0));

    let embedding = &forwards[EMBEDDING];
    let mean = |power: i32| embedding.iter().map(|&value| f64::from(value / 0.02).powi(power)).sum::<f64>() / 64_000.0;
    // Four standard errors of the mean, the variance, the skewness and the kurtosis of 64,000 normal draws.
    for (power, expected, tolerance) in [(1, 0.0, 0.016), (2, 1.0, 0.023), (3, 0.0, 0.062), (4, 3.0, 0.156)] {
        assert!((mean(power) - expected).abs() < tolerance, "moment {power}: {}", mean(power));
    }
    let view = first.weights.view(NORM).unwrap();
    assert_eq!((view.dtype, &view.bytes[..4]), (Dtype::F32, &1.0_f32.to_le_bytes()[..]));
    assert_eq!((first.weights.random_seed(), first.weights.files().len()), (Some(1), 0));
    assert_eq!(first.weights.total_bytes(), first.config.parameters() * 4);
    assert_eq!(first.identity().unwrap(), again.identity().unwrap());
    assert_ne!(first.identity().unwrap().hash, other.identity().unwrap().hash);
}

/// A format, numbers stored in it, and the same numbers in single precision.
type StoredNumbers = (&'static str, Vec<u8>, Vec<f32>);

fn stored_numbers(count: usize) -> impl Strategy<Value = StoredNumbers> {
    let numbers = prop::collection::vec(-60000.0_f32..60000.0, count);
    (0..3, numbers).prop_map(|(format, numbers)| match format {
        0 => ("F32", numbers.iter().flat_map(|number| number.to_le_bytes()).collect(), numbers),
        1 => {
            let halves: Vec<f16> = numbers.iter().map(|&number| f16::from_f32(number)).collect();
            let bytes = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            ("F16", bytes, halves.iter().map(|half| half.to_f32()).collect())
        }
        _ => {
            let halves: Vec<bf16> = numbers.iter().map(|&number| bf16::from_f32(number)).collect();
            let bytes = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            ("BF16", bytes, halves.iter().map(|half| half.to_f32()).collect())
        }
    })
}

/// A name, a shape and numbers for every tensor of the tiny checkpoint.
fn stored_tensors() -> Vec<impl Strategy<Value = (String, Vec<usize>, StoredNumbers)>> {
    let tensors = describe(&tiny_config()).expected_tensors().into_iter();
    tensors.map(|(name, shape)| (Just(name), Just(shape.clone()), stored_numbers(shape.iter().product()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_tensor_is_read_as_it_was_written(
        tensors in stored_tensors(),
        padding in 0..9_usize,
    ) {
        let mut case = Case::with_tensors(tiny_config(), &[]);
        for (name, shape, (dtype, bytes, _)) in &tensors {
            let start = case.data.len();
            case.data.extend(bytes);
            case.header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [start, case.data.len()]}));
        }
        // Spaces after the header put the data at any alignment.
        let header = Value::Object(case.header.clone()).to_string() + &" ".repeat(padding);
        let bytes = common::weight_file(&header, None, &case.data);
        let checkpoint = Checkpoint::from_bytes("x", case.config.to_string().as_bytes(), None, bytes).unwrap();
        for (name, shape, (_, _, numbers)) in &tensors {
            prop_assert_eq!(&checkpoint.weights.read_f32(name, shape).unwrap(), numbers);
        }
    }

    #[test]
    fn damaged_weight_files_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        in_header in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let case = Case::new(tiny_config());
        let mut bytes = case.weight_file();
        let reach = if in_header { bytes.len() - case.data.len() } else { bytes.len() };
        for (position, value) in edits {
            bytes[position.index(reach)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // What this crate accepts, the format's own reader accepts too, and sees in the same place.
        if let Ok(header) = Header::parse(&bytes, Path::new("x")) {
            let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            prop_assert_eq!(reference.len(), header.tensors().len());
            for (name, tensor) in reference.iter() {
                let entry = &header.tensors()[name];
                prop_assert_eq!((tensor.dtype(), tensor.shape()), (entry.dtype, entry.shape.as_slice()));
                prop_assert_eq!(tensor.data(), &bytes[entry.range.clone()]);
            }
        }
        if let Ok(checkpoint) = Checkpoint::from_bytes("x", case.config.to_string().as_bytes(), None, bytes) {
            for (name, shape) in checkpoint.config.expected_tensors() {
                let _read_or_refused = checkpoint.weights.read_f32(&name, &shape);
            }
        }
    }

    #[test]
    fn damaged_configs_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"0123456789-.e\"{}[],:ntf"[..])), 1..5),
    ) {
        let mut bytes = with(tiny_config(), json!({"rope_scaling": {"type": "yarn", "factor": 4.0}})).to_string().into_bytes();
        for (position, value) in edits {
            let position = position.index(bytes.len());
            bytes[position] = value;
        }
        if let Ok(config) = neuro_checkpoint::DecoderConfig::from_json(&bytes, Path::new("config.json")) {
            prop_assert!(config.num_layers() <= neuro_checkpoint::MAX_LAYERS);
            let attention = &config.layers[0].attention;
            prop_assert_eq!(attention.heads % attention.kv_heads, 0);
            prop_assert!(attention.rope.theta.is_finite() && config.norm_eps > 0.0);
        }
    }
}

/// Layers that predict further tokens stand behind the last (DeepSeek-V3, section 2.2); they are left out and named.
#[test]
fn layers_that_predict_further_tokens_are_left_out() {
    let config = json!({"model_type": "glm4_moe", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 4, "intermediate_size": 6, "first_k_dense_replace": 1, "vocab_size": 16,
        "tie_word_embeddings": true, "num_nextn_predict_layers": 1});
    let mut case = Case::new(config);
    case.push("model.layers.1.eh_proj.weight", &[8, 16]);
    case.push("model.layers.1.mlp.experts.0.up_proj.weight", &[3, 8]);
    let folder = case.write();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let left_out = ["model.layers.1.eh_proj.weight", "model.layers.1.mlp.experts.0.up_proj.weight"];
    assert_eq!(checkpoint.weights.left_out(), left_out);
    assert!(!checkpoint.weights.names().iter().any(|name| name.contains("layers.1.")));
    assert!(
        checkpoint.weights.total_bytes() < std::fs::metadata(folder.path().join("model.safetensors")).unwrap().len()
    );
    let whole = Case::new(tiny_config()).write();
    assert_eq!(Checkpoint::open(whole.path()).unwrap().weights.left_out(), [""; 0]);
}

/// What is wrong with matrices of eight-bit floats is said of them, or of their scales.
#[test]
fn eight_bit_floats_need_scales_that_fit() {
    let blocks = json!({"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [4, 8]});
    let config = with(tiny_config(), json!({"quantization_config": blocks}));
    let matrix = "model.layers.0.mlp.up_proj.weight";
    let open = |shape: Option<&[usize]>, dtype: &str, byte: u8| {
        let mut case = Case::new(config.clone());
        // The matrix, (12, 8), becomes one byte per number at the end of the file.
        let mut fresh = Case::with_tensors(config.clone(), &[]);
        for (name, expected) in common::describe(&config).expected_tensors() {
            if name == matrix {
                let start = fresh.data.len();
                fresh.data.extend(vec![byte; 96]);
                let entry = json!({"dtype": dtype, "shape": expected, "data_offsets": [start, start + 96]});
                fresh.header.insert(name, entry);
            } else {
                fresh.push(&name, &expected);
            }
        }
        if let Some(shape) = shape {
            fresh.push(&format!("{matrix}_scale_inv"), shape);
        }
        std::mem::swap(&mut case, &mut fresh);
        let folder = case.write();
        Checkpoint::open(folder.path()).and_then(|checkpoint| checkpoint.weights.read_f32(matrix, &[12, 8]))
    };
    let values = open(Some(&[3, 1]), "F8_E4M3", 0x38).unwrap();
    // Each scale, as the helper writes them, times one.
    assert!(values[0] != values[32] && values[..32].iter().all(|value| *value == values[0]));
    for (shape, dtype, byte, words) in [
        (None, "F8_E4M3", 0x38, "its scales"),
        (Some(&[1, 3][..]), "F8_E4M3", 0x38, "expected [3, 1]: one for each block of 4 rows and 8 columns"),
        (Some(&[3, 1]), "F8_E4M3", 0x7f, "NaN at [0, 0]"),
        (Some(&[3, 1]), "F8_E5M2", 0x38, "belongs to quantised weights"),
    ] {
        let refused = open(shape, dtype, byte).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    for (settings, words) in [
        (json!({"quant_method": "fp8", "fmt": "e5m2", "weight_block_size": [4, 8]}), "expected e4m3"),
        (json!({"quant_method": "fp8", "weight_block_size": null}), "is not two sizes above 0"),
        (json!({"quant_method": "fp8", "weight_block_size": [0, 8]}), "is not two sizes above 0"),
        (json!({"quant_method": "awq", "bits": 4}), "block-wise fp8"),
        (json!({"quant_method": "mxfp4"}), "block-wise fp8"),
    ] {
        let refused = common::refusal(&with(tiny_config(), json!({"quantization_config": settings})));
        assert!(refused.contains(words), "{refused}");
    }
}
