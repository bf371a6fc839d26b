//! Tensors that GGUF files hold as parts of others: queries, keys and values as one, gate and up as one, all experts as
//! one, and DeepSeek's keys and values in two; those of delta nets are listed in [`super::delta`].

use std::collections::BTreeSet;

use super::delta;
use super::order::Order;
use super::places::Place;
use super::weights::GgufWeights;
use crate::config::DecoderConfig;
use crate::error::CheckpointError;

/// Where the numbers of a canonical tensor lie in stored ones.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Behind one another from a flat position on.
    Slice { start: usize, shape: Vec<usize> },
    /// DeepSeek's `kv_b_proj`: for each head, the rows of keys, stored as columns of `attn_k_b`, then those of values,
    /// stored as rows of `attn_v_b` (`DeepseekV2Model.modify_tensors` in llama.cpp's conversion).
    KeysAndValues(KeysAndValues),
}

/// See [`Piece::KeysAndValues`]; the tensor's own place is that of the keys.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeysAndValues {
    /// Of the values: the part of the model and the stored name.
    pub(super) values: (usize, String),
    /// Rows of a head's keys and values.
    pub(super) rows: (usize, usize),
    pub(super) shape: Vec<usize>,
}

impl Piece {
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::Slice { shape, .. } | Self::KeysAndValues(KeysAndValues { shape, .. }) => shape,
        }
    }
}

/// A stored tensor that holds an expected one: its canonical name, its shape, and where in it that begins.
struct Holder {
    name: String,
    shape: Vec<usize>,
    start: usize,
    order: Order,
}

impl GgufWeights {
    /// Finds expected tensors that are not stored by themselves as parts of others, and forgets those.
    pub(super) fn take_apart(
        &mut self,
        config: &DecoderConfig,
        expected: &[(String, Vec<usize>)],
    ) -> Result<(), CheckpointError> {
        let (mut used, mut found) = (BTreeSet::new(), Vec::new());
        for (name, shape) in expected.iter().filter(|(name, _)| !self.contains(name)) {
            if let Some(piece) = self.keys_and_values(config, name, shape, &mut used)? {
                found.push((name.clone(), piece));
                continue;
            }
            for holder in holders(config, name, shape) {
                let Some(stored) = self.shape_of(&holder.name) else { continue };
                if stored != holder.shape {
                    return Err(self.wrong_shape(&holder.name, &holder.shape));
                }
                let piece = Piece::Slice { start: holder.start, shape: shape.clone() };
                let place = self.place_in(&holder.name, piece).map(|place| Place { order: holder.order, ..place });
                found.extend(place.map(|place| (name.clone(), place)));
                used.insert(holder.name);
                break;
            }
        }
        // Beside `attn_kv_b`, as in files of early 2025, its two halves only repeat it.
        for (layer, _) in config.layers.iter().enumerate().filter(|(_, layer)| layer.attention.latent.is_some()) {
            used.extend(["k_b", "v_b"].map(|part| format!("model.layers.{layer}.self_attn.{part}_proj.weight")));
        }
        self.forget(&used);
        for (name, place) in found {
            self.put(name, place);
        }
        self.give_axes(expected);
        Ok(())
    }

    /// `kv_b_proj` from `attn_k_b` and `attn_v_b`.
    fn keys_and_values(
        &self,
        config: &DecoderConfig,
        name: &str,
        shape: &[usize],
        used: &mut BTreeSet<String>,
    ) -> Result<Option<Place>, CheckpointError> {
        let Some((layer, "self_attn.kv_b_proj.weight")) = layer_of(name) else { return Ok(None) };
        let Some(layer_config) = config.layers.get(layer) else { return Ok(None) };
        let (attention, &[_, rank]) = (&layer_config.attention, shape) else { return Ok(None) };
        let Some(latent) = attention.latent else { return Ok(None) };
        let names = ["k_b", "v_b"].map(|part| format!("model.layers.{layer}.self_attn.{part}_proj.weight"));
        let shapes = [[attention.heads, rank, latent.nope_dim], [attention.heads, latent.v_dim, rank]];
        for (name, shape) in names.iter().zip(&shapes) {
            match self.shape_of(name) {
                None => return Ok(None),
                Some(found) if found != shape => return Err(self.wrong_shape(name, shape)),
                Some(_) => used.insert(name.clone()),
            };
        }
        let Some(values) = self.source_of(&names[1]) else { return Ok(None) };
        let rows = (latent.nope_dim, latent.v_dim);
        let piece = Piece::KeysAndValues(KeysAndValues { values, rows, shape: shape.to_vec() });
        Ok(self.place_in(&names[0], piece))
    }

