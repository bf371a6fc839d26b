//! How good the paths of a race look after the questions that they saw.
//!
//! A path's mean over a few questions is noisy, and its neighbours on the map are nearly the same model. So a path is
//! judged by a weighted sum of its own mean and the means of two rings of neighbours, with the weights that predict
//! best how the *other* questions are answered (stacking: Breiman, Stacked Regressions, Machine Learning 24, 1996).
//! Where neighbours say nothing, their weights are 0. Only decisions are made of this; no number is reported.

use std::collections::BTreeMap;

use neuro_path::Block;

/// Rings around a block: greatest distance in i or j, each ring without the one before.
const RINGS: [usize; 2] = [1, 3];
/// A path's own mean and its rings.
const FEATURES: usize = RINGS.len() + 1;
/// Sweeps of coordinate descent over three weights; it has long converged then.
const SWEEPS: usize = 200;

/// The neighbours of every path, ring by ring.
#[derive(Debug, Clone)]
pub(super) struct Neighbourhood(Vec<[Vec<usize>; RINGS.len()]>);

impl Neighbourhood {
    /// Neighbours of blocks on the map. The baseline and paths that are no block have none and are none.
    pub(super) fn new(blocks: &[Option<Block>]) -> Self {
        let competes = |block: &&Block| !block.is_baseline();
        let places: BTreeMap<Block, usize> = blocks
            .iter()
            .enumerate()
            .filter_map(|(path, block)| block.as_ref().filter(competes).map(|&block| (block, path)))
            .collect();
        let reach = RINGS[RINGS.len() - 1];
        let around = |block: Block| {
            let mut rings: [Vec<usize>; RINGS.len()] = Default::default();
            for start in block.start.saturating_sub(reach)..=block.start + reach {
                for end in block.end.saturating_sub(reach)..=block.end + reach {
                    let distance = start.abs_diff(block.start).max(end.abs_diff(block.end));
                    let ring = RINGS.iter().position(|&ring| distance <= ring).filter(|_| distance > 0);
                    if let Some((ring, &path)) = ring.zip(places.get(&Block { start, end })) {
                        rings[ring].push(path);
                    }
                }
            }
            rings
        };
        Self(
            blocks
                .iter()
                .map(|block| block.as_ref().filter(competes).map_or_else(Default::default, |&b| around(b)))
                .collect(),
        )
    }
}

/// What the paths of a look are worth.
pub(super) struct Estimate {
    /// One value per path, in the unit of a score, up to a shift common to all.
    pub(super) values: Vec<f64>,
    /// Root mean square error of a value; none where the questions do not tell it.
    pub(super) error: Option<f64>,
}

