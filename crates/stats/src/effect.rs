//! One paired comparison: delta, interval, p, and what it could have seen. Verdicts and comparisons of files rest on it.

use crate::bootstrap::{FEW, FEWEST, Interval, TIE, paired_delta};
use crate::mcnemar::mcnemar;
use crate::permutation::{Tail, paired_permutation};
use crate::power::{MOST_QUESTIONS, visible_mean, visible_proportion};
use crate::proportions::{Carried, wilson};

/// How a p-value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairedTest {
    /// Exact McNemar, for right and wrong answers.
    McNemar,
    /// Paired permutation over every way of swapping labels.
    Permutation,
    /// Paired permutation over random swaps.
    RandomPermutation,
}

impl PairedTest {
    /// The test's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::McNemar => "exact McNemar",
            Self::Permutation => "exact permutation",
            Self::RandomPermutation => "random permutation",
        }
    }
}

/// How much chance an effect's numbers are drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// Resamples of the bootstrap interval.
    pub resamples: usize,
    /// Draws of a permutation test that is not exact.
    pub permutations: usize,
    /// Seed of both.
    pub seed: u64,
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
    /// Two-sided p of the hypothesis that path and baseline score alike, of this comparison alone.
    pub p: f64,
    /// How p was found.
    pub test: PairedTest,
    /// Standard deviation of the differences.
    pub deviation: f64,
    /// What carries a difference of scores that are not right or wrong; none of those that are, and where nothing differs.
    pub carried: Option<Carried>,
}

impl Effect {
    /// The effect on scores of the same questions in the same order: exact McNemar where all of them are 0 or 1, otherwise a
    /// paired permutation test. None without questions, or where lengths differ or a score is no number.
    #[must_use]
    pub fn of(baseline: &[f64], path: &[f64], drawn: Resampling) -> Option<Self> {
        let found = paired_delta(baseline, path, drawn.resamples, drawn.seed)?;
        let differences: Vec<f64> = path.iter().zip(baseline).map(|(path, base)| path - base).collect();
        let n = found.n;
        let wins = differences.iter().filter(|difference| **difference > 0.0).count();
        let losses = differences.iter().filter(|difference| **difference < 0.0).count();
        let is_binary = baseline.iter().chain(path).all(|score| *score == 0.0 || *score == 1.0);
        let (p, test) = if is_binary {
            (mcnemar(wins, losses), PairedTest::McNemar)
        } else {
            let found = paired_permutation(&differences, Tail::Both, drawn.permutations, drawn.seed)?;
            (found.p, if found.exact { PairedTest::Permutation } else { PairedTest::RandomPermutation })
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n as f64;
        let squares: f64 = differences.iter().map(|difference| (difference - found.mean).powi(2)).sum();
        Some(Self {
            n,
            baseline: mean(baseline),
            path: mean(path),
            delta: found.mean,
            interval: found.interval,
            wins,
            losses,
            p,
            test,
            deviation: if n > 1 { (squares / (n - 1) as f64).sqrt() } else { 0.0 },
            carried: if is_binary { None } else { Carried::of(&differences) },
        })
    }

    /// The smallest true gain that a test of this two-sided level finds with this power on as many questions as these.
    ///
    /// Of right and wrong answers by the exact sum ([`visible_proportion`]), for a path that loses as large a share of
    /// the questions as the upper end of Wilson's interval of the losses that were seen. Of other scores, and of more
    /// questions than that sum takes, (z₁₋α⁄₂ + z_power)·s⁄√n, where a permutation of so few signs can be significant at
    /// all; where fewer than ten questions [carry](Carried) the differences, so that a few signs decide, by the exact sum of
    /// wins and losses of their size. None where no gain is large enough, where nothing varies, where fewer than two
    /// questions carry the differences, and where the baseline leaves [no such room](Self::room).
    #[must_use]
    pub fn visible(&self, alpha: f64, power: f64) -> Option<f64> {
        self.visible_on(self.n, alpha, power)
    }

    /// The same on another number of questions like these: what a study can see that is planned after this one.
    #[must_use]
    pub fn visible_on(&self, n: usize, alpha: f64, power: f64) -> Option<f64> {
        let visible = match self.test {
            PairedTest::McNemar if n <= MOST_QUESTIONS => {
                let loss = wilson(self.losses, self.n)?.high;
                visible_proportion(n, loss, alpha, power).filter(|visible| *visible > 0.0)
            }
            // Of 2ⁿ signs two are as extreme as all alike.
            _ if 2.0_f64.powf(1.0 - n as f64) >= alpha => None,
            _ => match self.carried.filter(|carried| carried.questions < FEW as f64) {
                // Equal differences differ in their last bits.
                None if self.deviation < TIE => None,
                None => visible_mean(n, self.deviation, alpha, power),
                // Two equal differences are two, whatever rounding makes of them.
                Some(carried) if carried.questions < FEWEST - 1e-9 => None,
                Some(Carried { size, losses, .. }) => {
                    let loss = wilson(losses.ceil() as usize, self.n)?.high;
                    visible_proportion(n, loss, alpha, power).map(|share| share * size)
                }
            },
        };
        visible.filter(|visible| *visible <= self.room())
    }

    /// The largest gain there is: from the baseline's score to 1; without end for a score that is not in [0, 1].
    #[must_use]
    pub fn room(&self) -> f64 {
        if (0.0..=1.0).contains(&self.baseline) { 1.0 - self.baseline } else { f64::INFINITY }
    }
}
