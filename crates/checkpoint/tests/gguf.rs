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
