//! One paired comparison: delta, interval, p, and what it could have seen.

use super::VerdictOptions;
use crate::bootstrap::{Interval, paired_delta};
use crate::mcnemar::mcnemar;
use crate::permutation::{Tail, paired_permutation};
use crate::power::{visible_mean, visible_proportion};
use crate::proportions::wilson;

/// Scores of baseline and path on the same questions in the same order, each in [0, 1].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Paired {
    /// The baseline's, one per question.
    pub baseline: Vec<f64>,
    /// The path's.
    pub path: Vec<f64>,
    /// Of each question the share of the baseline's answers that [are none](super::Failures); empty where it is not
    /// known.
    pub baseline_failed: Vec<f64>,
    /// The path's.
    pub path_failed: Vec<f64>,
}

impl Paired {
    /// Scores of baseline and path, of which is not known which answers failed.
    #[must_use]
    pub fn new(baseline: Vec<f64>, path: Vec<f64>) -> Self {
        Self { baseline, path, ..Self::default() }
    }
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
    /// Interval of the delta, level [`LEVEL`](crate::LEVEL), as [`paired_delta`] has it. None for a single question, and
    /// where fewer than two questions carry a graded delta.
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
            let p = paired_permutation(&differences, Tail::Both, options.permutations, options.seed)?.p;
            (p, PairTest::Permutation)
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

    /// The smallest true gain that a test of this two-sided level finds with this power on as many questions as these.
    ///
    /// Of right and wrong answers by the exact sum ([`visible_proportion`]), for a path that loses as large a share of
    /// the questions as the upper end of Wilson's interval of the losses that were seen; of other scores
    /// (z₁₋α⁄₂ + z_power)·s⁄√n, where a permutation of so few signs can be significant at all. None where no gain is
    /// large enough, where nothing varies, and where the baseline leaves [no such room](Self::room).
    #[must_use]
    pub fn visible(&self, alpha: f64, power: f64) -> Option<f64> {
        let visible = match self.test {
            PairTest::McNemar => {
                let loss = wilson(self.losses, self.n)?.high;
                visible_proportion(self.n, loss, alpha, power).filter(|visible| *visible > 0.0)
            }
            // Of 2ⁿ signs two are as extreme as all alike.
            PairTest::Permutation if 2.0_f64.powf(1.0 - self.n as f64) >= alpha => None,
            PairTest::Permutation => visible_mean(self.n, self.deviation, alpha, power),
        };
        visible.filter(|visible| *visible <= self.room())
    }

    /// The largest gain there is: from the baseline's score to 1.
    #[must_use]
    pub fn room(&self) -> f64 {
        1.0 - self.baseline
    }
}
