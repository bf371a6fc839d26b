//! Paired deltas with bootstrap intervals (BCa: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 14.3).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::normal;
use crate::proportions::{Carried, graded_tango, tango};

/// Coverage of every interval.
pub const LEVEL: f64 = 0.95;

/// So many questions must carry a delta before resamples of them say how much it varies: of right and wrong answers those
/// that stand apart from the commonest outcome (both alike, won, or lost), of others the [`carriers`].
pub(crate) const FEW: usize = 10;
/// With fewer [`carriers`] of a graded score's delta it has no interval: one question, or none, does not say how far
/// others may move.
pub(crate) const FEWEST: f64 = 2.0;

/// Two means closer than this are ties: sums in different orders differ in their last bits.
pub(crate) const TIE: f64 = 1e-12;

/// A confidence interval of level [`LEVEL`], in the unit of its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether 0 lies within, ends included: the sign of the number is open.
    #[must_use]
    pub fn includes_zero(&self) -> bool {
        self.low <= 0.0 && 0.0 <= self.high
    }
}

/// What single scores can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreKind {
    /// 0 or 1.
    RightOrWrong,
    /// Anything between, as probabilities are: how far a question can move is known from the questions only.
    Graded,
}

impl ScoreKind {
    /// Right or wrong where every one of them is exactly 0 or 1, whatever their differences are: those of graded scores may
    /// all be 0 too.
    #[must_use]
    pub fn of<'a>(scores: impl IntoIterator<Item = &'a f64>) -> Self {
        let binary = scores.into_iter().all(|&score| score == 0.0 || score == 1.0);
        if binary { Self::RightOrWrong } else { Self::Graded }
    }
}

/// The mean of paired differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delta {
    /// Mean of path − baseline over the questions.
    pub mean: f64,
    /// Its interval; none for fewer than two questions, without resamples, or where fewer than two questions carry the
    /// delta of graded scores.
    pub interval: Option<Interval>,
    /// Number of questions.
    pub n: usize,
}

/// Mean of `path − baseline` over questions (same order in both) with a BCa bootstrap interval over questions. The
/// same seed gives the same interval.
///
/// Right and wrong answers of which fewer than ten questions differ, or fewer than ten do not differ in the same way, have
/// [`tango`]'s score interval instead: resamples of all alike have no width. So do graded scores of which the effective
/// number of questions that carry the delta, (Σd²)² ⁄ Σd⁴, is below ten, or whose differences are all the same, with
/// wins and losses in units of √(Σd⁴ ⁄ Σd²), the size of the differences that carry it; below two there is no interval.
///
/// None when there are no questions, the lengths differ, or a score is not finite.
#[must_use]
pub fn paired_delta(baseline: &[f64], path: &[f64], resamples: usize, seed: u64) -> Option<Delta> {
    if baseline.len() != path.len() {
        return None;
    }
    let differences: Vec<f64> = path.iter().zip(baseline).map(|(path, baseline)| path - baseline).collect();
    Resampler::new(differences.len(), resamples, seed).delta(&differences, ScoreKind::of(baseline.iter().chain(path)))
}

/// Bootstrap resamples of `n` questions, drawn once and used for every path: that makes a whole map as cheap as its
/// multiplications, and neighbouring cells comparable.
#[derive(Debug, Clone)]
pub struct Resampler {
    n: usize,
    resamples: usize,
    /// (question, resample): how often the question is in the resample. Question-major, since most differences are 0
    /// and such a question's counts are then skipped as a whole.
    counts: Vec<u16>,
}

impl Resampler {
    /// Draws `resamples` resamples of `n` questions from ChaCha8 seeded with `seed`.
    #[must_use]
    pub fn new(n: usize, resamples: usize, seed: u64) -> Self {
        // One question has nothing to resample; more than u32::MAX of them fit into no run.
        let drawn = u32::try_from(n).ok().filter(|&n| n > 1);
        let resamples = if drawn.is_some() { resamples } else { 0 };
        let mut counts = vec![0_u16; n.saturating_mul(resamples)];
        if let Some(questions) = drawn {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for resample in 0..resamples {
                for _ in 0..n {
                    // u32, so that 32-bit and 64-bit machines draw the same questions.
                    let question = rng.random_range(0..questions) as usize;
                    let count = &mut counts[question * resamples + resample];
                    *count = count.saturating_add(1);
                }
            }
        }
        Self { n, resamples, counts }
    }

