//! Rotary position embedding (arXiv 2104.09864) with the scalings of `transformers`' `modeling_rope_utils.py`.

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;
use neuro_checkpoint::{RopeConfig, RopeScaling};

use crate::Result;
use crate::batch::Batch;
use crate::kernels::rope;
use crate::kernels::values::change;
use crate::source::Kernels;

/// Rotates queries and keys. Shared by all layers of one [`RopeConfig`]; its tables grow as positions are met.
#[derive(Debug)]
pub(crate) struct Rope {
    config: RopeConfig,
    kernels: Kernels,
    /// Keyed by the planned length that changes the base, by [`LONG`], or by 0 where neither matters.
    tables: Mutex<HashMap<usize, Arc<Table>>>,
}

/// The key of longrope's table for texts that are longer than those of the first training.
const LONG: usize = usize::MAX;

/// Cosines and sines, each `(positions, rotary_dim / 2)`.
#[derive(Debug)]
struct Table {
    positions: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// Cosines and sines of the rows of a batch, each `(rows, rotary_dim / 2)`.
pub(crate) struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Angles {
    /// Those of some of the rows.
    pub(crate) fn select(&self, rows: &[u32]) -> Self {
        let pick = |values: &[f32]| {
            let row = |&row: &u32| &values[row as usize * self.half..(row as usize + 1) * self.half];
            rows.iter().flat_map(row).copied().collect()
        };
        Self { cos: pick(&self.cos), sin: pick(&self.sin), half: self.half }
    }
}

impl Rope {
    pub(crate) fn new(config: RopeConfig, kernels: Kernels) -> Self {
        Self { config, kernels, tables: Mutex::default() }
    }

    pub(crate) fn config(&self) -> &RopeConfig {
        &self.config
    }

    /// Rotates `(rows, heads, head_dim)` by the angles of its rows. Only the first `rotary_dim` features of a head turn;
    /// the rest pass. Where kernels of our own rotate, they do it in the place of `x`, which nobody else may hold.
    pub(crate) fn forward(&self, x: Tensor, angles: &Angles) -> Result<Tensor> {
        let (rows, heads, head_dim) = x.dims3()?;
        let RopeConfig { rotary_dim, interleaved, .. } = self.config;
        if rotary_dim == 0 {
            return Ok(x);
        }
        let turned = rope::Angles { cos: &angles.cos, sin: &angles.sin, rotary_dim, interleaved };
        let turn = |x: &mut [f32]| rope::rotate(x, heads * head_dim, head_dim, turned);
        if self.kernels == Kernels::Fused && change(&x, turn)? {
            return Ok(x);
        }
        let table =
            |values: &[f32]| Tensor::from_slice(values, (rows, 1, angles.half), x.device())?.to_dtype(x.dtype());
        let (cos, sin) = (table(&angles.cos)?, table(&angles.sin)?);
        if rotary_dim == head_dim {
            return self.rotate(&x, &cos, &sin);
        }
        let turned = self.rotate(&x.narrow(2, 0, rotary_dim)?.contiguous()?, &cos, &sin)?;
        Ok(Tensor::cat(&[&turned, &x.narrow(2, rotary_dim, head_dim - rotary_dim)?], 2)?)
    }

    /// `cos` and `sin` are `(rows, 1, rotary_dim / 2)`.
    fn rotate(&self, x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
        let interleaved = self.config.interleaved;
        if self.kernels == Kernels::Fused && interleaved {
            return Ok(candle_nn::rotary_emb::rope_i(&x.unsqueeze(2)?, cos, sin)?.squeeze(2)?);
        }
        if interleaved {
            let (rows, heads, dim) = x.dims3()?;
            let pairs = x.reshape((rows, heads, dim / 2, 2))?;
            let (left, right) = (pairs.narrow(3, 0, 1)?.squeeze(3)?, pairs.narrow(3, 1, 1)?.squeeze(3)?);
            let left_turned = (left.broadcast_mul(cos)? - right.broadcast_mul(sin)?)?;
            let right_turned = (right.broadcast_mul(cos)? + left.broadcast_mul(sin)?)?;
            return Ok(Tensor::stack(&[left_turned, right_turned], 3)?.reshape((rows, heads, dim))?);
        }
        if self.kernels == Kernels::Fused {
            // Each row as a sequence of one token with angles of its own: (rows, heads, 1, rotary_dim)
            return Ok(candle_nn::rotary_emb::rope(&x.unsqueeze(2)?, cos, sin)?.squeeze(2)?);
        }
        let halves = x.chunk(2, 2)?;
        let (left, right) = (&halves[0], &halves[1]);
        let left_turned = (left.broadcast_mul(cos)? - right.broadcast_mul(sin)?)?;
        let right_turned = (right.broadcast_mul(cos)? + left.broadcast_mul(sin)?)?;
        Ok(Tensor::cat(&[left_turned, right_turned], 2)?)
    }

