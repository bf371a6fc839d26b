use candle_core::{D, DType, Tensor};
use neuro_checkpoint::{Activation, DeltaNetConfig, NormKind};

use crate::batch::Batch;
use crate::kernels::delta::{self, Weights};
use crate::kernels::gated::gated;
use crate::kernels::values::Values;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::recurrent::Recurrent;
use crate::source::{Kernels, ParameterSource, WeightType};
use crate::state::Slot;
use crate::stretches::{Base, Stretch, plan};
use crate::{ModelError, Result};

/// The gated delta net ([`DeltaNetConfig`] has the formula). Of every row its slot holds what goes into the convolution and
/// the numbers of its gates, and behind some rows the state.
#[derive(Debug)]
pub(crate) struct DeltaNet {
    /// `in_proj_q`, `in_proj_k`, `in_proj_v`.
    in_proj: Linear,
    /// `in_proj_b`, `in_proj_a`: f32 whatever the projections are held as, for what decays is multiplied up over all tokens.
    gates: Linear,
    in_proj_z: Linear,
    /// `(taps, channels)`
    conv: Tensor,
    /// `(value heads)`
    a_log: Tensor,
    /// `(value heads)`
    dt_bias: Tensor,
    norm: Norm,
    out_proj: Linear,
    config: DeltaNetConfig,
    kernels: Kernels,
}