    /// The gate of a shared expert is one row, which files hold as a vector, and the channels of a convolution have an axis
    /// of one, which files leave out.
    fn give_axes(&mut self, expected: &[(String, Vec<usize>)]) {
        let changes = |name: &str| {
            [".mlp.shared_expert_gate.weight", ".linear_attn.conv1d.weight"].iter().any(|end| name.ends_with(end))
        };
        let longer = |shape: &[usize]| shape.iter().copied().filter(|&size| size != 1).collect::<Vec<_>>();
        for (name, shape) in expected.iter().filter(|(name, _)| changes(name)) {
            let Some(stored) = self.shape_of(name) else { continue };
            if stored != shape && longer(stored) == longer(shape) {
                let piece = Piece::Slice { start: 0, shape: shape.clone() };
                if let Some(place) = self.place_in(name, piece) {
                    self.put(name.clone(), place);
                }
            }
        }
    }
}

/// `model.layers.7.mlp.up_proj.weight` → 7 and `mlp.up_proj.weight`.
pub(super) fn layer_of(name: &str) -> Option<(usize, &str)> {
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    Some((layer.parse().ok()?, part))
}

/// The stored tensors in which an expected one may lie.
fn holders(config: &DecoderConfig, name: &str, shape: &[usize]) -> Vec<Holder> {
    let Some((layer, rest)) = layer_of(name) else { return Vec::new() };
    let Some((module, kind)) = rest.rsplit_once('.') else { return Vec::new() };
    let Some(layer_config) = config.layers.get(layer) else { return Vec::new() };
    let (rows, columns) = (shape[0], shape.get(1).copied().unwrap_or(1));
    let holder = |module: &str, leading: &[usize], start: usize| Holder {
        name: format!("model.layers.{layer}.{module}.{kind}"),
        shape: [leading, &shape[1..]].concat(),
        start: start * columns,
        order: Order::Straight,
    };
    let attention = &layer_config.attention;
    if let Some(delta_net) = &layer_config.delta_net {
        let held = delta::holders(delta_net, module).into_iter();
        let held = held.map(|held| Holder { order: held.order, ..holder(held.module, &[held.rows], held.first) });
        let held: Vec<Holder> = held.collect();
        if !held.is_empty() {
            return held;
        }
    }
    let (q, kv) = (attention.q_rows(), attention.kv_heads * attention.head_dim);
    let first_row = match module {
        "self_attn.q_proj" => Some(0),
        "self_attn.k_proj" => Some(q),
        "self_attn.v_proj" => Some(q + kv),
        _ => None,
    };
    if let Some(first_row) = first_row {
        // Where other layers have delta nets, the stored name is read as theirs.
        return ["self_attn.qkv_proj", delta::STACKED].map(|module| holder(module, &[q + 2 * kv], first_row)).into();
    }
    if let Some(first_row) = [("mlp.gate_proj", 0), ("mlp.up_proj", rows)].iter().find(|(name, _)| *name == module) {
        return vec![holder("mlp.gate_up_proj", &[2 * rows], first_row.1)];
    }
    let Some((expert, projection)) = module.strip_prefix("mlp.experts.").and_then(|rest| rest.split_once('.')) else {
        return Vec::new();
    };
    let (Ok(expert), Some(experts)) = (expert.parse::<usize>(), &layer_config.mlp.experts) else { return Vec::new() };
    let mut holders = vec![holder(&format!("mlp.experts.{projection}"), &[experts.count, rows], expert * rows)];
    if let Some(first_row) = [("gate_proj", 0), ("up_proj", rows)].iter().find(|(name, _)| *name == projection) {
        let start = 2 * expert * rows + first_row.1;
        holders.push(holder("mlp.experts.gate_up_proj", &[experts.count, 2 * rows], start));
    }
    holders
}
