//! Delta nets in GGUF files: every tensor as a folder has it, whichever way the file does.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::gguf::{Gguf, flag, float, integers, number, text};
use neuro_checkpoint::{Checkpoint, CheckpointError, Dtype};

const HIDDEN: usize = 8;
const KEY_HEADS: usize = 2;
const VALUE_HEADS: usize = 6;
const TAPS: usize = 3;
/// A folder's value heads in the order of a file of Qwen3.5.
const TILES: [usize; VALUE_HEADS] = [0, 3, 1, 4, 2, 5];
const Q8_0: u32 = 8;
/// Queries with gates, keys and values: name, rows, and which numbers.
const QKV: [(&str, usize, usize); 3] = [("attn_q", 16, 23), ("attn_k", 4, 24), ("attn_v", 4, 25)];

/// A matrix, or a vector with rows of one number.
type Rows = Vec<Vec<f32>>;

/// Numbers that stand in no other matrix.
fn rows(matrix: usize, height: usize, columns: usize) -> Rows {
    let row = |row: usize| (0..columns).map(move |column| (matrix * 4096 + row * columns + column) as f32 / 256.0);
    (0..height).map(|at| row(at).collect()).collect()
}

/// Value heads, each of so many rows, in the order of the file.
fn tiled(rows: &Rows, width: usize) -> Rows {
    TILES.iter().flat_map(|head| rows[head * width..(head + 1) * width].to_vec()).collect()
}

fn tiled_columns(rows: &Rows, width: usize) -> Rows {
    let row = |row: &Vec<f32>| TILES.iter().flat_map(|head| row[head * width..(head + 1) * width].to_vec()).collect();
    rows.iter().map(row).collect()
}

fn push(file: &mut Gguf, name: &str, rows: &Rows) {
    let (height, columns) = (rows.len() as u64, rows[0].len() as u64);
    let shape = if columns == 1 { vec![height] } else { vec![columns, height] };
    file.push(name, &shape, &rows.concat());
}

/// A model whose first layer is a delta net with heads of so many numbers, and whose second has attention: the file, and the
/// delta net's tensors as a folder has them.
fn hybrid(architecture: &str, width: usize) -> (Gguf, BTreeMap<&'static str, Rows>) {
    let (keys, values) = (KEY_HEADS * width, VALUE_HEADS * width);
    let folder = BTreeMap::from([
        ("in_proj_q.weight", rows(1, keys, HIDDEN)),
        ("in_proj_k.weight", rows(2, keys, HIDDEN)),
        ("in_proj_v.weight", rows(3, values, HIDDEN)),
        ("in_proj_z.weight", rows(4, values, HIDDEN)),
        ("in_proj_b.weight", rows(5, VALUE_HEADS, HIDDEN)),
        ("in_proj_a.weight", rows(6, VALUE_HEADS, HIDDEN)),
        ("conv1d.weight", rows(7, 2 * keys + values, TAPS)),
        ("dt_bias", rows(8, VALUE_HEADS, 1)),
        ("A_log", (0..VALUE_HEADS).map(|head| vec![head as f32 - 2.5]).collect()),
        ("norm.weight", rows(9, width, 1)),
        ("out_proj.weight", rows(10, HIDDEN, values)),
    ]);
    let mut file = Gguf::empty();
    file.set("general.architecture", text(architecture));
    for (key, value) in [
        ("context_length", 64),
        ("embedding_length", HIDDEN as u32),
        ("block_count", 2),
        ("feed_forward_length", 4),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("attention.key_length", 4),
        ("attention.value_length", 4),
        ("rope.dimension_count", 2),
        ("full_attention_interval", 2),
        ("ssm.conv_kernel", TAPS as u32),
        ("ssm.group_count", KEY_HEADS as u32),
        ("ssm.time_step_rank", VALUE_HEADS as u32),
        ("ssm.state_size", width as u32),
        ("ssm.inner_size", values as u32),
    ] {
        file.set(&format!("{architecture}.{key}"), number(value));
    }
    file.set(&format!("{architecture}.attention.layer_norm_rms_epsilon"), float(1e-6));
    push(&mut file, "token_embd.weight", &rows(11, 16, HIDDEN));
    push(&mut file, "output_norm.weight", &rows(12, HIDDEN, 1));
    let experts = architecture != "qwen35";
    if experts {
        file.set(&format!("{architecture}.expert_count"), number(2));
        file.set(&format!("{architecture}.expert_used_count"), number(1));
        file.set(&format!("{architecture}.expert_feed_forward_length"), number(4));
    }
    for layer in 0..2 {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        for norm in ["attn_norm", "post_attention_norm"] {
            push(&mut file, &name(norm), &rows(13, HIDDEN, 1));
        }
        let projections = [("gate", 4, HIDDEN), ("up", 4, HIDDEN), ("down", HIDDEN, 4)];
        for (at, (projection, height, columns)) in projections.into_iter().enumerate() {
            let matrix = rows(14 + at, height, columns);
            if experts {
                let shape = [columns as u64, height as u64, 2];
                file.push(
                    &name(&format!("ffn_{projection}_exps")),
                    &shape,
                    &[matrix.concat(), matrix.concat()].concat(),
                );
                push(&mut file, &name(&format!("ffn_{projection}_shexp")), &matrix);
            } else {
                push(&mut file, &name(&format!("ffn_{projection}")), &matrix);
            }
        }
        if experts {
            push(&mut file, &name("ffn_gate_inp"), &rows(17, 2, HIDDEN));
            push(&mut file, &name("ffn_gate_inp_shexp"), &rows(18, HIDDEN, 1));
        }
    }
    for (part, height, matrix) in QKV.into_iter().chain([("attn_output", HIDDEN, 26)]) {
        push(&mut file, &format!("blk.1.{part}.weight"), &rows(matrix, height, HIDDEN));
    }
    for part in ["attn_q_norm", "attn_k_norm"] {
        push(&mut file, &format!("blk.1.{part}.weight"), &rows(21, 4, 1));
    }
    of_delta_net(&mut file, &folder, width, architecture != "qwen3next");
    if architecture != "qwen3next" {
        file.set(&format!("{architecture}.rope.dimension_sections"), integers(&[1, 0, 0, 0]));
    }
    (file, folder)
}

