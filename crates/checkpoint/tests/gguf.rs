//! GGUF files that are what they say: every number format, several files, and what metadata mean.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::gguf::{Gguf, flag, float, integers, number, text, texts};
use neuro_checkpoint::{BlockFormat, Checkpoint, CheckpointError, HeaderTokenizer, RopeScaling};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gguf").join(name)
}

/// Opens a file of the given parts.
fn open(change: impl FnOnce(&mut Gguf)) -> Result<Checkpoint, CheckpointError> {
    let mut file = Gguf::tiny();
    change(&mut file);
    Checkpoint::from_gguf_bytes("tiny.gguf", file.bytes())
}

fn sha256(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Sha256::digest(bytes).iter().fold(String::new(), |mut hash, byte| {
        write!(hash, "{byte:02x}").expect("a string takes all");
        hash
    })
}

/// The names of tensors in the file, and what they are called here.
const STORED: [(&str, &str); 12] = [
    ("token_embd", "model.embed_tokens"),
    ("output_norm", "model.norm"),
    ("output", "lm_head"),
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

fn canonical(stored: &str) -> String {
    let stem = stored.strip_suffix(".weight").expect("only weights");
    let (layer, part) = stem.rsplit_once('.').map_or((None, stem), |(layer, part)| (Some(layer), part));
    let (_, module) = STORED.iter().find(|(known, _)| *known == part).expect("a known part");
    layer.map_or_else(
        || format!("{module}.weight"),
        |layer| format!("{}.{module}.weight", layer.replace("blk", "model.layers")),
    )
}

/// To the last bit, in the order of rows that the layers expect.
#[test]
fn every_number_format_is_decoded_as_gguf_py_does() {
    let expected: Value = serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
    let checkpoint = Checkpoint::open(&fixture("every-format.gguf")).unwrap();
    let shapes: std::collections::BTreeMap<_, _> = checkpoint.config.expected_tensors().into_iter().collect();
    let (mut formats, mut compared) = (Vec::new(), 0);
    for (stored, expected) in expected["tensors"].as_object().unwrap() {
        if stored == "rope_freqs.weight" {
            continue;
        }
        let name = canonical(stored);
        let format = checkpoint.weights.block_format(&name).unwrap();
        assert_eq!(format.name(), expected["format"], "{name}");
        let numbers = checkpoint.weights.read_f32(&name, &shapes[&name]).unwrap();
        let first: Vec<f32> =
            expected["first"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as f32).collect();
        assert_eq!(numbers[..4], first, "{name}, {format}");
        assert_eq!(sha256(&numbers), expected["sha256"], "{name}, {format}");
        // Read some rows, in any order, and from the middle of a block.
        if let [height, columns] = shapes[&name][..] {
            let rows = [height as u32 - 1, 0, 1];
            let some = checkpoint.weights.read_rows_f32(&name, &shapes[&name], &rows).unwrap();
            for (row, found) in rows.iter().zip(some.chunks(columns)) {
                assert_eq!(found, &numbers[*row as usize * columns..][..columns], "{name}, row {row}");
            }
        }
        formats.push(format);
        compared += 1;
    }
    formats.sort_unstable();
    formats.dedup();
    assert_eq!((formats.len(), compared), (BlockFormat::ALL.len(), 21));
    assert!(checkpoint.weights.is_quantised());
    assert!(checkpoint.weights.dtype_summary().starts_with("F32 (5 tensors), Q8_0 (2 tensors)"));
    let divisors = vec![1.0, 1.0, 1.0, 1.25, 2.5, 4.0, 8.0, 8.0];
    assert_eq!(checkpoint.config.layers[1].attention.rope.scaling, RopeScaling::Factors { divisors });
}

#[test]
fn stored_blocks_are_given_in_canonical_order() {
    let checkpoint = Checkpoint::open(&fixture("every-format.gguf")).unwrap();
    // 16 rows of 256 numbers in Q8_0, whose rows are in pairs in the file.
    let (name, shape) = ("model.layers.1.self_attn.k_proj.weight", [16, 256]);
    let blocks = checkpoint.weights.read_blocks(name, &shape, 3..7).unwrap();
    let numbers = checkpoint.weights.read_f32(name, &shape).unwrap();
    let decoded: Vec<f32> = blocks
        .chunks(34)
        .flat_map(|block| {
            let scale = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
            block[2..].iter().map(move |&quant| f32::from(quant.cast_signed()) * scale)
        })
        .collect();
    assert_eq!(decoded, numbers[3 * 256..7 * 256]);
    for (rows, shape) in [(0..17, [16, 256]), (0..1, [16, 32])] {
        let message = checkpoint.weights.read_blocks(name, &shape, rows).unwrap_err().to_string();
        assert!(message.contains("has shape [16, 256]"), "{message}");
    }
    assert!(checkpoint.weights.read_blocks("model.norm.weight", &[256], 0..1).is_err());
}

#[test]
fn the_header_s_tokenizer_is_plain_data() {
    let checkpoint = Checkpoint::open(&fixture("every-format.gguf")).unwrap();
    let tokenizer = checkpoint.tokenizer.as_ref().unwrap();
    assert_eq!((tokenizer.model.as_str(), tokenizer.tokens.len(), tokenizer.scores.len()), ("llama", 40, 40));
    // The file says 4294967295 for its padding token.
    assert_eq!(
        tokenizer.roles.iter().map(|(role, id)| (role.as_str(), *id)).collect::<Vec<_>>(),
        [("bos", 1), ("eos", 2)]
    );
    assert!(tokenizer.templates["default"].contains("eos_token"));
    assert_eq!(HeaderTokenizer::open(&fixture("every-format.gguf")).unwrap().as_ref(), Some(tokenizer));
    assert_eq!((checkpoint.generation.bos_token_id, &checkpoint.generation.eos_token_ids[..]), (Some(1), &[2][..]));
    assert_eq!(checkpoint.identity().unwrap().id, "every-format");
}

#[test]
fn a_file_is_described_by_its_metadata() {
    let checkpoint = open(|_| ()).unwrap();
    let config = &checkpoint.config;
    assert_eq!((config.vocab_size, config.hidden_size, config.num_layers()), (16, 8, 1));
    assert!(config.tie_word_embeddings && checkpoint.tokenizer.is_none() && !checkpoint.weights.is_quantised());
    assert_eq!(config.layers[0].attention.rope.scaling, RopeScaling::Default);
    assert_eq!((config.norm_eps, config.layers[0].attention.rope.theta), (f64::from(1e-5_f32), 10_000.0));
    // Version 2 differs in nothing that matters here.
    assert_eq!(open(|file| file.version = 2).unwrap().config, *config);
    // Any power of two, and padding behind the last tensor may be left out.
    let aligned = |cut: usize| {
        open(|file| {
            file.set("general.alignment", number(512));
            file.alignment = 512;
            file.cut = Some(file.bytes().len() - cut);
        })
    };
    assert_eq!((aligned(0).unwrap().config, aligned(128).unwrap().config), (config.clone(), config.clone()));
}

#[test]
fn rope_and_windows_follow_the_keys() {
    let rope =
        |set: &dyn Fn(&mut Gguf)| open(|file| set(file)).unwrap().config.layers[0].attention.rope.scaling.clone();
    let linear = rope(&|file| file.set("llama.rope.scaling.factor", float(4.0)));
    assert_eq!(linear, RopeScaling::Linear { factor: 4.0 });
    assert_eq!(rope(&|file| file.set("llama.rope.scale_linear", float(2.0))), RopeScaling::Linear { factor: 2.0 });
    let none = rope(&|file| {
        file.set("llama.rope.scaling.type", text("none"));
        file.set("llama.rope.scaling.factor", float(4.0));
    });
    assert_eq!(none, RopeScaling::Default);
    let yarn = rope(&|file| {
        file.set("llama.rope.scaling.type", text("yarn"));
        file.set("llama.rope.scaling.factor", float(4.0));
        file.set("llama.rope.scaling.original_context_length", number(32));
    });
    let RopeScaling::Yarn { factor, attention_factor, original, truncate, .. } = yarn else { panic!("{yarn:?}") };
    assert_eq!((factor, original, truncate), (4.0, 32, true));
    assert!((attention_factor - (0.1 * 4.0_f64.ln() + 1.0)).abs() < 1e-12);

    let window = |set: &dyn Fn(&mut Gguf)| open(|file| set(file)).unwrap().config.layers[0].attention.window;
    assert_eq!(window(&|file| file.set("llama.attention.sliding_window", number(5))), Some(5));
    assert_eq!(window(&|file| file.set("llama.attention.sliding_window", number(0))), None);
    for (pattern, expected) in
        [(number(1), None), (number(2), Some(5)), (integers(&[0]), None), (integers(&[1]), Some(5))]
    {
        let found = window(&|file| {
            file.set("llama.attention.sliding_window", number(5));
            file.set("llama.attention.sliding_window_pattern", pattern.clone());
        });
        assert_eq!(found, expected);
    }
    let scale = open(|file| file.set("llama.attention.scale", float(0.25))).unwrap().config.layers[0].attention.scale;
    assert_eq!(scale, 0.25);
    // The same number for every layer, however it is written.
    let heads = open(|file| file.set("llama.attention.head_count_kv", integers(&[1]))).unwrap();
    assert_eq!(heads.config.layers[0].attention.kv_heads, 1);
}

#[test]
fn ends_of_answers_are_found_by_key_and_by_name() {
    let ends = |change: &dyn Fn(&mut Gguf)| open(|file| change(file)).unwrap().generation.eos_token_ids;
    assert_eq!(ends(&|_| ()), [2]);
    assert_eq!(ends(&|file| file.set("tokenizer.ggml.eot_token_id", number(7))), [2, 7]);
    assert_eq!(ends(&|file| file.set("tokenizer.ggml.eos_token_id", number(u32::MAX))), Vec::<u32>::new());
    let named = |kind: i32| {
        ends(&|file| {
            file.set("tokenizer.ggml.model", text("gpt2"));
            file.set("tokenizer.ggml.tokens", texts(&["a", "b", "c", "<|im_end|>"]));
            file.set("tokenizer.ggml.token_type", integers(&[1, 1, 1, kind]));
            file.set("tokenizer.ggml.add_bos_token", flag(false));
        })
    };
    assert_eq!((named(3), named(1)), (vec![2, 3], vec![2]));
}

#[test]
fn a_model_in_several_files_is_opened_by_any_of_them() {
    let file = Gguf::tiny();
    let folder = tempfile::tempdir().unwrap();
    file.write_split(folder.path(), "tiny", &[3, 0, 8]);
    let whole = Checkpoint::from_gguf_bytes("tiny.gguf", file.bytes()).unwrap();
    let mut hashes = Vec::new();
    for number in 1..=3 {
        let part = Checkpoint::open(&folder.path().join(format!("tiny-{number:05}-of-00003.gguf"))).unwrap();
        assert_eq!(part.config, whole.config);
        assert_eq!(part.weights.files().len(), 3);
        for (name, shape) in part.config.expected_tensors() {
            assert_eq!(part.weights.read_f32(&name, &shape).unwrap(), whole.weights.read_f32(&name, &shape).unwrap());
        }
        let identity = part.identity().unwrap();
        assert_eq!(identity.id, "tiny");
        hashes.push(identity.hash);
    }
    assert!(hashes.iter().all(|hash| *hash == hashes[0]) && hashes[0] != whole.identity().unwrap().hash);
}

/// Where the folder of real models is at hand.
#[test]
fn stories_are_the_same_in_both_formats() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models");
    if !folder.exists() {
        return println!("skipped: {} does not exist", folder.display());
    }
    let [gguf, plain] = ["stories260K.gguf", "stories260K"].map(|name| Checkpoint::open(&folder.join(name)).unwrap());
    assert_eq!(gguf.identity().unwrap().id, plain.identity().unwrap().id);
    assert_eq!(gguf.config.expected_tensors(), plain.config.expected_tensors());
    for (name, shape) in plain.config.expected_tensors() {
        assert_eq!(
            gguf.weights.read_f32(&name, &shape).unwrap(),
            plain.weights.read_f32(&name, &shape).unwrap(),
            "{name}"
        );
    }
    assert_eq!(gguf.generation.eos_token_ids, plain.generation.eos_token_ids);
}

