//! The whole map at once: what its best path would be if no path did anything.

use crate::flips::Flips;

/// A map held against maps of swapped labels.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxT {
    /// For each path its p-value, corrected for all paths at once: the share of swapped maps whose best path is at least
    /// as good; (b + 1) ⁄ (draws + 1), so never 0. None for a path without differences, or of another length.
    pub adjusted: Vec<Option<f64>>,
    /// For each path the smallest delta that would have a corrected p-value of 0.05 or less; above 1 where no delta of
    /// this many questions could. None as above.
    pub threshold: Vec<Option<f64>>,
    /// The best path's delta in each swapped map, lowest first. Empty where nothing was compared.
    pub best: Vec<f64>,
}

impl MaxT {
    /// What the best delta of the map is expected to be if no path differs from the baseline; none where nothing was
    /// compared.
    #[must_use]
    pub fn expected_best(&self) -> Option<f64> {
        (!self.best.is_empty()).then(|| self.best.iter().sum::<f64>() / self.best.len() as f64)
    }

    /// The delta that the best path of a swapped map exceeds in one of twenty; none where nothing was compared.
    #[must_use]
    pub fn rarely_exceeded(&self) -> Option<f64> {
        self.best.get(rank_of_quantile(self.best.len())?).copied()
    }
}

/// Corrects one-sided tests of all paths for their number by the distribution of the largest statistic when labels of
/// baseline and path are swapped at random within questions, on all paths at once (Westfall and Young, Resampling-Based
/// Multiple Testing, 1993; single-step max-T as in Nichols and Holmes, Human Brain Mapping 15, 2002).
///
/// `differences` are (path, question), path − baseline, with the same questions in the same order for every path; a path of
/// another number of questions than most, or with a number that is not finite, is left out. The statistic is Σd ⁄ √Σd², which orders swapped
/// samples as the paired t does (Σd² does not change when signs do) and is defined where t divides by 0.
#[must_use]
pub fn max_t<'a>(differences: impl IntoIterator<Item = Option<&'a [f64]>>, draws: usize, seed: u64) -> MaxT {
    let paths: Vec<Option<&[f64]>> = differences.into_iter().collect();
    let questions = paths.iter().flatten().map(|path| path.len()).max().unwrap_or(0);
    let usable = |path: &&[f64]| path.len() == questions && questions > 0 && path.iter().all(|value| value.is_finite());
    let flips = Flips::new(questions, draws, seed);
    let mut best = vec![f64::NEG_INFINITY; draws];
    let mut largest = vec![f64::NEG_INFINITY; draws];
    let mut compared = false;
    for path in paths.iter().flatten().filter(|path| usable(path)) {
        compared = true;
        let length = norm(path);
        for ((sum, best), largest) in flips.sums(path).into_iter().zip(&mut best).zip(&mut largest) {
            *best = best.max(sum / questions as f64);
            *largest = largest.max(if length > 0.0 { sum / length } else { 0.0 });
        }
    }
    if !compared {
        (best, largest) = (Vec::new(), Vec::new());
    }
    best.sort_by(f64::total_cmp);
    largest.sort_by(f64::total_cmp);
    let of_path = |path: &Option<&[f64]>| {
        let path = path.filter(usable)?;
        let length = norm(path);
        let found = if length > 0.0 { path.iter().sum::<f64>() / length } else { 0.0 };
        // Sums in different orders differ in their last bits; a tie counts as at least as good.
        let below = largest.partition_point(|&other| other < found - 1e-9);
        let p = (largest.len() - below + 1) as f64 / (largest.len() + 1) as f64;
        let critical = rank_of_quantile(largest.len()).map_or(f64::INFINITY, |rank| largest[rank]);
        // Strictly above the critical value; the questions of a path of equal answers say nothing about its spread.
        let threshold = if length > 0.0 { critical * length / questions as f64 } else { f64::INFINITY };
        Some((p, threshold))
    };
    let (adjusted, threshold) =
        paths.iter().map(of_path).map(|found| (found.map(|found| found.0), found.map(|found| found.1))).unzip();
    MaxT { adjusted, threshold, best }
}

fn norm(path: &[f64]) -> f64 {
    path.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// The place in a sorted list of draws above which (b + 1) ⁄ (draws + 1) is at most 0.05; none for fewer than 19 draws.
fn rank_of_quantile(draws: usize) -> Option<usize> {
    let above = ((draws + 1) as f64 * 0.05 + 1e-9).floor() as usize;
    (above > 0).then(|| draws.checked_sub(above)).flatten()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Paths that differ from the baseline at random, and one that is better on most questions.
    fn map(paths: usize, questions: usize, shift: f64, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rows: Vec<Vec<f64>> =
            (0..paths).map(|_| (0..questions).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        rows[0].iter_mut().for_each(|value| *value += shift);
        rows
    }

    fn of(rows: &[Vec<f64>], draws: usize, seed: u64) -> MaxT {
        max_t(rows.iter().map(|row| Some(row.as_slice())), draws, seed)
    }

    #[test]
    fn a_real_difference_stands_out_and_the_others_do_not() {
        let rows = map(30, 40, 0.6, 2);
        let found = of(&rows, 999, 7);
        assert_eq!(found.adjusted[0], Some(0.001));
        assert!(found.adjusted[1..].iter().flatten().all(|&p| p > 0.05), "{:?}", found.adjusted);
        assert_eq!(found, of(&rows, 999, 7));
        let (expected, rare) = (found.expected_best().unwrap(), found.rarely_exceeded().unwrap());
        assert!(expected > 0.1 && rare > expected && rare < 0.6, "{expected} {rare}");
        for (row, (threshold, p)) in rows.iter().zip(found.threshold.iter().zip(&found.adjusted)) {
            let mean = row.iter().sum::<f64>() / row.len() as f64;
            assert_eq!(mean > threshold.unwrap(), p.unwrap() <= 0.05);
        }
    }

    /// The corrected test of one path is its permutation test.
    #[test]
    fn one_path_is_one_test() {
        let row = [[1.0; 9].as_slice(), &[-1.0; 3], &[0.0; 8]].concat();
        let found = max_t([Some(row.as_slice())], 9_999, 1).adjusted[0].unwrap();
        let exact = crate::paired_permutation(&row, crate::Tail::Greater, 99, 1).unwrap();
        assert!((found - exact.p).abs() < 0.01 && exact.exact, "{found} {exact:?}");
    }

    /// Of 300 maps in which nothing differs, about one in twenty has a path that looks significant.
    #[test]
    fn the_family_wise_error_is_held() {
        let lucky = (0..300).filter(|&seed| {
            let rows = map(12, 24, 0.0, seed);
            of(&rows, 199, seed).adjusted.iter().flatten().any(|&p| p <= 0.05)
        });
        let lucky = lucky.count();
        assert!((5..=27).contains(&lucky), "{lucky} of 300");
    }

    #[test]
    fn what_cannot_be_compared_is_left_out() {
        let found = max_t([None, Some(&[][..])], 99, 1);
        assert_eq!(found, MaxT { adjusted: vec![None, None], threshold: vec![None, None], best: Vec::new() });
        assert_eq!((found.expected_best(), found.rarely_exceeded()), (None, None));
        let found = max_t([Some(&[0.0; 3][..]), Some(&[f64::NAN; 3][..]), Some(&[1.0][..])], 99, 1);
        assert_eq!(found.adjusted, [Some(1.0), None, None]);
        assert_eq!(max_t([Some(&[1.0; 30][..])], 9, 1).rarely_exceeded(), None, "nine draws have no twentieth");
    }
}
