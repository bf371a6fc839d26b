//! Weights drawn from a seed, so that any `config.json` can be run, measured and tested without its weight files.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::config::DecoderConfig;
use crate::identity::Fingerprint;

/// The version of the drawing: part of every tensor's key and of the fingerprint; changes when the drawing does.
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

    /// Adds what the values depend on, beside the config, to a fingerprint.
    pub(crate) fn add_to(&self, fingerprint: &mut Fingerprint) {
        fingerprint.add(SCHEME);
        fingerprint.add(&self.seed.to_le_bytes());
    }

    /// Draws values of a tensor from the one at flat position `first` on, as many as `values` holds. The generator can
    /// be set to any pair of values, so that pieces are those of the whole.
    pub(crate) fn draw(&self, name: &str, first: usize, values: &mut [f32]) {
        /// Words that the generator spends on a pair.
        const WORDS: u128 = 4;
        if name.contains("norm") && name.ends_with(".weight") {
            return values.fill(1.0);
        }
        if name.ends_with(".bias") {
            return values.fill(0.0);
        }
        let key =
            Sha256::new().chain_update(SCHEME).chain_update(self.seed.to_le_bytes()).chain_update(name).finalize();
        let mut generator = ChaCha8Rng::from_seed(key.into());
        generator.set_word_pos(WORDS * (first as u128 / 2));
        let mut scaled_pair = || {
            let (one, other) = normal_pair(&mut generator);
            [one, other].map(|value| (value * self.deviation) as f32)
        };
        // The second half of a pair whose first half lies before.
        let (half, rest) = values.split_at_mut(values.len().min(first % 2));
        if let [value] = half {
            *value = scaled_pair()[1];
        }
        let (pairs, last) = rest.as_chunks_mut();
        pairs.iter_mut().for_each(|pair| *pair = scaled_pair());
        if let [value] = last {
            *value = scaled_pair()[0];
        }
    }
}

/// Two independent draws from N(0, 1), after Box and Muller (1958).
fn normal_pair(generator: &mut impl RngCore) -> (f64, f64) {
    /// The spacing of 53-bit fractions.
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    // In (0, 1], so that the logarithm is finite.
    let radius_share = ((generator.next_u64() >> 11) + 1) as f64 * STEP;
    let angle_share = (generator.next_u64() >> 11) as f64 * STEP;
    let radius = (-2.0 * radius_share.ln()).sqrt();
    let (sine, cosine) = (TAU * angle_share).sin_cos();
    (radius * cosine, radius * sine)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// With the largest `initializer_range` that a config may have.
    fn weights(seed: u64) -> RandomWeights {
        let config = br#"{"model_type": "llama", "initializer_range": 1000}"#;
        RandomWeights::new(&DecoderConfig::from_json(config, Path::new("config.json")).expect("is valid"), seed)
    }

    #[test]
    fn a_fingerprint_depends_on_the_seed_and_the_way_of_drawing() {
        let of = |fill: &dyn Fn(&mut Fingerprint)| {
            let mut fingerprint = Fingerprint::new();
            fill(&mut fingerprint);
            fingerprint.finish()
        };
        let drawn = |seed| of(&|fingerprint| weights(seed).add_to(fingerprint));
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert_ne!(drawn(1), of(&|fingerprint| fingerprint.add(&1_u64.to_le_bytes())));
    }

    /// The reach of 53-bit draws is √(2 · 53 · ln 2) < 8.6 deviations.
    #[test]
    fn drawn_values_are_finite_even_in_half_precision() {
        let mut values = vec![0.0; 100_000];
        weights(1).draw("model.embed_tokens.weight", 0, &mut values);
        assert!(values.iter().all(|value| value.abs() < 8600.0), "a value is too large");
        assert!(values.iter().any(|value| value.abs() > 3000.0), "the range is not used");
    }

    #[test]
    fn pieces_are_those_of_the_whole() {
        let weights = weights(3);
        let mut whole = vec![0.0; 1001];
        weights.draw("lm_head.weight", 0, &mut whole);
        for (first, count) in [(0, 1), (1, 1), (1, 2), (7, 994), (8, 993), (500, 0), (501, 0), (999, 2)] {
            let mut piece = vec![0.0; count];
            weights.draw("lm_head.weight", first, &mut piece);
            assert_eq!(piece, whole[first..first + count], "{first}");
        }
    }

    struct Smallest;

    impl RngCore for Smallest {
        fn next_u32(&mut self) -> u32 {
            0
        }

        fn next_u64(&mut self) -> u64 {
            0
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn the_rarest_draw_is_finite() {
        let (first, second) = normal_pair(&mut Smallest);
        assert!(first > 8.5 && first < 8.6 && second == 0.0, "{first}, {second}");
    }
}
