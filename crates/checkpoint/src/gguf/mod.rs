//! GGUF, llama.cpp's file format: description, weights and tokenizer in one file, or in several of one model.
//!
//! [`header`] believes nothing that the file's length does not bear out, [`config`] turns metadata into the same
//! [`DecoderConfig`] as a `config.json`, and [`weights`] gives tensors under their canonical names and in their canonical
//! order of rows, decoded by [`blocks`] to exactly the numbers that llama.cpp sees.

mod architecture;
mod blocks;
mod config;
mod cursor;
mod delta;
mod format;
mod header;
mod keys;
mod layout;
mod order;
mod pieces;
mod places;
mod split;
mod tokenizer;
mod value;
mod weights;

use std::borrow::Cow;
use std::path::Path;

pub use architecture::{GgufArchitecture, ValueHeads};
pub use format::BlockFormat;
pub use layout::{GgufKey, GgufLayout, GgufPlace};
pub use split::model_name;
pub use tokenizer::HeaderTokenizer;
pub(crate) use weights::GgufWeights;

use self::keys::Keys;
use self::weights::Part;
use crate::config::DecoderConfig;
use crate::error::CheckpointError;

/// A model from GGUF files: weights that fit the description.
pub(crate) struct Gguf {
    pub(crate) config: DecoderConfig,
    pub(crate) weights: GgufWeights,
    pub(crate) tokenizer: Option<HeaderTokenizer>,
}

impl Gguf {
    /// Maps a file, and its siblings where it is one of several.
    pub(crate) fn open(path: &Path) -> Result<Self, CheckpointError> {
        Self::new(split::open(path)?, path)
    }

    /// Takes a file that is in memory already; `name` is how messages call it.
    pub(crate) fn from_bytes(name: &Path, bytes: Cow<'static, [u8]>) -> Result<Self, CheckpointError> {
        Self::new(split::held(name, bytes)?, name)
    }

    fn new(parts: Vec<Part>, path: &Path) -> Result<Self, CheckpointError> {
        let mut weights = GgufWeights::new(parts)?;
        let keys = Keys::new(weights.header(), path);
        let mut config = config::describe(keys, &weights, path)?;
        let tokenizer = HeaderTokenizer::read(keys)?;
        if config::predictors(keys)? > 0 {
            weights.leave_out_blocks(config.num_layers());
        }
        weights.fit(&mut config)?;
        Ok(Self { config, weights, tokenizer })
    }
}

impl HeaderTokenizer {
    /// The tokenizer of a GGUF file, of whatever architecture, even one without weights; `None` where it has none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, lies about itself, or has a tokenizer whose parts do not fit.
    pub fn open(path: &Path) -> Result<Option<Self>, CheckpointError> {
        let parts = split::open(path)?;
        Self::read(Keys::new(&parts[0].header, path))
    }
}
