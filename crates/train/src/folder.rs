//! A phantom as an ordinary checkpoint folder, which `transformers` can load too.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};
use neuro_probe::phantom::{PhantomCard, PhantomWorld};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::recipe::{ModelShape, Recipe};
use crate::{Result, TrainError};

/// The longest sequence a phantom is described for; questions have four tokens.
const POSITIONS: usize = 64;

/// `config.json` of a phantom.
pub(crate) fn config(model: &ModelShape, vocabulary: usize) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": model.hidden,
        "intermediate_size": model.mlp,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.heads,
        "hidden_act": "silu",
        "max_position_embeddings": POSITIONS,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": true,
        "bos_token_id": null,
        "eos_token_id": null,
        "torch_dtype": "bfloat16"
    })
}

/// A tokenizer of whole words between spaces.
fn tokenizer(vocabulary: &[&str]) -> Value {
    let ids: serde_json::Map<String, Value> =
        vocabulary.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": null,
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": ids, "unk_token": vocabulary[0] }
    })
}

/// Where a phantom's files gather until it is complete. Made before training begins, so that a folder that cannot be
/// written costs no training.
pub(crate) struct Staging {
    /// Removed with everything in it when dropped.
    beside: TempDir,
    out: PathBuf,
}

impl Staging {
    /// Prepares for the folder `out`, which must not exist or be empty; missing parents are made.
    pub(crate) fn prepare(out: &Path) -> Result<Self> {
        if out.read_dir().is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
            return Err(TrainError::OutputExists { folder: out.to_owned() });
        }
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let beside = std::fs::create_dir_all(parent)
            .and_then(|()| tempfile::Builder::new().prefix(".neuro-train-").tempdir_in(parent))
            .map_err(failed(parent))?;
        let staging = Self { beside, out: out.to_owned() };
        let inner = staging.folder();
        std::fs::create_dir(&inner).map_err(failed(&inner))?;
        Ok(staging)
    }

    /// A folder of ordinary permissions; that of a temporary directory is its owner's alone.
    fn folder(&self) -> PathBuf {
        self.beside.path().join("phantom")
    }

    /// Writes every file of the phantom and lets the folder appear under its name.
    pub(crate) fn finish(self, recipe: &Recipe, world: &PhantomWorld, weights: &[(String, Var)]) -> Result<()> {
        let folder = self.folder();
        let vocabulary = PhantomWorld::vocabulary();
        let card = PhantomCard { world: world.clone(), planted: recipe.planting.planted() };
        let tokenizer_config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "unk_token": vocabulary[0],
            "clean_up_tokenization_spaces": false,
            "model_max_length": POSITIONS
        });
        let documents = [
            ("config.json", config(&recipe.model, vocabulary.len())),
            ("generation_config.json", json!({ "do_sample": false })),
            ("tokenizer.json", tokenizer(&vocabulary)),
            ("tokenizer_config.json", tokenizer_config),
            ("phantom.json", json!(card)),
        ];
        for (name, document) in documents {
            let file = folder.join(name);
            std::fs::write(&file, format!("{document:#}\n")).map_err(failed(&file))?;
        }
        let file = folder.join("recipe.toml");
        let text = toml::to_string(recipe).map_err(std::io::Error::other);
        text.and_then(|text| std::fs::write(&file, text)).map_err(failed(&file))?;
        save(&folder.join("model.safetensors"), weights)?;
        // An empty folder may stand in the way; one that holds something was refused before training began.
        let _ = std::fs::remove_dir(&self.out);
        std::fs::rename(&folder, &self.out).map_err(failed(&self.out))
    }
}

fn failed(file: &Path) -> impl FnOnce(std::io::Error) -> TrainError {
    let file = file.to_owned();
    move |source| TrainError::Write { file, source }
}

/// Saves the weights as bf16.
fn save(file: &Path, weights: &[(String, Var)]) -> Result<()> {
    let tensors: Vec<(&str, Tensor)> = weights
        .iter()
        .map(|(name, var)| Ok((name.as_str(), var.as_tensor().to_dtype(DType::BF16)?.to_device(&Device::Cpu)?)))
        .collect::<Result<_>>()?;
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors.iter().map(|(name, tensor)| (*name, tensor)), Some(metadata), file)
        .map_err(|error| failed(file)(std::io::Error::other(error)))
}
