//! Tensors that some checkpoints store in another form than the forward pass reads: several in one, or with their axes
//! the other way round.

use super::architecture::{Architecture, KNOWN};
use super::{DecoderConfig, DeltaNetConfig};
use crate::mxfp4::BLOCK;

/// The form in which an architecture stores some of a layer's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fused {
    /// `self_attn.qkv_proj`: the rows of q, then those of k, then those of v.
    QkvStacked,
    /// `self_attn.query_key_value`: for each head its rows of q, k and v.
    QkvByHead,
    /// `mlp.gate_up_proj`: the rows of gate, then those of up.
    GateUpStacked,
    /// GPT-2's matrices, `(in, out)`; those of q, k and v side by side.
    Gpt2,
    /// All experts' matrices in one, `(experts, in, out)`, with gate and up in turns.
    GptOssExperts,
    /// The same as MXFP4, `(experts, out, in / 32, 16 bytes)`, with scales in a tensor of their own.
    GptOssBlocks,
    /// All experts' matrices in one, `(experts, out, in)`, the rows of gate before those of up.
    ExpertsStacked,
    /// `linear_attn.in_proj_qkvz` and `in_proj_ba`: for each key head its rows of q and k, then those of the v and z, or the b
    /// and a, of its value heads.
    DeltaByKeyHead,
    /// `linear_attn.in_proj_qkv`: the rows of q, then those of k, then those of v.
    DeltaStacked,
}

/// Where the numbers of a tensor lie among stored ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredForm {
    /// The stored name, renamed as the architecture does.
    pub(crate) name: String,
    /// The stored shape.
    pub(crate) shape: Vec<usize>,
    pub(crate) view: View,
    /// Of MXFP4 blocks, name and shape of their scales.
    pub(crate) scales: Option<(String, Vec<usize>)>,
}

/// Where row r and column c lie: `start + r / block · block_stride + r % block · row_stride + c · column_stride`, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) start: usize,
    pub(crate) block: usize,
    pub(crate) block_stride: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl View {
    /// Where a row and a column lie.
    pub(crate) fn at(&self, row: usize, column: usize) -> usize {
        self.start
            + row / self.block * self.block_stride
            + row % self.block * self.row_stride
            + column * self.column_stride
    }

    /// Rows that lie behind one another from a row on.
    fn rows(first: usize, columns: usize) -> Self {
        Self { start: first * columns, block: usize::MAX, block_stride: 0, row_stride: columns, column_stride: 1 }
    }
}

/// What a canonical name is when its architecture's parts are replaced by those of Llama; `None` for tensors that are left
/// out.
pub(crate) fn renamed(config: &DecoderConfig, name: &str) -> Option<String> {
    let Some(architecture) = architecture(config) else { return Some(name.to_owned()) };
    let mut name = match name.strip_prefix(architecture.prefix) {
        Some(rest) => format!("model.{rest}"),
        None if architecture.prefix != "model." && !name.starts_with("lm_head.") && !name.starts_with("model.") => {
            format!("model.{name}")
        }
        None => name.to_owned(),
    };
    for (part, replacement) in architecture.renames {
        name = name.replacen(part, replacement, 1);
    }
    if architecture.unused.iter().any(|unused| name.starts_with(unused)) {
        return None;
    }
    let beyond = architecture.predictors && layer_of(&name).is_some_and(|(layer, _)| layer >= config.num_layers());
    (!beyond).then_some(name)
}

fn architecture(config: &DecoderConfig) -> Option<&'static Architecture> {
    KNOWN.iter().find(|known| known.model_type == config.model_type)
}

/// `model.layers.7.mlp.up_proj.weight` → 7 and `mlp.up_proj.weight`.
fn layer_of(name: &str) -> Option<(usize, &str)> {
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    Some((layer.parse().ok()?, part))
}

/// The forms in which a tensor of a layer may be stored instead of by itself.
pub(crate) fn stored_forms(config: &DecoderConfig, name: &str, shape: &[usize]) -> Vec<StoredForm> {
    let (Some(architecture), Some((layer, part))) = (architecture(config), layer_of(name)) else { return Vec::new() };
    let place = Place { config, layer, part, shape };
    let whole = |name: String| format!("model.layers.{layer}.{name}");
    let forms = architecture.fused.iter().filter_map(|fused| place.form(*fused));
    forms
        .map(|form| StoredForm {
            name: whole(form.name),
            scales: form.scales.map(|(name, shape)| (whole(name), shape)),
            ..form
        })
        .collect()
}