fn rename(file: &mut Gguf, architecture: &str) {
    for (key, _) in &mut file.metadata {
        *key = key.replace("llama.", &format!("{architecture}."));
    }
    file.set("general.architecture", text(architecture));
}

/// Numbers of a tensor of the file, as stored.
fn numbers_of(file: &Gguf, name: &str) -> Vec<f32> {
    let tensor = file.tensors.iter().find(|tensor| tensor.name == name.as_bytes()).unwrap();
    tensor.bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

fn all(checkpoint: &Checkpoint) -> Vec<(String, Vec<f32>)> {
    let tensors = checkpoint.config.expected_tensors().into_iter();
    let read = |(name, shape): (String, Vec<usize>)| {
        let numbers = checkpoint.weights.read_f32(&name, &shape).unwrap();
        // Rows one by one, and as bytes, are the same numbers.
        if let [height, columns] = shape[..] {
            let rows: Vec<u32> = (0..height as u32).rev().collect();
            let reversed = checkpoint.weights.read_rows_f32(&name, &shape, &rows).unwrap();
            assert!(numbers.chunks(columns).rev().flatten().eq(&reversed), "{name}");
        }
        let view = checkpoint.weights.view(&name).unwrap();
        assert!(
            view.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).eq(numbers.iter().copied())
        );
        (name, numbers)
    };
    tensors.map(read).collect()
}

