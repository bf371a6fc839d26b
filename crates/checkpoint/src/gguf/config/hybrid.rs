//! Delta nets among gated attention: Qwen3-Next and Qwen3.5.

use serde_json::{Map, Value as Json, json};

use super::Reader;
use crate::config::{DeltaNetConfig, MAX_LAYERS};
use crate::error::CheckpointError;
use crate::gguf::value::Value;

/// Keys, and what they are called in a `config.json`.
pub(super) const WORDS: [(&str, &str); 5] = [
    ("ssm.group_count", "linear_num_key_heads"),
    ("ssm.time_step_rank", "linear_num_value_heads"),
    ("ssm.state_size", "linear_key_head_dim"),
    ("ssm.inner_size", "linear_value_head_dim"),
    ("ssm.conv_kernel", "linear_conv_kernel_dim"),
];

/// Every so-many-th layer has attention where a file names no number (`qwen3next.cpp`, `load_arch_hparams`).
const INTERVAL: u64 = 4;
const LIST: &str = "attention.recurrent_layers";
const SECTIONS: &str = "rope.dimension_sections";
/// No head has as many pairs of numbers.
const MOST_PAIRS: u64 = 1 << 16;

impl Reader<'_> {
    pub(super) fn hybrid(&self, words: &mut Map<String, Json>) -> Result<(), CheckpointError> {
        self.partial(words, "partial_rotary_factor")?;
        if self.architecture.rope_sections {
            self.check_sections(words)?;
        }
        // llama.cpp has one epsilon for all norms, and these.
        let eps = "attention.layer_norm_rms_epsilon";
        let own = DeltaNetConfig::LENGTH_EPS;
        if let Some(found) = self.number(eps)?.filter(|found| (found / own - 1.0).abs() > 1e-3) {
            let problem =
                format!("is {found}, expected {own}: delta nets bring queries and keys to length 1 with no other");
            return Err(self.refuse(eps, problem));
        }
        let (heads, width) = (self.require("ssm.time_step_rank")?, self.require("ssm.state_size")?);
        let inner = self.require("ssm.inner_size")?;
        if heads.checked_mul(width) != Some(inner) {
            let problem =
                format!("is {inner}, expected {heads} heads of {width}: queries, keys and values have one width");
            return Err(self.refuse("ssm.inner_size", problem));
        }
        for (key, word) in WORDS {
            words.insert(
                word.to_owned(),
                self.require(if key == "ssm.inner_size" { "ssm.state_size" } else { key })?.into(),
            );
        }
        let layers =
            words.get("num_hidden_layers").and_then(Json::as_u64).and_then(|layers| usize::try_from(layers).ok());
        // More are refused with the config.
        if let Some(layers) = layers.filter(|&layers| layers <= MAX_LAYERS) {
            let kind = |recurrent: bool| if recurrent { "linear_attention" } else { "full_attention" };
            let kinds: Vec<&str> = self.recurrent(layers)?.into_iter().map(kind).collect();
            words.insert("layer_types".to_owned(), json!(kinds));
        }
        Ok(())
    }

    /// Which layers have delta nets: those of a list, which counts blocks that predict further tokens as well, or all but every
    /// so-many-th.
    fn recurrent(&self, layers: usize) -> Result<Vec<bool>, CheckpointError> {
        let key = self.key(LIST);
        match self.keys.value(&key) {
            Some(Value::Numbers(_)) => {
                let blocks = usize::try_from(self.require("block_count")?).unwrap_or(usize::MAX);
                let mut listed = self.keys.flags_of_layers(&key, blocks)?.unwrap_or_default();
                listed.truncate(layers);
                Ok(listed)
            }
            Some(_) => Ok(vec![self.keys.count(&key)?.unwrap_or(0) != 0; layers]),
            None => {
                let name = "full_attention_interval";
                let interval = self.count(name)?.unwrap_or(INTERVAL);
                if interval == 0 {
                    return Err(self.refuse(name, "is 0, expected at least 1: every so-many-th layer has attention"));
                }
                Ok((1..=layers as u64).map(|number| !number.is_multiple_of(interval)).collect())
            }
        }
    }

    /// Pairs of a head's rotated numbers are shared out to four sections in turns, of which the first three count alike in a
    /// text and the last does not count (ggml's `ggml_mrope_cache_init`, llama.cpp's `llm_graph_input_pos`).
    fn check_sections(&self, words: &Map<String, Json>) -> Result<(), CheckpointError> {
        let key = self.key(SECTIONS);
        let size = |value: &Value| if let Value::Integer(size) = value { u64::try_from(*size).ok() } else { None };
        let Some(sections) = self.keys.numbers(&key, "whole numbers of at least 0", size)? else {
            return Err(self.refuse(SECTIONS, "is missing; the file is incomplete"));
        };
        let &[time, height, width, _] = sections.as_slice() else {
            return Err(self.refuse(SECTIONS, format!("has {} items, expected 4", sections.len())));
        };
        let head_dim = words.get("head_dim").and_then(Json::as_u64).unwrap_or(0);
        let pairs = self.count("rope.dimension_count")?.unwrap_or(head_dim).min(head_dim) / 2;
        let pairs = pairs.min(MOST_PAIRS);
        let all = sections.iter().fold(0_u64, |sum, &size| sum.saturating_add(size));
        let counts = |pair: u64| {
            let place = pair % all.max(1);
            place / 3 < [time, height, width][(place % 3) as usize]
        };
        match (0..pairs).find(|&pair| !counts(pair)) {
            None => Ok(()),
            Some(pair) => {
                let problem = format!(
                    "is {sections:?}, which leaves pair {pair} of {pairs} in a section that does not count in a text; not supported"
                );
                Err(self.refuse(SECTIONS, problem))
            }
        }
    }
}
