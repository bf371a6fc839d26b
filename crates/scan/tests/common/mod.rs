//! A tiny model with a tokenizer of single characters, written into a temporary folder.
#![allow(dead_code, clippy::unwrap_used, clippy::missing_panics_doc, missing_docs, unreachable_pub)]

use std::fs;
use std::path::{Path, PathBuf};

use neuro_checkpoint::Checkpoint;
use neuro_probe::{Count, PhantomWorld};
use neuro_record::{Row, RunData, Sample};
use neuro_scan::{MemoryNeeds, OpenOptions, ScanRequest, Subject};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A template in the manner of ChatML, with single characters for its special tokens.
pub const TEMPLATE: &str = "{% for m in messages %}<bos>{{ m.role }}\n{{ m.content }}<eos>\n{% endfor %}\
                            {% if add_generation_prompt %}<bos>assistant\n{% endif %}";

pub struct Model {
    pub dir: TempDir,
    config: Value,
}

impl Model {
    /// Four layers, plain text.
    pub fn plain() -> Self {
        let dir = TempDir::new().unwrap();
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama",
            "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4,
            "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 192,
            "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "tie_word_embeddings": true, "initializer_range": 0.3, "eos_token_id": 2, "bos_token_id": 1,
        });
        let model = Self { dir, config };
        model.write("config.json", &model.config);
        model.write("tokenizer.json", &tokenizer());
        model.write("tokenizer_config.json", &json!({"bos_token": "<bos>", "eos_token": "<eos>"}));
        model
    }

    /// The same, with a chat template.
    pub fn chat() -> Self {
        Self::with_template(TEMPLATE)
    }

    /// The same, with this chat template.
    pub fn with_template(template: &str) -> Self {
        let model = Self::plain();
        let config = json!({"bos_token": "<bos>", "eos_token": "<eos>", "chat_template": template});
        model.write("tokenizer_config.json", &config);
        model
    }

    /// Changes keys of `config.json`.
    pub fn with(mut self, changes: &Value) -> Self {
        for (key, value) in changes.as_object().unwrap() {
            self.config[key] = value.clone();
        }
        self.write("config.json", &self.config);
        self
    }

    /// Writes the weights that seed 7 draws into a file, as f32, each tensor after `change` had it.
    pub fn store(&self, change: impl Fn(&str, &mut [f32])) {
        let random = Checkpoint::open_random(self.dir.path(), 7).unwrap();
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, shape) in random.config.expected_tensors() {
            let mut values = random.weights.read_f32(&name, &shape).unwrap();
            change(&name, &mut values);
            let start = data.len();
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
        }
        let header = serde_json::to_vec(&header).unwrap();
        let file = [&(header.len() as u64).to_le_bytes(), &header[..], &data].concat();
        fs::write(self.weights(), file).unwrap();
    }

    /// Where the weights are stored.
    pub fn weights(&self) -> PathBuf {
        self.dir.path().join("model.safetensors")
    }

    pub fn write(&self, name: &str, value: &Value) {
        fs::write(self.dir.path().join(name), serde_json::to_vec(value).unwrap()).unwrap();
    }

    pub fn open(&self) -> Subject {
        open(self.dir.path())
    }
}

/// Opens with random weights.
pub fn open(dir: &Path) -> Subject {
    let options = OpenOptions { random_weights: Some(7), ..OpenOptions::default() };
    Subject::open(dir, &options).unwrap()
}

/// A request of few questions with these probes.
pub fn request(probes: &[&str], questions: usize) -> ScanRequest {
    ScanRequest {
        probes: probes.iter().map(|probe| (*probe).to_owned()).collect(),
        questions: Some(Count::Some(questions)),
        ..ScanRequest::default()
    }
}

/// The same for a phantom: its own probe generates one token, which is quick.
pub fn with_phantom(request: ScanRequest) -> ScanRequest {
    ScanRequest { phantom: Some(PhantomWorld::new(3)), ..request }
}

/// The request with so little memory that its questions come in several chunks and its paths in several groups.
pub fn tight(subject: &Subject, base: &ScanRequest) -> ScanRequest {
    // What the greediest question needs, and a little more.
    let needs = needs(subject, base);
    ScanRequest { memory_bytes: Some(needs.least + needs.running / 8), ..base.clone() }
}

/// What the greediest question of the request needs of memory.
pub fn needs(subject: &Subject, base: &ScanRequest) -> MemoryNeeds {
    match neuro_scan::plan(subject, &ScanRequest { memory_bytes: Some(1), ..base.clone() }) {
        Err(neuro_scan::ScanError::Memory { needs, .. }) => needs,
        _ => panic!("a byte of memory is enough"),
    }
}

/// The request with so much memory that nothing need be cut, and no more.
pub fn binding(subject: &Subject, base: &ScanRequest) -> ScanRequest {
    let with = |bytes| ScanRequest { memory_bytes: Some(bytes), ..base.clone() };
    let plan = neuro_scan::plan(subject, &with(1 << 40)).unwrap();
    with(plan.summary().memory_needed_bytes.unwrap())
}

/// Rows without what may differ between two runs, in an order of their own.
pub fn rows(data: &RunData) -> Vec<Row> {
    let timeless = |row: &Row| Row { seconds: None, seconds_kind: None, ..row.clone() };
    let mut rows: Vec<Row> = data.rows.iter().map(timeless).collect();
    rows.sort_by(|a, b| (&a.probe, &a.path).cmp(&(&b.probe, &b.path)));
    rows
}

/// Samples in an order of their own.
pub fn samples(data: &RunData) -> Vec<Sample> {
    let mut samples = data.samples.clone();
    samples.sort_by(|a, b| (&a.probe, &a.path, &a.question).cmp(&(&b.probe, &b.path, &b.question)));
    samples
}

/// One token per character: 0 `<unk>`, 1 `<bos>`, 2 `<eos>`, 3 the line break, then ASCII from the space on, then what
/// else a phantom's words are written with, so that its probe can be asked.
fn tokenizer() -> Value {
    let special = ["<unk>", "<bos>", "<eos>"];
    let mut vocab: Map<String, Value> = special.iter().zip(0..).map(|(t, id)| ((*t).to_owned(), json!(id))).collect();
    let words = PhantomWorld::vocabulary().concat();
    for c in std::iter::once('\n').chain(' '..='~').chain(words.chars()) {
        let next = vocab.len();
        vocab.entry(c.to_string()).or_insert(json!(next));
    }
    let added = |(content, id): (&&str, i32)| {
        json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false})
    };
    let (bos, text) =
        (json!({"SpecialToken": {"id": "<bos>", "type_id": 0}}), json!({"Sequence": {"id": "A", "type_id": 0}}));
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": special.iter().zip(0..).map(added).collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": false},
        "post_processor": {
            "type": "TemplateProcessing", "single": [bos, text], "pair": [bos, text],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [1], "tokens": ["<bos>"]}},
        },
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    })
}

/// Copies the files of a run, without those of its confirmations.
pub fn copy_run(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
