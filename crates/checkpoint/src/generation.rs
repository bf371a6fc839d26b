//! `generation_config.json`: how the model's makers meant it to be sampled, and where an answer ends.

use std::path::Path;

use crate::error::CheckpointError;
use crate::fields::{Fields, parse_object};

/// Settings for generation. `None` and empty lists mean that the file says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationConfig {
    /// The tokens that end an answer, ascending; all are in the vocabulary. [`crate::Checkpoint`] falls back to the config's.
    pub eos_token_ids: Vec<u32>,
    /// The token that opens a text.
    pub bos_token_id: Option<u32>,
    /// Tokens that are never generated, ascending; all are in the vocabulary.
    pub suppress_tokens: Vec<u32>,
    /// Whether to sample rather than to take the likeliest token.
    pub do_sample: Option<bool>,
    /// Divides logits; at least 0.
    pub temperature: Option<f64>,
    /// Smallest probability mass kept, from 0 to 1.
    pub top_p: Option<f64>,
    /// Number of likeliest tokens kept; 0 keeps all.
    pub top_k: Option<usize>,
    /// Smallest probability kept, relative to the likeliest token's, from 0 to 1.
    pub min_p: Option<f64>,
    /// Divides positive and multiplies negative logits of tokens already seen; above 0.
    pub repetition_penalty: Option<f64>,
}

impl GenerationConfig {
    /// Reads a `generation_config.json`. Token ids outside the vocabulary are left out: they cannot be generated.
    ///
    /// # Errors
    ///
    /// When the bytes are no JSON object, or a known key has an impossible value. Unknown keys are ignored.
    pub fn from_json(bytes: &[u8], file: &Path, vocab_size: usize) -> Result<Self, CheckpointError> {
        let object = parse_object(bytes, file)?;
        let fields = Fields::root(&object, file);
        let fraction = |key| fields.number(key, "a number from 0 to 1", |number| (0.0..=1.0).contains(&number));
        let do_sample = fields.value("do_sample").map(|_| fields.flag("do_sample", false)).transpose()?;
        let top_k = fields.value("top_k").map(|_| fields.count("top_k", 0)).transpose()?;
        Ok(Self {
            eos_token_ids: fields.token_ids("eos_token_id", vocab_size)?,
            bos_token_id: fields.token_ids("bos_token_id", vocab_size)?.first().copied(),
            suppress_tokens: fields.token_ids("suppress_tokens", vocab_size)?,
            do_sample,
            temperature: fields.number("temperature", "a number of at least 0", |number| number >= 0.0)?,
            top_p: fraction("top_p")?,
            top_k,
            min_p: fraction("min_p")?,
            repetition_penalty: fields.positive("repetition_penalty")?,
        })
    }
}
