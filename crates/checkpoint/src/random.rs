//! Weights drawn from a seed, so that any `config.json` can be run, measured and tested without its weight files.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::config::DecoderConfig;

/// Part of every tensor's key; changes when the drawing does.
const SCHEME: &[u8] = b"neuro random weights 1";

/// Weights that exist only when they are read: matrices from N(0, `initializer_range`²), norms 1, biases 0. Each tensor
/// depends on the seed and its name alone, not on the order of reading.
pub(crate) struct RandomWeights {
    pub(crate) seed: u64,
    deviation: f64,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl RandomWeights {
    pub(crate) fn new(config: &DecoderConfig, seed: u64) -> Self {
        Self { seed, deviation: config.initializer_range, shapes: config.expected_tensors().into_iter().collect() }
    }

    /// A tensor's name and shape.
    pub(crate) fn entry(&self, name: &str) -> Option<(&str, &[usize])> {
        self.shapes.get_key_value(name).map(|(name, shape)| (name.as_str(), shape.as_slice()))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.shapes.keys().map(String::as_str)
    }

    /// Appends `count` values of a tensor to `values`.
    pub(crate) fn draw(&self, name: &str, count: usize, values: &mut Vec<f32>) {
        if name.ends_with("norm.weight") {
            return values.resize(values.len() + count, 1.0);
        }
        if name.ends_with(".bias") {
            return values.resize(values.len() + count, 0.0);
        }
        let key =
            Sha256::new().chain_update(SCHEME).chain_update(self.seed.to_le_bytes()).chain_update(name).finalize();
        let mut generator = ChaCha8Rng::from_seed(key.into());
        let end = values.len() + count;
        while values.len() < end {
            let (first, second) = normal_pair(&mut generator);
            values.push((first * self.deviation) as f32);
            if values.len() < end {
                values.push((second * self.deviation) as f32);
            }
        }
    }
}

/// Two independent draws from N(0, 1), after Box and Muller (1958).
fn normal_pair(generator: &mut ChaCha8Rng) -> (f64, f64) {
    /// The spacing of 53-bit fractions.
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    // In (0, 1], so that the logarithm is finite.
    let radius_share = ((generator.next_u64() >> 11) + 1) as f64 * STEP;
    let angle_share = (generator.next_u64() >> 11) as f64 * STEP;
    let radius = (-2.0 * radius_share.ln()).sqrt();
    let (sine, cosine) = (TAU * angle_share).sin_cos();
    (radius * cosine, radius * sine)
}
