//! Metadata to [`DecoderConfig`]: the keys are put into the words of a `config.json`, so that every check and default of
//! theirs holds here too; what files say by holding a tensor or not is settled after that.
//!
//! Keys: ggml's `docs/gguf.md` and llama.cpp's `llama-model.cpp` (`load_hparams`).

use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::keys::Keys;
use super::tokenizer::end_tokens;
use super::value::Value;
use super::weights::{EMBEDDING, GgufWeights, HEAD};
use crate::config::{DecoderConfig, MAX_LAYERS, RopeScaling};
use crate::error::{CheckpointError, shorten};

const ARCHITECTURE: &str = "general.architecture";

/// Architectures that are read: all rotate halves but `llama`, whose files hold queries and keys for rotated pairs.
const KNOWN: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// Keys that every file must have, behind the architecture's name, and the words of a `config.json`.
const REQUIRED: [(&str, &str); 5] = [
    ("context_length", "max_position_embeddings"),
    ("embedding_length", "hidden_size"),
    ("block_count", "num_hidden_layers"),
    ("feed_forward_length", "intermediate_size"),
    ("attention.head_count", "num_attention_heads"),
];

/// Further keys that are read, and what they are called in a `config.json`; names that are not found there are empty.
const READ: [(&str, &str); 17] = [
    ("attention.head_count_kv", "num_key_value_heads"),
    ("attention.key_length", "head_dim"),
    ("attention.value_length", ""),
    ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
    ("attention.scale", ""),
    ("attention.sliding_window", ""),
    ("attention.sliding_window_pattern", ""),
    ("rope.dimension_count", ""),
    ("rope.freq_base", "rope_theta"),
    ("rope.scaling.type", "rope_scaling.rope_type"),
    ("rope.scaling.factor", "rope_scaling.factor"),
    ("rope.scaling.original_context_length", "rope_scaling.original_max_position_embeddings"),
    ("rope.scaling.attn_factor", "rope_scaling.attention_factor"),
    ("rope.scaling.yarn_beta_fast", "rope_scaling.beta_fast"),
    ("rope.scaling.yarn_beta_slow", "rope_scaling.beta_slow"),
    ("rope.scale_linear", ""),
    ("vocab_size", "vocab_size"),
];

/// Keys that cannot change the computation.
const HARMLESS: [&str; 3] = ["rope.scaling.finetuned", "tensor_data_layout", "rope.scaling.yarn_ext_factor"];

/// Keys that change nothing at the value given, and something that is not supported at any other.
const NEUTRAL: [(&str, f64); 6] = [
    ("expert_count", 0.0),
    ("expert_used_count", 0.0),
    ("logit_scale", 1.0),
    ("residual_scale", 1.0),
    ("embedding_scale", 1.0),
    ("rope.scaling.yarn_attn_factor", 1.0),
];

/// The model that a file holds.
pub(super) fn describe(keys: Keys<'_>, weights: &GgufWeights, file: &Path) -> Result<DecoderConfig, CheckpointError> {
    let reader = Reader { keys, architecture: architecture(keys)? };
    reader.refuse_unknown()?;
    let (json, divisors) = (reader.json(weights)?, weights.rope_divisors()?);
    let text = Json::Object(json).to_string();
    let mut config = DecoderConfig::from_json(text.as_bytes(), file).map_err(|error| reader.in_own_words(error))?;
    reader.check_rope(&config)?;
    reader.settle_layers(&mut config, weights, divisors)?;
    Ok(config)
}

/// Whether rows of `q_proj` and `k_proj` are in the order of rotated pairs.
pub(super) fn rotates_pairs(config: &DecoderConfig) -> bool {
    config.model_type == "llama"
}

fn architecture(keys: Keys<'_>) -> Result<&'static str, CheckpointError> {
    let known = KNOWN.join(", ");
    let Some(found) = keys.text(ARCHITECTURE)? else {
        return Err(keys.refuse(ARCHITECTURE, format!("is missing, expected one of {known}")));
    };
    KNOWN.into_iter().find(|known| *known == found).ok_or_else(|| {
        keys.refuse(ARCHITECTURE, format!("is \"{}\", which is not supported; known: {known}", shorten(found)))
    })
}

struct Reader<'a> {
    keys: Keys<'a>,
    architecture: &'static str,
}

