//! A decoder described by data. Nothing here or behind it asks for an architecture's name.

mod architecture;
mod delta_net;
mod experts;
mod keys;
mod layer;
mod parse;
mod quantization;
mod rope;
mod stored_form;

use crate::dtype::Dtype;

pub use delta_net::DeltaNetConfig;
pub use experts::{ExpertsConfig, RouterGroups, RouterScores, SharedExpertConfig};
pub use layer::{Activation, AttentionConfig, LatentConfig, LayerConfig, LayerNorms, MlpConfig, NormKind, QkNorm};
pub use rope::{RopeConfig, RopeScaling};
pub(crate) use stored_form::{View, renamed, stored_forms};

/// The table of learned positions.
pub const POSITIONS: &str = "model.embed_positions.weight";

/// Most layers that a config may ask for: a baseline path may not be longer than the longest path.
pub const MAX_LAYERS: usize = neuro_path::MAX_VISITS;

/// Everything that the forward pass and the tokens around it need to know, resolved: no default is left open.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// The architecture's name, for reports only.
    pub model_type: String,
    /// Rows of the embedding and of the head.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// The context length that the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// Added to the mean square, or the variance, inside every norm.
    pub norm_eps: f64,
    /// The norm before the head.
    pub norm: NormKind,
    /// Multiplies what the embedding gives; 1 in most models.
    pub embedding_scale: f64,
    /// Positions of a learned table that is added to the embedding; `None`: positions are rotary, or there are none.
    pub learned_positions: Option<usize>,
    /// Multiplies the logits; 1 in most models.
    pub logit_scale: f64,
    /// Cap c of the logits: `c · tanh(logit / c)`, after their scale.
    pub logit_softcap: Option<f64>,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
    /// Standard deviation of random weights.
    pub initializer_range: f64,
    /// One description per layer, first layer first.
    pub layers: Vec<LayerConfig>,
    /// The token that opens a text, if the config names one of the vocabulary.
    pub bos_token_id: Option<u32>,
    /// The tokens that end a text; may be empty. All are below `vocab_size`.
    pub eos_token_ids: Vec<u32>,
    /// The number format that the config claims for the weights; the files decide.
    pub dtype: Option<Dtype>,
    /// Rows and columns of the blocks that share a scale where matrices are stored as eight-bit floats; `None` where the
    /// config does not say so.
    pub weight_blocks: Option<[usize; 2]>,
}

impl DecoderConfig {
    /// The values of `model_type` that can be described.
    pub fn known_model_types() -> impl Iterator<Item = &'static str> {
        architecture::KNOWN.iter().map(|architecture| architecture.model_type)
    }

    /// Number of layers, which is the depth of every layer path over this model.
    #[must_use]
    pub fn num_layers(&self) -> usize {
        self.layers.len()
    }

    /// The layer under whose number the weights of a layer are stored: its own, unless the layer repeats an earlier one.
    #[must_use]
    pub fn weights_of(&self, layer: usize) -> usize {
        let back = |layer: usize| layer.checked_sub(self.layers.get(layer)?.repeats.filter(|&back| back > 0)?);
        std::iter::successors(Some(layer), |&layer| back(layer)).last().unwrap_or(layer)
    }

    /// The first layer before this one that computes the same with the same weights.
    #[must_use]
    pub fn twin_of(&self, layer: usize) -> Option<usize> {
        let is_normed = |layer: usize| self.layers.get(layer).map(|layer| layer.enters_normed);
        let same =
            |&other: &usize| self.weights_of(other) == self.weights_of(layer) && is_normed(other) == is_normed(layer);
        self.layers.get(layer)?.repeats?;
        (0..layer).find(same)
    }

    /// Every tensor that the forward pass reads, by canonical name, with its shape (rows first): embedding, layers, norm, head.
    /// A tied head is not listed.
    #[must_use]
    pub fn expected_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocab_size, self.hidden_size])];
        if let Some(positions) = self.learned_positions {
            tensors.push((POSITIONS.to_owned(), vec![positions, self.hidden_size]));
        }
        for (index, layer) in self.layers.iter().enumerate().filter(|(_, layer)| layer.repeats.is_none()) {
            layer.each_tensor(self.hidden_size, |module, part, shape| {
                tensors.push((format!("model.layers.{index}.{module}.{part}"), shape.to_vec()));
            });
        }
        for part in self.norm.parts() {
            tensors.push((format!("model.norm.{part}"), vec![self.hidden_size]));
        }
        if !self.tie_word_embeddings {
            tensors.push(("lm_head.weight".to_owned(), vec![self.vocab_size, self.hidden_size]));
        }
        tensors
    }

    /// Number of weights, a tied head counted once.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let own = self.layers.iter().filter(|layer| layer.repeats.is_none());
        let total = own.fold(0_u64, |total, layer| total.saturating_add(self.parameters_of(layer)));
        let embedding = elements(&[self.vocab_size, self.hidden_size]);
        let heads = if self.tie_word_embeddings { 1 } else { 2 };
        let positions = elements(&[self.learned_positions.unwrap_or(0), self.hidden_size]);
        let norm = self.norm.parts().len() as u64 * self.hidden_size as u64;
        total.saturating_add(embedding.saturating_mul(heads)).saturating_add(positions).saturating_add(norm)
    }

    /// Number of parameters of the largest layer, or of the embedding where it has more: the least that must be in memory
    /// at once.
    pub(crate) fn largest_part(&self) -> u64 {
        let embedding = elements(&[self.vocab_size, self.hidden_size]);
        self.layers.iter().map(|layer| self.parameters_of(layer)).fold(embedding, u64::max)
    }

    fn parameters_of(&self, layer: &LayerConfig) -> u64 {
        let mut total = 0_u64;
        layer.each_tensor(self.hidden_size, |_, _, shape| total = total.saturating_add(elements(shape)));
        total
    }
}

/// Number of elements of a shape; saturates, which only an absurd config can reach.
fn elements(shape: &[usize]) -> u64 {
    shape.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
}
