//! Lying GGUF files, and what each of them is told: file, culprit, what was found, what was expected.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod common;

use common::gguf::{Gguf, array, flag, float, floats, integers, number, short, text, texts};
use neuro_checkpoint::{Checkpoint, HeaderTokenizer};

/// Opens the changed file and reads every tensor; the message must name the file and hold every part.
fn attack(change: impl FnOnce(&mut Gguf), parts: &[&str]) {
    let mut file = Gguf::tiny();
    change(&mut file);
    refused(file.bytes(), parts);
}

fn refused(bytes: Vec<u8>, parts: &[&str]) {
    let opened = Checkpoint::from_gguf_bytes("lie.gguf", bytes).and_then(|checkpoint| {
        for (name, shape) in checkpoint.config.expected_tensors() {
            checkpoint.weights.read_f32(&name, &shape)?;
        }
        Ok(())
    });
    let message = opened.expect_err(&format!("must be refused for {parts:?}")).to_string();
    for part in ["lie.gguf"].iter().chain(parts) {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert!(message.len() < 1000, "too long: {message}");
}

#[test]
fn beginnings() {
    refused(Vec::new(), &["claims 4 bytes at byte 0, but only 0 are left"]);
    refused(b"GGU".to_vec(), &["claims 4 bytes", "only 3"]);
    attack(|file| file.magic = *b"PK\x03\x04", &["begins with \"PK\\u{3}\\u{4}\", expected \"GGUF\""]);
    attack(|file| file.magic = *b"tjgg", &["before GGUF", "convert the model anew"]);
    refused(b"version https://git-lfs.github.com/spec/v1\n".to_vec(), &["Git LFS pointer", "git lfs pull"]);
    for version in [0, 1, 4, u32::MAX] {
        attack(|file| file.version = version, &[&format!("has version {version}, expected 2 or 3")]);
    }
    attack(|file| file.version = 3_u32.swap_bytes(), &["version 3 in big-endian order", "gguf_convert_endian.py"]);
}

#[test]
fn counts_that_no_file_can_hold() {
    for count in [1 << 63, u64::MAX, 1 << 40, 5000] {
        attack(|file| file.tensor_count = Some(count), &[&format!("claims {count} tensors"), "has room for"]);
        attack(|file| file.key_count = Some(count), &[&format!("claims {count} keys"), "has room for"]);
    }
    attack(|file| file.key_count = Some(file.metadata.len() as u64 + 1), &["file is damaged"]);
    attack(|file| file.tensor_count = Some(file.tensors.len() as u64 + 1), &["tensor"]);
    for kind in [0, 4, 8, 12] {
        for count in [1 << 63, u64::MAX, 1 << 23] {
            let parts = [&format!("the value of `x` claims {count} items")[..], "expected at most"];
            attack(|file| file.set("x", array(kind, count)), &parts);
        }
    }
    let long = [&8_u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat();
    attack(
        |file| file.set("x", long),
        &["the value of `x` claims 18446744073709551615 bytes", "damaged or incomplete"],
    );
}

#[test]
fn values_that_are_none() {
    attack(
        |file| file.set("x", 13_u32.to_le_bytes().to_vec()),
        &["`x` has a value of type 13, expected one from 0 to 12"],
    );
    attack(|file| file.set("x", array(13, 0)), &["`x` has a value of type 13"]);
    attack(|file| file.set("x", array(9, 1)), &["the value of `x` is an array of arrays"]);
    let mut broken = text("ab");
    broken[12] = 0xff;
    attack(|file| file.set("x", broken), &["the value of `x`", "no UTF-8"]);
    attack(
        |file| file.metadata.push(("llama.block_count".to_owned(), number(1))),
        &["`llama.block_count` appears twice"],
    );
    attack(|file| file.set("", number(1)), &["a key has 0 bytes"]);
    attack(|file| file.set(&"k".repeat(70_000), number(1)), &["a key has 70000 bytes"]);
    for (value, found) in [(number(0), "0"), (number(48), "48"), (number(1 << 20), "1048576"), (text("32"), "\"32\"")] {
        let parts = [&format!("`general.alignment` is {found}")[..], "power of two up to 65536"];
        attack(|file| file.set("general.alignment", value), &parts);
    }
}

#[test]
fn tensors_that_lie_about_their_place() {
    let place = |name: &'static str, offset: u64, parts: &[&str]| {
        let culprit = format!("tensor `{name}`");
        let all: Vec<&str> = std::iter::once(culprit.as_str()).chain(parts.iter().copied()).collect();
        attack(|file| file.tensor(name).offset = Some(offset), &all);
    };
    place("blk.0.attn_q.weight", 0, &["overlaps", "damaged"]);
    place("blk.0.attn_q.weight", 1 << 20, &["claims 256 bytes from byte 1048576", "damaged or incomplete"]);
    place("blk.0.attn_q.weight", u64::MAX, &["from byte 18446744073709551615"]);
    place("blk.0.attn_q.weight", 1 << 63, &["from byte 9223372036854775808"]);
    place("blk.0.attn_q.weight", 4, &["begins at byte 4 of the data, expected a multiple of 32"]);
    attack(|file| file.trailing = 32, &["describes", "but the file has"]);
    attack(|file| file.cut = Some(file.bytes().len() - 100), &["claims 384 bytes", "damaged or incomplete"]);
    // Between two tensors, room for a third.
    attack(
        |file| {
            file.tensor("blk.0.ffn_up.weight").bytes.resize(448, 0);
            file.tensor("blk.0.ffn_up.weight").shape = vec![8, 12];
        },
        &["tensor `blk.0.ffn_down.weight` starts 64 bytes after the end of tensor `blk.0.ffn_up.weight`"],
    );
}

#[test]
fn tensors_that_are_none() {
    let tensor = |change: &dyn Fn(&mut common::gguf::Tensor), parts: &[&str]| {
        attack(|file| change(file.tensor("blk.0.attn_v.weight")), parts);
    };
    let name = "tensor `blk.0.attn_v.weight`";
    tensor(&|tensor| tensor.shape = vec![1; 5], &[name, "claims 5 axes, expected at most 4"]);
    tensor(&|tensor| tensor.shape = vec![8, 0], &[name, "without a plausible size"]);
    tensor(&|tensor| tensor.shape = vec![1 << 40, 1 << 40], &[name, "larger than any memory"]);
    tensor(&|tensor| tensor.shape = vec![1 << 63, 1], &[name]);
    tensor(&|tensor| tensor.shape = vec![4, 8], &[name, "has shape [8, 4], expected [4, 8] by the metadata"]);
    tensor(&|tensor| tensor.shape = vec![32], &[name, "has shape [32]"]);
    tensor(&|tensor| tensor.format = 99, &[name, "number format 99, which is not read", "Q4_K"]);
    tensor(&|tensor| tensor.format = 16, &[name, "is stored as IQ2_XXS, which is not read"]);
    tensor(&|tensor| tensor.format = 12, &[name, "has rows of 8 numbers, expected a multiple of 256 for Q4_K"]);
    tensor(
        &|tensor| tensor.name = b"blk.0.attn_x.weight".to_vec(),
        &["`blk.0.attn_x.weight` has no place in a llama model"],
    );
    tensor(&|tensor| tensor.name = b"blk.1.attn_v.weight".to_vec(), &["`blk.1.attn_v.weight` has no place"]);
    tensor(&|tensor| tensor.name = b"blk.0.attn_k.weight".to_vec(), &["`blk.0.attn_k.weight` appears twice"]);
    tensor(&|tensor| tensor.name = b"\xff".to_vec(), &["a tensor's name", "no UTF-8"]);
    tensor(
        &|tensor| tensor.bytes[8..12].copy_from_slice(&f32::NAN.to_le_bytes()),
        &[name, "holds NaN at [0, 2], expected finite numbers"],
    );
    attack(|file| _ = file.tensors.pop(), &["`model.layers.0.mlp.down_proj.weight` is missing"]);
    attack(|file| _ = file.tensors.remove(0), &["`token_embd.weight` is missing"]);
    attack(|file| file.tensors.clear(), &["`llama.block_count` is 1, but the file holds 0 tensors"]);
    attack(
        |file| file.push("model.norm.weight", &[8], &[0.0; 8]),
        &["`output_norm.weight` appears twice", "`model.norm.weight`"],
    );
}

/// A block's scale makes all of its numbers.
#[test]
fn blocks_with_scales_that_are_no_numbers() {
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gguf/every-format.gguf");
    let bytes = std::fs::read(fixture).unwrap();
    let checkpoint = Checkpoint::from_gguf_bytes("lie.gguf", bytes.clone()).unwrap();
    // Where the first block of the head lies: its bytes are there once.
    let head = checkpoint.weights.read_blocks("lm_head.weight", &[40, 256], 0..1).unwrap();
    let at = bytes.windows(head.len()).position(|window| window == head).unwrap();
    for scale in [f32::NAN, f32::INFINITY] {
        let mut broken = bytes.clone();
        broken[at..at + 2].copy_from_slice(&half::f16::from_f32(scale).to_le_bytes());
        let checkpoint = Checkpoint::from_gguf_bytes("lie.gguf", broken.clone()).unwrap();
        let message = checkpoint.weights.read_blocks("lm_head.weight", &[40, 256], 0..1).unwrap_err().to_string();
        assert!(message.contains("tensor `output.weight` holds") && message.contains("at [0, 0]"), "{message}");
        refused(broken, &["tensor `output.weight` holds", "at [0, 0]"]);
    }
}

#[test]
fn metadata_that_describe_no_model() {
    let key = |key: &'static str, value: Vec<u8>, parts: &[&str]| {
        let name = format!("`{key}`");
        let all: Vec<&str> = std::iter::once(name.as_str()).chain(parts.iter().copied()).collect();
        attack(|file| file.set(key, value), &all);
    };
    key(
        "general.architecture",
        text("mamba"),
        &["is \"mamba\", which is not supported; known: llama, qwen2, qwen3, mistral3, qwen2moe"],
    );
    key("general.architecture", number(1), &["is 1, expected a string"]);
    attack(|file| file.remove("general.architecture"), &["`general.architecture` is missing", "llama, qwen2, qwen3"]);
    for name in ["context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count"] {
        let name = format!("llama.{name}");
        attack(|file| file.remove(&name), &[&format!("`{name}` is missing")]);
        for value in [number(0), number(u32::MAX), float(2.5), text("8"), integers(&[-4])] {
            attack(|file| file.set(&name, value), &[&format!("`{name}` is"), "expected a whole number"]);
        }
    }
    attack(|file| file.remove("llama.attention.layer_norm_rms_epsilon"), &["layer_norm_rms_epsilon` is missing"]);
    key("llama.attention.layer_norm_rms_epsilon", float(f32::NAN), &["is NaN, expected a finite number"]);
    key("llama.attention.layer_norm_rms_epsilon", float(-1.0), &["is -1.0, expected a number above 0"]);
    key("llama.block_count", number(100_000), &["is 100000, expected at most 65536"]);
    key("llama.block_count", number(60_000), &["is 60000, but the file holds 11 tensors"]);
    key("llama.attention.head_count", number(3), &["is 3, which does not divide `llama.embedding_length`, which is 8"]);
    key("llama.attention.head_count_kv", number(4), &["does not divide `llama.attention.head_count`"]);
    key("llama.attention.head_count_kv", integers(&[1, 2]), &["is 1 for layer 0 and 2 for layer 1", "not supported"]);
    key("llama.attention.key_length", number(5), &["is 5", "even"]);
    key("llama.attention.value_length", number(8), &["is 8 where keys have 4", "not supported"]);
    key("llama.rope.dimension_count", number(2), &["is 2 in heads of 4", "not supported"]);
    key("llama.rope.freq_base", float(0.0), &["is 0.0, expected a number above 0"]);
    key("llama.rope.scaling.type", text("longrope"), &["is \"longrope\"", "known: none, linear, yarn"]);
    key("llama.rope.scaling.factor", float(-2.0), &["is -2.0, expected a number above 0"]);
    key("llama.attention.sliding_window", number(u32::MAX), &["is 4294967295, expected at most 2147483648"]);
    key("llama.attention.sliding_window_pattern", integers(&[1, 0]), &["has 2 items, expected 1, one per layer"]);
    key("llama.vocab_size", number(17), &["is 17, but token_embd.weight has 16 rows"]);
    attack(|file| file.set("llama.expert_count", number(8)), &["`llama.expert_used_count` is missing"]);
    key("llama.expert_weights_scale", float(2.5), &["is 2.5, expected 1", "not supported"]);
    key("llama.expert_group_count", number(4), &["is 4, expected 1", "not supported"]);
    key("llama.nextn_predict_layers", number(1), &["is 1, expected 0", "not supported"]);
    key("llama.attention.temperature_length", number(8), &["is not known here and may change what the model computes"]);
    attack(|file| file.push("rope_freqs.weight", &[3], &[1.0; 3]), &["`rope_freqs.weight` has 3 numbers, expected 2"]);
    attack(
        |file| file.push("rope_freqs.weight", &[2], &[1.0, 0.0]),
        &["`rope_freqs.weight` holds 0, expected numbers above 0"],
    );
    attack(
        |file| {
            file.push("rope_freqs.weight", &[2], &[1.0, 4.0]);
            file.set("llama.rope.scaling.factor", float(2.0));
        },
        &["`llama.rope.scaling.factor` is set beside rope_freqs.weight"],
    );
}

