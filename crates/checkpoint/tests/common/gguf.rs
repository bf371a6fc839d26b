//! A GGUF file in parts, to be written as it is or after a lie has been put in.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;

use neuro_checkpoint::Weights;
use tempfile::TempDir;

pub(crate) const F32: u32 = 0;

/// The parts of a file.
#[derive(Clone)]
pub(crate) struct Gguf {
    pub(crate) magic: [u8; 4],
    pub(crate) version: u32,
    /// Keys, and their values with the id of their type before them.
    pub(crate) metadata: Vec<(String, Vec<u8>)>,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) alignment: usize,
    /// Written instead of the real counts.
    pub(crate) tensor_count: Option<u64>,
    pub(crate) key_count: Option<u64>,
    /// Written behind all.
    pub(crate) trailing: usize,
    /// Written in place of what is longer.
    pub(crate) cut: Option<usize>,
}

#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: Vec<u8>,
    /// Fastest first.
    pub(crate) shape: Vec<u64>,
    pub(crate) format: u32,
    pub(crate) bytes: Vec<u8>,
    /// Written instead of the real place.
    pub(crate) offset: Option<u64>,
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [&8_u32.to_le_bytes()[..], &(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

pub(crate) fn number(number: u32) -> Vec<u8> {
    [4_u32.to_le_bytes(), number.to_le_bytes()].concat()
}

pub(crate) fn short(number: u16) -> Vec<u8> {
    [&2_u32.to_le_bytes()[..], &number.to_le_bytes()].concat()
}

pub(crate) fn float(number: f32) -> Vec<u8> {
    [6_u32.to_le_bytes(), number.to_le_bytes()].concat()
}

pub(crate) fn flag(flag: bool) -> Vec<u8> {
    [&7_u32.to_le_bytes()[..], &[u8::from(flag)]].concat()
}

pub(crate) fn texts(texts: &[&str]) -> Vec<u8> {
    let items = texts.iter().flat_map(|item| text(item)[4..].to_vec()).collect::<Vec<u8>>();
    [&array(8, texts.len() as u64)[..], &items].concat()
}

pub(crate) fn integers(numbers: &[i32]) -> Vec<u8> {
    let items = numbers.iter().flat_map(|item| item.to_le_bytes()).collect::<Vec<u8>>();
    [&array(5, numbers.len() as u64)[..], &items].concat()
}

pub(crate) fn floats(numbers: &[f32]) -> Vec<u8> {
    let items = numbers.iter().flat_map(|item| item.to_le_bytes()).collect::<Vec<u8>>();
    [&array(6, numbers.len() as u64)[..], &items].concat()
}

/// The beginning of an array that claims so many items.
pub(crate) fn array(kind: u32, count: u64) -> Vec<u8> {
    [&9_u32.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes()].concat()
}

impl Gguf {
    pub(crate) fn empty() -> Self {
        Self {
            magic: *b"GGUF",
            version: 3,
            metadata: Vec::new(),
            tensors: Vec::new(),
            alignment: 32,
            tensor_count: None,
            key_count: None,
            trailing: 0,
            cut: None,
        }
    }

    /// A llama of one layer, all in f32, each number different and small.
    pub(crate) fn tiny() -> Self {
        let mut file = Self::empty();
        file.set("general.architecture", text("llama"));
        for (key, value) in [
            ("context_length", 64),
            ("embedding_length", 8),
            ("block_count", 1),
            ("feed_forward_length", 12),
            ("attention.head_count", 2),
            ("attention.head_count_kv", 1),
            ("rope.dimension_count", 4),
        ] {
            file.set(&format!("llama.{key}"), number(value));
        }
        file.set("llama.attention.layer_norm_rms_epsilon", float(1e-5));
        file.set("tokenizer.ggml.eos_token_id", number(2));
        for (name, shape) in [
            ("token_embd.weight", &[8, 16][..]),
            ("output_norm.weight", &[8]),
            ("blk.0.attn_norm.weight", &[8]),
            ("blk.0.attn_q.weight", &[8, 8]),
            ("blk.0.attn_k.weight", &[8, 4]),
            ("blk.0.attn_v.weight", &[8, 4]),
            ("blk.0.attn_output.weight", &[8, 8]),
            ("blk.0.ffn_norm.weight", &[8]),
            ("blk.0.ffn_gate.weight", &[8, 12]),
            ("blk.0.ffn_up.weight", &[8, 12]),
            ("blk.0.ffn_down.weight", &[12, 8]),
        ] {
            let count = shape.iter().product::<u64>() as usize;
            let first = file.tensors.len() * 100;
            let numbers: Vec<f32> = (first..first + count).map(|at| at as f32 / 4096.0).collect();
            file.push(name, shape, &numbers);
        }
        file
    }

    pub(crate) fn set(&mut self, key: &str, value: Vec<u8>) {
        match self.metadata.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value,
            None => self.metadata.push((key.to_owned(), value)),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.metadata.retain(|(known, _)| known != key);
    }

    /// Appends an f32 tensor; the shape is fastest first.
    pub(crate) fn push(&mut self, name: &str, shape: &[u64], numbers: &[f32]) {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensors.push(Tensor { name: name.into(), shape: shape.to_vec(), format: F32, bytes, offset: None });
    }

    pub(crate) fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|tensor| tensor.name == name.as_bytes()).expect("the file has this tensor")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.tensor_count.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        bytes.extend(self.key_count.unwrap_or(self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            bytes.extend(&text(key)[4..]);
            bytes.extend(value);
        }
        let (mut data, mut places) = (Vec::new(), Vec::new());
        for tensor in &self.tensors {
            places.push(data.len() as u64);
            data.extend(&tensor.bytes);
            data.resize(data.len().next_multiple_of(self.alignment), 0);
        }
        for (Tensor { name, shape, format, offset, .. }, place) in self.tensors.iter().zip(places) {
            bytes.extend((name.len() as u64).to_le_bytes());
            bytes.extend(name);
            bytes.extend((shape.len() as u32).to_le_bytes());
            bytes.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
            bytes.extend(format.to_le_bytes());
            bytes.extend(offset.unwrap_or(place).to_le_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(self.alignment), 0);
        bytes.extend(data);
        bytes.resize(bytes.len() + self.trailing, 0);
        bytes.truncate(self.cut.unwrap_or(bytes.len()));
        bytes
    }

    /// Writes `NAME.gguf` into a folder of its own.
    pub(crate) fn write(&self, name: &str) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder for the test");
        std::fs::write(folder.path().join(format!("{name}.gguf")), self.bytes()).expect("a file for the test");
        folder
    }

    /// Writes the parts of a model, so many tensors in each.
    pub(crate) fn write_split(&self, folder: &Path, name: &str, tensors: &[usize]) {
        let mut first = 0;
        for (number, count) in tensors.iter().enumerate() {
            let mut part = if number == 0 { self.clone() } else { Self::empty() };
            part.tensors = self.tensors[first..first + count].to_vec();
            first += count;
            part.set("split.no", short(number as u16));
            part.set("split.count", short(tensors.len() as u16));
            part.set("split.tensors.count", number_of(self.tensors.len()));
            let path = folder.join(format!("{name}-{:05}-of-{:05}.gguf", number + 1, tensors.len()));
            std::fs::write(path, part.bytes()).expect("a file for the test");
        }
    }
}

fn number_of(count: usize) -> Vec<u8> {
    [5_u32.to_le_bytes(), (count as i32).to_le_bytes()].concat()
}

/// The GGUF name of a canonical one.
fn stored_name(canonical: &str) -> String {
    let replaced = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    replaced.iter().fold(canonical.to_owned(), |name, (from, to)| name.replacen(from, to, 1))
}

/// A checkpoint as llama.cpp converts it, in f32: metadata of its description, and for `llama` the rows of queries and keys
/// in pairs.
pub(crate) fn converted(config: &neuro_checkpoint::DecoderConfig, weights: &Weights) -> Gguf {
    let attention = &config.layers[0].attention;
    let architecture = if config.model_type == "mistral" { "llama" } else { &config.model_type };
    let mut file = Gguf::empty();
    file.set("general.architecture", text(architecture));
    for (key, value) in [
        ("context_length", config.max_position_embeddings),
        ("embedding_length", config.hidden_size),
        ("block_count", config.layers.len()),
        ("feed_forward_length", config.layers[0].mlp.intermediate_size),
        ("attention.head_count", attention.heads),
        ("attention.head_count_kv", attention.kv_heads),
        ("attention.key_length", attention.head_dim),
        ("attention.value_length", attention.head_dim),
        ("rope.dimension_count", attention.head_dim),
    ] {
        file.set(&format!("{architecture}.{key}"), number(value as u32));
    }
    file.set(&format!("{architecture}.attention.layer_norm_rms_epsilon"), float(config.norm_eps as f32));
    file.set(&format!("{architecture}.rope.freq_base"), float(attention.rope.theta as f32));
    for (name, shape) in config.expected_tensors() {
        let mut numbers = weights.read_f32(&name, &shape).expect("the checkpoint has its tensors");
        let heads = match () {
            () if name.contains("q_proj") => attention.heads,
            () if name.contains("k_proj") => attention.kv_heads,
            () => 0,
        };
        if architecture == "llama" && heads > 0 {
            numbers = in_pairs(&numbers, shape[0], heads);
        }
        let shape: Vec<u64> = shape.iter().rev().map(|&size| size as u64).collect();
        file.push(&stored_name(&name), &shape, &numbers);
    }
    file
}

/// Rows of each head: first of the first half, first of the second half, second of the first half, ….
fn in_pairs(numbers: &[f32], rows: usize, heads: usize) -> Vec<f32> {
    let (columns, half) = (numbers.len() / rows, rows / heads / 2);
    let row = |at: usize| &numbers[at * columns..(at + 1) * columns];
    let of_head = |head: usize| (0..half).flat_map(move |pair| [2 * head * half + pair, (2 * head + 1) * half + pair]);
    (0..heads).flat_map(of_head).flat_map(|at| row(at).to_vec()).collect()
}