impl Reader<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    /// A key of the architecture that nobody here knows may change what the model computes.
    fn refuse_unknown(&self) -> Result<(), CheckpointError> {
        let prefix = format!("{}.", self.architecture);
        for (key, name) in self.keys.names().filter_map(|key| Some((key, key.strip_prefix(&prefix)?))) {
            let read = REQUIRED.iter().chain(&READ).any(|(known, _)| *known == name);
            if let Some((_, neutral)) = NEUTRAL.iter().find(|(known, _)| *known == name) {
                let found = self.keys.number(key)?;
                if found != Some(*neutral) {
                    let problem =
                        format!("is {}, expected {neutral}: this is not supported", found.unwrap_or(f64::NAN));
                    return Err(self.keys.refuse(key, problem));
                }
            } else if !read && !HARMLESS.contains(&name) {
                let problem =
                    "is not known here and may change what the model computes; use the checkpoint in safetensors";
                return Err(self.keys.refuse(key, problem));
            }
        }
        Ok(())
    }

    /// The words of a `config.json`.
    fn json(&self, weights: &GgufWeights) -> Result<Map<String, Json>, CheckpointError> {
        let mut json = Map::new();
        json.insert("model_type".to_owned(), self.architecture.into());
        for (name, word) in REQUIRED {
            let key = self.key(name);
            let found = self.keys.same_for_all_layers(&key)?;
            let found = found.ok_or_else(|| self.keys.refuse(&key, "is missing; the file is incomplete"))?;
            json.insert(word.to_owned(), found.into());
        }
        let layers = json["num_hidden_layers"].as_u64().unwrap_or(0);
        let tensors = weights.names().count();
        if layers <= MAX_LAYERS as u64 && layers > tensors as u64 {
            let problem = format!("is {layers}, but the file holds {tensors} tensors");
            return Err(self.keys.refuse(&self.key("block_count"), problem));
        }
        if let Some(heads) = self.keys.same_for_all_layers(&self.key("attention.head_count_kv"))? {
            json.insert("num_key_value_heads".to_owned(), heads.into());
        } else {
            json.insert("num_key_value_heads".to_owned(), json["num_attention_heads"].clone());
        }
        if let Some(head_dim) = self.head_dim(&json)? {
            json.insert("head_dim".to_owned(), head_dim.into());
        }
        for (name, word) in [("attention.layer_norm_rms_epsilon", "rms_norm_eps"), ("rope.freq_base", "rope_theta")] {
            if let Some(number) = self.keys.number(&self.key(name))? {
                json.insert(word.to_owned(), number.into());
            } else if word == "rms_norm_eps" {
                return Err(self.keys.refuse(&self.key(name), "is missing; the file is incomplete"));
            }
        }
        json.insert("vocab_size".to_owned(), self.vocab_size(weights)?.into());
        json.insert("tie_word_embeddings".to_owned(), (!weights.contains(HEAD)).into());
        if let Some(scaling) = self.scaling()? {
            json.insert("rope_scaling".to_owned(), scaling);
        }
        json.insert("eos_token_id".to_owned(), end_tokens(self.keys)?.into());
        json.insert("bos_token_id".to_owned(), json!(self.keys.count("tokenizer.ggml.bos_token_id")?));
        Ok(json)
    }

    /// Width of a head where it is stated, or where heads divide the width of the model.
    fn head_dim(&self, json: &Map<String, Json>) -> Result<Option<u64>, CheckpointError> {
        let [key_length, value_length] = ["attention.key_length", "attention.value_length"].map(|name| self.key(name));
        let (found, of_values) = (self.keys.count(&key_length)?, self.keys.count(&value_length)?);
        let size = |word: &str| json[word].as_u64().unwrap_or(0);
        let found = found.or_else(|| size("hidden_size").checked_div(size("num_attention_heads")));
        match (found, of_values) {
            (Some(found), Some(of_values)) if found != of_values => {
                let problem =
                    format!("is {of_values} where keys have {found}; heads of different widths are not supported");
                Err(self.keys.refuse(&value_length, problem))
            }
            _ => Ok(found),
        }
    }

    /// Rows of the embedding.
    fn vocab_size(&self, weights: &GgufWeights) -> Result<u64, CheckpointError> {
        let key = self.key("vocab_size");
        let rows = weights.shape_of(EMBEDDING).and_then(|shape| shape.first());
        let rows = rows.ok_or_else(|| weights.missing("token_embd.weight"))?;
        let rows = *rows as u64;
        if let Some(stated) = self.keys.count(&key)?.filter(|&stated| stated != rows) {
            return Err(self.keys.refuse(&key, format!("is {stated}, but token_embd.weight has {rows} rows")));
        }
        let tokens = self.keys.texts("tokenizer.ggml.tokens")?.map_or(0, <[_]>::len) as u64;
        if tokens > rows {
            let problem = format!("has {tokens} entries, but token_embd.weight has {rows} rows");
            return Err(self.keys.refuse("tokenizer.ggml.tokens", problem));
        }
        Ok(rows)
    }

    /// `rope_scaling`, as llama.cpp understands the keys: a factor without a type is linear, and YaRN's magnitude is
    /// multiplied by `attn_factor`.
    fn scaling(&self) -> Result<Option<Json>, CheckpointError> {
        let number = |name: &str| self.keys.number(&self.key(name));
        let factor = number("rope.scaling.factor")?.or(number("rope.scale_linear")?).filter(|&factor| factor != 0.0);
        let kind_key = self.key("rope.scaling.type");
        let kind = self.keys.text(&kind_key)?.unwrap_or("linear");
        match (kind, factor) {
            ("none", _) | ("linear", None) => Ok(None),
            ("linear", Some(factor)) => Ok(Some(json!({"rope_type": "linear", "factor": factor}))),
            ("yarn", factor) => {
                let factor = factor.unwrap_or(1.0);
                let mut scaling = json!({"rope_type": "yarn", "factor": factor});
                if let Some(own) = number("rope.scaling.attn_factor")? {
                    scaling["attention_factor"] = json!(own * if factor > 1.0 { 0.1 * factor.ln() + 1.0 } else { 1.0 });
                }
                for (name, word) in [("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow")] {
                    if let Some(beta) = number(&format!("rope.scaling.{name}"))? {
                        scaling[word] = json!(beta);
                    }
                }
                if let Some(original) = self.keys.count(&self.key("rope.scaling.original_context_length"))? {
                    scaling["original_max_position_embeddings"] = json!(original);
                }
                Ok(Some(scaling))
            }
            (other, _) => {
                let found = shorten(other);
                let problem = format!("is \"{found}\", which is not supported; known: none, linear, yarn");
                Err(self.keys.refuse(&kind_key, problem))
            }
        }
    }

    fn check_rope(&self, config: &DecoderConfig) -> Result<(), CheckpointError> {
        let key = self.key("rope.dimension_count");
        let head_dim = config.layers[0].attention.head_dim;
        match self.keys.count(&key)? {
            Some(found) if found != head_dim as u64 => Err(self.keys.refuse(
                &key,
                format!("is {found} in heads of {head_dim}; heads that are rotated in part are not supported"),
            )),
            _ => Ok(()),
        }
    }

    /// What differs from layer to layer, or shows only in the tensors.
    fn settle_layers(
        &self,
        config: &mut DecoderConfig,
        weights: &GgufWeights,
        divisors: Option<Vec<f32>>,
    ) -> Result<(), CheckpointError> {
        let windows = self.windows(config.num_layers())?;
        let scale = self.keys.number(&self.key("attention.scale"))?.filter(|&scale| scale != 0.0);
        for (index, (layer, window)) in config.layers.iter_mut().zip(windows).enumerate() {
            let has = |module: &str| weights.contains(&format!("model.layers.{index}.{module}.bias"));
            let attention = &mut layer.attention;
            attention.q_bias = has("self_attn.q_proj");
            attention.k_bias = has("self_attn.k_proj");
            attention.v_bias = has("self_attn.v_proj");
            attention.o_bias = has("self_attn.o_proj");
            layer.mlp.bias = has("mlp.gate_proj");
            attention.window = window;
            attention.scale = scale.unwrap_or(attention.scale);
            if let Some(divisors) = &divisors {
                if attention.rope.scaling != RopeScaling::Default {
                    let problem = "is set beside rope_freqs.weight; only one of both is supported";
                    return Err(self.keys.refuse(&self.key("rope.scaling.factor"), problem));
                }
                if divisors.len() != attention.head_dim / 2 {
                    let (found, expected) = (divisors.len(), attention.head_dim / 2);
                    return Err(weights.refuse_rope(format!("has {found} numbers, expected {expected}, one per pair")));
                }
                attention.rope.scaling = RopeScaling::Factors { divisors: divisors.clone() };
            }
        }
        Ok(())
    }

    /// The sliding window of each layer: on all, or by a pattern. A pattern of n leaves every n-th layer without one.
    fn windows(&self, layers: usize) -> Result<Vec<Option<usize>>, CheckpointError> {
        let key = self.key("attention.sliding_window");
        let window = self.keys.count(&key)?.filter(|&window| window > 0);
        let window = window.map(|window| {
            let fits = usize::try_from(window).ok().filter(|&window| window <= 1 << 31);
            fits.ok_or_else(|| self.keys.refuse(&key, format!("is {window}, expected at most {}", 1_u64 << 31)))
        });
        let window = window.transpose()?;
        let key = self.key("attention.sliding_window_pattern");
        let has_window: Vec<bool> = match self.keys.value(&key) {
            None => vec![true; layers],
            Some(Value::Numbers(_)) => self.keys.flags_of_layers(&key, layers)?.unwrap_or_default(),
            Some(_) => match self.keys.count(&key)?.unwrap_or(0) {
                0 => vec![true; layers],
                every => (0..layers as u64).map(|layer| layer % every < every - 1).collect(),
            },
        };
        Ok(has_window.into_iter().map(|has| window.filter(|_| has)).collect())
    }

    /// A message about a word of `config.json`, as one about the key that it came from.
    fn in_own_words(&self, error: CheckpointError) -> CheckpointError {
        let CheckpointError::Config { file, key, problem } = error else { return error };
        let words = || REQUIRED.iter().chain(&READ).filter(|(_, word)| !word.is_empty());
        let own = words().find(|(_, word)| *word == key).map_or(key, |(name, _)| self.key(name));
        let problem = words().fold(problem, |problem, (name, word)| {
            problem.replace(&format!("`{word}`"), &format!("`{}`", self.key(name)))
        });
        CheckpointError::Config { file, key: own, problem }
    }
}