#[test]
fn tokenizers_whose_parts_do_not_fit() {
    let with = |more: &[(&str, Vec<u8>)], parts: &[&str]| {
        attack(
            |file| {
                file.set("tokenizer.ggml.model", text("llama"));
                file.set("tokenizer.ggml.tokens", texts(&["a", "b"]));
                more.iter().for_each(|(key, value)| file.set(&format!("tokenizer.ggml.{key}"), value.clone()));
            },
            parts,
        );
    };
    with(&[("scores", floats(&[1.0]))], &["`tokenizer.ggml.scores` has 1 items, expected 2, one per token"]);
    with(&[("scores", floats(&[1.0, f32::NAN]))], &["`tokenizer.ggml.scores` is NaN, expected numbers"]);
    with(&[("scores", texts(&["a", "b"]))], &["`tokenizer.ggml.scores` is an array of 2 strings"]);
    with(&[("token_type", integers(&[1; 3]))], &["`tokenizer.ggml.token_type` has 3 items, expected 2"]);
    with(&[("tokens", number(2))], &["`tokenizer.ggml.tokens` is 2, expected an array of strings"]);
    with(
        &[("tokens", texts(&["a"; 17]))],
        &["`tokenizer.ggml.tokens` has 17 entries, but token_embd.weight has 16 rows"],
    );
    with(&[("add_bos_token", number(1))], &["`tokenizer.ggml.add_bos_token` is 1, expected true or false"]);
    with(&[("eos_token_id", text("</s>"))], &["`tokenizer.ggml.eos_token_id` is \"</s>\", expected a whole number"]);
    attack(|file| file.set("tokenizer.ggml.model", text("llama")), &["`tokenizer.ggml.tokens` is missing"]);
    let (flagged, ranked) = (flag(true), short(3));
    attack(|file| file.set("tokenizer.ggml.model", flagged), &["`tokenizer.ggml.model` is true, expected a string"]);
    attack(|file| file.set("tokenizer.ggml.model", ranked), &["`tokenizer.ggml.model` is 3, expected a string"]);
}

