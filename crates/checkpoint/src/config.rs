//! A decoder described by data. Nothing here or behind it asks for an architecture's name.

mod architecture;

mod parse;
mod rope;

use crate::dtype::Dtype;

pub use rope::{RopeConfig, RopeScaling};

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
    /// Added to the mean square inside every RMSNorm.
    pub norm_eps: f64,
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
}

/// One layer: attention, then MLP, each after an RMSNorm and each added to the residual stream.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerConfig {
    /// The attention branch.
    pub attention: AttentionConfig,
    /// The MLP branch.
    pub mlp: MlpConfig,
}

/// The attention branch of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionConfig {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Whether `q_proj` has a bias.
    pub q_bias: bool,
    /// Whether `k_proj` has a bias.
    pub k_bias: bool,
    /// Whether `v_proj` has a bias.
    pub v_bias: bool,
    /// Whether `o_proj` has a bias.
    pub o_bias: bool,
    /// Whether queries and keys go through an RMSNorm over `head_dim` before RoPE.
    pub qk_norm: bool,
    /// Sliding window W: position p sees the keys k with p − W < k ≤ p. `None`: all keys up to p.
    pub window: Option<usize>,
    /// Rotary positions.
    pub rope: RopeConfig,
    /// Multiplies queries · keys before the softmax.
    pub scale: f64,
}

/// The MLP branch of a layer: `down_proj(activation(gate_proj(x)) · up_proj(x))`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlpConfig {
    /// Rows of `gate_proj` and `up_proj`.
    pub intermediate_size: usize,
    /// Whether `gate_proj`, `up_proj` and `down_proj` have biases.
    pub bias: bool,
    /// Applied to the output of `gate_proj`.
    pub activation: Activation,
}

/// An activation function; the names are those of transformers' `ACT2FN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x · sigmoid(x): `silu`, `swish`.
    Silu,
    /// x · Φ(x) with the error function: `gelu`, `gelu_python`.
    Gelu,
    /// The tanh approximation of GELU: `gelu_new`, `gelu_pytorch_tanh`, `gelu_python_tanh`, `gelu_fast`.
    GeluTanh,
    /// max(x, 0): `relu`.
    Relu,
}

impl DecoderConfig {
    /// Number of layers, which is the depth of every layer path over this model.
    #[must_use]
    pub fn num_layers(&self) -> usize {
        self.layers.len()
    }

    /// Every tensor that the forward pass reads, by canonical name, with its shape (rows first): embedding, layers, norm, head.
    /// A tied head is not listed.
    #[must_use]
    pub fn expected_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocab_size, self.hidden_size])];
        for (index, layer) in self.layers.iter().enumerate() {
            layer.each_tensor(self.hidden_size, |module, part, shape| {
                tensors.push((format!("model.layers.{index}.{module}.{part}"), shape.to_vec()));
            });
        }
        tensors.push(("model.norm.weight".to_owned(), vec![self.hidden_size]));
        if !self.tie_word_embeddings {
            tensors.push(("lm_head.weight".to_owned(), vec![self.vocab_size, self.hidden_size]));
        }
        tensors
    }

    /// Number of weights, a tied head counted once.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let mut total = 0_u64;
        for layer in &self.layers {
            layer.each_tensor(self.hidden_size, |_, _, shape| total = total.saturating_add(elements(shape)));
        }
        let embedding = elements(&[self.vocab_size, self.hidden_size]);
        let heads = if self.tie_word_embeddings { 1 } else { 2 };
        total.saturating_add(embedding.saturating_mul(heads)).saturating_add(self.hidden_size as u64)
    }
}

impl LayerConfig {
    /// Calls `emit` with module, part (`weight` or `bias`) and shape of every tensor of the layer.
    fn each_tensor(&self, hidden: usize, mut emit: impl FnMut(&str, &str, &[usize])) {
        let (attention, mlp) = (&self.attention, &self.mlp);
        // Neither product overflows: that was checked when the config was read.
        let q_rows = attention.heads.saturating_mul(attention.head_dim);
        let kv_rows = attention.kv_heads.saturating_mul(attention.head_dim);
        let projections = [
            ("self_attn.q_proj", q_rows, hidden, attention.q_bias),
            ("self_attn.k_proj", kv_rows, hidden, attention.k_bias),
            ("self_attn.v_proj", kv_rows, hidden, attention.v_bias),
            ("self_attn.o_proj", hidden, q_rows, attention.o_bias),
            ("mlp.gate_proj", mlp.intermediate_size, hidden, mlp.bias),
            ("mlp.up_proj", mlp.intermediate_size, hidden, mlp.bias),
            ("mlp.down_proj", hidden, mlp.intermediate_size, mlp.bias),
        ];
        emit("input_layernorm", "weight", &[hidden]);
        for (module, rows, columns, bias) in projections {
            emit(module, "weight", &[rows, columns]);
            if bias {
                emit(module, "bias", &[rows]);
            }
        }
        if attention.qk_norm {
            emit("self_attn.q_norm", "weight", &[attention.head_dim]);
            emit("self_attn.k_norm", "weight", &[attention.head_dim]);
        }
        emit("post_attention_layernorm", "weight", &[hidden]);
    }
}

/// Number of elements of a shape; saturates, which only an absurd config can reach.
fn elements(shape: &[usize]) -> u64 {
    shape.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
}
