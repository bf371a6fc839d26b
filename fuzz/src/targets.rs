//! One target per parser of foreign bytes. A target returns its outcome as text; what it asserts must hold for any input.

use std::collections::BTreeMap;
use std::path::Path;

use neuro_checkpoint::{Checkpoint, DecoderConfig, GenerationConfig, Header, MAX_LAYERS, ShardIndex};
use neuro_path::{LayerPath, MAX_VISITS};
use neuro_surgery::import::{self, Import};
use neuro_text::{Message, RenderOptions, Text, TextFiles};
use serde_json::Value;

pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]) -> String,
    /// Pieces of the parser's language, for the mutator.
    pub(crate) words: &'static [&'static str],
}

/// Add a parser here, and files for it under `fuzz/corpus/NAME`.
pub(crate) const TARGETS: &[Target] = &[
    Target { name: "config", run: config, words: CONFIG_WORDS },
    Target { name: "generation", run: generation, words: GENERATION_WORDS },
    Target { name: "header", run: header, words: HEADER_WORDS },
    Target { name: "index", run: index, words: INDEX_WORDS },
    Target { name: "weights", run: weights, words: HEADER_WORDS },
    Target { name: "gguf", run: gguf, words: GGUF_WORDS },
    Target { name: "path", run: path, words: PATH_WORDS },
    Target { name: "tokenizer", run: tokenizer, words: TOKENIZER_WORDS },
    Target { name: "pieces", run: pieces, words: PIECES_WORDS },
    Target { name: "template", run: template, words: TEMPLATE_WORDS },
    Target { name: "import", run: imported, words: IMPORT_WORDS },
];

const CONFIG_WORDS: &[&str] = &[
    "\"model_type\":\"qwen3\",",
    "\"model_type\":\"mistral\",",
    "\"hidden_size\":",
    "\"num_attention_heads\":",
    "\"num_key_value_heads\":",
    "\"head_dim\":",
    "\"sliding_window\":",
    "\"use_sliding_window\":true,",
    "\"layer_types\":[\"full_attention\"],",
    "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2},",
    "\"rope_parameters\":{\"rope_type\":\"llama3\"},",
    "\"rope_theta\":",
    "\"text_config\":{",
    "null",
    "true",
    "{",
    "}",
    ",",
];
const GENERATION_WORDS: &[&str] = &[
    "\"eos_token_id\":",
    "\"suppress_tokens\":[",
    "\"temperature\":",
    "\"top_k\":",
    "\"min_p\":",
    "null",
    "[",
    "]",
    ",",
];
const HEADER_WORDS: &[&str] = &[
    "\"dtype\":\"F32\"",
    "\"dtype\":\"BF16\"",
    "\"dtype\":\"F4\"",
    "\"shape\":[",
    "\"data_offsets\":[0,",
    "\"__metadata__\":{",
    "\"a\":{",
    "[]",
    "}",
    ",",
    " ",
];
const INDEX_WORDS: &[&str] =
    &["\"weight_map\":{", "\"metadata\":{", ".safetensors\"", "../", "\\\\", "\\u0000", "}", ","];