/// Estimates the true differences of `paths`, which have all seen the same questions. `differences` holds those of
/// every path to the baseline, `(paths, questions seen)`; neighbours that dropped out may have seen fewer, and one
/// without any counts for nothing.
pub(super) fn estimate(differences: &[Vec<f64>], paths: &[usize], neighbourhood: &Neighbourhood) -> Estimate {
    let seen = paths.first().map_or(0, |&path| differences[path].len());
    let own: Vec<f64> = paths.iter().map(|&path| mean(&differences[path])).collect();
    if seen < 2 || paths.len() < 2 {
        return Estimate { values: own, error: None };
    }
    // A feature is a sum over questions; kept apart, so that one question can be predicted from the others.
    let mut parts: [Vec<Option<Vec<f64>>>; FEATURES] = Default::default();
    for &path in paths {
        parts[0].push(Some(differences[path].iter().map(|difference| difference / seen as f64).collect()));
        for (part, ring) in parts[1..].iter_mut().zip(&neighbourhood.0[path]) {
            part.push(ring_mean(differences, ring, seen));
        }
    }
    // What the questions but one say about a path.
    let others: Vec<Vec<f64>> = paths
        .iter()
        .map(|&path| {
            let sum: f64 = differences[path].iter().sum();
            differences[path].iter().map(|difference| (sum - difference) / (seen - 1) as f64).collect()
        })
        .collect();
    parts.iter_mut().for_each(|part| centre(part, seen));

    let count = paths.len() as f64;
    let sums = parts.each_ref().map(|part| -> Vec<f64> {
        part.iter().map(|path| path.as_ref().map_or(0.0, |path| path.iter().sum())).collect()
    });
    // E[feature · truth]: the error of a question is not in the other questions, so their product has no bias.
    let truth = parts.each_ref().map(|part| {
        part.iter().zip(&others).map(|(path, other)| path.as_ref().map_or(0.0, |path| dot(path, other))).sum::<f64>()
            / count
    });
    let features = sums.each_ref().map(|a| sums.each_ref().map(|b| dot(a, b) / count));
    let weights = non_negative(&features, &truth);
    // E[(truth − Σ weight · feature)²]; truth[0] is the variance of the truth itself.
    let fitted: f64 = (0..FEATURES).map(|a| weights[a] * dot(&features[a], &weights)).sum();
    let square = truth[0] - 2.0 * dot(&weights, &truth) + fitted;
    if weights.iter().all(|&weight| weight == 0.0) {
        return Estimate { values: own, error: None };
    }
    let value = |path: usize| (0..FEATURES).map(|feature| weights[feature] * sums[feature][path]).sum();
    // The difference of estimates can come out too small, or negative. The noise of a path's own answers, times its
    // weight squared, is a part of the error and bounds it from below.
    let noise = features[0][0] - truth[0];
    let square = square.max(weights[0] * weights[0] * noise);
    let error = (square > 0.0).then(|| square.sqrt());
    Estimate { values: (0..paths.len()).map(value).collect(), error }
}

/// The ring's mean of means, by question; none for a ring in which nothing was measured.
fn ring_mean(differences: &[Vec<f64>], ring: &[usize], seen: usize) -> Option<Vec<f64>> {
    let measured = || ring.iter().map(|&path| &differences[path]).filter(|differences| !differences.is_empty());
    let count = measured().count();
    (count > 0).then(|| {
        let mut sums = vec![0.0; seen];
        for differences in measured() {
            let share = 1.0 / (count * differences.len()) as f64;
            sums.iter_mut().zip(differences).for_each(|(sum, difference)| *sum += share * difference);
        }
        sums
    })
}

/// Takes each question's mean off, over the paths that have one.
fn centre(paths: &mut [Option<Vec<f64>>], seen: usize) {
    let count = paths.iter().flatten().count().max(1) as f64;
    for question in 0..seen {
        let mean = paths.iter().flatten().map(|path| path[question]).sum::<f64>() / count;
        paths.iter_mut().flatten().for_each(|path| path[question] -= mean);
    }
}