    /// The angles of every row of a batch.
    pub(crate) fn angles(&self, batch: &Batch) -> Angles {
        let half = self.config.rotary_dim / 2;
        if half == 0 {
            return Angles { cos: Vec::new(), sin: Vec::new(), half };
        }
        let (mut cos, mut sin) = (Vec::with_capacity(batch.rows() * half), Vec::with_capacity(batch.rows() * half));
        for segment in batch.segments().filter(|segment| segment.len > 0) {
            let table = self.table(segment.total(), segment.span);
            let rows = segment.past_len() * half..segment.total() * half;
            cos.extend_from_slice(&table.cos[rows.clone()]);
            sin.extend_from_slice(&table.sin[rows]);
        }
        Angles { cos, sin, half }
    }

    fn table(&self, positions: usize, span: usize) -> Arc<Table> {
        let key = match self.config.scaling {
            RopeScaling::Dynamic { trained, .. } if span > trained => span,
            RopeScaling::LongRope { original, .. } if span > original => LONG,
            _ => 0,
        };
        // A poisoned lock only means that another thread failed while it held a complete map.
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&key).filter(|table| table.positions >= positions) {
            return table.clone();
        }
        let positions = positions.next_power_of_two().max(64);
        let frequencies = inverse_frequencies(&self.config, key);
        let magnitude = match self.config.scaling {
            RopeScaling::Yarn { attention_factor, .. } | RopeScaling::LongRope { attention_factor, .. } => {
                attention_factor
            }
            _ => 1.0,
        };
        // Angles are rounded to f32 before the cosine is taken, as transformers does: at position 100,000 that
        // rounding is larger than the parity bound.
        let angles = || (0..positions).flat_map(|p| frequencies.iter().map(move |f| f64::from(p as f32 * f)));
        let table = |f: fn(f64) -> f64| angles().map(|angle| (f(angle) * magnitude) as f32).collect();
        let table = Arc::new(Table { positions, cos: table(f64::cos), sin: table(f64::sin) });
        // Planned lengths differ from prompt to prompt; without a bound the tables of a long scan would pile up.
        if tables.len() >= 32 {
            tables.clear();
        }
        tables.insert(key, table.clone());
        table
    }
}

/// Angle per position of each rotated pair, `rotary_dim / 2` values. `span` is the planned length where it matters.
fn inverse_frequencies(config: &RopeConfig, span: usize) -> Vec<f32> {
    let RopeConfig { theta, rotary_dim, ref scaling, .. } = *config;
    let dim = rotary_dim as f64;
    let pairs = rotary_dim / 2;
    let plain = |theta: f64| (0..pairs).map(move |pair| theta.powf(-(2.0 * pair as f64) / dim));
    let frequencies: Vec<f64> = match *scaling {
        RopeScaling::Default => plain(theta).collect(),
        RopeScaling::Linear { factor } => plain(theta).map(|f| f / factor).collect(),
        RopeScaling::Factors { ref divisors } => plain(theta).zip(divisors).map(|(f, by)| f / f64::from(*by)).collect(),
        // NTK-aware scaling, https://www.reddit.com/r/LocalLLaMA/comments/14mrgpr
        RopeScaling::Dynamic { factor, trained } => {
            let stretch = factor * span.max(trained) as f64 / trained as f64 - (factor - 1.0);
            plain(theta * stretch.powf(dim / (dim - 2.0))).collect()
        }
        // Llama 3.1: long wavelengths are interpolated, short ones kept, those between blended.
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original } => plain(theta)
            .map(|f| {
                let turns = original as f64 * f / TAU;
                let kept = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                (1.0 - kept) * f / factor + kept * f
            })
            .collect(),
        RopeScaling::LongRope { ref short, ref long, .. } => {
            let divisors = if span == LONG { long } else { short };
            plain(theta).zip(divisors).map(|(f, divisor)| f / divisor).collect()
        }
        // YaRN, arXiv 2309.00071
        RopeScaling::Yarn { factor, beta_fast, beta_slow, original, truncate, .. } => {
            let pair_of = |turns: f64| dim * (original as f64 / (turns * TAU)).ln() / (2.0 * theta.ln());
            let (mut low, mut high) = (pair_of(beta_fast), pair_of(beta_slow));
            if truncate {
                (low, high) = (low.floor(), high.ceil());
            }
            let (low, mut high) = (low.max(0.0), high.min(dim - 1.0));
            if low == high {
                high += 0.001;
            }
            plain(theta)
                .enumerate()
                .map(|(pair, f)| {
                    let interpolated = ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    interpolated * f / factor + (1.0 - interpolated) * f
                })
                .collect()
        }
    };
    frequencies.into_iter().map(|f| f as f32).collect()
}