/// A tensor of a layer.
struct Place<'a> {
    config: &'a DecoderConfig,
    layer: usize,
    /// Module and `weight` or `bias`.
    part: &'a str,
    shape: &'a [usize],
}

impl Place<'_> {
    fn form(&self, fused: Fused) -> Option<StoredForm> {
        let (module, kind) = self.part.rsplit_once('.')?;
        let (rows, columns) = match *self.shape {
            [rows, columns] => (rows, columns),
            [rows] => (rows, 1),
            _ => return None,
        };
        let attention = &self.config.layers.get(self.layer)?.attention;
        let (q, kv) = (attention.heads * attention.head_dim, attention.kv_heads * attention.head_dim);
        let number = match module {
            "self_attn.q_proj" => Some((0, 0)),
            "self_attn.k_proj" => Some((1, q)),
            "self_attn.v_proj" => Some((2, q + kv)),
            _ => None,
        };
        let shape = |rows: usize| [&[rows], &self.shape[1..]].concat();
        match fused {
            Fused::QkvStacked => {
                let (_, first) = number?;
                let name = format!("self_attn.qkv_proj.{kind}");
                Some(StoredForm { name, shape: shape(q + 2 * kv), view: View::rows(first, columns), scales: None })
            }
            Fused::QkvByHead => {
                let (number, _) = number?;
                let head = attention.head_dim * columns;
                let view = View {
                    start: number * head,
                    block: attention.head_dim,
                    block_stride: 3 * head,
                    row_stride: columns,
                    column_stride: 1,
                };
                Some(StoredForm {
                    name: format!("self_attn.query_key_value.{kind}"),
                    shape: shape(3 * q),
                    view,
                    scales: None,
                })
            }
            Fused::GateUpStacked => {
                let first = match module {
                    "mlp.gate_proj" => 0,
                    "mlp.up_proj" => rows,
                    _ => return None,
                };
                let name = format!("mlp.gate_up_proj.{kind}");
                Some(StoredForm { name, shape: shape(2 * rows), view: View::rows(first, columns), scales: None })
            }
            Fused::Gpt2 => {
                let (stored, first, width) = match (module, number) {
                    (_, Some((_, first))) => ("self_attn.c_attn", first, q + 2 * kv),
                    ("self_attn.o_proj", _) => ("self_attn.c_proj", 0, rows),
                    ("mlp.up_proj", _) => ("mlp.c_fc", 0, rows),
                    ("mlp.down_proj", _) => ("mlp.c_proj", 0, rows),
                    _ => return None,
                };
                Some(turned(format!("{stored}.{kind}"), self.shape, (first, width, 1), 0))
            }
            Fused::GptOssExperts => {
                let (expert, projection) = module.strip_prefix("mlp.experts.")?.split_once('.')?;
                let expert: usize = expert.parse().ok()?;
                let count = self.config.layers[self.layer].mlp.experts.as_ref()?.count;
                let (stored, first, width, step) = match projection {
                    "gate_proj" => ("gate_up_proj", 0, 2 * rows, 2),
                    "up_proj" => ("gate_up_proj", 1, 2 * rows, 2),
                    "down_proj" => ("down_proj", 0, rows, 1),
                    _ => return None,
                };
                let name = if kind == "bias" { format!("{stored}_bias") } else { stored.to_owned() };
                let columns = if kind == "bias" { 1 } else { columns };
                let form =
                    turned(format!("mlp.experts.{name}"), self.shape, (first, width, step), expert * columns * width);
                Some(StoredForm { shape: [&[count], form.shape.as_slice()].concat(), ..form })
            }
            Fused::GptOssBlocks => {
                let (expert, projection) = module.strip_prefix("mlp.experts.")?.split_once('.')?;
                let expert: usize = expert.parse().ok()?;
                let count = self.config.layers[self.layer].mlp.experts.as_ref()?.count;
                if kind != "weight" || columns % BLOCK != 0 {
                    return None;
                }
                let (stored, first, height, step) = match projection {
                    "gate_proj" => ("gate_up_proj", 0, 2 * rows, 2),
                    "up_proj" => ("gate_up_proj", 1, 2 * rows, 2),
                    "down_proj" => ("down_proj", 0, rows, 1),
                    _ => return None,
                };
                let view = View { row_stride: step * columns, ..View::rows(expert * height + first, columns) };
                Some(StoredForm {
                    name: format!("mlp.experts.{stored}_blocks"),
                    shape: vec![count, height, columns / BLOCK, BLOCK / 2],
                    view,
                    scales: Some((format!("mlp.experts.{stored}_scales"), vec![count, height, columns / BLOCK])),
                })
            }
            Fused::ExpertsStacked => {
                let (expert, projection) = module.strip_prefix("mlp.experts.")?.split_once('.')?;
                let expert: usize = expert.parse().ok()?;
                let count = self.config.layers[self.layer].mlp.experts.as_ref()?.count;
                let (stored, first, height) = match projection {
                    "gate_proj" => ("gate_up_proj", 0, 2 * rows),
                    "up_proj" => ("gate_up_proj", rows, 2 * rows),
                    "down_proj" => ("down_proj", 0, rows),
                    _ => return None,
                };
                Some(StoredForm {
                    name: format!("mlp.experts.{stored}"),
                    shape: vec![count, height, columns],
                    view: View::rows(expert * height + first, columns),
                    scales: None,
                })
            }
            Fused::DeltaByKeyHead => self.delta_by_key_head(module, columns),
            Fused::DeltaStacked => {
                let delta_net = self.config.layers[self.layer].delta_net?;
                let keys = delta_net.keys_width();
                let first = match module {
                    "linear_attn.in_proj_q" => 0,
                    "linear_attn.in_proj_k" => keys,
                    "linear_attn.in_proj_v" => 2 * keys,
                    _ => return None,
                };
                let name = format!("linear_attn.in_proj_qkv.{kind}");
                Some(StoredForm {
                    name,
                    shape: shape(delta_net.channels()),
                    view: View::rows(first, columns),
                    scales: None,
                })
            }
        }
    }
}

