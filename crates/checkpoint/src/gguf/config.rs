//! Metadata to [`DecoderConfig`]: the keys are put into the words of a `config.json`, so that every check and default of
//! theirs holds here too; what files say by holding a tensor or not is settled after that.
//!
//! Keys: ggml's `docs/gguf.md` and llama.cpp's `llama-model.cpp` (`load_hparams`) and `models/*.cpp`
//! (`load_arch_hparams`).

mod hybrid;
mod rope;
mod settle;
mod words;

use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::architecture::GgufArchitecture;
use super::keys::Keys;
use super::tokenizer::end_tokens;
use super::value::Value;
use super::weights::{EMBEDDING, GgufWeights, HEAD};
use crate::config::{DecoderConfig, MAX_LAYERS};
use crate::error::{CheckpointError, shorten};

const ARCHITECTURE: &str = "general.architecture";
const FEED_FORWARD: &str = "feed_forward_length";

/// Keys that every file must have, behind the architecture's name, and the words of a `config.json`.
const REQUIRED: [(&str, &str); 5] = [
    ("context_length", "max_position_embeddings"),
    ("embedding_length", "hidden_size"),
    ("block_count", "num_hidden_layers"),
    (FEED_FORWARD, "intermediate_size"),
    ("attention.head_count", "num_attention_heads"),
];

/// Further keys that are read, and what they are called in a `config.json`; names that are not found there are empty.
const READ: [(&str, &str); 25] = [
    ("attention.head_count_kv", "num_key_value_heads"),
    ("attention.key_length", "head_dim"),
    ("attention.value_length", ""),
    ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
    ("attention.layer_norm_epsilon", "layer_norm_eps"),
    ("rope.dimension_count", ""),
    ("rope.freq_base", "rope_theta"),
    ("rope.scaling.type", "rope_scaling.rope_type"),
    ("rope.scaling.factor", "rope_scaling.factor"),
    ("rope.scaling.original_context_length", "rope_scaling.original_max_position_embeddings"),
    ("rope.scaling.attn_factor", "rope_scaling.attention_factor"),
    ("rope.scale_linear", ""),
    ("vocab_size", "vocab_size"),
    ("expert_count", "num_experts"),
    ("expert_used_count", "num_experts_per_tok"),
    ("expert_feed_forward_length", "moe_intermediate_size"),
    ("expert_shared_feed_forward_length", "shared_expert_intermediate_size"),
    ("expert_shared_count", "n_shared_experts"),
    ("expert_weights_scale", "routed_scaling_factor"),
    ("expert_weights_norm", "norm_topk_prob"),
    ("expert_gating_func", ""),
    ("expert_group_count", "n_group"),
    ("expert_group_used_count", "topk_group"),
    ("leading_dense_block_count", "first_k_dense_replace"),
    ("nextn_predict_layers", ""),
];

/// Keys that cannot change the computation: llama.cpp reads none of these in the architectures that are known here, but
/// where they name them themselves. YaRN's bounds are 32 and 1 there, whatever a file says (`llama-hparams.h`).
const HARMLESS: [&str; 6] = [
    "rope.scaling.finetuned",
    "tensor_data_layout",
    "rope.scaling.yarn_ext_factor",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
];

/// Keys that change nothing at the value given, and something that is not supported at any other, except where an
/// architecture reads them.
const NEUTRAL: [(&str, f64); 5] = [
    ("logit_scale", 1.0),
    ("residual_scale", 1.0),
    ("embedding_scale", 1.0),
    ("attention.temperature_scale", 0.0),
    ("attention.shared_kv_layers", 0.0),
];

/// The model that a file holds.
pub(super) fn describe(keys: Keys<'_>, weights: &GgufWeights, file: &Path) -> Result<DecoderConfig, CheckpointError> {
    let reader = Reader { keys, architecture: architecture(keys)? };
    reader.refuse_unknown()?;
    let json = reader.json(weights)?;
    let text = Json::Object(json).to_string();
    let mut config = DecoderConfig::from_json(text.as_bytes(), file).map_err(|error| reader.in_own_words(error))?;
    reader.settle(&mut config, weights)?;
    Ok(config)
}

/// Blocks at the end of a file that predict further tokens and are left out.
pub(super) fn predictors(keys: Keys<'_>) -> Result<u64, CheckpointError> {
    let reader = Reader { keys, architecture: architecture(keys)? };
    Ok(if reader.architecture.predictors { reader.count("nextn_predict_layers")?.unwrap_or(0) } else { 0 })
}

