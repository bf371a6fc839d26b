//! The gated delta rule over rows that lie where they arrived, token by token: see
//! [`neuro_checkpoint::DeltaNetConfig`] for the formula.
//!
//! A row's result is one fixed chain of operations over the rows before it, however these are cut into stretches and
//! wherever one begins, so it is the same bit for bit in a batch, alone, and computed again.

use std::sync::Arc;

use neuro_checkpoint::{Activation, DeltaNetConfig};
use rayon::prelude::*;

use super::gated::activate_here;
use super::lanes::{LANES, Lanes, Line};

/// Columns of a state that are worked on together, in lines: their sums are chains of their own, and what is read twice
/// stays in the first cache.
const TOGETHER: usize = 4;

/// Multiply-adds from which threads pay for being woken.
const PARALLEL_FROM: usize = 1 << 19;

const EPS: f32 = DeltaNetConfig::LENGTH_EPS as f32;

/// Weights between the projections.
#[derive(Debug)]
pub(crate) struct Weights<'a> {
    /// `(taps, channels)`, the newest token last.
    pub(crate) conv: &'a [f32],
    /// `(value heads)`
    pub(crate) a_log: &'a [f32],
    /// `(value heads)`
    pub(crate) dt_bias: &'a [f32],
}

/// Rows that follow one another in a text, with what they need.
#[derive(Debug)]
pub(crate) struct Stretch<'a> {
    /// The slot's channels before the convolution, `(slot rows, channels)`.
    pub(crate) channels: &'a [f32],
    /// The slot's b and a, `(slot rows, 2·value heads)`.
    pub(crate) gates: &'a [f32],
    /// Slot rows in order of position. The first `before` only feed the convolution.
    pub(crate) rows: &'a [usize],
    pub(crate) before: usize,
    pub(crate) base: Base,
    /// How many of the last rows give something.
    pub(crate) asked: usize,
    /// Behind which indices of `rows` the state is kept, ascending, and the numbers under which.
    pub(crate) kept: Vec<(usize, usize)>,
}

/// The state with which a stretch begins.
#[derive(Debug, Clone)]
pub(crate) enum Base {
    /// That of an empty text.
    Empty,
    /// One that is known.
    Known(Arc<Vec<Line>>),
    /// One that an earlier stretch keeps, by its number.
    Kept(usize),
}

/// Lines of a state.
pub(crate) fn state_lines(config: &DeltaNetConfig) -> usize {
    config.value_heads * head_lines(config)
}

/// Lines of one value head's: for each [`LANES`] columns one for each row, so that columns that are worked on together lie
/// in few places.
fn head_lines(config: &DeltaNetConfig) -> usize {
    config.value_dim.div_ceil(LANES) * config.key_dim
}

/// Runs the rule. `out` is `(asked rows of all stretches, value heads·value_dim)`. Gives the states that are kept, by number.
///
/// # Panics
/// When a row lies outside its buffer, or a stretch begins with a state that no earlier one keeps.
pub(crate) fn run(
    stretches: &[Stretch<'_>],
    weights: &Weights<'_>,
    config: &DeltaNetConfig,
    out: &mut [f32],
) -> Vec<Vec<Line>> {
    let DeltaNetConfig { key_heads, value_heads, key_dim, value_dim, .. } = *config;
    let group = value_heads / key_heads;
    let count = stretches.iter().map(|stretch| stretch.kept.len()).sum();
    let mut kept = vec![vec![Line::default(); state_lines(config)]; count];
    let mut heads: Vec<Head<'_>> = (0..key_heads).map(|head| Head { head, ..Head::default() }).collect();
    for row in out.chunks_exact_mut(value_heads * value_dim) {
        for (head, out) in heads.iter_mut().zip(row.chunks_exact_mut(group * value_dim)) {
            head.outs.push(out);
        }
    }
    for state in &mut kept {
        for (head, state) in heads.iter_mut().zip(state.chunks_exact_mut(group * head_lines(config))) {
            head.kept.push(state);
        }
    }
    let rows: usize = stretches.iter().map(|stretch| stretch.rows.len() - stretch.before).sum();
    match rows * 3 * value_heads * key_dim * value_dim < PARALLEL_FROM {
        true => heads.into_iter().for_each(|head| head.run(stretches, weights, config)),
        false => heads.into_par_iter().with_max_len(1).for_each(|head| head.run(stretches, weights, config)),
    }
    kept
}

/// One key head with its value heads, and where what they give goes.
#[derive(Default)]
struct Head<'a> {
    head: usize,
    /// Of each asked row.
    outs: Vec<&'a mut [f32]>,
    /// Of each kept state.
    kept: Vec<&'a mut [Line]>,
}

