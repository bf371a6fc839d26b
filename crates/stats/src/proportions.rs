//! Intervals of proportions that hold where a bootstrap has nothing to resample: few questions, or all alike.

use crate::bootstrap::{Interval, LEVEL};
use crate::normal;

/// Wilson's score interval of level [`LEVEL`] of a proportion (J. Am. Stat. Assoc. 22, 1927; as
/// `statsmodels.stats.proportion.proportion_confint(method="wilson")`). None for no trials or more successes than trials.
#[must_use]
pub fn wilson(successes: usize, n: usize) -> Option<Interval> {
    if n == 0 || successes > n {
        return None;
    }
    let z = normal::quantile(0.5 + LEVEL / 2.0)?;
    let (n, share) = (n as f64, successes as f64 / n as f64);
    let stretch = 1.0 + z * z / n;
    let center = (share + z * z / (2.0 * n)) / stretch;
    let half = z / stretch * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    Some(Interval { low: (center - half).max(0.0), high: (center + half).min(1.0) })
}

/// Tango's score interval of level [`LEVEL`] of the difference of two paired proportions, path − baseline (Statistics in
/// Medicine 17, 1998). None for no questions or more discordant ones than questions.
///
/// `wins` of `n` questions only the path answered right, `losses` only the baseline. It needs no resampling, has a width
/// where nothing differs or everything does, and excludes 0 where McNemar's score test does.
#[must_use]
pub fn tango(wins: usize, losses: usize, n: usize) -> Option<Interval> {
    if n == 0 || wins.checked_add(losses)? > n {
        return None;
    }
    Pairs { wins: wins as f64, losses: losses as f64, n: n as f64 }.interval()
}

/// Differences of any size as wins and losses of one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Carried {
    /// How many questions carry the differences, (Σd²)² ⁄ Σd⁴: all of them where they are of one size, few where few of them are
    /// large.
    pub questions: f64,
    /// √(Σd⁴ ⁄ Σd²), the size of those that weigh in their variance.
    pub size: f64,
    /// Gains, summed up in that size.
    pub wins: f64,
    /// Losses, summed up in that size; with the wins at most as many as there are questions.
    pub losses: f64,
}

impl Carried {
    /// None where nothing differs, which tells no size, or a difference is not finite.
    #[must_use]
    pub fn of(differences: &[f64]) -> Option<Self> {
        let largest = differences.iter().fold(0.0, |largest: f64, difference| largest.max(difference.abs()));
        if largest == 0.0 || !differences.iter().all(|difference| difference.is_finite()) {
            return None;
        }
        // In units of the largest first, so that no fourth power vanishes.
        let power =
            |exponent: i32| differences.iter().map(|difference| (difference / largest).powi(exponent)).sum::<f64>();
        let (squares, fourths) = (power(2), power(4));
        let size = largest * (fourths / squares).sqrt();
        let sum = |sign: f64| differences.iter().map(|difference| (sign * difference).max(0.0)).sum::<f64>() / size;
        let (wins, losses) = (sum(1.0), sum(-1.0));
        // Wins and losses are at most as many as questions, but for the rounding of their sums.
        let excess = ((wins + losses) / differences.len() as f64).max(1.0);
        let questions = squares.powi(2) / fourths;
        Some(Self { questions, size, wins: wins / excess, losses: losses / excess })
    }
}

/// Tango's interval of the mean of differences of any size, in units of √(Σd⁴ ⁄ Σd²): the size of those that weigh in their
/// variance. Gains and losses, summed up in that unit, stand for wins and losses, so that differences of one size have
/// exactly [`tango`]'s interval, times that size. None where nothing differs: nothing tells the unit.
///
/// The variance of a difference between 0 and the unit is at most that of a win with the same mean, so smaller differences
/// make it wider than need be; a few that are larger than the unit make it narrower.
pub(crate) fn graded_tango(differences: &[f64]) -> Option<Interval> {
    let Carried { size, wins, losses, .. } = Carried::of(differences)?;
    let Interval { low, high } = Pairs { wins, losses, n: differences.len() as f64 }.interval()?;
    Some(Interval { low: low * size, high: high * size })
}

#[derive(Clone, Copy)]
struct Pairs {
    wins: f64,
    losses: f64,
    n: f64,
}