#[test]
fn tensors_that_are_stored_together_are_those_that_are_stored_apart() {
    let apart = open(|_| ()).unwrap();
    let together = open(|file| {
        let names = ["attn_q", "attn_k", "attn_v"].map(|name| format!("blk.0.{name}.weight"));
        let numbers: Vec<f32> = names.iter().flat_map(|name| numbers_of(file, name)).collect();
        file.tensors.retain(|tensor| !names.iter().any(|name| tensor.name == name.as_bytes()));
        file.push("blk.0.attn_qkv.weight", &[8, 16], &numbers);
    })
    .unwrap();
    assert_eq!(all(&apart), all(&together));
    assert_eq!(apart.config, together.config);
    assert_eq!(apart.weights.total_bytes(), together.weights.total_bytes());
    let wrong = open(|file| {
        file.tensors.retain(|tensor| !tensor.name.starts_with(b"blk.0.attn_q."));
        file.push("blk.0.attn_qkv.weight", &[8, 12], &[0.0; 96]);
    });
    let message = wrong.unwrap_err().to_string();
    assert!(message.contains("`blk.0.attn_qkv.weight` has shape [12, 8], expected [16, 8]"), "{message}");
}

#[test]
fn experts_are_read_from_one_tensor_and_from_one_each() {
    let projections = [("gate", [8_u64, 12]), ("up", [8, 12]), ("down", [12, 8])];
    let sparse = |file: &mut Gguf| {
        file.set("llama.expert_count", number(3));
        file.set("llama.expert_used_count", number(2));
        file.tensors.retain(|tensor| {
            !projections.iter().any(|(name, _)| tensor.name == format!("blk.0.ffn_{name}.weight").as_bytes())
        });
        file.push("blk.0.ffn_gate_inp.weight", &[8, 3], &[0.5; 24]);
    };
    let numbers =
        |expert: usize, at: usize| (0..96).map(move |number| (number + 100 * expert + 1000 * at) as f32 / 512.0);
    let one = open(|file| {
        sparse(file);
        for (at, (name, [columns, rows])) in projections.into_iter().enumerate() {
            let all: Vec<f32> = (0..3).flat_map(|expert| numbers(expert, at)).collect();
            file.push(&format!("blk.0.ffn_{name}_exps.weight"), &[columns, rows, 3], &all);
        }
    })
    .unwrap();
    let each = open(|file| {
        sparse(file);
        for (at, (name, shape)) in projections.into_iter().enumerate() {
            for expert in 0..3 {
                let numbers: Vec<f32> = numbers(expert, at).collect();
                file.push(&format!("blk.0.ffn_{name}.{expert}.weight"), &shape, &numbers);
            }
        }
    })
    .unwrap();
    assert_eq!((one.config.model_type.as_str(), &one.config), ("mixtral", &each.config));
    assert_eq!(all(&one), all(&each));
    let up = one.weights.read_f32("model.layers.0.mlp.experts.2.up_proj.weight", &[12, 8]).unwrap();
    assert_eq!(up[..2], [1200.0 / 512.0, 1201.0 / 512.0]);
}