/// The weights ≥ 0 that minimise wᵀMw − 2wᵀr, by coordinate descent.
fn non_negative(matrix: &[[f64; FEATURES]; FEATURES], right: &[f64; FEATURES]) -> [f64; FEATURES] {
    let mut weights = [0.0; FEATURES];
    for _ in 0..SWEEPS {
        for feature in 0..FEATURES {
            let row = &matrix[feature];
            if row[feature] > 0.0 {
                let rest = dot(row, &weights) - row[feature] * weights[feature];
                weights[feature] = ((right[feature] - rest) / row[feature]).max(0.0);
            }
        }
    }
    weights
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use neuro_path::triangle;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A smooth map of 20 layers, and `seen` answers per path with uniform noise of spread `sd`.
    fn scene(seen: usize, sd: f64, seed: u64) -> (Vec<f64>, Vec<Vec<f64>>, Vec<usize>, Neighbourhood) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let blocks: Vec<Option<Block>> = triangle(20).map(Some).collect();
        let wave = |block: Block| 0.1 * (0.3 * block.start as f64).sin() + 0.05 * (0.25 * block.end as f64).cos();
        let truth: Vec<f64> = blocks.iter().flatten().map(|&block| wave(block)).collect();
        let half_width = sd * 3_f64.sqrt();
        let answers =
            truth.iter().map(|truth| (0..seen).map(|_| truth + rng.random_range(-half_width..half_width)).collect());
        (truth.clone(), answers.collect(), (1..blocks.len()).collect(), Neighbourhood::new(&blocks))
    }

    /// Root mean square of value − truth, each without its mean.
    fn rms(truth: &[f64], paths: &[usize], values: &[f64]) -> f64 {
        let errors: Vec<f64> = paths.iter().zip(values).map(|(&path, value)| value - truth[path]).collect();
        let shift = mean(&errors);
        (errors.iter().map(|error| (error - shift).powi(2)).sum::<f64>() / errors.len() as f64).sqrt()
    }

    #[test]
    fn the_error_is_what_it_says() {
        for (seen, sd) in [(3, 0.1), (8, 0.2), (8, 0.05)] {
            let (mut said, mut found, mut alone, mut count) = (0.0, 0.0, 0.0, 0);
            for seed in 0..20 {
                let (truth, answers, paths, neighbourhood) = scene(seen, sd, seed);
                let estimate = estimate(&answers, &paths, &neighbourhood);
                let own: Vec<f64> = paths.iter().map(|&path| mean(&answers[path])).collect();
                if let Some(error) = estimate.error {
                    said += error;
                    found += rms(&truth, &paths, &estimate.values);
                    alone += rms(&truth, &paths, &own);
                    count += 1;
                }
            }
            assert!(count >= 15, "{seen} {sd}: {count}");
            assert!((said / found - 1.0).abs() < 0.35, "{seen} {sd}: {said} {found}");
            assert!(found < 0.8 * alone, "{seen} {sd}: {found} {alone}");
        }
    }

    /// The mean of a path is the mean of its answers where nobody is near: the order is then theirs.
    #[test]
    fn without_neighbours_the_order_is_the_means() {
        let (_, answers, paths, _) = scene(8, 0.1, 1);
        let alone = Neighbourhood::new(&vec![None; answers.len()]);
        let found = estimate(&answers, &paths, &alone);
        let order = |values: &[f64]| {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
            order
        };
        let own: Vec<f64> = paths.iter().map(|&path| mean(&answers[path])).collect();
        assert_eq!(order(&found.values), order(&own));
        // Shrinking turns the noise of 0.1 / √8 a little down.
        assert!((found.error.unwrap() - 0.0327).abs() < 0.006, "{:?}", found.error);
    }

    #[test]
    fn one_question_tells_no_error() {
        let (_, answers, paths, neighbourhood) = scene(1, 0.1, 1);
        let found = estimate(&answers, &paths, &neighbourhood);
        assert!(found.error.is_none() && found.values[4] == answers[5][0]);
        let equal = vec![vec![0.5; 4]; answers.len()];
        assert!(estimate(&equal, &paths, &neighbourhood).error.is_none());
    }

    /// Who dropped out after fewer questions still speaks for its neighbours, and who failed does not.
    #[test]
    fn rings_average_what_was_measured() {
        let answers = [vec![], vec![1.0, 3.0], vec![2.0, 4.0, 6.0, 8.0]];
        assert_eq!(ring_mean(&answers, &[0, 1, 2], 4), Some(vec![0.5, 1.25, 0.75, 1.0]));
        assert_eq!(ring_mean(&answers, &[0], 4), None);
        let blocks: Vec<Option<Block>> = triangle(4).map(Some).chain([None]).collect();
        let rings = &Neighbourhood::new(&blocks).0;
        // (0, 1) stands at 1; (0, 2) and (1, 2) are next to it, seven blocks further out, the baseline is no neighbour.
        assert_eq!(rings[1][0], [2, 5]);
        assert_eq!(rings[1][1].len(), 7);
        assert!(rings[0].iter().chain(&rings[11]).all(Vec::is_empty));
    }

    #[test]
    fn weights_solve_the_equations_or_are_zero() {
        let matrix = [[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]];
        let weights = non_negative(&matrix, &[1.0, 1.0, 5.0]);
        assert!((weights[0] - 2.0 / 7.0).abs() < 1e-9 && (weights[1] - 6.0 / 7.0).abs() < 1e-9 && weights[2] == 0.0);
        assert_eq!(non_negative(&matrix, &[1.0, 0.0, 0.0]), [0.5, 0.0, 0.0]);
    }
}