#[test]
fn parts_of_a_model_that_do_not_belong_together() {
    let split = |tensors: &[usize], change: &dyn Fn(&std::path::Path), parts: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        Gguf::tiny().write_split(folder.path(), "tiny", tensors);
        change(folder.path());
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let message = Checkpoint::open(&names.min().unwrap()).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
    };
    let name = |folder: &std::path::Path, number: usize| folder.join(format!("tiny-{number:05}-of-00003.gguf"));
    let second = "tiny-00002-of-00003.gguf";
    split(
        &[4, 4, 3],
        &|folder| std::fs::remove_file(name(folder, 2)).unwrap(),
        &["is one of 3 files", second, "download all of them"],
    );
    split(
        &[4, 4, 3],
        &|folder| _ = std::fs::copy(name(folder, 3), name(folder, 2)).unwrap(),
        &[second, "`split.no` is 2, expected 1 by the file's name"],
    );
    split(
        &[4, 4, 3],
        &|folder| std::fs::write(name(folder, 2), Gguf::tiny().bytes()).unwrap(),
        &[second, "`split.no` is missing, expected 1"],
    );
    split(
        &[4, 4, 3],
        &|folder| {
            let mut other = Gguf::tiny();
            other.tensors.truncate(2);
            other.set("split.no", short(1));
            other.set("split.count", short(3));
            std::fs::write(name(folder, 2), other.bytes()).unwrap();
        },
        &["`split.tensors.count` is 11, but the 3 files hold 9 tensors"],
    );
    split(
        &[4, 4, 3],
        &|folder| {
            for number in 1..=3 {
                std::fs::rename(name(folder, number), folder.join(format!("part{number}.gguf"))).unwrap();
            }
        },
        &["part1.gguf", "NAME-00001-of-00003.gguf"],
    );
    attack(
        |file| {
            file.set("split.no", short(0));
            file.set("split.count", short(2));
        },
        &["is one of several files"],
    );
    attack(|file| file.set("split.count", short(60_000)), &["`split.count` is 60000, expected at most 9999"]);
}