impl Head<'_> {
    fn run(mut self, stretches: &[Stretch<'_>], weights: &Weights<'_>, config: &DeltaNetConfig) {
        let DeltaNetConfig { key_heads, value_heads, key_dim, value_dim, .. } = *config;
        let group = value_heads / key_heads;
        let lines = group * head_lines(config);
        let mut state = vec![Line::default(); lines];
        let (mut q, mut k, mut v) = (vec![0.0; key_dim], vec![0.0; key_dim], vec![0.0; group * value_dim]);
        let of_values = 2 * config.keys_width() + self.head * group * value_dim;
        let mut outs = std::mem::take(&mut self.outs).into_iter();
        for stretch in stretches {
            match &stretch.base {
                Base::Empty => state.fill(Line::default()),
                Base::Known(known) => state.copy_from_slice(&known[self.head * lines..][..lines]),
                Base::Kept(number) => state.copy_from_slice(&*self.kept[*number]),
            }
            let first_asked = stretch.rows.len() - stretch.asked;
            let mut to_keep = stretch.kept.iter().peekable();
            for index in stretch.before..stretch.rows.len() {
                let is_asked = index >= first_asked;
                let convolved =
                    |first: usize, out: &mut [f32]| convolve(stretch, index, weights.conv, (config, first), out);
                if is_asked {
                    convolved(self.head * key_dim, &mut q);
                    to_length(&mut q, (key_dim as f32).powf(-0.5));
                }
                convolved(config.keys_width() + self.head * key_dim, &mut k);
                to_length(&mut k, 1.0);
                convolved(of_values, &mut v);
                let mut out = if is_asked { outs.next() } else { None };
                let heads = state.chunks_exact_mut(head_lines(config)).zip(v.chunks_exact(value_dim));
                let gates = &stretch.gates[stretch.rows[index] * 2 * value_heads..][..2 * value_heads];
                for (member, (state, v)) in heads.enumerate() {
                    let head = self.head * group + member;
                    let beta = 1.0 / (1.0 + (-gates[head]).exp());
                    let rate = weights.a_log[head].exp() * softplus(gates[value_heads + head] + weights.dt_bias[head]);
                    let token = Token { k: &k, q: &q, beta, decay: (-rate).exp() };
                    let out = out.as_deref_mut().map(|out| &mut out[member * value_dim..][..value_dim]);
                    token.step(state, v, out);
                }
                if let Some((_, number)) = to_keep.next_if(|(at, _)| *at == index) {
                    self.kept[*number].copy_from_slice(&state);
                }
            }
        }
    }
}

/// `ln(1 + eˣ)`; above 20 that is x, as in torch.
fn softplus(x: f32) -> f32 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}

/// The causal convolution of some adjacent channels, then SiLU: `out[c] = silu(Σ_t conv[t][c] · x[row − taps + 1 + t][c])`.
/// Before the text there is nothing.
fn convolve(
    stretch: &Stretch<'_>,
    index: usize,
    conv: &[f32],
    (config, first): (&DeltaNetConfig, usize),
    out: &mut [f32],
) {
    let width = config.channels();
    out.fill(0.0);
    let seen = (index + 1).min(config.taps);
    for (ago, &row) in stretch.rows[..=index].iter().rev().take(seen).enumerate().rev() {
        let taps = &conv[(config.taps - 1 - ago) * width + first..][..out.len()];
        let x = &stretch.channels[row * width + first..][..out.len()];
        for ((out, tap), x) in out.chunks_mut(LANES).zip(taps.chunks(LANES)).zip(x.chunks(LANES)) {
            Lanes::load_part(x).fma(Lanes::load_part(tap), Lanes::load_part(out)).store_part(out);
        }
    }
    activate_here(out, Activation::Silu);
}