    /// Mean and interval of one path's paired differences, as [`paired_delta`] has them; none when their number is not the
    /// resampler's, 0, or one is not finite.
    #[must_use]
    pub fn delta(&self, differences: &[f64], scores: ScoreKind) -> Option<Delta> {
        let n = differences.len();
        if n == 0 || n != self.n || differences.iter().any(|difference| !difference.is_finite()) {
            return None;
        }
        let mean = differences.iter().sum::<f64>() / n as f64;
        let interval = if self.resamples == 0 {
            None
        } else if !is_carried_by_few(differences, scores) {
            Some(bca(mean, self.means(differences), acceleration(differences, mean)))
        } else {
            score_interval(differences, scores)
        };
        Some(Delta { mean, interval, n })
    }

    /// Mean of the differences in each resample.
    fn means(&self, differences: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.resamples];
        for (counts, &difference) in self.counts.chunks_exact(self.resamples).zip(differences) {
            if difference != 0.0 {
                for (sum, &count) in sums.iter_mut().zip(counts) {
                    *sum += f64::from(count) * difference;
                }
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= self.n as f64);
        sums
    }
}

/// Whether too few questions carry the delta for resamples to show how much it varies.
fn is_carried_by_few(differences: &[f64], scores: ScoreKind) -> bool {
    match scores {
        ScoreKind::RightOrWrong => {
            let (wins, losses) = discordant(differences);
            let ties = differences.len() - wins - losses;
            differences.len() - wins.max(losses).max(ties) < FEW
        }
        ScoreKind::Graded => {
            let first = differences.first().copied().unwrap_or(0.0);
            let is_constant = differences.iter().all(|difference| (difference - first).abs() < TIE);
            is_constant || carriers(differences) < FEW as f64
        }
    }
}

fn score_interval(differences: &[f64], scores: ScoreKind) -> Option<Interval> {
    match scores {
        ScoreKind::RightOrWrong => {
            let (wins, losses) = discordant(differences);
            tango(wins, losses, differences.len())
        }
        // Two equal differences are two, whatever rounding makes of them.
        ScoreKind::Graded => (carriers(differences) > FEWEST - 1e-9).then(|| graded_tango(differences)).flatten(),
    }
}

/// Questions that were won and lost.
fn discordant(differences: &[f64]) -> (usize, usize) {
    let count = |won: bool| differences.iter().filter(|&&value| if won { value > 0.0 } else { value < 0.0 }).count();
    (count(true), count(false))
}

/// How many questions carry the differences; 0 where nothing differs.
fn carriers(differences: &[f64]) -> f64 {
    Carried::of(differences).map_or(0.0, |carried| carried.questions)
}

/// Acceleration of the mean, Σd³ ⁄ 6(Σd²)^1.5 over the jackknife deviations (1993, eq. 14.15); leaving one out moves a
/// mean by deviation ⁄ (n − 1), and the divisor cancels. 0 where nothing varies.
fn acceleration(differences: &[f64], mean: f64) -> f64 {
    let (mut squares, mut cubes) = (0.0, 0.0);
    for difference in differences {
        let deviation = difference - mean;
        squares += deviation * deviation;
        cubes += deviation * deviation * deviation;
    }
    let acceleration = cubes / (6.0 * f64::powf(squares, 1.5));
    if acceleration.is_finite() { acceleration } else { 0.0 }
}

/// The BCa interval around `mean` from the bootstrap means (1993, eq. 14.9–14.14); the percentile interval where the
/// correction is not defined, as when every resample lies on one side of the mean.
fn bca(mean: f64, mut means: Vec<f64>, acceleration: f64) -> Interval {
    means.sort_by(f64::total_cmp);
    let tail = (1.0 - LEVEL) / 2.0;
    // Scores are often 0 or 1, so many resamples tie with the mean; half of them count as below, as in scipy.
    let below = means.partition_point(|&value| value < mean - TIE);
    let ties = means.partition_point(|&value| value <= mean + TIE) - below;
    let bias = normal::quantile((below as f64 + 0.5 * ties as f64) / means.len() as f64);
    let corrected = |tail: f64| {
        let bias = bias?;
        let shifted = bias + normal::quantile(tail)?;
        let stretch = 1.0 - acceleration * shifted;
        (stretch > 0.0).then(|| normal::cumulative(bias + shifted / stretch))
    };
    let (low, high) = match (corrected(tail), corrected(1.0 - tail)) {
        (Some(low), Some(high)) => (low, high),
        _ => (tail, 1.0 - tail),
    };
    Interval { low: percentile(&means, low), high: percentile(&means, high) }
}

