//! Delta nets as llama.cpp stores them (`Qwen3NextModel` and `_LinearAttentionVReorderBase` in its `conversion/qwen.py`).

use neuro_checkpoint::{DeltaNetConfig, LayerConfig, ValueHeads};

use super::Writer;
use super::numbers::{Order, Piece, Tiles};
use super::tensors::Joined;
use crate::Result;
use crate::gguf::meta::Meta;

/// How far the model's epsilon may be from that with which queries and keys are brought to length 1: single precision.
const ALIKE: f64 = 1e-6;

impl Writer<'_> {
    /// Refuses delta nets that llama.cpp would compute otherwise (`build_layer_attn_linear`).
    pub(super) fn check_delta_net(&self, delta_net: &DeltaNetConfig) -> Result<()> {
        let DeltaNetConfig { key_dim, value_dim, .. } = *delta_net;
        if self.architecture.delta_nets.is_none() {
            return Err(self.refuse("some of its layers are delta nets, which llama.cpp has not in this architecture"));
        }
        if key_dim != value_dim {
            return Err(self.refuse(format!(
                "its delta nets have keys of {key_dim} numbers and values of {value_dim}, and llama.cpp has one width for both; \
                 export to hf"
            )));
        }
        let (eps, own) = (self.config.norm_eps, DeltaNetConfig::LENGTH_EPS);
        if (eps / own - 1.0).abs() > ALIKE {
            return Err(self.refuse(format!(
                "its delta nets bring queries and keys to length 1 with an epsilon of {own}, and llama.cpp takes that of the \
                 norms, which is {eps}; export to hf"
            )));
        }
        Ok(())
    }

    /// The first delta net along the path, or of the model, as keys.
    pub(super) fn describe_delta_nets(&self, meta: &mut Meta) -> Result<()> {
        let delta_net = self.first(|layer| layer.delta_net.is_some()).and_then(|layer| layer.delta_net);
        let of_model = || self.config.layers.iter().find_map(|layer| layer.delta_net);
        let Some(delta_net) = delta_net.or_else(of_model) else {
            return Err(
                self.refuse("none of its layers is a delta net, of which llama.cpp wants the sizes; export to hf")
            );
        };
        let DeltaNetConfig { key_heads, value_heads, key_dim, taps, .. } = delta_net;
        self.size(meta, "ssm.conv_kernel", taps)?;
        self.size(meta, "ssm.state_size", key_dim)?;
        self.size(meta, "ssm.group_count", key_heads)?;
        self.size(meta, "ssm.time_step_rank", value_heads)?;
        self.size(meta, "ssm.inner_size", delta_net.values_width())
    }

    /// Pairs of rotated numbers in three sections in turns, as Qwen3.5 has them: all count alike in a text, and the fourth
    /// section, which would not, is empty.
    pub(super) fn describe_sections(&self, meta: &mut Meta, rotated: usize) {
        let pairs = i32::try_from(rotated / 2).unwrap_or(i32::MAX);
        // The first of each three, the second, the third.
        let sections = [2, 1, 0].map(|more| pairs.saturating_add(more) / 3);
        meta.i32s(&self.key("rope.dimension_sections"), &[sections[0], sections[1], sections[2], 0]);
    }

    /// The tensor that a part of a delta net is written into.
    pub(super) fn delta_net_holder(&self, module: &str) -> Option<&'static str> {
        match module {
            "linear_attn.in_proj_q" | "linear_attn.in_proj_k" | "linear_attn.in_proj_v" => {
                Some("linear_attn.in_proj_qkv")
            }
            "linear_attn.in_proj_b" | "linear_attn.in_proj_a"
                if self.architecture.delta_nets == Some(ValueHeads::Grouped) =>
            {
                Some("linear_attn.in_proj_ba")
            }
            _ => None,
        }
    }

    /// The order of the rows, or columns, of a part of a delta net.
    pub(super) fn delta_net_order(&self, rest: &str, layer: &LayerConfig) -> Order {
        let (Some(ValueHeads::Tiled), Some(delta_net)) = (self.architecture.delta_nets, layer.delta_net) else {
            return Order::Straight;
        };
        let DeltaNetConfig { key_heads, value_heads, value_dim, .. } = delta_net;
        let tiles = |from, width| Tiles { from, key_heads, group: value_heads / key_heads.max(1), width };
        match rest.strip_prefix("linear_attn.").unwrap_or("") {
            "in_proj_v.weight" | "in_proj_z.weight" => Order::Tiled(tiles(0, value_dim)),
            "in_proj_b.weight" | "in_proj_a.weight" | "dt_bias" | "A_log" => Order::Tiled(tiles(0, 1)),
            "conv1d.weight" => Order::Tiled(tiles(2 * delta_net.keys_width(), value_dim)),
            "out_proj.weight" => Order::TiledColumns(tiles(0, value_dim)),
            _ => Order::Straight,
        }
    }
}

/// The rows of b and a key head by key head.
pub(super) fn by_key_head(pieces: Vec<Piece>, delta_net: &DeltaNetConfig) -> Vec<Piece> {
    let group = delta_net.value_heads / delta_net.key_heads.max(1);
    let of_head = |head: usize| {
        let rows = head * group..(head + 1) * group;
        pieces.iter().map(move |piece| Piece { rows: rows.clone(), ..piece.clone() })
    };
    (0..delta_net.key_heads).flat_map(of_head).collect()
}

impl Joined {
    /// The shape of a convolution's channels without the axis of one; `None` of anything else.
    pub(super) fn of_convolution(&self) -> Option<Vec<usize>> {
        let (_, shape) = self.parts.first().filter(|_| self.name == "linear_attn.conv1d.weight")?;
        let &[channels, _, taps] = shape.as_slice() else { return None };
        Some(vec![channels, taps])
    }
}