impl Place<'_> {
    /// A projection of a delta net whose rows are stored key head by key head.
    fn delta_by_key_head(&self, module: &str, columns: usize) -> Option<StoredForm> {
        let delta_net = self.config.layers[self.layer].delta_net?;
        let DeltaNetConfig { key_heads, value_heads, key_dim, value_dim, .. } = delta_net;
        let group = value_heads / key_heads;
        let values = group * value_dim;
        let each = 2 * (key_dim + values);
        let (stored, first, block, each) = match module {
            "linear_attn.in_proj_q" => ("in_proj_qkvz", 0, key_dim, each),
            "linear_attn.in_proj_k" => ("in_proj_qkvz", key_dim, key_dim, each),
            "linear_attn.in_proj_v" => ("in_proj_qkvz", 2 * key_dim, values, each),
            "linear_attn.in_proj_z" => ("in_proj_qkvz", 2 * key_dim + values, values, each),
            "linear_attn.in_proj_b" => ("in_proj_ba", 0, group, 2 * group),
            "linear_attn.in_proj_a" => ("in_proj_ba", group, group, 2 * group),
            _ => return None,
        };
        let view = View { block, block_stride: each * columns, ..View::rows(first, columns) };
        let name = format!("linear_attn.{stored}.weight");
        Some(StoredForm { name, shape: vec![key_heads * each, columns], view, scales: None })
    }
}

/// A tensor whose rows lie in columns of a stored matrix of the given width, from column `first` on, each `step`-th; or in a
/// vector of that length.
fn turned(name: String, shape: &[usize], (first, width, step): (usize, usize, usize), start: usize) -> StoredForm {
    let view =
        View { start: start + first, block: usize::MAX, block_stride: 0, row_stride: step, column_stride: width };
    let shape = match *shape {
        [_, columns] => vec![columns, width],
        _ => vec![width],
    };
    StoredForm { name, shape, view, scales: None }
}
