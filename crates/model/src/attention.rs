use std::sync::Arc;

use candle_core::{D, Tensor};
use neuro_checkpoint::AttentionConfig;

use crate::Result;
use crate::batch::{Batch, Group};
use crate::linear::Linear;
use crate::mask::additive_mask;
use crate::norm::RmsNorm;
use crate::rope::Rope;
use crate::source::{Kernels, ParameterSource};
use crate::state::{KeyValue, Slot};

/// Causal self-attention with grouped keys and values.
#[derive(Debug)]
pub(crate) struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    rope: Arc<Rope>,
    config: AttentionConfig,
    kernels: Kernels,
}

impl Attention {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        (hidden, eps): (usize, f64),
        config: &AttentionConfig,
        rope: Arc<Rope>,
        kernels: Kernels,
    ) -> Result<Self> {
        let AttentionConfig { heads, kv_heads, head_dim, .. } = *config;
        let linear = |part: &str, shape, bias| Linear::load(source, &format!("{name}.{part}"), shape, bias);
        let norm = |part: &str| {
            let load = || RmsNorm::load(source, &format!("{name}.{part}"), head_dim, eps, kernels);
            config.qk_norm.then(load).transpose()
        };
        Ok(Self {
            q_proj: linear("q_proj", (hidden, heads * head_dim), config.q_bias)?,
            k_proj: linear("k_proj", (hidden, kv_heads * head_dim), config.k_bias)?,
            v_proj: linear("v_proj", (hidden, kv_heads * head_dim), config.v_bias)?,
            o_proj: linear("o_proj", (heads * head_dim, hidden), config.o_bias)?,
            q_norm: norm("q_norm")?,
            k_norm: norm("k_norm")?,
            rope,
            config: config.clone(),
            kernels,
        })
    }

    /// `(rows, hidden)` → `(rows, hidden)`; the slot gains the new keys and values of every sequence.
    pub(crate) fn forward(&self, x: &Tensor, batch: &Batch, slot: &mut Slot) -> Result<Tensor> {
        // 1. Project all rows at once.
        let (q, k, v) = (self.q_proj.forward(x)?, self.k_proj.forward(x)?, self.v_proj.forward(x)?);
        // 2. Attend, one group of equally shaped sequences after another.
        let attended = batch.groups().iter().map(|group| {
            let rows = |x: &Tensor| x.narrow(0, group.first_row, group.rows());
            self.attend(group, &rows(&q)?, &rows(&k)?, &rows(&v)?, slot)
        });
        let attended = attended.collect::<Result<Vec<_>>>()?;
        // 3. Project back: groups lie in row order.
        self.o_proj.forward(&Tensor::cat(&attended, 0)?)
    }

    /// q `(batch·seq, heads·head_dim)`, k and v `(batch·seq, kv_heads·head_dim)` → `(batch·seq, heads·head_dim)`.
    fn attend(&self, group: &Group, q: &Tensor, k: &Tensor, v: &Tensor, slot: &mut Slot) -> Result<Tensor> {
        let AttentionConfig { heads, kv_heads, head_dim, window, scale, .. } = self.config;
        let (batch, seq, total) = (group.sequences.len(), group.len, group.total());
        // (batch·seq, n·head_dim) → (batch, n, seq, head_dim), normed per head where the model does, before RoPE
        let split = |x: &Tensor, heads: usize, norm: &Option<RmsNorm>| -> Result<Tensor> {
            let x = x.reshape((batch, seq, heads, head_dim))?;
            let x = norm.as_ref().map_or(Ok(x.clone()), |norm| norm.forward(&x))?;
            Ok(x.transpose(1, 2)?.contiguous()?)
        };
        let q = self.rope.forward(&split(q, heads, &self.q_norm)?, group.past, group.span)?;
        let k = self.rope.forward(&split(k, kv_heads, &self.k_norm)?, group.past, group.span)?;
        let v = split(v, kv_heads, &None)?;
        let (k, v) = extend(slot, group, k, v)?;

        // The queries of a kv head stand under one another, so keys need no copy per query head:
        // (batch, kv_heads, group·seq, head_dim) · (batch, kv_heads, head_dim, total)
        let stacked = heads / kv_heads * seq;
        let q = (q.reshape((batch, kv_heads, stacked, head_dim))? * scale)?;
        let scores = q.matmul(&k.t()?)?;
        let scores = match additive_mask(group.past, seq, window, scores.device())? {
            Some(mask) => scores
                .reshape((batch, heads, seq, total))?
                .broadcast_add(&mask)?
                .reshape((batch, kv_heads, stacked, total))?,
            None => scores,
        };
        let weights = match self.kernels {
            Kernels::Fused => candle_nn::ops::softmax_last_dim(&scores)?,
            Kernels::Differentiable => candle_nn::ops::softmax(&scores, D::Minus1)?,
        };
        // (batch, kv_heads, group·seq, head_dim) → (batch, heads, seq, head_dim) → (batch·seq, heads·head_dim)
        let out = weights.matmul(&v)?.reshape((batch, heads, seq, head_dim))?;
        Ok(out.transpose(1, 2)?.reshape((batch * seq, heads * head_dim))?)
    }

    pub(crate) fn bytes(&self) -> usize {
        let linears = [&self.q_proj, &self.k_proj, &self.v_proj, &self.o_proj].map(Linear::bytes);
        let norms = [&self.q_norm, &self.k_norm].map(|norm| norm.as_ref().map_or(0, RmsNorm::bytes));
        linears.iter().chain(&norms).sum()
    }
}

/// Stores the new keys and values, `(batch, kv_heads, seq, head_dim)`, behind those of each sequence and gives all of
/// them, `(batch, kv_heads, total, head_dim)`. What the slot held is shared with other paths and is not written to.
fn extend(slot: &mut Slot, group: &Group, k: Tensor, v: Tensor) -> Result<(Tensor, Tensor)> {
    let past = group.sequences.iter().filter_map(|&sequence| slot.get(sequence, group.past).transpose());
    let past = past.collect::<Result<Vec<_>>>()?;
    let (k, v) = match past.is_empty() {
        true => (k, v),
        false => {
            let join = |part: fn(&KeyValue) -> &Tensor, new: &Tensor| -> Result<Tensor> {
                Ok(Tensor::cat(&[&gather(&past, part)?, new], 2)?)
            };
            (join(|entry| &entry.k, &k)?, join(|entry| &entry.v, &v)?)
        }
    };
    for (index, &sequence) in group.sequences.iter().enumerate() {
        slot.set(sequence, KeyValue { k: k.clone(), v: v.clone(), index });
    }
    Ok((k, v))
}

/// Brings sequences together on the batch axis; without a copy where they already are, as in steady decoding.
fn gather(entries: &[&KeyValue], part: fn(&KeyValue) -> &Tensor) -> Result<Tensor> {
    let first = part(entries[0]);
    let (batch, _kv_heads, _total, _head_dim) = first.dims4()?;
    let together = |(index, entry): (usize, &&KeyValue)| entry.index == index && part(entry).id() == first.id();
    if batch == entries.len() && entries.iter().enumerate().all(together) {
        return Ok(first.clone());
    }
    let views = entries.iter().map(|entry| part(entry).narrow(0, entry.index, 1));
    Ok(Tensor::cat(&views.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
}
