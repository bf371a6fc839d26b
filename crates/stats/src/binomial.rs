//! Binomial probabilities, all of one distribution at once.

/// The probability of 0 … n successes in `n` draws of probability `p`, clamped to [0, 1]. Length n + 1.
///
/// Grown outwards from the most probable count by the ratio of neighbours and then normalised: no logarithms, no
/// factorials, and a relative error of about n·1e-16 even far out in the tails.
pub(crate) fn probabilities(n: usize, p: f64) -> Vec<f64> {
    let p = p.clamp(0.0, 1.0);
    let mut values = vec![0.0; n + 1];
    if p == 0.0 || p == 1.0 {
        values[if p == 0.0 { 0 } else { n }] = 1.0;
        return values;
    }
    let odds = p / (1.0 - p);
    let mode = (((n + 1) as f64 * p).floor() as usize).min(n);
    values[mode] = 1.0;
    for k in mode..n {
        values[k + 1] = values[k] * odds * (n - k) as f64 / (k + 1) as f64;
    }
    for k in (0..mode).rev() {
        values[k] = values[k + 1] / odds * (k + 1) as f64 / (n - k) as f64;
    }
    let total: f64 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= total);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_distributions_are_known() {
        assert_eq!(probabilities(0, 0.3), [1.0]);
        assert_eq!(probabilities(3, 0.0), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(probabilities(3, 1.0), [0.0, 0.0, 0.0, 1.0]);
        let found = probabilities(4, 0.5);
        for (found, expected) in found.iter().zip([1.0, 4.0, 6.0, 4.0, 1.0]) {
            assert!((found - expected / 16.0).abs() < 1e-15);
        }
    }

    #[test]
    fn large_ones_neither_overflow_nor_vanish() {
        let found = probabilities(5_000, 0.5);
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(found.iter().all(|value| value.is_finite()) && found[2_500] > 0.011);
        assert!(found[2_000] > 0.0 && (found[2_000] / found[3_000] - 1.0).abs() < 1e-9);
    }
}
