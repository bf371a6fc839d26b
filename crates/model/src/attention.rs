use std::ops::Range;
use std::sync::Arc;

use candle_core::{D, Tensor};
use neuro_checkpoint::{AttentionConfig, NormKind, QkNorm};

use crate::Result;
use crate::batch::Batch;
use crate::kernels::attention;
use crate::kernels::gated::sigmoid_times;
use crate::kernels::values::{Values, change};
use crate::latent::Latent;
use crate::linear::{Input, Linear};
use crate::mask::additive_mask;
use crate::norm::Norm;
use crate::rope::{Angles, Rope};
use crate::source::{Kernels, ParameterSource};
use crate::state::Slot;

/// Causal self-attention with grouped keys and values.
#[derive(Debug)]
pub(crate) struct Attention {
    projections: Projections,
    o_proj: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
    /// `(heads)`
    sinks: Option<Tensor>,
    rope: Arc<Rope>,
    config: AttentionConfig,
    kernels: Kernels,
}

/// Where queries, keys and values come from.
#[derive(Debug)]
enum Projections {
    /// `q_proj`, `k_proj`, `v_proj`.
    Plain(Box<[Linear; 3]>),
    Latent(Box<Latent>),
}

impl Attention {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        (hidden, norm_kind): (usize, (NormKind, f64)),
        config: &AttentionConfig,
        rope: Arc<Rope>,
        kernels: Kernels,
    ) -> Result<Self> {
        let AttentionConfig { heads, kv_heads, head_dim, .. } = *config;
        let linear = |part: &str, shape, bias| Linear::load(source, &format!("{name}.{part}"), shape, bias);
        let norm = |part: &str, heads: usize| {
            let width = match config.qk_norm {
                QkNorm::None => return Ok(None),
                QkNorm::EachHead => {
                    let (part, shape) = (part.replace("norm", "layernorm"), (heads, head_dim));
                    let name = format!("{name}.{part}");
                    return Norm::load_of_heads(source, &name, shape, norm_kind.1, kernels).map(Some);
                }
                QkNorm::Head => head_dim,
                QkNorm::Row => heads * head_dim,
            };
            Norm::load(source, &format!("{name}.{part}"), width, norm_kind, kernels).map(Some)
        };
        Ok(Self {
            projections: match &config.latent {
                None => Projections::Plain(Box::new([
                    linear("q_proj", (hidden, config.q_rows()), config.q_bias)?,
                    linear("k_proj", (hidden, kv_heads * head_dim), config.k_bias)?,
                    linear("v_proj", (hidden, kv_heads * head_dim), config.v_bias)?,
                ])),
                Some(latent) => {
                    Projections::Latent(Box::new(Latent::load(source, name, hidden, (config, latent), kernels)?))
                }
            },
            o_proj: {
                let width = config.latent.map_or(head_dim, |latent| latent.v_dim);
                linear("o_proj", (heads * width, hidden), config.o_bias)?
            },
            q_norm: norm("q_norm", heads)?,
            k_norm: norm("k_norm", kv_heads)?,
            sinks: config.sinks.then(|| source.parameter(&format!("{name}.sinks"), &[heads])).transpose()?,
            rope,
            config: config.clone(),
            kernels,
        })
    }

    /// Puts keys and values of every row of the input `(rows, hidden)` into the slots. Gives what [`Attention::forward`] needs
    /// of it.
    pub(crate) fn remember(&self, x: &Input<'_>, batch: &Batch, slots: &mut [&mut Slot]) -> Result<Remembered> {
        let AttentionConfig { kv_heads, head_dim, .. } = self.config;
        let angles = self.rope.angles(batch);
        let rows = batch.rows();
        let (q, k, v) = match &self.projections {
            Projections::Plain(plain) => {
                let [q_proj, k_proj, v_proj] = plain.as_ref();
                if batch.asked().is_none() {
                    let [q, k, v] = Linear::apply_all([q_proj, k_proj, v_proj], x)?;
                    (Some(q), k, v)
                } else {
                    let [k, v] = Linear::apply_all([k_proj, v_proj], x)?;
                    (None, k, v)
                }
            }
            Projections::Latent(latent) => {
                let (k, v) = latent.keys_and_values(x.tensor()?)?;
                (None, k, v)
            }
        };
        let k = self.normed(k, kv_heads, &self.k_norm)?;
        let k = self.rope.forward(k, &angles)?.reshape((rows, kv_heads * head_dim))?;
        let mut first = 0;
        for part in batch.parts().iter().filter(|part| part.rows() > 0) {
            slots[part.slot].append(k.narrow(0, first, part.rows())?, v.narrow(0, first, part.rows())?)?;
            first += part.rows();
        }
        Ok(Remembered { angles, q })
    }

    /// Input `(rows, hidden)` → `(asked rows, hidden)`, added to `onto` where that is given; the slots hold keys and values of
    /// every row.
    pub(crate) fn forward(
        &self,
        x: &Input<'_>,
        onto: Option<&Tensor>,
        remembered: Remembered,
        batch: &Batch,
        slots: &[&mut Slot],
    ) -> Result<Tensor> {
        let AttentionConfig { heads, head_dim, .. } = self.config;
        let Remembered { angles, q } = remembered;
        let some = batch.asked().map(|asked| x.select(asked)).transpose()?;
        let x = some.as_ref().unwrap_or(x);
        let angles = match batch.asked() {
            None => angles,
            Some(asked) => angles.select(asked),
        };
        let rows = batch.asked_rows();
        let q = match (q, &self.projections) {
            (Some(q), _) => q,
            (None, Projections::Plain(plain)) => plain[0].apply(x)?,
            (None, Projections::Latent(latent)) => latent.queries(x.tensor()?)?,
        };
        let (q, gate) = self.without_gates(q)?;
        let q = self.normed(q, heads, &self.q_norm)?;
        let q = self.rope.forward(q, &angles)?.reshape((rows, heads * head_dim))?;
        let slots: Vec<&Slot> = slots.iter().map(|slot| &**slot).collect();
        let attended = self.attend(&q, batch, &slots)?;
        let attended = match gate {
            None => attended,
            Some(gate) => self.gated(gate, &attended)?,
        };
        let attended = match &self.projections {
            Projections::Plain(_) => attended,
            Projections::Latent(latent) => latent.attended(&attended)?,
        };
        let attended = Input::new(&attended);
        match onto {
            None => self.o_proj.apply(&attended),
            Some(onto) => self.o_proj.apply_onto(&attended, onto),
        }
    }

    /// Queries, and the gates that stand behind each head's, both `(rows, heads·head_dim)`.
    fn without_gates(&self, q: Tensor) -> Result<(Tensor, Option<Tensor>)> {
        if !self.config.output_gate {
            return Ok((q, None));
        }
        let AttentionConfig { heads, head_dim, .. } = self.config;
        let rows = q.dim(0)?;
        let both = q.reshape((rows, heads, 2 * head_dim))?;
        let part = |first: usize| both.narrow(2, first, head_dim)?.contiguous()?.reshape((rows, heads * head_dim));
        Ok((part(0)?, Some(part(head_dim)?)))
    }

    /// `sigmoid(gate) · x`, both `(rows, heads·head_dim)`.
    fn gated(&self, gate: Tensor, x: &Tensor) -> Result<Tensor> {
        if self.kernels == Kernels::Fused
            && let Some(values) = Values::of(x)
            && change(&gate, |gates| sigmoid_times(gates, values.get()))?
        {
            return Ok(gate);
        }
        Ok((candle_nn::ops::sigmoid(&gate)? * x)?)
    }

    /// `(rows, heads·head_dim)` → `(rows, heads, head_dim)`, normed where the model does that before RoPE.
    fn normed(&self, x: Tensor, heads: usize, norm: &Option<Norm>) -> Result<Tensor> {
        let shape = (x.dim(0)?, heads, self.config.head_dim);
        Ok(match (norm, self.config.qk_norm) {
            (Some(norm), QkNorm::Row) => norm.forward(&x)?.reshape(shape)?,
            (Some(norm), _) => norm.forward(&x.reshape(shape)?)?,
            (None, _) => x.reshape(shape)?,
        })
    }

    /// q `(asked rows, heads·head_dim)` → the same shape: every segment over its own keys and values.
    fn attend(&self, q: &Tensor, batch: &Batch, slots: &[&Slot]) -> Result<Tensor> {
        let spans = spans(batch, slots);
        if self.kernels == Kernels::Fused
            && let Some(attended) = self.attend_in_place(q, &spans)?
        {
            return Ok(attended);
        }
        let mut order: Vec<usize> = (0..spans.len()).collect();
        order.sort_by_key(|&index| (spans[index].total, spans[index].queries.len()));
        let mut attended: Vec<Option<Tensor>> = vec![None; spans.len()];
        for group in order.chunk_by(|&a, &b| spans[a].shape() == spans[b].shape()) {
            let members: Vec<&Span<'_>> = group.iter().map(|&index| &spans[index]).collect();
            let out = self.attend_group(q, &members)?;
            let queries = members[0].queries.len();
            for (index, &member) in group.iter().enumerate() {
                attended[member] = Some(out.narrow(0, index * queries, queries)?);
            }
        }
        let attended: Vec<Tensor> = attended.into_iter().flatten().collect();
        Ok(match attended.as_slice() {
            [one] => one.contiguous()?,
            several => Tensor::cat(several, 0)?,
        })
    }

    /// All spans over keys and values where they lie; `None` when some of it is not f32 in memory.
    fn attend_in_place(&self, q: &Tensor, spans: &[Span<'_>]) -> Result<Option<Tensor>> {
        let AttentionConfig { heads, kv_heads, head_dim, window, scale, softcap, .. } = self.config;
        let sinks = self.sinks.as_ref().map(Values::of);
        let sinks = match &sinks {
            None => None,
            Some(None) => return Ok(None),
            Some(Some(sinks)) => Some(sinks.get()),
        };
        let stored = spans.iter().map(|span| span.slot.rows(span.keys())).collect::<Result<Vec<_>>>()?;
        let stored: Option<Vec<_>> = stored.iter().map(|(k, v)| Some((Values::of(k)?, Values::of(v)?))).collect();
        let (Some(queries), Some(stored)) = (Values::of(q), stored) else { return Ok(None) };
        let spans: Vec<attention::Span<'_>> = spans
            .iter()
            .zip(&stored)
            .map(|(span, (keys, values))| attention::Span {
                queries: span.queries.clone(),
                keys: keys.get(),
                values: values.get(),
                past: span.past,
                own: span.own.clone(),
            })
            .collect();
        let mut out = vec![0.0; q.elem_count()];
        let (scale, softcap) = (scale as f32, softcap.map(|cap| cap as f32));
        let dims = attention::Dims { heads, kv_heads, head_dim, window, scale, softcap, sinks };
        attention::attend(queries.get(), &spans, &dims, &mut out);
        Ok(Some(Tensor::from_vec(out, q.shape(), q.device())?))
    }

    /// Spans of equal shape at once: `(batch·queries, heads·head_dim)`, span after span.
    fn attend_group(&self, q: &Tensor, spans: &[&Span<'_>]) -> Result<Tensor> {
        let AttentionConfig { heads, kv_heads, head_dim, window, scale, .. } = self.config;
        let (batch, queries, total) = (spans.len(), spans[0].queries.len(), spans[0].total);
        // The queries of a kv head stand under one another, so keys need no copy per query head:
        // (batch, kv_heads, group·queries, head_dim) · (batch, kv_heads, head_dim, total)
        let stacked = heads / kv_heads * queries;
        let q = narrow_all(spans.iter().map(|span| (q, span.queries.clone())))?;
        let q = q.reshape((batch, queries, heads, head_dim))?.transpose(1, 2)?.contiguous()?;
        let q = (q.reshape((batch, kv_heads, stacked, head_dim))? * scale)?;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for span in spans {
            let (k, v) = span.slot.rows(span.keys())?;
            keys.extend(span.keys().map(|rows| (k, rows.clone())));
            values.extend(span.keys().map(|rows| (v, rows.clone())));
        }
        let split = |x: Tensor| x.reshape((batch, total, kv_heads, head_dim))?.transpose(1, 2)?.contiguous();
        let (k, v) = (split(narrow_all(keys.into_iter())?)?, split(narrow_all(values.into_iter())?)?);

        let scores = q.matmul(&k.t()?)?;
        let scores = match self.config.softcap {
            Some(cap) => ((scores / cap)?.tanh()? * cap)?,
            None => scores,
        };
        let scores = match additive_mask(total - queries, queries, window, scores.device())? {
            Some(mask) => scores
                .reshape((batch, heads, queries, total))?
                .broadcast_add(&mask)?
                .reshape((batch, kv_heads, stacked, total))?,
            None => scores,
        };
        let scores = match &self.sinks {
            Some(sinks) => {
                let sinks = sinks.reshape((1, kv_heads, heads / kv_heads, 1))?;
                let sinks = sinks.broadcast_as((batch, kv_heads, heads / kv_heads, queries))?;
                Tensor::cat(&[&scores, &sinks.reshape((batch, kv_heads, stacked, 1))?], 3)?
            }
            None => scores,
        };
        let weights = match self.kernels {
            Kernels::Fused => candle_nn::ops::softmax_last_dim(&scores)?,
            Kernels::Differentiable => candle_nn::ops::softmax(&scores, D::Minus1)?,
        };
        let weights = if self.sinks.is_some() { weights.narrow(3, 0, total)?.contiguous()? } else { weights };
        // (batch, kv_heads, group·queries, head_dim) → (batch, heads, queries, head_dim) → (batch·queries, …)
        let out = weights.matmul(&v)?.reshape((batch, heads, queries, head_dim))?;
        Ok(out.transpose(1, 2)?.reshape((batch * queries, heads * head_dim))?)
    }

    pub(crate) fn bytes(&self) -> usize {
        let projections = match &self.projections {
            Projections::Plain(plain) => plain.iter().map(Linear::bytes).sum(),
            Projections::Latent(latent) => latent.bytes(),
        };
        let norms = [&self.q_norm, &self.k_norm].map(|norm| norm.as_ref().map_or(0, Norm::bytes));
        let sinks = self.sinks.as_ref().map_or(0, |sinks| sinks.elem_count() * size_of::<f32>());
        projections + self.o_proj.bytes() + norms.iter().sum::<usize>() + sinks
    }
}

/// What is known of a batch once its keys and values are in their slots.
pub(crate) struct Remembered {
    angles: Angles,
    /// The queries as they are projected, where they come from the very rows that keys do: `(rows, heads·head_dim)`.
    q: Option<Tensor>,
}

/// The asked rows of one segment, and the keys that they see.
struct Span<'a> {
    slot: &'a Slot,
    past: &'a [Range<usize>],
    /// Rows of the slot that the segment itself got.
    own: Range<usize>,
    /// Rows among all that are asked for.
    queries: Range<usize>,
    /// Keys: past and own.
    total: usize,
}