#[test]
fn files_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let message = |name: &str| Checkpoint::open(&folder.path().join(name)).unwrap_err().to_string();
    assert!(message("absent.gguf").contains("there is no such folder or file"), "{}", message("absent.gguf"));
    std::fs::write(folder.path().join("empty.gguf"), []).unwrap();
    assert!(message("empty.gguf").contains("claims 4 bytes at byte 0"), "{}", message("empty.gguf"));
    std::fs::write(folder.path().join("pytorch_model.bin"), b"PK").unwrap();
    for part in ["pickles", "can run code and are not read", "save_pretrained"] {
        assert!(message("pytorch_model.bin").contains(part), "{}", message("pytorch_model.bin"));
    }
    assert!(HeaderTokenizer::open(&folder.path().join("empty.gguf")).is_err());
    // A folder is told which file to name.
    assert!(message("").contains("name one of them") && message("").contains("empty.gguf"), "{}", message(""));
}

/// Every place of a small file, cut there or with a byte changed: an error or a model, and never a panic.
#[test]
fn no_cut_and_no_changed_byte_does_harm() {
    let bytes = Gguf::tiny().bytes();
    let read = |bytes: Vec<u8>| {
        Checkpoint::from_gguf_bytes("lie.gguf", bytes).and_then(|checkpoint| {
            for (name, shape) in checkpoint.config.expected_tensors() {
                checkpoint.weights.read_f32(&name, &shape)?;
            }
            Ok(())
        })
    };
    for cut in 0..bytes.len() {
        assert!(read(bytes[..cut].to_vec()).is_err(), "{cut}");
    }
    for at in 0..bytes.len().min(1400) {
        for change in [0x01, 0x80, 0xff] {
            let mut broken = bytes.clone();
            broken[at] ^= change;
            drop(read(broken));
        }
    }
}