#[test]
fn blocks_that_predict_further_tokens_are_left_out() {
    let checkpoint = open(|file| {
        rename(file, "glm4");
        file.set("glm4.block_count", number(2));
        file.set("glm4.nextn_predict_layers", number(1));
        file.set("glm4.rope.dimension_count", number(2));
        file.tensors.retain(|tensor| !tensor.name.starts_with(b"blk.0.ffn_"));
        for name in ["post_attention_norm", "ffn_norm", "post_ffw_norm"] {
            file.push(&format!("blk.0.{name}.weight"), &[8], &[1.0; 8]);
        }
        let numbers: Vec<f32> = (0..192).map(|number| number as f32).collect();
        file.push("blk.0.ffn_up.weight", &[8, 24], &numbers);
        file.push("blk.0.ffn_down.weight", &[12, 8], &[0.5; 96]);
        file.push("blk.1.attn_norm.weight", &[8], &[1.0; 8]);
        file.push("blk.1.nextn.eh_proj.weight", &[16, 8], &[0.5; 128]);
    })
    .unwrap();
    let config = &checkpoint.config;
    assert_eq!((config.num_layers(), config.layers[0].attention.rope.rotary_dim), (1, 2));
    assert!(config.layers[0].attention.rope.interleaved);
    // Gate first, then up.
    let first =
        |name: &str| checkpoint.weights.read_f32(&format!("model.layers.0.mlp.{name}.weight"), &[12, 8]).unwrap()[0];
    assert_eq!((first("gate_proj"), first("up_proj")), (0.0, 96.0));
    assert_eq!(checkpoint.weights.names().iter().filter(|name| name.contains(".1.")).count(), 0);
}

