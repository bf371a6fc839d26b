//! What weights will take in memory, from the description alone.

use neuro_checkpoint::{DecoderConfig, LayerConfig};

use crate::linear::Linear;
use crate::source::WeightType;

/// Bytes that a decoder's weights take in a processor's memory.
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
        let mlp = config.layers.iter().map(|layer| layer.mlp.intermediate_size).max().unwrap_or(0);
        let q = config.layers.iter().map(|layer| layer.attention.heads * layer.attention.head_dim).max().unwrap_or(0);
        let reading = |parts: &[(usize, usize)]| Linear::reading_bytes(parts, weight_type);
        let layer_parts: [&[(usize, usize)]; 4] =
            [&[(hidden, mlp), (hidden, mlp)], &[(mlp, hidden)], &[(hidden, q)], &[(q, hidden)]];
        Self {
            held: layers.iter().sum::<u64>() + head,
            layer: layers.into_iter().max().unwrap_or(0),
            head,
            layer_reading: layer_parts.into_iter().map(reading).max().unwrap_or(0),
            head_reading: reading(&[(hidden, vocab)]),
        }
    }
}