impl Span<'_> {
    fn keys(&self) -> impl Iterator<Item = &Range<usize>> {
        self.past.iter().chain(std::iter::once(&self.own))
    }

    fn shape(&self) -> (usize, usize) {
        (self.total, self.queries.len())
    }
}

/// The spans of a batch whose keys and values have just been appended, those without queries left out.
fn spans<'a>(batch: &'a Batch, slots: &[&'a Slot]) -> Vec<Span<'a>> {
    let mut spans = Vec::new();
    let mut query = 0;
    for part in batch.parts() {
        let slot = slots[part.slot];
        let mut row = slot.len() - part.rows();
        for segment in &part.segments {
            let asked = segment.asked.min(segment.len);
            if asked > 0 {
                spans.push(Span {
                    slot,
                    past: &segment.past,
                    own: row..row + segment.len,
                    queries: query..query + asked,
                    total: segment.total(),
                });
            }
            row += segment.len;
            query += asked;
        }
    }
    spans
}

/// The given rows of the given tensors under one another; adjacent rows are taken at once, and all at once without a copy.
fn narrow_all<'a>(pieces: impl Iterator<Item = (&'a Tensor, Range<usize>)>) -> Result<Tensor> {
    let mut merged: Vec<(&Tensor, Range<usize>)> = Vec::new();
    for (tensor, rows) in pieces {
        match merged.last_mut() {
            Some((last, range)) if range.end == rows.start && last.id() == tensor.id() => range.end = rows.end,
            _ => merged.push((tensor, rows)),
        }
    }
    let views = merged.into_iter().map(|(tensor, rows)| tensor.narrow(0, rows.start, rows.len()));
    let views = views.collect::<candle_core::Result<Vec<_>>>()?;
    Ok(match views.as_slice() {
        [one] => one.clone(),
        several => Tensor::cat(several, 0)?,
    })
}