const GGUF_WORDS: &[&str] = &[
    "llama.block_count",
    "llama.attention.head_count",
    "llama.attention.key_length",
    "llama.rope.scaling.type",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.pre",
    "general.alignment",
    "split.count",
    "rope_freqs.weight",
    "blk.0.attn_q.weight",
    "output.weight",
    "qwen3",
    "qwen35",
    "qwen35.ssm.time_step_rank",
    "qwen35.attention.recurrent_layers",
    "blk.0.ssm_a",
    "yarn",
    "\u{1}\0\0\0\0\0\0\0",
    "\u{4}\0\0\0",
    "\u{8}\0\0\0",
    "\u{9}\0\0\0\u{8}\0\0\0",
    "\0\0\0\0\0\0\0\u{7f}",
];
const PATH_WORDS: &[&str] = &[
    "..",
    ",",
    "x2",
    "x65536",
    "{attn=0.5}",
    "{mlp=0,attn=-1}",
    "blocks:",
    "layers:",
    "(",
    ")",
    ";",
    "[[",
    "]]",
    "slices:",
    "layer_range:",
    "sources:",
    "model: m",
    "\n- ",
    "  ",
    "18446744073709551616",
];
const IMPORT_WORDS: &[&str] = &[
    "\"rys_relayer\":{",
    "\"source_num_layers\":4,",
    "\"target_num_layers\":6,",
    "\"layer_indices\":[0,1,2,1,2,3]",
    "\"layer_path\":\"0..2,1..3\"",
    "\"kind\":\"layer-path\",",
    "\"kind\":\"scan\",",
    "\"llmri_version\":\"1.0.0\",",
    "\"num_layers\":",
    "\"results\":[{\"config\":[",
    "\"eq_score\":0.5",
    "\"probes\":{\"a\":{\"questions\":1}}",
    "slices:\n- sources:\n  - model: a\n    layer_range: [",
    "[[0,8],[3,12]]",
    "x65536",
    "9223372036854775808",
    "-1",
    "1e308",
    "null",
    "{",
    "}",
    "[",
    "]",
    ",",
];
const TOKENIZER_WORDS: &[&str] = &[
    "\"model\":{\"type\":\"BPE\",",
    "\"vocab\":{",
    "\"merges\":[",
    "\"added_tokens\":[",
    "\"id\":",
    "\"normalizer\":null",
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[",
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaa\"},",
    "{\"type\":\"Prepend\",\"prepend\":\"aa\"},",
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\"}",
    "\"decoder\":null",
    "{",
    "}",
    "[",
    "]",
    ",",
];
const PIECES_WORDS: &[&str] = &[
    "\u{a}\u{3}\u{a}\u{1}a",
    "\u{a}\u{5}\u{a}\u{3}▁",
    "\u{a}\u{e}\u{a}\u{5}<unk>\u{15}\0\0\0\0\u{18}\u{2}",
    "\u{a}\u{a}\u{a}\u{6}<0x0A>\u{18}\u{6}",
    "\u{18}\u{2}",
    "\u{18}\u{3}",
    "\u{18}\u{4}",
    "\u{12}\u{2}\u{18}\u{1}",
    "\u{12}\u{2}\u{18}\u{2}",
    "\u{1a}\u{2}\u{18}\0",
    "\u{1a}\u{2}\u{20}\0",
    "\u{1a}\u{4}\u{12}\u{2}",
    "\0\0\0\0",
    "<s>",
    "</s>",
    "\n\n{",
    "\"added_tokens.json\":{",
    "\"tokenizer_config.json\":{",
    "\"added_tokens_decoder\":{\"0\":{\"content\":\"a\",\"special\":true}}",
    "\"legacy\":false,",
    "\"bos_token\":",
    "}",
];
const TEMPLATE_WORDS: &[&str] = &[
    "{% for m in messages %}",
    "{% endfor %}",
    "{{ ",
    " }}",
    "{%- if ",
    " %}",
    "{% endif %}",
    "messages[0].content",
    "|tojson",
    "|trim",
    ".split(' ')",
    "[-1]",
    "[::-1]",
    "{% set ns = namespace(a=0) %}",
    "{% macro m(a) %}",
    "{% endmacro %}",
    "raise_exception('x')",
    "range(9999999)",
    "*999999",
    "loop.index0",
    "{#",
    "#}",
    "strftime_now('%d')",
];

fn config(bytes: &[u8]) -> String {
    let config = match DecoderConfig::from_json(bytes, Path::new("config.json")) {
        Ok(config) => config,
        Err(error) => return error.to_string(),
    };
    assert!((1..=MAX_LAYERS).contains(&config.num_layers()));
    for layer in &config.layers {
        let attention = &layer.attention;
        assert!(attention.heads >= 1 && attention.heads % attention.kv_heads == 0 && attention.head_dim % 2 == 0);
        assert!(attention.rope.theta.is_finite() && attention.rope.theta > 0.0 && attention.window != Some(0));
    }
    if config.num_layers() <= 64 {
        let tensors = config.expected_tensors();
        let weights: u128 =
            tensors.iter().map(|(_, shape)| shape.iter().map(|&size| size as u128).product::<u128>()).sum();
        assert_eq!(weights, u128::from(config.parameters()));
    }
    format!("accepted {} {:?}", config.model_type, config.layers[0].attention.rope.scaling)
}

fn generation(bytes: &[u8]) -> String {
    match GenerationConfig::from_json(bytes, Path::new("generation_config.json"), 100) {
        Ok(generation) => {
            assert!(generation.eos_token_ids.iter().chain(&generation.suppress_tokens).all(|&id| id < 100));
            assert!(generation.temperature.is_none_or(|value| value.is_finite() && value >= 0.0));
            "accepted".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

fn header(bytes: &[u8]) -> String {
    match Header::parse(bytes, Path::new("model.safetensors")) {
        Ok(header) => {
            let covered: usize = header.tensors().values().map(|entry| entry.range.len()).sum();
            assert_eq!(header.data_start() + covered, bytes.len());
            "accepted".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

fn index(bytes: &[u8]) -> String {
    match ShardIndex::from_json(bytes, Path::new("model.safetensors.index.json")) {
        Ok(index) => {
            for shard in index.shards() {
                assert_eq!(Path::new(shard).components().count(), 1);
                assert!(shard.ends_with(".safetensors"));
            }
            "accepted".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// The whole way from a weight file to numbers, for a fixed config.
fn weights(bytes: &[u8]) -> String {
    let config = include_bytes!("../corpus/config/valid-one-layer.json");
    match Checkpoint::from_bytes("fuzz", config, None, bytes.to_vec()) {
        Ok(checkpoint) => {
            for (name, shape) in checkpoint.config.expected_tensors() {
                match checkpoint.weights.read_f32(&name, &shape) {
                    Ok(values) => assert!(values.iter().all(|value| value.is_finite())),
                    Err(error) => return error.to_string(),
                }
            }
            "accepted".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// The whole way from a GGUF file to numbers and to tokens.
fn gguf(bytes: &[u8]) -> String {
    let checkpoint = match Checkpoint::from_gguf_bytes("fuzz.gguf", bytes.to_vec()) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return error.to_string(),
    };
    let mut numbers = 0;
    for (name, shape) in checkpoint.config.expected_tensors() {
        match checkpoint.weights.read_f32(&name, &shape) {
            Ok(values) => {
                assert!(values.iter().all(|value| value.is_finite()));
                numbers += values.len() as u64;
            }
            Err(error) => return error.to_string(),
        }
        if let &[rows, _] = shape.as_slice() {
            let blocks = checkpoint.weights.read_blocks(&name, &shape, 0..rows);
            assert!(blocks.is_ok_and(|blocks| !blocks.is_empty()));
        }
    }
    assert_eq!(numbers, checkpoint.config.parameters());
    let Some(header) = &checkpoint.tokenizer else { return "accepted".to_owned() };
    let encoded = Text::from_header(header, "fuzz").and_then(|text| {
        let ids = text.encode("ab, 1234 — né.\n", true)?;
        text.decode(&ids, false)
    });
    encoded.map_or_else(|error| error.to_string(), |_| "decoded".to_owned())
}

fn path(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match LayerPath::parse(&text, 12) {
        Ok(path) => {
            assert!((1..=MAX_VISITS).contains(&path.len()) && path.layers().iter().all(|&layer| layer < 12));
            assert_eq!(LayerPath::parse(&path.to_string(), 12).as_ref(), Ok(&path));
            "accepted".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// A map gives a path over the model's layers, a scan rows whose paths are such; with the depth told and without.
fn imported(bytes: &[u8]) -> String {
    let told = [None, Some(12)].map(|layers| match import::of_bytes(bytes, Path::new("fuzz.json"), layers) {
        Ok(Import::Map(map)) => {
            let depth = map.path.depth();
            assert!((1..=MAX_VISITS).contains(&map.path.len()) && map.path.layers().iter().all(|&layer| layer < depth));
            assert_eq!(LayerPath::parse(&map.path.to_string(), depth).as_ref(), Ok(&map.path));
            format!("a map: {}", map.form)
        }
        Ok(Import::Scan(scan)) => {
            for row in &scan.rows {
                assert!(LayerPath::parse(&row.path, scan.info.model.layers).is_ok());
                assert!((0.0..=1.0).contains(&row.score));
            }
            format!("a scan of {} rows", scan.rows.len())
        }
        Err(error) => error.to_string(),
    });
    told.join(" / ")
}

fn tokenizer(bytes: &[u8]) -> String {
    let files = TextFiles { tokenizer: bytes.to_vec(), ..TextFiles::default() };
    match Text::from_files(&files, "fuzz") {
        Ok(text) => match text.encode("Once upon a time, 1234 — né.\n", true) {
            Ok(ids) => text.decode(&ids, false).map_or_else(|error| error.to_string(), |_| "decoded".to_owned()),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    }
}

/// SentencePiece's file and, behind an empty line, perhaps a JSON object of the files beside it, by their names.
fn pieces(bytes: &[u8]) -> String {
    let split = bytes.windows(3).rposition(|window| window == b"\n\n{").unwrap_or(bytes.len());
    let (model, rest) = bytes.split_at(split);
    let beside: BTreeMap<String, Value> = serde_json::from_slice(rest).unwrap_or_default();
    let beside = beside.into_iter().map(|(name, value)| (name, value.to_string().into_bytes())).collect();
    let files = match TextFiles::from_sentencepiece(model, &beside, "tokenizer.model") {
        Ok(files) => files,
        Err(error) => return error.to_string(),
    };
    assert!(serde_json::from_slice::<Value>(&files.tokenizer).is_ok_and(|tokenizer| tokenizer.is_object()));
    let coded = Text::from_files(&files, "fuzz").and_then(|text| {
        let ids = text.encode(" Once  upon a time,\u{3000}1234 — né.\n<s>", true)?;
        text.decode(&ids, false)
    });
    coded.map_or_else(|error| error.to_string(), |_| "decoded".to_owned())
}

fn template(bytes: &[u8]) -> String {
    let template = String::from_utf8_lossy(bytes).into_owned();
    let files = TextFiles {
        tokenizer: include_bytes!("../corpus/tokenizer/valid-tiny.json").to_vec(),
        templates: [("default".to_owned(), template)].into(),
        ..TextFiles::default()
    };
    let messages =
        [Message::system("Be brief."), Message::user("What is 2 + 2?"), Message::assistant("4"), Message::user("Why?")];
    let options = RenderOptions { add_generation_prompt: true, ..RenderOptions::default() };
    match Text::from_files(&files, "fuzz").and_then(|text| text.render(&messages, &options)) {
        Ok(text) => format!("rendered {}", text.is_empty()),
        Err(error) => error.to_string(),
    }
}