/// The value below which the fraction `at` of the sorted values lies, linear between neighbours.
pub(crate) fn percentile(sorted: &[f64], at: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let position = at.clamp(0.0, 1.0) * last as f64;
    let index = position.floor() as usize;
    let value = |index: usize| sorted.get(index.min(last)).copied().unwrap_or(f64::NAN);
    let (low, high) = (value(index), value(index + 1));
    low + (high - low) * (position - index as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    // proptest brings an Rng of its own.
    use rand::Rng;

    use super::*;

    fn close(found: Interval, low: f64, high: f64, tolerance: f64) {
        assert!(
            (found.low - low).abs() < tolerance && (found.high - high).abs() < tolerance,
            "{found:?}, expected {low}, {high}"
        );
    }

    // Expected values: tests/expected.py.
    #[test]
    fn the_formula_agrees_with_numpy() {
        let grid: Vec<f64> = (0..101).map(|k| (f64::from(k * 37 % 101) / 100.0).powi(2)).collect();
        let expected = [
            (0.25, 0.0, 0.00065, 0.95065),
            (0.25, 0.08, 0.0020593536731324533, 0.9799989470088666),
            (0.5, -0.1, 0.016627052692008638, 0.9885999978559626),
            (0.36, 0.02, 0.006480360670865879, 0.9896985805056396),
        ];
        for (mean, acceleration, low, high) in expected {
            close(bca(mean, grid.clone(), acceleration), low, high, 1e-9);
        }
    }

    #[test]
    fn whole_intervals_agree_with_scipy() {
        let right_or_wrong = [[1.0; 12].as_slice(), &[-1.0; 3], &[0.0; 17]].concat();
        let long_tail: Vec<f64> = (0..20).map(|k| (f64::from(k) / 19.0).powi(4) - 0.05).collect();
        assert!((acceleration(&right_or_wrong, 0.28125) + 0.008450660275038331).abs() < 1e-12);
        assert!((acceleration(&long_tail, 0.16587694999271027) - 0.05218157451954377).abs() < 1e-12);
        // Too few of these carry the mean for a delta's interval, but not for the formula.
        let means = Resampler::new(20, 20_000, 3).means(&long_tail);
        let found = bca(0.16587694999271027, means, acceleration(&long_tail, 0.16587694999271027));
        // The percentile interval, (0.048, 0.304), is five tolerances away.
        close(found, 0.0620109666366294, 0.330174033180368, 0.005);
        let delta = paired_delta(&[0.0; 32], &right_or_wrong, 20_000, 3).unwrap();
        close(delta.interval.unwrap(), 0.0625, 0.5, 1e-9);
    }

    #[test]
    fn without_a_correction_it_is_the_percentile_interval() {
        let means: Vec<f64> = (0..=1000).map(|k| f64::from(k) / 1000.0).collect();
        // Every resample above the mean, and a stretch that turns negative.
        close(bca(-1.0, means.clone(), 0.1), 0.025, 0.975, 1e-12);
        close(bca(0.5, means, 1.0), 0.025, 0.975, 1e-12);
    }

    #[test]
    fn answers_that_are_nearly_all_alike_have_the_score_interval() {
        let answers = |wins: usize, losses: usize, ties: usize| {
            let path = [vec![1.0; wins], vec![0.0; losses], vec![0.0; ties]].concat();
            let baseline = [vec![0.0; wins], vec![1.0; losses], vec![0.0; ties]].concat();
            paired_delta(&baseline, &path, 500, 1).and_then(|delta| delta.interval)
        };
        for (wins, losses, ties) in [(0, 0, 20), (20, 0, 0), (5, 4, 60), (60, 4, 5)] {
            assert_eq!(answers(wins, losses, ties), tango(wins, losses, wins + losses + ties));
        }
        assert_ne!(answers(6, 4, 60), tango(6, 4, 70), "ten questions can be resampled");
    }

    #[test]
    fn graded_scores_that_few_questions_carry_have_a_score_interval_or_none() {
        let interval = |changed: &[f64], n: usize| {
            let path: Vec<f64> = (0..n).map(|question| 0.3 + changed.get(question).copied().unwrap_or(0.0)).collect();
            paired_delta(&vec![0.3; n], &path, 500, 1).unwrap().interval
        };
        // Not right and wrong answers that are all alike, though the differences look the same.
        assert_eq!(interval(&[], 12), None);
        assert_eq!(interval(&[0.4], 200), None, "one question does not say how far others may move");
        let tangos = |wins, losses, n, unit: f64| {
            tango(wins, losses, n).map(|found| (found.low * unit, found.high * unit)).unwrap()
        };
        for (changed, wins, losses) in [(vec![0.25; 2], 2, 0), ([vec![0.25; 5], vec![-0.25; 3]].concat(), 5, 3)] {
            let (low, high) = tangos(wins, losses, 200, 0.25);
            close(interval(&changed, 200).unwrap(), low, high, 1e-9);
        }
        // Everything moved by the same: resamples of it have no width.
        let (low, high) = tangos(20, 0, 20, 0.5);
        assert!(low < 0.45);
        close(interval(&[0.5; 20], 20).unwrap(), low, high, 1e-9);
        let many: Vec<f64> = (0..40).map(|question| 0.01 * f64::from(question % 7)).collect();
        let bootstrap = Resampler::new(200, 500, 1);
        let padded = [many.as_slice(), &[0.0; 160]].concat();
        let mean = padded.iter().sum::<f64>() / 200.0;
        let expected = bca(mean, bootstrap.means(&padded), acceleration(&padded, mean));
        close(interval(&many, 200).unwrap(), expected.low, expected.high, 1e-9);
    }

    #[test]
    fn carriers_count_the_questions_that_weigh() {
        assert_eq!((carriers(&[]), carriers(&[0.0; 9])), (0.0, 0.0));
        let equal = carriers(&[0.2, -0.2, 0.0, 0.2, 0.0]);
        assert!((equal - 3.0).abs() < 1e-12, "{equal}");
        let one = carriers(&[[0.5].as_slice(), &[0.002; 199]].concat());
        assert!((1.0..1.01).contains(&one), "{one}");
        let tiny = carriers(&[1e-200, 1e-200]);
        assert!((tiny - 2.0).abs() < 1e-12, "{tiny}");
    }

    /// 200 questions of which few carry the delta: resamples miss the truth in up to one of six.
    #[test]
    fn intervals_cover_where_few_questions_carry_the_delta() {
        const N: usize = 200;
        const DRAWS: usize = 2_000;
        let resampler = Resampler::new(N, 300, 1);
        let equal = |_: &mut ChaCha8Rng| 0.3;
        let uniform = |rng: &mut ChaCha8Rng| rng.random_range(0.0..1.0);
        // Exponential, mean 0.15.
        let tail = |rng: &mut ChaCha8Rng| -0.15 * (1.0 - rng.random_range(0.0..1.0_f64)).ln();
        let either = |rng: &mut ChaCha8Rng| rng.random_range(-1.0..1.0);
        type Draw = fn(&mut ChaCha8Rng) -> f64;
        // What a question moves by, its mean, how many of 200 are expected to, and the noise of all.
        let settings: [(&str, Draw, f64, f64, f64); 11] = [
            ("equal", equal, 0.3, 4.0, 0.0),
            ("equal", equal, 0.3, 8.0, 0.0),
            ("equal, noise", equal, 0.3, 5.0, 0.003),
            ("uniform", uniform, 0.5, 6.0, 0.0),
            ("uniform", uniform, 0.5, 12.0, 0.0),
            ("tail", tail, 0.15, 6.0, 0.0),
            ("tail", tail, 0.15, 10.0, 0.0),
            ("tail", tail, 0.15, 20.0, 0.0),
            ("tail, noise", tail, 0.15, 10.0, 0.003),
            ("either", either, 0.0, 6.0, 0.0),
            ("either", either, 0.0, 12.0, 0.0),
        ];
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut worst_bootstrap: f64 = 1.0;
        for (what, moved, mean, expected, noise) in settings {
            let truth = mean * expected / N as f64;
            let (mut given, mut covered, mut bootstrapped) = (0_usize, 0_usize, 0_usize);
            for draw in 0..DRAWS {
                let differences: Vec<f64> = (0..N)
                    .map(|_| {
                        let own = if noise > 0.0 { rng.random_range(-noise..noise) } else { 0.0 };
                        if rng.random_bool(expected / N as f64) { own + moved(&mut rng) } else { own }
                    })
                    .collect();
                let holds = |found: Interval| found.low <= truth + 1e-12 && truth <= found.high + 1e-12;
                let found = resampler.delta(&differences, ScoreKind::Graded).unwrap();
                given += usize::from(found.interval.is_some());
                covered += usize::from(found.interval.is_some_and(holds));
                if draw < DRAWS / 4 && noise == 0.0 {
                    let shape = acceleration(&differences, found.mean);
                    bootstrapped += usize::from(holds(bca(found.mean, resampler.means(&differences), shape)));
                }
            }
            let share = covered as f64 / given as f64;
            println!(
                "{what} {expected}: given {given}, covers {share:.3}, boot {:.3}",
                bootstrapped as f64 / (DRAWS / 4) as f64
            );
            assert!(given * 2 > DRAWS, "{what}, {expected} carry it: an interval in {given} of {DRAWS}");
            assert!(share >= 0.93, "{what}, {expected} carry it: {share}");
            if noise == 0.0 {
                worst_bootstrap = worst_bootstrap.min(bootstrapped as f64 / (DRAWS / 4) as f64);
            }
        }
        assert!(worst_bootstrap < 0.88, "what this is for: {worst_bootstrap}");
    }

    #[test]
    fn too_little_gives_none() {
        assert_eq!(paired_delta(&[], &[], 100, 1), None);
        assert_eq!(paired_delta(&[0.0], &[0.0, 1.0], 100, 1), None);
        assert_eq!(paired_delta(&[0.0, f64::NAN], &[0.0, 1.0], 100, 1), None);
        assert_eq!(paired_delta(&[0.25], &[1.0], 100, 1), Some(Delta { mean: 0.75, interval: None, n: 1 }));
        assert_eq!(paired_delta(&[0.0, 0.0], &[1.0, 0.0], 0, 1).unwrap().interval, None);
    }

    /// Nine in ten intervals or more hold the true mean: 95 % is the aim, and 30 questions are few.
    #[test]
    fn intervals_cover_the_truth() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let resampler = Resampler::new(30, 500, 1);
        let covered = (0..400).filter(|_| {
            // Right with probability 0.6 instead of 0.4, so the true delta is 0.2.
            let differences: Vec<f64> =
                (0..30).map(|_| f64::from(rng.random_bool(0.6)) - f64::from(rng.random_bool(0.4))).collect();
            let found = resampler.delta(&differences, ScoreKind::RightOrWrong);
            let interval = found.and_then(|delta| delta.interval).unwrap();
            interval.low <= 0.2 && 0.2 <= interval.high
        });
        let covered = covered.count();
        assert!((360..=395).contains(&covered), "{covered} of 400");
    }

    /// Speed means something only in a release build: `cargo test --release -p neuro-stats`.
    #[cfg_attr(debug_assertions, ignore = "timing of an optimised build")]
    #[test]
    fn a_map_of_80_layers_takes_a_second() {
        let start = std::time::Instant::now();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let resampler = Resampler::new(32, 1_000, 1);
        let low: f64 = (0..3_241)
            .map(|_| {
                let differences: Vec<f64> = (0..32).map(|_| rng.random_range(-1.0..1.0)).collect();
                resampler.delta(&differences, ScoreKind::Graded).and_then(|delta| delta.interval).unwrap().low
            })
            .sum();
        assert!(low < 0.0 && start.elapsed().as_secs_f64() < 2.0, "{:?}", start.elapsed());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn an_interval_is_ordered_reproducible_and_turns_with_its_scores(
            pairs in prop::collection::vec((0.0..=1.0, 0.0..=1.0), 2..40),
            seed in any::<u64>(),
        ) {
            let (baseline, path): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let delta = paired_delta(&baseline, &path, 200, seed).unwrap();
            prop_assert_eq!(paired_delta(&baseline, &path, 200, seed), Some(delta));
            let differences: Vec<f64> = path.iter().zip(&baseline).map(|(path, base)| path - base).collect();
            let largest = differences.iter().fold(0.0, |largest: f64, difference| largest.max(difference.abs()));
            // Swapping the two turns the interval around (up to ties in the percentiles).
            let swapped = paired_delta(&path, &baseline, 200, seed).unwrap();
            prop_assert!((swapped.mean + delta.mean).abs() < 1e-12);
            prop_assert_eq!(swapped.interval.is_some(), delta.interval.is_some());
            if let Some((Interval { low, high }, back)) = delta.interval.zip(swapped.interval) {
                prop_assert!(low <= high && low >= -largest - 1e-12 && high <= largest + 1e-12);
                prop_assert!((back.low + high).abs() < 1e-9 && (back.high + low).abs() < 1e-9);
            }
        }

        /// A constant gain has no spread, and so few questions do not say that the next has the same.
        #[test]
        fn a_constant_difference_is_not_certain(baseline in prop::collection::vec(0.0..0.5, 2..20), gain in 0.001..0.5_f64) {
            let path: Vec<f64> = baseline.iter().map(|score| score + gain).collect();
            let Interval { low, high } = paired_delta(&baseline, &path, 100, 1).unwrap().interval.unwrap();
            prop_assert!(low < gain - 1e-6 && (high - gain).abs() < 1e-9);
        }
    }
}