/// Run with `--ignored` to make `fuzz/corpus/gguf` anew.
#[test]
#[ignore = "writes into the repository"]
fn the_fuzz_corpus_is_made() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/gguf");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, change: &dyn Fn(&mut Gguf)| {
        let mut file = Gguf::tiny();
        change(&mut file);
        std::fs::write(folder.join(format!("{name}.gguf")), file.bytes()).unwrap();
    };
    write("valid-tiny", &|_| ());
    write("valid-pieces", &|file| {
        file.set("tokenizer.ggml.model", text("llama"));
        file.set("tokenizer.ggml.tokens", texts(&["<unk>", "<s>", "</s>", "a", "b", "ab", "▁", "▁ab", "<0x0A>"]));
        file.set("tokenizer.ggml.scores", floats(&[0.0, 0.0, 0.0, -5.0, -6.0, -1.0, -4.0, -0.5, 0.0]));
        file.set("tokenizer.ggml.token_type", integers(&[2, 3, 3, 1, 1, 1, 1, 1, 6]));
        file.set("tokenizer.chat_template", text("{% for m in messages %}{{ m.content }}{% endfor %}"));
    });
    write("valid-merges", &|file| {
        file.set("tokenizer.ggml.model", text("gpt2"));
        file.set("tokenizer.ggml.pre", text("qwen2"));
        file.set("tokenizer.ggml.tokens", texts(&["a", "b", "ab", "Ġ", "<|im_end|>"]));
        file.set("tokenizer.ggml.token_type", integers(&[1, 1, 1, 1, 3]));
        file.set("tokenizer.ggml.merges", texts(&["a b"]));
    });
    write("valid-quantised", &|file| {
        file.set("llama.embedding_length", number(32));
        file.set("llama.feed_forward_length", number(32));
        file.set("llama.rope.dimension_count", number(16));
        for tensor in &mut file.tensors {
            let columns = if tensor.name.ends_with(b"norm.weight") { 1 } else { 32 };
            let rows = match tensor.name.as_slice() {
                b"blk.0.attn_k.weight" | b"blk.0.attn_v.weight" | b"token_embd.weight" => 16,
                _ => 32,
            };
            (tensor.shape, tensor.bytes) = (vec![32, rows], vec![0x15; rows as usize * 18]);
            tensor.format = 2;
            if columns == 1 {
                (tensor.shape, tensor.bytes, tensor.format) = (vec![32], vec![0x3c; 128], 0);
            }
        }
    });
    write("valid-rope-and-window", &|file| {
        file.push("rope_freqs.weight", &[2], &[1.0, 4.0]);
        file.set("llama.attention.sliding_window", number(5));
        file.version = 2;
    });
    write("lie-tensor-count", &|file| file.tensor_count = Some(1 << 63));
    write("lie-array-count", &|file| file.set("x", array(4, u64::MAX)));
    write("lie-overlap", &|file| file.tensors[3].offset = Some(0));
    write("lie-beyond-the-end", &|file| file.tensors[3].offset = Some(1 << 40));
    write("lie-more-layers", &|file| file.set("llama.block_count", number(60_000)));
    write("cut", &|file| file.cut = Some(700));
    write("not-gguf", &|file| file.magic = *b"ggml");
    write("big-endian", &|file| file.version = 3_u32.swap_bytes());
    write("unknown-architecture", &|file| file.set("general.architecture", text("mamba")));
    write("one-of-two", &|file| file.set("split.count", short(2)));
    write("not-finite", &|file| file.tensors[4].bytes[8..12].copy_from_slice(&f32::NAN.to_le_bytes()));
}