/// llama.cpp has keys for YaRN's bounds and reads them in few architectures; elsewhere they are 32 and 1.
#[test]
fn bounds_of_yarn_are_read_where_llama_cpp_reads_them() {
    let bounds = |architecture: &str| {
        let checkpoint = open(|file| {
            file.set("llama.rope.scaling.type", text("yarn"));
            file.set("llama.rope.scaling.factor", float(4.0));
            file.set("llama.rope.scaling.yarn_beta_fast", float(8.0));
            file.set("llama.rope.scaling.yarn_beta_slow", float(2.0));
            rename(file, architecture);
        });
        let RopeScaling::Yarn { beta_fast, beta_slow, .. } =
            checkpoint.unwrap().config.layers[0].attention.rope.scaling
        else {
            panic!("no yarn")
        };
        (beta_fast, beta_slow)
    };
    assert_eq!((bounds("llama"), bounds("mistral3")), ((32.0, 1.0), (8.0, 2.0)));
}

/// DeepSeek's keys and values as one matrix, as files of 2024 have it, as two, and both.
#[test]
fn keys_and_values_of_a_latent_are_one_matrix_or_two() {
    let (heads, nope, v, rank) = (2, 3, 5, 4);
    let whole: Vec<f32> = (0..heads * (nope + v) * rank).map(|number| number as f32).collect();
    let row = |head: usize, row: usize| &whole[(head * (nope + v) + row) * rank..][..rank];
    let keys: Vec<f32> = (0..heads)
        .flat_map(|head| (0..rank).flat_map(move |column| (0..nope).map(move |at| (head, at, column))))
        .map(|(head, at, column)| row(head, at)[column])
        .collect();
    let values: Vec<f32> =
        (0..heads).flat_map(|head| (nope..nope + v).flat_map(move |at| row(head, at).to_vec())).collect();
    let open = |one: bool, two: bool| {
        open(|file| {
            rename(file, "deepseek2");
            file.set("deepseek2.attention.layer_norm_rms_epsilon", float(1e-6));
            for (key, value) in [
                ("attention.head_count_kv", if two { 1 } else { 2 }),
                ("feed_forward_length", 12),
                ("rope.dimension_count", 2),
                ("attention.kv_lora_rank", 4),
                ("expert_count", 2),
                ("expert_used_count", 1),
                ("expert_shared_count", 1),
                ("expert_feed_forward_length", 6),
                ("leading_dense_block_count", 1),
                (if two { "attention.key_length_mla" } else { "attention.key_length" }, 5),
                (if two { "attention.value_length_mla" } else { "attention.value_length" }, 5),
            ] {
                file.set(&format!("deepseek2.{key}"), number(value));
            }
            file.tensors
                .retain(|tensor| !tensor.name.starts_with(b"blk.0.attn_") || tensor.name.ends_with(b"norm.weight"));
            file.push("blk.0.attn_q.weight", &[8, 10], &[0.5; 80]);
            file.push("blk.0.attn_kv_a_mqa.weight", &[8, 6], &[0.5; 48]);
            file.push("blk.0.attn_kv_a_norm.weight", &[4], &[1.0; 4]);
            file.push("blk.0.attn_output.weight", &[10, 8], &[0.5; 80]);
            if one {
                file.push("blk.0.attn_kv_b.weight", &[4, 16], &whole);
            }
            if two {
                file.push("blk.0.attn_k_b.weight", &[3, 4, 2], &keys);
                file.push("blk.0.attn_v_b.weight", &[4, 5, 2], &values);
            }
        })
        .unwrap()
    };
    let one = open(true, false);
    assert_eq!(one.config.model_type, "deepseek_v2");
    let kv_b = |checkpoint: &Checkpoint| {
        checkpoint.weights.read_f32("model.layers.0.self_attn.kv_b_proj.weight", &[16, 4]).unwrap()
    };
    assert_eq!(kv_b(&one), whole);
    for other in [open(false, true), open(true, true)] {
        assert_eq!(other.config, one.config);
        assert_eq!(all(&other), all(&one));
    }
}
