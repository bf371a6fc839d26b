//! One paired comparison: delta, interval, p, and what it could have seen.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::VerdictOptions;
use crate::bootstrap::{Interval, paired_delta};
use crate::normal;

/// Scores of baseline and path on the same questions in the same order, each in [0, 1].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Paired {
    /// The baseline's, one per question.
    pub baseline: Vec<f64>,
    /// The path's.
    pub path: Vec<f64>,
}

/// How p was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairTest {
    /// Exact McNemar test, for answers that are right or wrong.
    McNemar,
    /// Paired permutation test of the mean difference, signs swapped within questions.
    Permutation,
}

impl PairTest {
    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::McNemar => "mcnemar",
            Self::Permutation => "permutation",
        }
    }
}

/// What a path does to a score, paired by question.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// Number of questions.
    pub n: usize,
    /// The baseline's mean score.
    pub baseline: f64,
    /// The path's mean score.
    pub path: f64,
    /// Path − baseline.
    pub delta: f64,
    /// Interval of the delta, level [`LEVEL`](crate::LEVEL); none for a single question.
    pub interval: Option<Interval>,
    /// Questions on which the path scores higher.
    pub wins: usize,
    /// Questions on which it scores lower.
    pub losses: usize,
    /// Two-sided p of the hypothesis that path and baseline score alike.
    pub p: f64,
    /// How p was found.
    pub test: PairTest,
    /// Standard deviation of the differences.
    pub deviation: f64,
}

impl Effect {
    /// The effect; none without questions, or where lengths differ or a score is no number.
    #[must_use]
    pub fn of(scores: &Paired, options: &VerdictOptions) -> Option<Self> {
        let found = paired_delta(&scores.baseline, &scores.path, options.resamples, options.seed)?;
        let differences: Vec<f64> = scores.path.iter().zip(&scores.baseline).map(|(path, base)| path - base).collect();
        let n = found.n;
        let wins = differences.iter().filter(|difference| **difference > 0.0).count();
        let losses = differences.iter().filter(|difference| **difference < 0.0).count();
        let is_binary = scores.baseline.iter().chain(&scores.path).all(|score| *score == 0.0 || *score == 1.0);
        let (p, test) = if is_binary {
            (mcnemar(wins, losses), PairTest::McNemar)
        } else {
            (permutation(&differences, options.permutations, options.seed), PairTest::Permutation)
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n as f64;
        let squares: f64 = differences.iter().map(|difference| (difference - found.mean).powi(2)).sum();
        Some(Self {
            n,
            baseline: mean(&scores.baseline),
            path: mean(&scores.path),
            delta: found.mean,
            interval: found.interval,
            wins,
            losses,
            p,
            test,
            deviation: if n > 1 { (squares / (n - 1) as f64).sqrt() } else { 0.0 },
        })
    }

    /// The smallest true difference that a two-sided test of this level sees with this power, for as many questions and
    /// differences that vary as these do: (z₁₋α⁄₂ + z_power)·s⁄√n, and for right or wrong answers never less than what
    /// an exact test can reach at all.
    #[must_use]
    pub fn visible(&self, alpha: f64, power: f64) -> f64 {
        let z = |probability: f64| normal::quantile(probability).unwrap_or(f64::INFINITY);
        let normal = (z(1.0 - alpha / 2.0) + z(power)) * self.deviation / (self.n as f64).sqrt();
        let fewest = match self.test {
            PairTest::McNemar => {
                (1..=self.n).find(|&wins| mcnemar(wins, 0) < alpha).map_or(1.0, |wins| wins as f64 / self.n as f64)
            }
            PairTest::Permutation => 0.0,
        };
        normal.max(fewest).min(1.0)
    }
}

/// Exact two-sided McNemar test: twice the smaller binomial tail of the discordant pairs at ½, at most 1 (McNemar 1947).
pub(crate) fn mcnemar(wins: usize, losses: usize) -> f64 {
    let (n, fewer) = (wins + losses, wins.min(losses));
    // Terms as logarithms: 2ⁿ overflows for a thousand pairs.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    for k in 1..=fewer {
        log_term += ((n - k + 1) as f64 / k as f64).ln();
        tail += log_term.exp();
    }
    (2.0 * tail).min(1.0)
}

/// Paired permutation test of the mean: two-sided, over all sign changes where these are few, otherwise over drawn ones
/// with (b + 1) ⁄ (m + 1) (Phipson and Smyth 2010).
pub(crate) fn permutation(differences: &[f64], draws: usize, seed: u64) -> f64 {
    const FEW: usize = 14;
    let moved: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    let found = moved.iter().sum::<f64>().abs();
    // Sums in another order differ in their last bits; what ties counts as reaching.
    let mark = found - 1e-12 * moved.iter().map(|difference| difference.abs()).sum::<f64>();
    if moved.is_empty() {
        return 1.0;
    }
    if moved.len() <= FEW {
        let all = 1_usize << moved.len();
        let sum = |signs: usize| -> f64 {
            moved.iter().enumerate().map(|(bit, value)| if signs >> bit & 1 == 1 { -value } else { *value }).sum()
        };
        return (0..all).filter(|&signs| sum(signs).abs() >= mark).count() as f64 / all as f64;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let reaching = (0..draws).filter(|_| {
        let mut sum = 0.0;
        for signs in moved.chunks(64) {
            let mut bits: u64 = rng.random();
            for value in signs {
                sum += if bits & 1 == 1 { -value } else { *value };
                bits >>= 1;
            }
        }
        sum.abs() >= mark
    });
    (reaching.count() + 1) as f64 / (draws + 1) as f64
}

/// Holm's correction (1979): the adjusted p-values, in the order given.
pub(crate) fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut adjusted = vec![1.0; values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max(values[index] * (values.len() - rank) as f64);
        adjusted[index] = largest.min(1.0);
    }
    adjusted
}