/// The delta net as llama.cpp's conversion writes it.
fn of_delta_net(file: &mut Gguf, folder: &BTreeMap<&str, Rows>, width: usize, tiles: bool) {
    let head_rows = |name: &str, width: usize| if tiles { tiled(&folder[name], width) } else { folder[name].clone() };
    let name = |part: &str| format!("blk.0.{part}");
    let qkv = [&folder["in_proj_q.weight"][..], &folder["in_proj_k.weight"], &head_rows("in_proj_v.weight", width)];
    push(file, &name("attn_qkv.weight"), &qkv.concat());
    push(file, &name("attn_gate.weight"), &head_rows("in_proj_z.weight", width));
    if tiles {
        push(file, &name("ssm_beta.weight"), &head_rows("in_proj_b.weight", 1));
        push(file, &name("ssm_alpha.weight"), &head_rows("in_proj_a.weight", 1));
    } else {
        push(file, &name("ssm_ba.weight"), &by_key_head(folder, &["in_proj_b.weight", "in_proj_a.weight"], &[3, 3]));
    }
    let (before, channels) = folder["conv1d.weight"].split_at(2 * KEY_HEADS * width);
    let channels = if tiles { tiled(&channels.to_vec(), width) } else { channels.to_vec() };
    push(file, &name("ssm_conv1d.weight"), &[before, &channels].concat());
    push(file, &name("ssm_dt.bias"), &head_rows("dt_bias", 1));
    let decays = head_rows("A_log", 1).iter().map(|row| vec![-row[0].exp()]).collect();
    push(file, &name("ssm_a"), &decays);
    push(file, &name("ssm_norm.weight"), &folder["norm.weight"]);
    let out = &folder["out_proj.weight"];
    push(file, &name("ssm_out.weight"), &if tiles { tiled_columns(out, width) } else { out.clone() });
}

/// Of each key head so many rows of each matrix.
fn by_key_head(folder: &BTreeMap<&str, Rows>, parts: &[&str], heights: &[usize]) -> Rows {
    let of_head = |head: usize| {
        let part = move |(part, height): (&&str, &usize)| folder[*part][head * height..(head + 1) * height].to_vec();
        parts.iter().zip(heights).flat_map(part)
    };
    (0..KEY_HEADS).flat_map(of_head).collect()
}