impl Pairs {
    /// Where the score statistic is within the quantiles of [`LEVEL`].
    fn interval(self) -> Option<Interval> {
        let z = normal::quantile(0.5 + LEVEL / 2.0)?;
        let found = (self.wins - self.losses) / self.n;
        Some(Interval {
            low: boundary(found, -1.0, |delta| self.score(delta) <= z),
            high: boundary(found, 1.0, |delta| self.score(delta) >= -z),
        })
    }

    /// The score statistic of the hypothesis that the difference is `delta`: what was found above it, over its standard
    /// error at the most likely loss rate under the hypothesis (1998, eq. 8–10). It falls as `delta` grows.
    fn score(self, delta: f64) -> f64 {
        let Self { wins, losses, n } = self;
        let excess = wins - losses - n * delta;
        // Root of 2n·q² + b·q + c = 0, the constrained maximum likelihood of the loss rate.
        let b = (2.0 * n - wins + losses) * delta - wins - losses;
        let c = -losses * delta * (1.0 - delta);
        let loss_rate = ((b * b - 8.0 * n * c).max(0.0).sqrt() - b) / (4.0 * n);
        let variance = n * (2.0 * loss_rate + delta * (1.0 - delta));
        if variance > 0.0 {
            excess / variance.sqrt()
        } else if excess == 0.0 {
            0.0
        } else {
            f64::INFINITY.copysign(excess)
        }
    }
}

/// The last place on the way from `inside` to `end` that is accepted, by halving.
fn boundary(inside: f64, end: f64, accepted: impl Fn(f64) -> bool) -> f64 {
    if accepted(end) {
        return end;
    }
    let (mut within, mut beyond) = (inside, end);
    for _ in 0..60 {
        let middle = 0.5 * (within + beyond);
        if accepted(middle) { within = middle } else { beyond = middle }
    }
    within
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::binomial::probabilities;

    #[test]
    fn impossible_counts_give_none() {
        assert_eq!((wilson(0, 0), wilson(3, 2), tango(0, 0, 0), tango(2, 2, 3)), (None, None, None, None));
        assert_eq!(tango(usize::MAX, 2, 3), None);
    }

    #[test]
    fn nothing_and_everything_have_a_width() {
        let nothing = tango(0, 0, 16).unwrap();
        assert!(nothing.low < -0.1 && nothing.high > 0.1 && (nothing.low + nothing.high).abs() < 1e-9, "{nothing:?}");
        let everything = tango(16, 0, 16).unwrap();
        assert!(everything.low > 0.5 && everything.low < 0.95 && everything.high == 1.0, "{everything:?}");
    }

    /// Exact coverage, summed over every outcome: for few discordant questions, where a bootstrap fails.
    #[test]
    fn tango_covers_where_few_questions_differ() {
        for (n, win, loss) in [(30, 0.1, 0.05), (40, 0.0, 0.05), (32, 0.1, 0.1), (64, 0.08, 0.02), (200, 0.02, 0.01)] {
            let truth: f64 = win - loss;
            let mut covered = 0.0;
            for (wins, &weight) in probabilities(n, win).iter().enumerate() {
                for (losses, &other) in probabilities(n - wins, loss / (1.0 - win)).iter().enumerate() {
                    let interval = tango(wins, losses, n).unwrap();
                    if interval.low - 1e-9 <= truth && truth <= interval.high + 1e-9 {
                        covered += weight * other;
                    }
                }
            }
            assert!(covered > 0.93, "n {n}, {win} against {loss}: {covered}");
        }
    }

    proptest! {
        #[test]
        fn intervals_hold_what_was_found_and_turn_with_it(wins in 0_usize..40, losses in 0_usize..40, ties in 1_usize..60) {
            let n = wins + losses + ties;
            let found = (wins as f64 - losses as f64) / n as f64;
            let interval = tango(wins, losses, n).unwrap();
            prop_assert!(interval.low <= found && found <= interval.high && interval.low < interval.high);
            let turned = tango(losses, wins, n).unwrap();
            prop_assert!((turned.low + interval.high).abs() < 1e-9 && (turned.high + interval.low).abs() < 1e-9);
            let share = wilson(wins, n).unwrap();
            prop_assert!(share.low <= wins as f64 / n as f64 + 1e-12 && wins as f64 / n as f64 <= share.high + 1e-12);
        }
    }
}
