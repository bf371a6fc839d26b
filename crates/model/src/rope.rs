//! Rotary position embedding (arXiv 2104.09864) with the scalings of `transformers`' `modeling_rope_utils.py`.

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Tensor};
use neuro_checkpoint::{RopeConfig, RopeScaling};

use crate::Result;
use crate::source::Kernels;

/// Rotates queries and keys. Shared by all layers of one [`RopeConfig`]; its tables grow as positions are met.
#[derive(Debug)]
pub(crate) struct Rope {
    config: RopeConfig,
    kernels: Kernels,
    device: Device,
    /// Keyed by the planned length that changes the base, or 0 where none does.
    tables: Mutex<HashMap<usize, Arc<Table>>>,
}

/// Cosines and sines, each `(positions, rotary_dim / 2)`.
#[derive(Debug)]
struct Table {
    positions: usize,
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    pub(crate) fn new(config: RopeConfig, kernels: Kernels, device: &Device) -> Self {
        Self { config, kernels, device: device.clone(), tables: Mutex::default() }
    }

    pub(crate) fn config(&self) -> &RopeConfig {
        &self.config
    }

    /// Rotates `(batch, heads, seq, head_dim)`, whose first token stands at position `past`. Only the first
    /// `rotary_dim` features of a head turn; the rest pass.
    pub(crate) fn forward(&self, x: &Tensor, past: usize, span: usize) -> Result<Tensor> {
        let (_batch, _heads, seq, head_dim) = x.dims4()?;
        let rotary_dim = self.config.rotary_dim;
        let table = self.table(past + seq, span)?;
        let (cos, sin) = (table.cos.narrow(0, past, seq)?, table.sin.narrow(0, past, seq)?);
        if rotary_dim == head_dim {
            return self.rotate(x, &cos, &sin);
        }
        let turned = self.rotate(&x.narrow(3, 0, rotary_dim)?.contiguous()?, &cos, &sin)?;
        Ok(Tensor::cat(&[&turned, &x.narrow(3, rotary_dim, head_dim - rotary_dim)?], 3)?)
    }

    fn rotate(&self, x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
        Ok(match self.kernels {
            Kernels::Fused => candle_nn::rotary_emb::rope(x, cos, sin)?,
            Kernels::Differentiable => candle_nn::rotary_emb::rope_slow(x, cos, sin)?,
        })
    }

    fn table(&self, positions: usize, span: usize) -> Result<Arc<Table>> {
        let key = match self.config.scaling {
            RopeScaling::Dynamic { trained, .. } if span > trained => span,
            _ => 0,
        };
        // A poisoned lock only means that another thread failed while it held a complete map.
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&key).filter(|table| table.positions >= positions) {
            return Ok(table.clone());
        }
        let positions = positions.next_power_of_two().max(64);
        let frequencies = inverse_frequencies(&self.config, key);
        let magnitude = match self.config.scaling {
            RopeScaling::Yarn { attention_factor, .. } => attention_factor,
            _ => 1.0,
        };
        // Angles are rounded to f32 before the cosine is taken, as transformers does: at position 100,000 that
        // rounding is larger than the parity bound.
        let angles = || (0..positions).flat_map(|p| frequencies.iter().map(move |f| f64::from(p as f32 * f)));
        let table = |f: fn(f64) -> f64| -> Result<Tensor> {
            let values: Vec<f32> = angles().map(|angle| (f(angle) * magnitude) as f32).collect();
            Ok(Tensor::from_vec(values, (positions, frequencies.len()), &self.device)?)
        };
        let table = Arc::new(Table { positions, cos: table(f64::cos)?, sin: table(f64::sin)? });
        // Planned lengths differ from prompt to prompt; without a bound the tables of a long scan would pile up.
        if tables.len() >= 32 {
            tables.clear();
        }
        tables.insert(key, table.clone());
        Ok(table)
    }
}

/// Angle per position of each rotated pair, `rotary_dim / 2` values. `span` is the planned length where it matters.
fn inverse_frequencies(config: &RopeConfig, span: usize) -> Vec<f32> {
    let RopeConfig { theta, rotary_dim, ref scaling } = *config;
    let dim = rotary_dim as f64;
    let pairs = rotary_dim / 2;
    let plain = |theta: f64| (0..pairs).map(move |pair| theta.powf(-(2.0 * pair as f64) / dim));
    let frequencies: Vec<f64> = match *scaling {
        RopeScaling::Default => plain(theta).collect(),
        RopeScaling::Linear { factor } => plain(theta).map(|f| f / factor).collect(),
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
