//! Rotary positions as keys, or as divisors of the frequencies.

use std::f64::consts::TAU;

use neuro_checkpoint::{AttentionConfig, LayerConfig, RopeConfig, RopeScaling};

use super::Writer;
use crate::Result;
use crate::gguf::meta::Meta;

/// YaRN's `beta_fast` and `beta_slow`, which llama.cpp has as numbers in its code: it knows keys for them, and reads them in
/// none of the architectures that are written here (`llama-model.cpp`, `models/*.cpp`).
const YARN_BOUNDS: (f64, f64) = (32.0, 1.0);
/// Base period where a file names none for windowed layers.
const LOCAL_THETA: f64 = 10_000.0;

/// Tensors of divisors by name.
pub(super) type Factors = Vec<(&'static str, Vec<f32>)>;

impl Writer<'_> {
    pub(super) fn rope(&self, meta: &mut Meta) -> Result<Factors> {
        let rotated = |layer: &LayerConfig| layer.attention.rope.rotary_dim > 0;
        let full = self.first(|layer| rotated(layer) && layer.attention.window.is_none());
        let Some(first) = full.or_else(|| self.first(rotated)) else { return Ok(Vec::new()) };
        let (attention, rope) = (&first.attention, &first.attention.rope);
        let differs = |layer: &&LayerConfig| rotated(layer) && layer.attention.rope != *rope;
        if let Some(other) = self.layers.iter().copied().find(differs) {
            self.local_rope(meta, rope, &other.attention)?;
        }
        meta.f32(&self.key("rope.freq_base"), rope.theta as f32);
        match &rope.scaling {
            RopeScaling::Default => {}
            RopeScaling::Linear { factor } => {
                meta.text(&self.key("rope.scaling.type"), "linear");
                meta.f32(&self.key("rope.scaling.factor"), *factor as f32);
            }
            RopeScaling::Yarn { .. } => self.yarn(meta, attention)?,
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original } => {
                self.refuse_divisors()?;
                let bounds = (*factor, *low_freq_factor, *high_freq_factor, *original as f64);
                return Ok(vec![("rope_freqs.weight", llama3_divisors(rope.theta, rope.rotary_dim, bounds))]);
            }
            RopeScaling::Factors { divisors } => {
                self.refuse_divisors()?;
                return Ok(vec![("rope_freqs.weight", divisors.clone())]);
            }
            RopeScaling::LongRope { short, long, attention_factor, original } if self.is("phi3") => {
                self.size(meta, "rope.scaling.original_context_length", *original)?;
                meta.f32(&self.key("rope.scaling.attn_factor"), *attention_factor as f32);
                let single = |factors: &[f64]| factors.iter().map(|&factor| factor as f32).collect();
                return Ok(vec![
                    ("rope_factors_long.weight", single(long)),
                    ("rope_factors_short.weight", single(short)),
                ]);
            }
            RopeScaling::LongRope { .. } => {
                return Err(self.refuse("llama.cpp runs this architecture without LongRoPE; export to hf"));
            }
            RopeScaling::Dynamic { .. } => {
                return Err(self.refuse(
                    "its rotary positions are scaled in a way that llama.cpp does not know (dynamic); export to hf",
                ));
            }
        }
        if attention.latent.is_some() && !matches!(rope.scaling, RopeScaling::Yarn { .. }) {
            self.check_latent_scale(attention, 1.0)?;
        }
        Ok(Vec::new())
    }

    /// llama.cpp reads divisors from files where a model of that architecture had some.
    fn refuse_divisors(&self) -> Result<()> {
        if self.is("llama") || self.is("granite") {
            return Ok(());
        }
        Err(self
            .refuse("llama.cpp runs this architecture without divisors of single frequencies (llama3); export to hf"))
    }

    /// Rotary positions that windowed layers have for themselves.
    fn local_rope(&self, meta: &mut Meta, full: &RopeConfig, other: &AttentionConfig) -> Result<()> {
        let local = &other.rope;
        let is_local = |layer: &&&LayerConfig| {
            let attention = &layer.attention;
            attention.rope.rotary_dim == 0
                || attention.rope == if attention.window.is_some() { local.clone() } else { full.clone() }
        };
        let plain = local.scaling == RopeScaling::Default && local.rotary_dim == full.rotary_dim;
        let known = match self.architecture.name {
            "gemma3" => true,
            // Their windowed layers are not scaled, and share the base period.
            "olmo2" => local.theta == full.theta,
            _ => false,
        };
        if !plain || !known || self.layers.iter().filter(is_local).count() != self.layers.len() {
            return Err(self.refuse(
                "its layers rotate in different ways (base period or scaling), which llama.cpp has no key for in this \
                 architecture; export to hf",
            ));
        }
        if self.is("gemma3") && local.theta != LOCAL_THETA {
            meta.f32(&self.key("rope.freq_base_swa"), local.theta as f32);
        }
        Ok(())
    }

    fn yarn(&self, meta: &mut Meta, attention: &AttentionConfig) -> Result<()> {
        // That the ends of the ramp are rounded no key says; see `gguf::otherwise`.
        let RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original, truncate: _ } =
            &attention.rope.scaling
        else {
            return Ok(());
        };
        if (*beta_fast, *beta_slow) != YARN_BOUNDS {
            return Err(self.refuse(format!(
                "llama.cpp runs this architecture with YaRN's usual bounds, 32 and 1, and the model has {beta_fast} and \
                 {beta_slow}; export to hf"
            )));
        }
        meta.text(&self.key("rope.scaling.type"), "yarn");
        meta.f32(&self.key("rope.scaling.factor"), *factor as f32);
        self.size(meta, "rope.scaling.original_context_length", *original)?;
        let growth = factor.max(1.0).ln() * 0.1;
        if attention.latent.is_none() {
            meta.f32(&self.key("rope.scaling.attn_factor"), (attention_factor / (growth + 1.0)) as f32);
            return Ok(());
        }
        // Scores are scaled by the square of `attn_factor · (1 + multiplier · growth)`, cos and sin by `attn_factor`, but
        // without a multiplier both by that of the paper as well (`deepseek2.cpp`, `llama-context.cpp`).
        let usual = (attention.head_dim as f64).powf(-0.5);
        let magnitude = (attention.scale / usual).sqrt();
        let multiplier = if growth > 0.0 { (magnitude / attention_factor - 1.0) / growth } else { 0.0 };
        if multiplier.abs() < 1e-9 {
            self.check_latent_scale(attention, attention_factor.powi(2))?;
            meta.f32(&self.key("rope.scaling.attn_factor"), (attention_factor / (growth + 1.0)) as f32);
            return Ok(());
        }
        if *attention_factor != 1.0 {
            meta.f32(&self.key("rope.scaling.attn_factor"), *attention_factor as f32);
        }
        meta.f32(&self.key("rope.scaling.yarn_log_multiplier"), (0.1 * multiplier) as f32);
        Ok(())
    }

    fn check_latent_scale(&self, attention: &AttentionConfig, expected: f64) -> Result<()> {
        let usual = (attention.head_dim as f64).powf(-0.5);
        if (attention.scale / usual / expected - 1.0).abs() > 1e-6 {
            return Err(
                self.refuse("its scores are scaled in a way that llama.cpp has no key for in this architecture")
            );
        }
        Ok(())
    }
}

/// Llama 3's scaling as a divisor of each frequency (transformers' `_compute_llama3_parameters`).
fn llama3_divisors(theta: f64, rotary_dim: usize, bounds: (f64, f64, f64, f64)) -> Vec<f32> {
    let (factor, low, high, original) = bounds;
    let divisor = |pair: usize| {
        let wavelength = TAU * theta.powf(2.0 * pair as f64 / rotary_dim as f64);
        if wavelength < original / high {
            1.0
        } else if wavelength > original / low {
            factor
        } else {
            let smooth = (original / wavelength - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    (0..rotary_dim / 2).map(|pair| divisor(pair) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_grow_from_one_to_the_factor() {
        let divisors = llama3_divisors(500.0, 20, (4.0, 1.0, 4.0, 40.0));
        assert_eq!((divisors[0], divisors[9]), (1.0, 4.0));
        assert!(divisors.is_sorted());
    }
}
