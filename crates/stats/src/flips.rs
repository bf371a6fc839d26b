//! Labels of baseline and path, swapped at random within questions: what the world looks like where no path differs.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Random swaps of the labels of `questions` questions, `draws` times over. A swap turns the sign of a question's paired
/// difference, on all paths at once, so that paths stay as correlated as they are (Nichols and Holmes, Human Brain
/// Mapping 15, 2002).
#[derive(Debug, Clone)]
pub(crate) struct Flips {
    draws: usize,
    /// (question, draw): 1 or −1. Question-major, since most differences are 0 and such a question is skipped as a whole.
    signs: Vec<i8>,
}

impl Flips {
    /// Swaps from ChaCha8 seeded with `seed`.
    pub(crate) fn new(questions: usize, draws: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut signs = Vec::with_capacity(questions.saturating_mul(draws));
        for _ in 0..questions {
            for start in (0..draws).step_by(32) {
                let bits: u32 = rng.random();
                signs.extend((0..(draws - start).min(32)).map(|bit| if bits >> bit & 1 == 0 { 1 } else { -1 }));
            }
        }
        Self { draws, signs }
    }

    /// The sum of the swapped differences in each draw; missing questions count as 0.
    pub(crate) fn sums(&self, differences: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.draws];
        for (signs, &difference) in self.signs.chunks_exact(self.draws.max(1)).zip(differences) {
            if difference != 0.0 {
                for (sum, &sign) in sums.iter_mut().zip(signs) {
                    *sum += f64::from(sign) * difference;
                }
            }
        }
        sums
    }

    /// As [`sums`](Self::sums) of one path alone, whose signs need not be kept: for 14,000 questions 99,999 draws are 1.4 GB.
    pub(crate) fn sums_once(differences: &[f64], draws: usize, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut sums = vec![0.0; draws];
        for &difference in differences {
            for sums in sums.chunks_mut(32) {
                let bits: u32 = rng.random();
                for (bit, sum) in sums.iter_mut().enumerate() {
                    *sum += if bits >> bit & 1 == 0 { difference } else { -difference };
                }
            }
        }
        sums
    }

    /// The differences of one draw; none of a draw that is not there.
    pub(crate) fn swapped(&self, differences: &[f64], draw: usize) -> Vec<f64> {
        let signs = self.signs.chunks_exact(self.draws.max(1)).filter_map(|signs| signs.get(draw));
        differences.iter().zip(signs).map(|(difference, &sign)| f64::from(sign) * difference).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draw_swaps_about_half_and_the_seed_decides() {
        let flips = Flips::new(40, 70, 3);
        assert_eq!(flips.signs.len(), 40 * 70);
        assert_eq!(flips.signs, Flips::new(40, 70, 3).signs);
        assert_ne!(flips.signs, Flips::new(40, 70, 4).signs);
        let differences: Vec<f64> = (0..40).map(f64::from).collect();
        assert_eq!(Flips::sums_once(&differences, 70, 3), flips.sums(&differences));
        for (draw, &sum) in flips.sums(&differences).iter().enumerate() {
            let expected: f64 =
                (0..40).map(|question| f64::from(flips.signs[question * 70 + draw]) * question as f64).sum();
            assert!((sum - expected).abs() < 1e-9);
            assert!((flips.swapped(&differences, draw).iter().sum::<f64>() - sum).abs() < 1e-9);
        }
        let turned = flips.signs.iter().filter(|&&sign| sign < 0).count();
        assert!((1_250..1_550).contains(&turned), "{turned}");
        assert!(Flips::new(3, 0, 1).sums(&[1.0; 3]).is_empty());
    }
}