fn open(file: &Gguf) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::from_gguf_bytes("hybrid.gguf", file.bytes())
}

/// Every tensor, read as a whole, in parts and as bytes.
fn all(checkpoint: &Checkpoint) -> BTreeMap<String, Vec<f32>> {
    let read = |(name, shape): (String, Vec<usize>)| {
        let numbers = checkpoint.weights.read_f32(&name, &shape).unwrap();
        if let [height, columns] = shape[..] {
            let backwards: Vec<u32> = (0..height as u32).rev().collect();
            let reversed = checkpoint.weights.read_rows_f32(&name, &shape, &backwards).unwrap();
            assert!(numbers.chunks(columns).rev().flatten().eq(&reversed), "{name}");
        }
        let view = checkpoint.weights.view(&name).unwrap();
        let viewed: Vec<f32> = match view.dtype {
            // The upper half of single precision.
            Dtype::BF16 => {
                let pairs = view.bytes.as_chunks::<2>().0.iter();
                pairs.map(|pair| f32::from_bits(u32::from(u16::from_le_bytes(*pair)) << 16)).collect()
            }
            _ => view.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        };
        assert_eq!(viewed, numbers, "{name}");
        (name, numbers)
    };
    checkpoint.config.expected_tensors().into_iter().map(read).collect()
}

/// Single precision of exp and ln.
fn is_close(found: &[f32], expected: &[f32]) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 2e-7 * b.abs().max(1.0))
}

#[test]
fn tensors_are_those_of_a_folder() {
    for architecture in ["qwen3next", "qwen35", "qwen35moe"] {
        let (file, folder) = hybrid(architecture, 2);
        let checkpoint = open(&file).unwrap();
        let recurrent: Vec<bool> = checkpoint.config.layers.iter().map(|layer| layer.delta_net.is_some()).collect();
        assert_eq!(recurrent, [true, false], "{architecture}");
        let found = all(&checkpoint);
        for (part, rows) in &folder {
            let found = &found[&format!("model.layers.0.linear_attn.{part}")];
            let expected = rows.concat();
            let is_same = if *part == "A_log" { is_close(found, &expected) } else { *found == expected };
            assert!(is_same, "{architecture} {part}: {found:?}, expected {expected:?}");
        }
        assert_eq!(found["model.layers.1.post_attention_layernorm.weight"], rows(13, HIDDEN, 1).concat());
        let attention = &checkpoint.config.layers[1].attention;
        assert!(attention.output_gate && attention.rope.rotary_dim == 2, "{attention:?}");
    }
}

/// As files of the end of 2025 have it: q, k, v and z of Qwen3-Next as in its folders.
#[test]
fn projections_may_stand_key_head_by_key_head() {
    let (file, folder) = hybrid("qwen3next", 2);
    let mut old = file.clone();
    old.tensors.retain(|tensor| {
        ![b"blk.0.attn_qkv.weight".to_vec(), b"blk.0.attn_gate.weight".to_vec()].contains(&tensor.name)
    });
    let parts = ["in_proj_q.weight", "in_proj_k.weight", "in_proj_v.weight", "in_proj_z.weight"];
    push(&mut old, "blk.0.ssm_in.weight", &by_key_head(&folder, &parts, &[2, 2, 6, 6]));
    assert_eq!(all(&open(&old).unwrap()), all(&open(&file).unwrap()));
}

/// `attn_qkv` is of a delta net in one layer and of attention in another.
#[test]
fn attention_may_be_fused_beside_delta_nets() {
    let (file, _) = hybrid("qwen35", 2);
    let mut fused = file.clone();
    fused
        .tensors
        .retain(|tensor| !QKV.iter().any(|(part, ..)| tensor.name == format!("blk.1.{part}.weight").as_bytes()));
    let all_rows: Rows = QKV.into_iter().flat_map(|(_, height, matrix)| rows(matrix, height, HIDDEN)).collect();
    push(&mut fused, "blk.1.attn_qkv.weight", &all_rows);
    let (one, other) = (open(&fused).unwrap(), open(&file).unwrap());
    assert_eq!(all(&one), all(&other));
    assert_eq!(one.config, other.config);
}

