//! What weights will take in memory, from the description alone.

use neuro_checkpoint::{DecoderConfig, DeltaNetConfig, LatentConfig, LayerConfig, MlpConfig, QkNorm};

use crate::linear::{Gated, Linear};
use crate::mlp::Mlp;
use crate::source::WeightType;

/// Bytes that a layer's products take beside the rows that go into a layer and come out of its branches, when so many rows
/// run through it: what its MLP makes of them between its projections, and rows in the order in which products read them.
pub fn product_scratch_bytes(config: &DecoderConfig, weight_type: WeightType, on_cpu: bool, rows: usize) -> u64 {
    let (hidden, float) = (config.hidden_size, size_of::<f32>());
    let of_mlp = |mlp: &MlpConfig| {
        let one = |width: usize| Mlp::scratch_bytes(mlp, (hidden, width), weight_type, on_cpu, rows);
        let Some(experts) = &mlp.experts else { return one(mlp.intermediate_size) };
        let shared = experts.shared.map_or(0, |shared| one(shared.intermediate_size));
        // Rows as one of them takes and gives them, what all have given, and the router's scores.
        let gathered = rows * (3 * hidden + experts.count) * float;
        one(mlp.intermediate_size).max(shared) + gathered as u64
    };
    let mlp = config.layers.iter().map(|layer| of_mlp(&layer.mlp)).max().unwrap_or(0);
    let width = |LayerConfig { attention, delta_net, .. }: &LayerConfig| {
        let values = delta_net.as_ref().map_or(0, DeltaNetConfig::values_width);
        hidden.max(attention.heads * attention.head_dim).max(values)
    };
    let width = config.layers.iter().map(width).max().unwrap_or(0);
    // Those of one product while the next has its own: buffers wait to be used again.
    mlp + 2 * Linear::prepared_bytes(weight_type, rows, width)
}

/// Bytes that a decoder's weights take in a processor's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightBytes {
    /// All that [`Decoder::load_as`](crate::Decoder::load_as) holds.
    pub held: u64,
    /// Each layer.
    pub layers: Vec<u64>,
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
        let mlp_bytes = |mlp: &MlpConfig, width: usize| {
            let up = match (mlp.gated, mlp.bias) {
                (false, bias) => linear(hidden, width, bias),
                (true, bias) => {
                    Gated::bytes_of(hidden, width, weight_type) + if bias { 2 * width as u64 * float } else { 0 }
                }
            };
            up + linear(width, hidden, mlp.bias)
        };
        let norm = (config.norm.parts().len() * hidden) as u64 * float;
        let entry = |layer: &LayerConfig| if layer.enters_normed { norm } else { 0 };
        let branches = |LayerConfig { attention, delta_net, mlp, norms, .. }: &LayerConfig| {
            let (q, kv) = (attention.heads * attention.head_dim, attention.kv_heads * attention.head_dim);
            let qk_norms = match attention.qk_norm {
                QkNorm::None => 0,
                QkNorm::Head => 2 * attention.head_dim,
                QkNorm::Row => q + kv,
                // And what each of both norms multiplies and adds before.
                QkNorm::EachHead => q + kv + 4 * attention.head_dim,
            };
            let norms = norms.names().count() * norms.kind.parts().len() * hidden + qk_norms;
            let sinks = if attention.sinks { attention.heads } else { 0 };
            let mlp = match &mlp.experts {
                None => mlp_bytes(mlp, mlp.intermediate_size),
                Some(experts) => {
                    let gates = experts.count * (hidden + usize::from(experts.router_bias))
                        + if experts.correction_bias { experts.count } else { 0 }
                        + experts.shared.map_or(0, |shared| if shared.gated { hidden } else { 0 });
                    let shared = experts.shared.map_or(0, |shared| mlp_bytes(mlp, shared.intermediate_size));
                    experts.count as u64 * mlp_bytes(mlp, mlp.intermediate_size) + shared + gates as u64 * float
                }
            };
            let projections = match (delta_net, attention.latent) {
                (Some(delta_net), _) => {
                    let DeltaNetConfig { value_heads, value_dim, taps, .. } = *delta_net;
                    let values = delta_net.values_width();
                    let vectors = delta_net.channels() * taps + 2 * value_heads + value_dim;
                    linear(hidden, delta_net.channels(), false)
                        + linear(hidden, values, false)
                        + Linear::bytes_of(hidden, 2 * value_heads, WeightType::F32)
                        + linear(values, hidden, false)
                        + vectors as u64 * float
                }
                (None, None) => {
                    linear(hidden, attention.q_rows(), attention.q_bias)
                        + linear(hidden, kv, attention.k_bias)
                        + linear(hidden, kv, attention.v_bias)
                        + linear(q, hidden, attention.o_bias)
                }
                (None, Some(latent)) => {
                    let LatentConfig { q_rank, kv_rank, nope_dim, rope_dim, v_dim, bias } = latent;
                    let norms = (kv_rank + q_rank.unwrap_or(0)) as u64 * float;
                    let queries = q_rank.map_or_else(
                        || linear(hidden, q, false),
                        |rank| linear(hidden, rank, bias) + linear(rank, q, false),
                    );
                    queries
                        + linear(hidden, kv_rank + rope_dim, bias)
                        + linear(kv_rank, attention.heads * (nope_dim + v_dim), false)
                        + linear(attention.heads * v_dim, hidden, attention.o_bias)
                        + norms
                }
            };
            projections + mlp + (norms + sinks) as u64 * float
        };
        let layers: Vec<u64> = config.layers.iter().map(|layer| branches(layer) + entry(layer)).collect();
        // A layer that repeats another holds at most the norm that it is entered through.
        let own = config.layers.iter().enumerate().map(|(index, layer)| match config.twin_of(index) {
            Some(_) => 0,
            None if config.weights_of(index) < index => entry(layer),
            None => layers[index],
        });
        let head = linear(hidden, vocab, false) + norm;
        let shared = |mlp: &MlpConfig| mlp.experts.as_ref().and_then(|experts| experts.shared);
        let widest = |mlp: &MlpConfig| mlp.intermediate_size.max(shared(mlp).map_or(0, |mlp| mlp.intermediate_size));
        let mlp = config.layers.iter().map(|layer| widest(&layer.mlp)).max().unwrap_or(0);
        let widest_of = |width: fn(&LayerConfig) -> usize| config.layers.iter().map(width).max().unwrap_or(0);
        let (q_rows, q) = (
            widest_of(|layer| layer.attention.q_rows()),
            widest_of(|layer| layer.attention.heads * layer.attention.head_dim),
        );
        let keys = widest_of(|layer| layer.delta_net.as_ref().map_or(0, |delta_net| 2 * delta_net.keys_width()));
        let values = widest_of(|layer| layer.delta_net.as_ref().map_or(0, DeltaNetConfig::values_width));
        let reading = |parts: &[(usize, usize)]| Linear::reading_bytes(parts, weight_type);
        let layer_parts: [&[(usize, usize)]; 6] = [
            &[(hidden, mlp), (hidden, mlp)],
            &[(mlp, hidden)],
            &[(hidden, q_rows)],
            &[(q, hidden)],
            &[(hidden, keys), (hidden, values)],
            &[(values, hidden)],
        ];
        Self {
            held: own.sum::<u64>() + head,
            layer: layers.iter().copied().max().unwrap_or(0),
            layers,
            head,
            layer_reading: layer_parts.into_iter().map(reading).max().unwrap_or(0),
            head_reading: reading(&[(hidden, vocab)]),
        }
    }
}
