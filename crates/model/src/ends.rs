//! The two ends of the residual stream: the token embedding, and the norm and matrix that give logits.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use neuro_checkpoint::{Checkpoint, DecoderConfig, POSITIONS};

use crate::kernels::cap::scale_and_cap;
use crate::kernels::values::{Values, change};
use crate::linear::{Input, Linear};
use crate::norm::Norm;
use crate::source::{Kernels, ParameterSource};
use crate::{ModelError, Result};

pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";

/// The embedding's name without `.weight`.
const EMBEDDING_MODULE: &str = "model.embed_tokens";

/// Where the embeddings of tokens and, in some models, of positions are.
#[derive(Debug)]
pub(crate) enum Embedding {
    /// In memory: `(vocab, hidden)` and `(positions, hidden)`.
    Held { tokens: Tensor, positions: Option<Tensor> },
    /// On disk; the rows that are needed are read when they are asked for.
    OnDisk(Arc<Checkpoint>),
}

impl Embedding {
    /// Takes the tables of a source into memory.
    pub(crate) fn load(source: &dyn ParameterSource, config: &DecoderConfig) -> Result<Self> {
        let tokens = source.parameter(EMBEDDING, &[config.vocab_size, config.hidden_size])?;
        let positions = config.learned_positions.map(|count| source.parameter(POSITIONS, &[count, config.hidden_size]));
        Ok(Self::Held { tokens, positions: positions.transpose()? })
    }

    /// The rows of the tokens, scaled, with those of their positions: `(tokens, hidden)`.
    pub(crate) fn rows(
        &self,
        config: &DecoderConfig,
        tokens: &[u32],
        positions: impl IntoIterator<Item = usize>,
        device: &Device,
    ) -> Result<Tensor> {
        let rows = self.table(EMBEDDING, config.vocab_size, config, tokens, device)?;
        let rows = if config.embedding_scale == 1.0 { rows } else { (rows * config.embedding_scale)? };
        let Some(known) = config.learned_positions else { return Ok(rows) };
        let position = |position| match u32::try_from(position) {
            Ok(row) if position < known => Ok(row),
            _ => Err(ModelError::PositionOutOfRange { position, known }),
        };
        let positions = positions.into_iter().map(position).collect::<Result<Vec<u32>>>()?;
        Ok((rows + self.table(POSITIONS, known, config, &positions, device)?)?)
    }

    fn table(
        &self,
        name: &str,
        height: usize,
        config: &DecoderConfig,
        rows: &[u32],
        device: &Device,
    ) -> Result<Tensor> {
        match self {
            Self::Held { tokens, positions } => {
                let held = if name == POSITIONS { positions.as_ref().unwrap_or(tokens) } else { tokens };
                Ok(held.index_select(&Tensor::new(rows, device)?, 0)?)
            }
            Self::OnDisk(checkpoint) => {
                let values = checkpoint.weights.read_rows_f32(name, &[height, config.hidden_size], rows)?;
                Ok(Tensor::from_vec(values, (rows.len(), config.hidden_size), device)?)
            }
        }
    }

    /// The token embedding, where it is in memory.
    pub(crate) fn tokens(&self) -> Option<&Tensor> {
        if let Self::Held { tokens, .. } = self { Some(tokens) } else { None }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let Self::Held { tokens, positions } = self else { return 0 };
        let bytes = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        bytes(tokens) + positions.as_ref().map_or(0, bytes)
    }
}

/// The final norm and the matrix that gives logits.
#[derive(Debug)]
pub struct Head {
    norm: Norm,
    lm_head: Linear,
    /// Multiplies the logits, and then caps them.
    scale: f64,
    softcap: Option<f64>,
    kernels: Kernels,
    /// Whether the head's matrix is the embedding, the same in memory.
    is_shared: bool,
}

impl Head {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        config: &DecoderConfig,
        kernels: Kernels,
        embedding: Option<&Tensor>,
    ) -> Result<Self> {
        let (vocab, hidden, eps) = (config.vocab_size, config.hidden_size, config.norm_eps);
        // Read once more for kernels that want another order than the embedding's.
        let shared = embedding.filter(|_| config.tie_word_embeddings && source.on_disk().is_none());
        let lm_head = match shared {
            Some(embedding) => Linear::sharing(embedding.clone(), source.weight_type())?,
            None if config.tie_word_embeddings => Linear::load(source, EMBEDDING_MODULE, (hidden, vocab), false)?,
            None => Linear::load(source, "lm_head", (hidden, vocab), false)?,
        };
        let is_shared = shared.is_some() && lm_head.is_tensor();
        Ok(Self {
            norm: Norm::load(source, "model.norm", hidden, (config.norm, eps), kernels)?,
            lm_head,
            scale: config.logit_scale,
            softcap: config.logit_softcap,
            kernels,
            is_shared,
        })
    }

    /// Residual stream `(rows, hidden)` → logits `(rows, vocab)`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn logits(&self, resid: &Tensor) -> Result<Tensor> {
        let logits = self.lm_head.apply(&Input::normed(Some(&self.norm), resid))?;
        if self.is_plain() || self.kernels == Kernels::Fused && change(&logits, |values| self.cap(values))? {
            return Ok(logits);
        }
        let logits = (logits * self.scale)?;
        Ok(match self.softcap {
            Some(cap) => ((logits / cap)?.tanh()? * cap)?,
            None => logits,
        })
    }

    /// The same for who reads them once: gives what `read` makes of the logits, `(rows, vocab)` in row-major order. A product of
    /// our own writes them into `buffer`, over what is there; used again, that spares the system some ten thousand pages
    /// each time, which come filled with zeros.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read_logits<T>(&self, resid: &Tensor, buffer: &mut Vec<f32>, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
        if self.kernels == Kernels::Fused
            && self.lm_head.write(&Input::normed(Some(&self.norm), resid), None, buffer)?
        {
            if !self.is_plain() {
                self.cap(buffer);
            }
            return Ok(read(buffer));
        }
        let logits = self.logits(resid)?.contiguous()?;
        Ok(match Values::of(&logits) {
            Some(values) => read(values.get()),
            None => read(&logits.flatten_all()?.to_vec1::<f32>()?),
        })
    }

    /// Whether logits are what comes out of the product.
    fn is_plain(&self) -> bool {
        self.scale == 1.0 && self.softcap.is_none()
    }

    fn cap(&self, logits: &mut [f32]) {
        scale_and_cap(logits, self.scale as f32, self.softcap.map(|cap| cap as f32));
    }

    /// Bytes held, without what is the embedding's.
    pub(crate) fn bytes(&self) -> usize {
        self.norm.bytes() + if self.is_shared { 0 } else { self.lm_head.bytes() }
    }
}