impl DeltaNet {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        (hidden, eps): (usize, f64),
        config: &DeltaNetConfig,
        kernels: Kernels,
    ) -> Result<Self> {
        let DeltaNetConfig { value_heads, value_dim, taps, .. } = *config;
        let (keys, values, channels) = (config.keys_width(), config.values_width(), config.channels());
        let part = |part: &str| format!("{name}.{part}");
        let gate = |part: &str| source.parameter(&format!("{name}.in_proj_{part}.weight"), &[value_heads, hidden]);
        let qkv = [part("in_proj_q"), part("in_proj_k"), part("in_proj_v")];
        let qkv: Vec<(&str, usize)> = qkv.iter().map(String::as_str).zip([keys, keys, values]).collect();
        let conv = source.parameter(&part("conv1d.weight"), &[channels, 1, taps])?;
        Ok(Self {
            in_proj: Linear::load_joined(source, &qkv, hidden, false)?,
            gates: Linear::from_weight(Tensor::cat(&[gate("b")?, gate("a")?], 0)?, WeightType::F32)?,
            in_proj_z: Linear::load(source, &part("in_proj_z"), (hidden, values), false)?,
            conv: conv.reshape((channels, taps))?.t()?.contiguous()?,
            a_log: source.parameter(&part("A_log"), &[value_heads])?,
            dt_bias: source.parameter(&part("dt_bias"), &[value_heads])?,
            norm: Norm::load(source, &part("norm"), value_dim, (NormKind::Rms, eps), kernels)?,
            out_proj: Linear::load(source, &part("out_proj"), (values, hidden), false)?,
            config: *config,
            kernels,
        })
    }

    /// Puts what the recurrence needs of every row of the input `(rows, hidden)` into the slots.
    pub(crate) fn remember(&self, x: &Tensor, batch: &Batch, slots: &mut [&mut Slot]) -> Result<()> {
        let (channels, gates) = (self.in_proj.forward(x)?, self.gates.forward(x)?);
        let mut first = 0;
        for part in batch.parts().iter().filter(|part| part.rows() > 0) {
            let of_part = |x: &Tensor| x.narrow(0, first, part.rows());
            slots[part.slot].append(of_part(&channels)?, of_part(&gates)?)?;
            first += part.rows();
        }
        Ok(())
    }

    /// Input `(rows, hidden)` → `(asked rows, hidden)`; the slots hold every row, and keep some of the states.
    pub(crate) fn forward(&self, x: &Tensor, batch: &Batch, slots: &mut [&mut Slot]) -> Result<Tensor> {
        let x = match batch.asked() {
            None => x.clone(),
            Some(asked) => x.index_select(&Tensor::new(asked, x.device())?, 0)?,
        };
        let (stretches, count) = plan(batch, slots, self.config.taps)?;
        let read = match self.recur(&stretches, batch.asked_rows(), slots)? {
            Some(read) => read,
            None => self.recur_composed(&stretches, count, slots)?,
        };
        let DeltaNetConfig { value_heads, value_dim, .. } = self.config;
        let rows = batch.asked_rows();
        let normed = self.norm.forward(&read.reshape((rows, value_heads, value_dim))?)?;
        let normed = normed.reshape((rows, value_heads * value_dim))?;
        self.out_proj.forward(&self.gated(&self.in_proj_z.forward(&x)?, &normed)?)
    }

    /// `silu(z) · x`, both `(rows, value heads·value_dim)`.
    fn gated(&self, z: &Tensor, x: &Tensor) -> Result<Tensor> {
        if let (Kernels::Fused, Some(gates), Some(values)) = (self.kernels, Values::of(z), Values::of(x)) {
            let mut out = gates.get().to_vec();
            gated(&mut out, values.get(), Activation::Silu);
            return Ok(Tensor::from_vec(out, x.shape(), x.device())?);
        }
        Ok((z.silu()? * x)?)
    }

    /// Runs the recurrence where it lies in memory, `None` when some of it does not: `(rows, value heads·value_dim)`.
    fn recur(&self, stretches: &[Stretch], rows: usize, slots: &mut [&mut Slot]) -> Result<Option<Tensor>> {
        if self.kernels != Kernels::Fused {
            return Ok(None);
        }
        let stored = slots.iter().map(|slot| slot.held()).collect::<Vec<_>>();
        let stored: Vec<_> =
            stored.into_iter().map(|held| held.map(|(x, gates)| (Values::of(x), Values::of(gates)))).collect();
        let [conv, a_log, dt_bias] = [&self.conv, &self.a_log, &self.dt_bias].map(Values::of);
        let (Some(conv), Some(a_log), Some(dt_bias)) = (conv, a_log, dt_bias) else { return Ok(None) };
        let mut all = Vec::with_capacity(stretches.len());
        for stretch in stretches {
            let Some(Some((Some(channels), Some(gates)))) = stored.get(stretch.slot) else { return Ok(None) };
            let base = match &stretch.base {
                Base::Empty => delta::Base::Empty,
                Base::Kept(number) => delta::Base::Kept(*number),
                Base::Known(Recurrent::Packed(lines)) => delta::Base::Known(lines.clone()),
                Base::Known(Recurrent::Plain(_)) => return Ok(None),
            };
            all.push(delta::Stretch {
                channels: channels.get(),
                gates: gates.get(),
                rows: &stretch.rows,
                before: stretch.before,
                base,
                asked: stretch.asked,
                kept: stretch.kept.iter().map(|kept| (kept.at, kept.number)).collect(),
            });
        }
        let width = self.config.values_width();
        let mut out = vec![0.0; rows * width];
        let weights = Weights { conv: conv.get(), a_log: a_log.get(), dt_bias: dt_bias.get() };
        let states = delta::run(&all, &weights, &self.config, &mut out);
        drop(all);
        drop(stored);
        let states = states.into_iter().map(|lines| Recurrent::Packed(lines.into())).collect();
        keep(stretches, states, slots);
        Ok(Some(Tensor::from_vec(out, (rows, width), self.conv.device())?))
    }

    /// The same of elementary operations, token by token.
    fn recur_composed(&self, stretches: &[Stretch], count: usize, slots: &mut [&mut Slot]) -> Result<Tensor> {
        let DeltaNetConfig { value_heads, key_dim, value_dim, .. } = self.config;
        let mut states: Vec<Option<Tensor>> = vec![None; count];
        let mut read = Vec::new();
        for stretch in stretches {
            let (channels, gates) =
                slots[stretch.slot].held().ok_or(ModelError::SlotRows { expected: stretch.rows.len(), found: 0 })?;
            let tokens = self.tokens(channels, gates, stretch)?;
            let mut state = match &stretch.base {
                Base::Known(Recurrent::Plain(state)) => state.clone(),
                Base::Kept(number) => states[*number].clone().ok_or(ModelError::ForeignState)?,
                Base::Known(Recurrent::Packed(_)) => return Err(ModelError::ForeignState),
                Base::Empty => Tensor::zeros((value_heads, key_dim, value_dim), DType::F32, self.conv.device())?,
            };
            let mut kept = stretch.kept.iter().peekable();
            for index in stretch.before..stretch.rows.len() {
                let at = index - stretch.before;
                let row = |x: &Tensor| x.narrow(0, at, 1)?.squeeze(0);
                let (k, v) = (row(&tokens.k)?, row(&tokens.v)?);
                let (beta, decay) = (row(&tokens.beta)?, row(&tokens.decay)?);
                state = state.broadcast_mul(&decay.reshape((value_heads, 1, 1))?)?;
                let found = k.unsqueeze(1)?.matmul(&state)?.squeeze(1)?;
                let delta = (v - found)?.broadcast_mul(&beta.unsqueeze(1)?)?;
                state = (state + k.unsqueeze(2)?.matmul(&delta.unsqueeze(1)?)?)?;
                if index + stretch.asked >= stretch.rows.len() {
                    let out = row(&tokens.q)?.unsqueeze(1)?.matmul(&state)?;
                    read.push(out.reshape((1, value_heads * value_dim))?);
                }
                if let Some(kept) = kept.next_if(|kept| kept.at == index) {
                    states[kept.number] = Some(state.clone());
                }
            }
        }
        let states = states.into_iter().collect::<Option<Vec<_>>>().ok_or(ModelError::ForeignState)?;
        keep(stretches, states.into_iter().map(Recurrent::Plain).collect(), slots);
        Ok(Tensor::cat(&read, 0)?)
    }

    /// Queries, keys, values and gates of the rows that a stretch takes into its state.
    fn tokens(&self, channels: &Tensor, gates: &Tensor, stretch: &Stretch) -> Result<Tokens> {
        let DeltaNetConfig { key_heads, value_heads, key_dim, value_dim, taps } = self.config;
        let rows: Vec<u32> = stretch.rows.iter().map(|&row| row as u32).collect();
        let new = rows.len() - stretch.before;
        let rows = Tensor::new(rows, channels.device())?;
        // Before the text there is nothing.
        let seen = channels.index_select(&rows, 0)?.pad_with_zeros(0, taps - 1 - stretch.before, 0)?;
        let tap = |tap: usize| seen.narrow(0, tap, new)?.broadcast_mul(&self.conv.narrow(0, tap, 1)?);
        let mut x = tap(0)?;
        for number in 1..taps {
            x = (x + tap(number)?)?;
        }
        let x = x.silu()?;
        let (keys, values) = (self.config.keys_width(), self.config.values_width());
        let of_keys = |first: usize| -> Result<Tensor> {
            let x = x.narrow(1, first, keys)?.reshape((new, key_heads, 1, key_dim))?;
            let length = (x.sqr()?.sum_keepdim(D::Minus1)? + DeltaNetConfig::LENGTH_EPS)?.sqrt()?;
            let x = x.broadcast_div(&length)?.broadcast_as((new, key_heads, value_heads / key_heads, key_dim))?;
            Ok(x.contiguous()?.reshape((new, value_heads, key_dim))?)
        };
        let gates = gates.index_select(&rows, 0)?.narrow(0, stretch.before, new)?;
        let [b, a] = [0, value_heads].map(|first| gates.narrow(1, first, value_heads));
        let a = a?.broadcast_add(&self.dt_bias)?;
        // ln(1 + eˣ) without a large eˣ.
        let softplus = (a.relu()? + (a.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        Ok(Tokens {
            q: (of_keys(0)? * (key_dim as f64).powf(-0.5))?,
            k: of_keys(keys)?,
            v: x.narrow(1, 2 * keys, values)?.reshape((new, value_heads, value_dim))?,
            beta: candle_nn::ops::sigmoid(&b?)?,
            decay: softplus.broadcast_mul(&self.a_log.exp()?)?.neg()?.exp()?,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        let bytes = |tensor: &Tensor| tensor.elem_count() * size_of::<f32>();
        let linears = [&self.in_proj, &self.gates, &self.in_proj_z, &self.out_proj].map(Linear::bytes);
        let vectors = [&self.conv, &self.a_log, &self.dt_bias].map(bytes);
        linears.iter().sum::<usize>() + vectors.iter().sum::<usize>() + self.norm.bytes()
    }
}

/// What goes into the recurrence, row by row.
struct Tokens {
    /// `(rows, value heads, key_dim)`
    q: Tensor,
    /// `(rows, value heads, key_dim)`
    k: Tensor,
    /// `(rows, value heads, value_dim)`
    v: Tensor,
    /// `(rows, value heads)`
    beta: Tensor,
    /// `(rows, value heads)`
    decay: Tensor,
}

/// Hands the states, which are in order of their numbers, to the slots.
fn keep(stretches: &[Stretch], states: Vec<Recurrent>, slots: &mut [&mut Slot]) {
    let kept = stretches.iter().flat_map(|stretch| stretch.kept.iter().map(|kept| (stretch.slot, kept)));
    for ((slot, kept), state) in kept.zip(states) {
        slots[slot].states_mut().keep(kept.row, state, kept.from, kept.distance);
    }
}