/// Brings a vector to the given length.
fn to_length(x: &mut [f32], length: f32) {
    let mut sum = Lanes::splat(0.0);
    for x in x.chunks(LANES) {
        let x = Lanes::load_part(x);
        sum = x.fma(x, sum);
    }
    let scale = Lanes::splat(length / (sum.sum() + EPS).sqrt());
    for x in x.chunks_mut(LANES) {
        Lanes::load_part(x).mul(scale).store_part(x);
    }
}

/// What a token brings to a value head.
struct Token<'a> {
    k: &'a [f32],
    q: &'a [f32],
    beta: f32,
    decay: f32,
}

impl Token<'_> {
    /// Takes the token into a head's state and, where it is asked for, reads what it finds there.
    fn step(&self, state: &mut [Line], v: &[f32], out: Option<&mut [f32]>) {
        let columns = TOGETHER * LANES;
        let mut out = out.map(|out| out.chunks_mut(columns));
        for (state, v) in state.chunks_mut(TOGETHER * self.k.len()).zip(v.chunks(columns)) {
            let out = out.as_mut().and_then(Iterator::next);
            match v.len().div_ceil(LANES) {
                1 => self.columns::<1>(state, v, out),
                2 => self.columns::<2>(state, v, out),
                3 => self.columns::<3>(state, v, out),
                _ => self.columns::<TOGETHER>(state, v, out),
            }
        }
    }

    /// The same for some columns; no column's numbers meet another's.
    #[inline(always)]
    fn columns<const W: usize>(&self, state: &mut [Line], v: &[f32], out: Option<&mut [f32]>) {
        let rows = self.k.len();
        let mut parts = state.chunks_exact_mut(rows);
        let mut parts: [&mut [Line]; W] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        let mut values = v.chunks(LANES);
        let values: [Lanes; W] = std::array::from_fn(|_| Lanes::load_part(values.next().unwrap_or_default()));
        let mut found = [Lanes::splat(0.0); W];
        for (row, &k) in self.k.iter().enumerate() {
            let k = Lanes::splat(k);
            for (found, part) in found.iter_mut().zip(&parts) {
                *found = Lanes::load(&part[row].0).fma(k, *found);
            }
        }
        let (beta, decay, minus_decay) = (Lanes::splat(self.beta), Lanes::splat(self.decay), Lanes::splat(-self.decay));
        let delta: [Lanes; W] = std::array::from_fn(|part| found[part].fma(minus_decay, values[part]).mul(beta));
        let Some(out) = out else {
            for (row, &k) in self.k.iter().enumerate() {
                let k = Lanes::splat(k);
                for (part, delta) in parts.iter_mut().zip(delta) {
                    k.fma(delta, Lanes::load(&part[row].0).mul(decay)).store(&mut part[row].0);
                }
            }
            return;
        };
        let mut read = [Lanes::splat(0.0); W];
        for (row, (&k, &q)) in self.k.iter().zip(self.q).enumerate() {
            let (k, q) = (Lanes::splat(k), Lanes::splat(q));
            for ((part, delta), read) in parts.iter_mut().zip(delta).zip(&mut read) {
                let new = k.fma(delta, Lanes::load(&part[row].0).mul(decay));
                new.store(&mut part[row].0);
                *read = new.fma(q, *read);
            }
        }
        for (read, out) in read.into_iter().zip(out.chunks_mut(LANES)) {
            read.store_part(out);
        }
    }
}

#[cfg(test)]
mod tests;
