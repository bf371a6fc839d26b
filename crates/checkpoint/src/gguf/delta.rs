//! Delta nets as files hold them: q, k and v as one tensor, or with z as one that goes by key heads; value heads in an order
//! of their own; how fast a state decays in place of its logarithm (`Qwen3NextModel` and `_LinearAttentionVReorderBase` in
//! llama.cpp's `conversion/qwen.py`, `load_arch_tensors` in its `models/qwen3next.cpp`).

use super::architecture::ValueHeads;
use super::order::{Order, Tiles};
use super::places::Place;
use super::weights::GgufWeights;
use crate::config::{DecoderConfig, DeltaNetConfig};

/// All of q, then all of k, then all of v.
pub(super) const STACKED: &str = "linear_attn.in_proj_qkv";
/// Of each key head its rows of q and k, then those of v and of z of its value heads; as in folders of Qwen3-Next.
const BY_KEY_HEAD: &str = "linear_attn.in_proj_qkvz";
/// Of each key head the rows of b, then those of a, of its value heads; as in folders of Qwen3-Next.
const GATES_BY_KEY_HEAD: &str = "linear_attn.in_proj_ba";

/// A stored matrix in which a projection may lie.
pub(super) struct Held {
    pub(super) module: &'static str,
    /// Rows of the stored matrix.
    pub(super) rows: usize,
    /// The first that is the projection's, and the order of the further ones.
    pub(super) first: usize,
    pub(super) order: Order,
}

/// The stored matrices in which a projection of a delta net may lie.
pub(super) fn holders(delta_net: &DeltaNetConfig, module: &str) -> Vec<Held> {
    let DeltaNetConfig { key_heads, value_heads, key_dim, value_dim, .. } = *delta_net;
    let (keys, group) = (delta_net.keys_width(), value_heads / key_heads);
    let values = group * value_dim;
    let each = 2 * (key_dim + values);
    let stacked = |first| Held { module: STACKED, rows: delta_net.channels(), first, order: Order::Straight };
    let by_head = |module, (first, rows), apart| Held {
        module,
        rows: key_heads * apart,
        first,
        order: Order::Blocks { rows, apart },
    };
    match module {
        "linear_attn.in_proj_q" => vec![stacked(0), by_head(BY_KEY_HEAD, (0, key_dim), each)],
        "linear_attn.in_proj_k" => vec![stacked(keys), by_head(BY_KEY_HEAD, (key_dim, key_dim), each)],
        "linear_attn.in_proj_v" => vec![stacked(2 * keys), by_head(BY_KEY_HEAD, (2 * key_dim, values), each)],
        "linear_attn.in_proj_z" => vec![by_head(BY_KEY_HEAD, (2 * key_dim + values, values), each)],
        "linear_attn.in_proj_b" => vec![by_head(GATES_BY_KEY_HEAD, (0, group), 2 * group)],
        "linear_attn.in_proj_a" => vec![by_head(GATES_BY_KEY_HEAD, (group, group), 2 * group)],
        _ => Vec::new(),
    }
}

impl GgufWeights {
    /// Settles how the tensors of delta nets are turned back into a folder's.
    pub(super) fn settle_delta_nets(&mut self, config: &DecoderConfig, heads: ValueHeads) {
        for (layer, delta_net) in
            config.layers.iter().enumerate().filter_map(|(at, layer)| Some((at, layer.delta_net?)))
        {
            let mut alter = |part: &str, change: &dyn Fn(&mut Place)| {
                if let Some(place) = self.place_mut(&format!("model.layers.{layer}.linear_attn.{part}")) {
                    change(place);
                }
            };
            alter("A_log", &|place| place.decays = true);
            let DeltaNetConfig { key_heads, value_heads, value_dim, .. } = delta_net;
            if heads == ValueHeads::Grouped || value_heads == key_heads {
                continue;
            }
            let tiles = |width| Tiles { key_heads, group: value_heads / key_heads, width };
            let rows = |from: usize, width: usize| Order::Tiled { from, tiles: tiles(width) };
            for (part, order) in [
                ("in_proj_v.weight", rows(0, value_dim)),
                ("in_proj_z.weight", rows(0, value_dim)),
                ("in_proj_b.weight", rows(0, 1)),
                ("in_proj_a.weight", rows(0, 1)),
                ("conv1d.weight", rows(2 * delta_net.keys_width(), value_dim)),
                ("dt_bias", rows(0, 1)),
                ("A_log", rows(0, 1)),
                ("out_proj.weight", Order::TiledColumns(tiles(value_dim))),
            ] {
                alter(part, &|place| place.order = order);
            }
        }
    }
}

/// Logarithms of how fast states decay, which files hold as numbers below 0. Gives the position of the first that is not.
pub(super) fn logarithms(values: &mut [f32]) -> Option<usize> {
    if let Some(position) = values.iter().position(|value| *value >= 0.0) {
        return Some(position);
    }
    values.iter_mut().for_each(|value| *value = f64::from(-*value).ln() as f32);
    None
}
