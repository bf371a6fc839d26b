//! What weights will take in memory, from the description alone.

use neuro_checkpoint::{DecoderConfig, LayerConfig};

use crate::linear::{Linear, SUPER_BLOCK};
use crate::source::WeightType;

/// Bytes that a decoder's weights take in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightBytes {
    /// All that [`Decoder::load_as`](crate::Decoder::load_as) holds.
    pub held: u64,
    /// The largest layer.
    pub layer: u64,
    /// Final norm and head.
    pub head: u64,
    /// What a layer takes on top while it is read: its largest projection as f32, joined and padded.
    pub layer_reading: u64,
    /// What the head takes on top while it is read.
    pub head_reading: u64,
}

impl WeightBytes {
    /// Of the model so described.
    pub fn of(config: &DecoderConfig, weight_type: WeightType) -> Self {
        let float = size_of::<f32>() as u64;
        let (hidden, vocab) = (config.hidden_size, config.vocab_size);
        let linear = |input: usize, output: usize, bias: bool| {
            Linear::bytes_of(input, output, weight_type) + if bias { output as u64 * float } else { 0 }
        };
        let layer = |LayerConfig { attention, mlp }: &LayerConfig| {
            let (q, kv) = (attention.heads * attention.head_dim, attention.kv_heads * attention.head_dim);
            let norms = 2 * hidden + if attention.qk_norm { 2 * attention.head_dim } else { 0 };
            linear(hidden, q, attention.q_bias)
                + linear(hidden, kv, attention.k_bias)
                + linear(hidden, kv, attention.v_bias)
                + linear(q, hidden, attention.o_bias)
                + linear(hidden, 2 * mlp.intermediate_size, mlp.bias)
                + linear(mlp.intermediate_size, hidden, mlp.bias)
                + norms as u64 * float
        };
        let layers: Vec<u64> = config.layers.iter().map(layer).collect();
        let head = linear(hidden, vocab, false) + hidden as u64 * float;
        let embedding = hidden as u64 * vocab as u64 * float;
        // As f32 the embedding is held, and a tied head is the same tensor.
        let embedding_held = match (weight_type, config.tie_word_embeddings) {
            (WeightType::F32, false) => embedding,
            _ => 0,
        };
        let mlp = config.layers.iter().map(|layer| layer.mlp.intermediate_size).max().unwrap_or(0);
        let q = config.layers.iter().map(|layer| layer.attention.heads * layer.attention.head_dim).max().unwrap_or(0);
        // A weight that stays f32 is read to where it stays. One that does not is there as f32, perhaps padded as well,
        // beside what it becomes.
        let reading = |input: usize, output: usize| match weight_type {
            WeightType::F32 => 0,
            _ => (input + padded_copy(input)) as u64 * output as u64 * float,
        };
        // Gate and up are joined from their parts, which are gone when the joined one is padded.
        let parts = 2 * (mlp * hidden) as u64 * float;
        let joined = match weight_type {
            WeightType::F32 => parts,
            _ => (2 * parts).max(reading(hidden, 2 * mlp)),
        };
        Self {
            held: layers.iter().sum::<u64>() + head + embedding_held,
            layer: layers.into_iter().max().unwrap_or(0),
            head,
            layer_reading: joined.max(reading(mlp, hidden)).max(reading(hidden, q)).max(reading(q, hidden)),
            head_reading: reading(hidden, vocab),
        }
    }
}

/// Columns of the copy that is padded for quantising; none is made where nothing is to be padded.
fn padded_copy(input: usize) -> usize {
    if input.is_multiple_of(SUPER_BLOCK) { 0 } else { input.next_multiple_of(SUPER_BLOCK) }
}