#[test]
fn recurrent_layers_are_listed_or_counted() {
    let (file, _) = hybrid("qwen35", 2);
    let expected = open(&file).unwrap().config;
    let mut listed = file.clone();
    listed.set("qwen35.full_attention_interval", number(1));
    listed.set("qwen35.attention.recurrent_layers", integers(&[1, 0]));
    assert_eq!(open(&listed).unwrap().config, expected);
    // A block behind the layers predicts further tokens; the list counts it.
    listed.set("qwen35.attention.recurrent_layers", integers(&[1, 0, 0]));
    listed.set("qwen35.block_count", number(3));
    listed.set("qwen35.nextn_predict_layers", number(1));
    push(&mut listed, "blk.2.attn_norm.weight", &rows(13, HIDDEN, 1));
    push(&mut listed, "blk.2.nextn.eh_proj.weight", &rows(22, HIDDEN, 16));
    assert_eq!(open(&listed).unwrap().config, expected);
    let mut without = file.clone();
    without.remove("qwen35.full_attention_interval");
    // All of two layers come before the fourth.
    let message = open(&without).unwrap_err().to_string();
    assert!(message.contains("blk.1") || message.contains("layers.1"), "{message}");
}

/// Experts' widths are named by keys of their own.
#[test]
fn models_of_experts_need_no_other_width() {
    let (file, _) = hybrid("qwen35moe", 2);
    let mut without = file.clone();
    without.remove("qwen35moe.feed_forward_length");
    assert_eq!(open(&without).unwrap().config.layers, open(&file).unwrap().config.layers);
    let (mut dense, _) = hybrid("qwen35", 2);
    dense.remove("qwen35.feed_forward_length");
    assert!(open(&dense).unwrap_err().to_string().contains("`qwen35.feed_forward_length` is missing"));
}

#[test]
fn what_llama_cpp_would_compute_otherwise_is_refused() {
    let refused = |key: &str, value: Vec<u8>, expected: &str| {
        let (mut file, _) = hybrid("qwen35", 2);
        file.set(&format!("qwen35.{key}"), value);
        let message = open(&file).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(&format!("`qwen35.{key}`")) && message.contains(expected), "{message}");
    };
    refused("full_attention_interval", number(0), "is 0, expected at least 1");
    refused("attention.layer_norm_rms_epsilon", float(1e-5), "expected 0.000001");
    refused("ssm.inner_size", number(24), "is 24, expected 6 heads of 2");
    refused("ssm.group_count", number(0), "is 0");
    refused("ssm.group_count", number(4), "is 4");
    refused("ssm.conv_kernel", number(65), "is 65, expected at most 64");
    refused("attention.recurrent_layers", integers(&[1, 0, 0]), "has 3 items, expected 2");
    refused("rope.dimension_sections", integers(&[1, 0, 0]), "has 3 items, expected 4");
    // The only pair of two rotated numbers belongs to the first section.
    refused("rope.dimension_sections", integers(&[0, 1, 1, 0]), "leaves pair 0 of 1");
    refused("rope.dimension_sections", integers(&[0, 0, 0, 0]), "leaves pair 0 of 1");
    refused("rope.dimension_sections", integers(&[-1, 0, 0, 0]), "whole number");
    refused("attention.scale", float(0.5), "is not known here");
    refused("ssm.dt_b_c_rms", flag(true), "is not known here");
    let (mut file, _) = hybrid("qwen35", 2);
    file.remove("qwen35.rope.dimension_sections");
    assert!(open(&file).unwrap_err().to_string().contains("`qwen35.rope.dimension_sections` is missing"));
    let (mut file, _) = hybrid("qwen35", 2);
    file.tensor("blk.0.ssm_a").bytes[8..12].copy_from_slice(&0.5_f32.to_le_bytes());
    let checkpoint = open(&file).unwrap();
    let message =
        checkpoint.weights.read_f32("model.layers.0.linear_attn.A_log", &[VALUE_HEADS]).unwrap_err().to_string();
    // The third in the file is the second head.
    assert!(message.contains("`blk.0.ssm_a` holds 0.5 at [1], expected numbers below 0"), "{message}");
}