fn architecture(keys: Keys<'_>) -> Result<&'static GgufArchitecture, CheckpointError> {
    let known = || GgufArchitecture::ALL.iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
    let Some(found) = keys.text(ARCHITECTURE)? else {
        return Err(keys.refuse(ARCHITECTURE, format!("is missing, expected one of {}", known())));
    };
    GgufArchitecture::named(found).ok_or_else(|| {
        let found = shorten(found);
        keys.refuse(ARCHITECTURE, format!("is \"{found}\", which is not supported; known: {}", known()))
    })
}

struct Reader<'a> {
    keys: Keys<'a>,
    architecture: &'static GgufArchitecture,
}

impl Reader<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture.name)
    }

    fn refuse(&self, name: &str, problem: impl Into<String>) -> CheckpointError {
        self.keys.refuse(&self.key(name), problem)
    }

    /// A whole number, which some files give for each layer.
    fn count(&self, name: &str) -> Result<Option<u64>, CheckpointError> {
        self.keys.same_for_all_layers(&self.key(name))
    }

    fn number(&self, name: &str) -> Result<Option<f64>, CheckpointError> {
        self.keys.number(&self.key(name))
    }

    /// A factor for which files may say 0 where there is none.
    fn factor(&self, name: &str) -> Result<f64, CheckpointError> {
        Ok(self.number(name)?.filter(|&factor| factor != 0.0).unwrap_or(1.0))
    }

    fn require(&self, name: &str) -> Result<u64, CheckpointError> {
        self.count(name)?.ok_or_else(|| self.refuse(name, "is missing; the file is incomplete"))
    }

    /// Width of MLPs. Where all layers have experts, whose width another key says, Qwen's files may have none.
    fn feed_forward(&self) -> Result<u64, CheckpointError> {
        let experts = self.architecture.delta_nets.and(self.keys.value(&self.key("expert_count")));
        match (self.count(FEED_FORWARD)?, experts) {
            (None, Some(_)) => self.require("expert_feed_forward_length"),
            _ => self.require(FEED_FORWARD),
        }
    }

    /// A key of the architecture that nobody here knows may change what the model computes.
    fn refuse_unknown(&self) -> Result<(), CheckpointError> {
        let prefix = format!("{}.", self.architecture.name);
        for (key, name) in self.keys.names().filter_map(|key| Some((key, key.strip_prefix(&prefix)?))) {
            let read = REQUIRED.iter().chain(&READ).any(|(known, _)| *known == name)
                || self.architecture.reads.contains(&name);
            if read || HARMLESS.contains(&name) {
                continue;
            }
            let Some((_, neutral)) = NEUTRAL.iter().find(|(known, _)| *known == name) else {
                let problem =
                    "is not known here and may change what the model computes; use the checkpoint in safetensors";
                return Err(self.keys.refuse(key, problem));
            };
            let found = self.keys.number(key)?;
            if found != Some(*neutral) {
                let problem = format!("is {}, expected {neutral}: this is not supported", found.unwrap_or(f64::NAN));
                return Err(self.keys.refuse(key, problem));
            }
        }
        Ok(())
    }

    /// The words of a `config.json`.
    fn json(&self, weights: &GgufWeights) -> Result<Map<String, Json>, CheckpointError> {
        let mut json = Map::new();
        json.insert(
            "model_type".to_owned(),
            self.architecture.model_types.first().copied().unwrap_or("mistral").into(),
        );
        for (name, word) in REQUIRED {
            let found = if name == FEED_FORWARD { self.feed_forward()? } else { self.require(name)? };
            json.insert(word.to_owned(), found.into());
        }
        json.insert("num_hidden_layers".to_owned(), self.layers(weights)?.into());
        let heads = self.count("attention.head_count_kv")?;
        json.insert(
            "num_key_value_heads".to_owned(),
            heads.map_or_else(|| json["num_attention_heads"].clone(), Json::from),
        );
        if let Some(head_dim) = self.head_dim(&json)? {
            json.insert("head_dim".to_owned(), head_dim.into());
        }
        let (eps, word) = match self.architecture.layer_norm {
            true => ("attention.layer_norm_epsilon", "layer_norm_eps"),
            false => ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        };
        let found = self.number(eps)?.ok_or_else(|| self.refuse(eps, "is missing; the file is incomplete"))?;
        json.insert(word.to_owned(), found.into());
        json.insert("rope_theta".to_owned(), self.number("rope.freq_base")?.unwrap_or(rope::THETA).into());
        json.insert("vocab_size".to_owned(), self.vocab_size(weights)?.into());
        json.insert("tie_word_embeddings".to_owned(), (!weights.contains(HEAD)).into());
        if let Some(scaling) = self.scaling()? {
            json.insert("rope_scaling".to_owned(), scaling);
        }
        json.insert("eos_token_id".to_owned(), end_tokens(self.keys)?.into());
        json.insert("bos_token_id".to_owned(), json!(self.keys.count("tokenizer.ggml.bos_token_id")?));
        self.own_words(&mut json, weights)?;
        Ok(json)
    }

    /// Blocks that are layers: those that predict further tokens count as blocks as well.
    fn layers(&self, weights: &GgufWeights) -> Result<u64, CheckpointError> {
        let blocks = self.require("block_count")?;
        let tensors = weights.names().count();
        // More layers than any path is long are refused by the config itself.
        if blocks <= MAX_LAYERS as u64 && blocks > tensors as u64 {
            let problem = format!("is {blocks}, but the file holds {tensors} tensors");
            return Err(self.refuse("block_count", problem));
        }
        let predictors = self.count("nextn_predict_layers")?.unwrap_or(0);
        if predictors > 0 && !self.architecture.predictors {
            let problem = format!("is {predictors}, expected 0: this is not supported in this architecture");
            return Err(self.refuse("nextn_predict_layers", problem));
        }
        match blocks.checked_sub(predictors) {
            Some(layers) if layers > 0 || predictors == 0 => Ok(layers),
            _ => {
                let problem = format!("is {predictors} of {blocks} blocks, which leaves no layer");
                Err(self.refuse("nextn_predict_layers", problem))
            }
        }
    }

    /// Width of a head where it is stated, or where heads divide the width of the model.
    fn head_dim(&self, json: &Map<String, Json>) -> Result<Option<u64>, CheckpointError> {
        // Keys and values that come out of a latent have keys of their own.
        if self.keys.value(&self.key("attention.kv_lora_rank")).is_some() {
            return Ok(None);
        }
        let (found, of_values) = (self.count("attention.key_length")?, self.count("attention.value_length")?);
        let size = |word: &str| json[word].as_u64().unwrap_or(0);
        let found = found.or_else(|| size("hidden_size").checked_div(size("num_attention_heads")));
        match (found, of_values) {
            (Some(found), Some(of_values)) if found != of_values => {
                let problem =
                    format!("is {of_values} where keys have {found}; heads of different widths are not supported");
                Err(self.refuse("attention.value_length", problem))
            }
            _ => Ok(found),
        }
    }

    /// Rows of the embedding.
    fn vocab_size(&self, weights: &GgufWeights) -> Result<u64, CheckpointError> {
        let rows = weights.shape_of(EMBEDDING).and_then(|shape| shape.first());
        let rows = rows.ok_or_else(|| weights.missing("token_embd.weight"))?;
        let rows = *rows as u64;
        if let Some(stated) = self.count("vocab_size")?.filter(|&stated| stated != rows) {
            return Err(self.refuse("vocab_size", format!("is {stated}, but token_embd.weight has {rows} rows")));
        }
        let tokens = self.keys.texts("tokenizer.ggml.tokens")?.map_or(0, <[_]>::len) as u64;
        if tokens > rows {
            let problem = format!("has {tokens} entries, but token_embd.weight has {rows} rows");
            return Err(self.keys.refuse("tokenizer.ggml.tokens", problem));
        }
        Ok(rows)
    }

    /// The sliding window, where there is one.
    fn window(&self) -> Result<Option<u64>, CheckpointError> {
        let name = "attention.sliding_window";
        let found = self.count(name)?.filter(|&window| window > 0);
        if let Some(window) = found.filter(|&window| window > 1 << 31) {
            return Err(self.refuse(name, format!("is {window}, expected at most {}", 1_u64 << 31)));
        }
        Ok(found)
    }

    /// Which layers have the window: by a list, or all but every n-th, by a key or by the architecture; else all.
    fn windowed(&self, layers: usize) -> Result<Vec<bool>, CheckpointError> {
        let key = self.key("attention.sliding_window_pattern");
        let period = match self.keys.value(&key) {
            None => self.architecture.window_period.unwrap_or(0) as u64,
            Some(Value::Numbers(_)) => return Ok(self.keys.flags_of_layers(&key, layers)?.unwrap_or_default()),
            Some(_) => self.keys.count(&key)?.unwrap_or(0),
        };
        let windowed = |layer: u64| period == 0 || layer % period < period - 1;
        Ok((0..layers as u64).map(windowed).collect())
    }

    /// A message about a word of `config.json`, as one about the key that it came from.
    fn in_own_words(&self, error: CheckpointError) -> CheckpointError {
        let CheckpointError::Config { file, key, problem } = error else { return error };
        let words = || REQUIRED.iter().chain(&READ).chain(&hybrid::WORDS).filter(|(_, word)| !word.is_empty());
        let own = words().find(|(_, word)| *word == key).map_or(key, |(name, _)| self.key(name));
        let problem = words().fold(problem, |problem, (name, word)| {
            problem.replace(&format!("`{word}`"), &format!("`{}`", self.key(name)))
        });
        CheckpointError::Config { file, key: own, problem }
    }
}
