//! The choice of experts.

use neuro_checkpoint::{ExpertsConfig, RouterGroups, RouterScores};

use super::lanes::{LANES, Lanes};
use super::rows::for_rows;

/// Products of each row of `x`, `(rows, width)`, with each row of `weight`, `(outputs, width)`; `out` is `(rows, outputs)`.
/// A choice hangs on these numbers, so a row's are the same bit for bit whatever is computed beside it.
pub(crate) fn products(x: &[f32], weight: &[f32], width: usize, out: &mut [f32]) {
    let outputs = weight.len() / width.max(1);
    for_rows(out, outputs, |first, out| {
        for (row, out) in x[first * width..].chunks_exact(width).zip(out.chunks_exact_mut(outputs)) {
            for (weight, out) in weight.chunks_exact(width).zip(out) {
                *out = product(row, weight);
            }
        }
    });
}

fn product(a: &[f32], b: &[f32]) -> f32 {
    /// Partial sums, so that one addition need not wait for the last.
    const CHAINS: usize = 4;
    let mut sums = [Lanes::splat(0.0); CHAINS];
    for (a, b) in a.chunks(CHAINS * LANES).zip(b.chunks(CHAINS * LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a.chunks(LANES)).zip(b.chunks(LANES)) {
            *sum = Lanes::load_part(a).fma(Lanes::load_part(b), *sum);
        }
    }
    let [a, b, c, d] = sums;
    a.add(b).add(c.add(d)).sum()
}

/// The experts of one row with their weights, in the order of the experts. `logits` are the router's outputs, `correction`
/// what is added for choosing.
pub(crate) fn choose(logits: &[f32], correction: Option<&[f32]>, config: &ExpertsConfig) -> Vec<(usize, f32)> {
    let scores = match config.scores {
        RouterScores::Softmax => softmax(logits),
        RouterScores::SoftmaxOfChosen => logits.to_vec(),
        RouterScores::Sigmoid => logits.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect(),
    };
    let mut ranks = scores.clone();
    for (rank, correction) in ranks.iter_mut().zip(correction.unwrap_or_default()) {
        *rank += correction;
    }
    if let Some(groups) = config.groups {
        keep_groups(&mut ranks, groups);
    }
    let mut chosen = best(&ranks, config.per_token);
    chosen.sort_unstable();
    let mut weights: Vec<f32> = chosen.iter().map(|&expert| scores[expert]).collect();
    if config.scores == RouterScores::SoftmaxOfChosen {
        weights = softmax(&weights);
    }
    // transformers adds 1e-20 to the sum of sigmoids, which are never all so small that it shows.
    let sum = if config.normalised { weights.iter().sum::<f32>() } else { 1.0 };
    let scale = config.scale as f32;
    chosen.into_iter().zip(weights).map(|(expert, weight)| (expert, weight / sum * scale)).collect()
}

/// The indices of the largest values, the first of equal ones.
fn best(values: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(count);
    order
}

/// Lets no expert outside of the best groups be chosen. A group's score is the sum of its best experts'.
fn keep_groups(ranks: &mut [f32], groups: RouterGroups) {
    let size = ranks.len() / groups.count;
    let score = |group: &[f32]| best(group, groups.summed).into_iter().map(|expert| group[expert]).sum();
    let scores: Vec<f32> = ranks.chunks(size).map(score).collect();
    let kept = best(&scores, groups.kept);
    for (group, ranks) in ranks.chunks_mut(size).enumerate() {
        if !kept.contains(&group) {
            ranks.fill(f32::NEG_INFINITY);
        }
    }
}

fn softmax(values: &[f32]) -> Vec<f32> {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = values.iter().map(|value| (value - largest).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(config: &ExpertsConfig, logits: &[f32], correction: Option<&[f32]>) -> Vec<usize> {
        choose(logits, correction, config).into_iter().map(|(expert, _)| expert).collect()
    }

    #[test]
    fn weights_are_those_of_their_kind() {
        let logits = [0.0, 2.0, -1.0, 1.0];
        let weights = |config: &ExpertsConfig| -> Vec<f32> {
            choose(&logits, None, config).into_iter().map(|(_, weight)| weight).collect()
        };
        let close = |found: Vec<f32>, expected: [f64; 2]| {
            assert!(
                found.iter().zip(expected).all(|(f, e)| (f64::from(*f) - e).abs() < 1e-6),
                "{found:?} {expected:?}"
            );
        };
        let plain = ExpertsConfig::new(4, 2, RouterScores::Softmax);
        let sum: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
        let share = 1.0 / (1.0 + (-1f64).exp());
        close(weights(&plain), [2f64.exp() / sum, 1f64.exp() / sum]);
        close(weights(&ExpertsConfig { normalised: true, ..plain.clone() }), [share, 1.0 - share]);
        close(weights(&ExpertsConfig { scores: RouterScores::SoftmaxOfChosen, ..plain.clone() }), [share, 1.0 - share]);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let scaled = ExpertsConfig { scores: RouterScores::Sigmoid, scale: 2.5, ..plain };
        close(weights(&scaled), [2.5 * sigmoid(2.0), 2.5 * sigmoid(1.0)]);
    }

    #[test]
    fn a_correction_chooses_and_does_not_weigh() {
        let config = ExpertsConfig { correction_bias: true, ..ExpertsConfig::new(3, 1, RouterScores::Sigmoid) };
        let found = choose(&[1.0, 0.0, -1.0], Some(&[0.0, 0.0, 5.0]), &config);
        assert_eq!(found[0].0, 2);
        assert!((found[0].1 - 1.0 / (1.0 + 1f32.exp())).abs() < 1e-6);
    }

    #[test]
    fn only_the_best_groups_are_chosen_from() {
        // The best expert of all stands in a group whose two best are worse than another's.
        let logits = [3.0, -9.0, 2.0, 1.9, 1.0, 0.0];
        let config = ExpertsConfig::new(6, 2, RouterScores::Sigmoid);
        assert_eq!(chosen(&config, &logits, None), [0, 2]);
        let groups = Some(RouterGroups { count: 3, kept: 1, summed: 2 });
        assert_eq!(chosen(&ExpertsConfig { groups, ..config }, &logits, None), [2, 3]);
    }

    #[test]
    fn products_are_those_of_rows_alone() {
        let (rows, width, outputs) = (300, 100, 130);
        let noise = |count: usize, seed: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * 7919 + seed) % 1013) as f32 / 500.0 - 1.0).collect()
        };
        let (x, weight) = (noise(rows * width, 1), noise(outputs * width, 2));
        let mut out = vec![0.0; rows * outputs];
        products(&x, &weight, width, &mut out);
        for row in [0, 7, 299] {
            let x = &x[row * width..(row + 1) * width];
            let mut alone = vec![0.0; outputs];
            products(x, &weight, width, &mut alone);
            assert_eq!(alone, out[row * outputs..(row + 1) * outputs]);
            for (weight, found) in weight.chunks(width).zip(alone) {
                let exact: f64 = x.iter().zip(weight).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                assert!((f64::from(found) - exact).abs() < 1e-4, "{found} {exact}");
            }
        }
    }
}