/// Columns of value heads lie in blocks: whole ones, or ones that heads share.
#[test]
fn blocks_are_put_in_order_where_no_two_heads_share_one() {
    const NAME: &str = "model.layers.0.linear_attn.out_proj.weight";
    for width in [16, 32, 64] {
        let (mut file, _) = hybrid("qwen35", width);
        let values = VALUE_HEADS * width;
        let number = |row: usize, column: usize| ((row * 31 + column * 7) % 201) as f32 - 100.0;
        let canonical: Rows = (0..HIDDEN).map(|row| (0..values).map(|at| number(row, at)).collect()).collect();
        // A scale of one and 32 whole numbers.
        let blocks = |row: &Vec<f32>| -> Vec<u8> {
            let block = |block: &[f32]| {
                [&[0x00, 0x3c][..], &block.iter().map(|at| *at as i8 as u8).collect::<Vec<_>>()].concat()
            };
            row.chunks(32).flat_map(block).collect()
        };
        let tensor = file.tensor("blk.0.ssm_out.weight");
        tensor.format = Q8_0;
        tensor.bytes = tiled_columns(&canonical, width).iter().flat_map(blocks).collect();
        let checkpoint = open(&file).unwrap();
        let shape = [HIDDEN, values];
        assert_eq!(checkpoint.weights.read_f32(NAME, &shape).unwrap(), canonical.concat(), "{width}");
        let stored = checkpoint.weights.read_blocks(NAME, &shape, 2..4);
        if width == 16 {
            assert!(checkpoint.weights.block_format(NAME).is_none());
            assert!(stored.unwrap_err().to_string().contains("which its heads share"));
        } else {
            assert_eq!(checkpoint.weights.block_format(NAME).unwrap().name(), "Q8_0");
            assert_eq!(stored.unwrap(), canonical[2..4].iter().flat_map(blocks).collect::<Vec<_>>(), "{width}");
        }
    }
}

/// What llama.cpp's own conversion made of fixtures (`fixtures/gguf_converted.py`).
#[test]
fn files_of_llama_cpp_s_conversion_are_the_folders() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    for name in ["qwen3_5-nested", "qwen3_5_moe-square", "qwen3_next-square"] {
        let folder = Checkpoint::open(&fixtures.join(name)).unwrap();
        let file = Checkpoint::open(&fixtures.join(format!("gguf/converted/{name}.gguf"))).unwrap();
        assert_eq!(file.config.tie_word_embeddings, folder.config.tie_word_embeddings, "{name}");
        let described = |checkpoint: &Checkpoint| -> Vec<_> {
            let layers = checkpoint.config.layers.iter();
            layers.map(|layer| (layer.delta_net, layer.attention.clone(), layer.mlp.clone())).collect()
        };
        assert_eq!(described(&file), described(&folder), "{name}");
        let expected = folder.config.expected_tensors();
        assert_eq!(file.config.expected_tensors(), expected, "{name}");
        let found = all(&file);
        for (tensor, shape) in expected {
            let (found, mut expected) = (&found[&tensor], folder.weights.read_f32(&tensor, &shape).unwrap());
            if tensor.contains("norm") && !tensor.contains("linear_attn") {
                expected.iter_mut().for_each(|weight| *weight += 1.0);
            }
            let is_same = if tensor.ends_with("A_log") { is_close(found, &expected) } else { *found == expected };
            assert!(is_same, "{name} {tensor}: {found:?}, expected {expected:?}");
        }
    }
}

/// Sizes that do not fit are errors, wherever a byte of the head is another.
#[test]
fn no_changed_byte_does_harm() {
    let (file, _) = hybrid("qwen35", 2);
    let bytes = file.bytes();
    let data: usize = file.tensors.iter().map(|tensor| tensor.bytes.len().next_multiple_of(file.alignment)).sum();
    let mut opened = 0;
    for at in 0..bytes.len() - data {
        for byte in [0x01, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = byte;
            let Ok(checkpoint) = Checkpoint::from_gguf_bytes("changed.gguf", changed) else { continue };
            for (name, shape) in checkpoint.config.expected_tensors() {
                drop(checkpoint.weights.read_f32(&name, &shape));
            }
            opened += 1;
        }
    }
    assert!(opened > 0);
}
