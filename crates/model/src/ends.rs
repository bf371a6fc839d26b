//! The two ends of the residual stream: the token embedding, and the norm and matrix that give logits.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use neuro_checkpoint::{Checkpoint, DecoderConfig};

use crate::Result;
use crate::linear::Linear;
use crate::norm::RmsNorm;
use crate::source::{Kernels, ParameterSource};

pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";

/// The embedding's name without `.weight`.
const EMBEDDING_MODULE: &str = "model.embed_tokens";

/// Where the token embedding is.
#[derive(Debug)]
pub(crate) enum Embedding {
    /// In memory: `(vocab, hidden)`.
    Held(Tensor),
    /// On disk; the rows of the tokens are read when they are asked for.
    OnDisk(Arc<Checkpoint>),
}

impl Embedding {
    /// The rows of the tokens: `(tokens, hidden)`.
    pub(crate) fn rows(&self, config: &DecoderConfig, tokens: &[u32], device: &Device) -> Result<Tensor> {
        match self {
            Self::Held(embedding) => Ok(embedding.index_select(&Tensor::new(tokens, device)?, 0)?),
            Self::OnDisk(checkpoint) => {
                let shape = [config.vocab_size, config.hidden_size];
                let rows = checkpoint.weights.read_rows_f32(EMBEDDING, &shape, tokens)?;
                Ok(Tensor::from_vec(rows, (tokens.len(), config.hidden_size), device)?)
            }
        }
    }
}

/// The final norm and the matrix that gives logits.
#[derive(Debug)]
pub struct Head {
    norm: RmsNorm,
    lm_head: Linear,
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
        Ok(Self { norm: RmsNorm::load(source, "model.norm", hidden, eps, kernels)?, lm_head, is_shared })
    }

    /// Residual stream `(rows, hidden)` → logits `(rows, vocab)`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn logits(&self, resid: &Tensor) -> Result<Tensor> {
        self.lm_head.forward(&self.norm.forward(resid)?)
    }

    /// Bytes held, without what is the embedding's.
    pub(crate) fn bytes(&self) -> usize {
        self.norm.bytes() + if self.is_shared { 0 } else { self.lm_head.bytes() }
    }
}
