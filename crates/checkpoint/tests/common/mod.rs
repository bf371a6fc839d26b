//! A small valid checkpoint in parts, to be written as it is or after a lie has been put in.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod gguf;

use std::path::Path;

use neuro_checkpoint::DecoderConfig;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// The parts of a checkpoint folder.
pub(crate) struct Case {
    pub(crate) config: Value,
    pub(crate) header: Map<String, Value>,
    pub(crate) data: Vec<u8>,
    /// Written instead of the real header length.
    pub(crate) header_length: Option<u64>,
    /// More files, written last; they may replace the usual ones.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// Files that are not written.
    pub(crate) without: Vec<&'static str>,
}

/// A Llama of two layers with a tied head.
pub(crate) fn tiny_config() -> Value {
    json!({
        "model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 16, "max_position_embeddings": 64,
        "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2
    })
}

/// The description of a config that must be valid.
pub(crate) fn describe(config: &Value) -> DecoderConfig {
    DecoderConfig::from_json(config.to_string().as_bytes(), Path::new("config.json")).expect("the config is valid")
}

/// Why a config is refused.
pub(crate) fn refusal(config: &Value) -> String {
    DecoderConfig::from_json(config.to_string().as_bytes(), Path::new("config.json"))
        .expect_err("the config is refused")
        .to_string()
}

/// A config with some keys set.
pub(crate) fn with(mut config: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (key, value) in changes {
        config[key] = value;
    }
    config
}

impl Case {
    /// All tensors in f32, each number different and small.
    pub(crate) fn new(config: Value) -> Self {
        let tensors = describe(&config).expected_tensors();
        Self::with_tensors(config, &tensors)
    }

    pub(crate) fn with_tensors(config: Value, tensors: &[(String, Vec<usize>)]) -> Self {
        let mut case = Self {
            config,
            header: Map::new(),
            data: Vec::new(),
            header_length: None,
            files: Vec::new(),
            without: Vec::new(),
        };
        for (name, shape) in tensors {
            case.push(name, shape);
        }
        case
    }

    /// Appends an f32 tensor.
    pub(crate) fn push(&mut self, name: &str, shape: &[usize]) {
        let start = self.data.len();
        for index in 0..shape.iter().product::<usize>() {
            self.data.extend(((start + index) as f32 / 4096.0).to_le_bytes());
        }
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, self.data.len()]});
        self.header.insert(name.to_owned(), entry);
    }

    /// The bytes of the weight file.
    pub(crate) fn weight_file(&self) -> Vec<u8> {
        weight_file(&Value::Object(self.header.clone()).to_string(), self.header_length, &self.data)
    }

    pub(crate) fn write(&self) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let mut files = vec![
            ("config.json".to_owned(), self.config.to_string().into_bytes()),
            ("model.safetensors".to_owned(), self.weight_file()),
        ];
        files.retain(|(name, _)| !self.without.contains(&name.as_str()));
        for (name, bytes) in files.iter().chain(&self.files) {
            std::fs::write(folder.path().join(name), bytes).expect("a file for the test");
        }
        folder
    }
}

/// A safetensors file of any header text.
pub(crate) fn weight_file(header: &str, header_length: Option<u64>, data: &[u8]) -> Vec<u8> {
    let mut bytes = header_length.unwrap_or(header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}
