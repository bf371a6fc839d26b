//! How high the best of many is by chance alone.

use crate::normal;

/// The expected largest of `m` independent standard normal numbers, ∫ x dΦ(x)^m; 0 for one, NaN for none.
///
/// The best of `m` paths that do nothing is expected that many standard errors above the baseline. Paths that are all
/// correlated by ρ have √(1 − ρ) times as much (they share the rest); for a real map [`crate::MaxT::expected_best`] knows
/// the correlations there are.
#[must_use]
pub fn expected_best(m: usize) -> f64 {
    const END: f64 = 9.0;
    const STEPS: i32 = 3_600;
    if m == 0 {
        return f64::NAN;
    }
    // In parts: ∫₀^END (1 − Φ(x)^m) dx − ∫₋END^0 Φ(x)^m dx, by Simpson's rule.
    let width = END / f64::from(STEPS);
    // Far out the sum behind Φ leaves [0, 1] by its last bit.
    let value = |x: f64| normal::cumulative(x).clamp(0.0, 1.0).powf(m as f64);
    let weight = |step: i32| match step {
        0 | STEPS => 1.0,
        step if step % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let sum: f64 = (0..=STEPS)
        .map(|step| {
            let x = f64::from(step) * width;
            weight(step) * (1.0 - value(x) - value(-x))
        })
        .sum();
    sum * width / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let close = |m, expected: f64| assert!((expected_best(m) - expected).abs() < 1e-9, "{m}: {}", expected_best(m));
        close(1, 0.0);
        close(2, 1.0 / std::f64::consts::PI.sqrt());
        close(3, 1.5 / std::f64::consts::PI.sqrt());
        assert!(expected_best(0).is_nan());
        assert!((1..2_000).step_by(97).all(|m| expected_best(m + 97) > expected_best(m)));
    }
}
