//! The standard normal distribution, to about 1e-15: two functions do not deserve a dependency.

use std::f64::consts::TAU;

/// Φ(x), by the series Φ(x) = ½ + φ(x)·(x + x³⁄3 + x⁵⁄(3·5) + …) (Marsaglia, Evaluating the Normal Distribution,
/// J. Stat. Software 11(4), 2004).
pub(crate) fn cumulative(x: f64) -> f64 {
    // Beyond, Φ differs from 0 or 1 by less than an f64 can add to ½.
    if x.is_nan() || x.abs() > 8.5 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    loop {
        odd += 2.0;
        term *= x * x / odd;
        let next = sum + term;
        if next == sum {
            return 0.5 + density(x) * sum;
        }
        sum = next;
    }
}

/// The x with Φ(x) = `probability`; none outside (0, 1). Newton's method from 0 stays on the near side of the root,
/// since Φ bends towards the axis there, and so cannot overshoot.
pub(crate) fn quantile(probability: f64) -> Option<f64> {
    if !(probability > 0.0 && probability < 1.0) {
        return None;
    }
    let mut x = 0.0;
    for _ in 0..100 {
        let step = (probability - cumulative(x)) / density(x);
        x += step;
        if step.abs() < 1e-14 * (1.0 + x.abs()) {
            break;
        }
    }
    Some(x)
}

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: tests/expected.py.
    #[test]
    fn agrees_with_scipy() {
        let expected = [
            (-5.0, 2.866515718791933e-07),
            (-1.959964, 0.024999999096442398),
            (-0.3, 0.3820885778110474),
            (0.0, 0.5),
            (0.7, 0.758036347776927),
            (3.0, 0.9986501019683699),
        ];
        for (x, probability) in expected {
            assert!((cumulative(x) - probability).abs() < 1e-15, "Φ({x}) = {}", cumulative(x));
        }
        let expected = [
            (0.0005, -3.2905267314918945),
            (0.025, -1.9599639845400545),
            (0.3, -0.5244005127080409),
            (0.5, 0.0),
            (0.975, 1.959963984540054),
            (0.9995, 3.2905267314919255),
        ];
        for (probability, x) in expected {
            let found = quantile(probability).unwrap();
            assert!((found - x).abs() < 1e-12, "Φ⁻¹({probability}) = {found}");
        }
    }

    #[test]
    fn the_ends_are_no_numbers() {
        assert_eq!([0.0, 1.0, -0.1, 1.1, f64::NAN].map(quantile), [None; 5]);
        assert_eq!((cumulative(40.0), cumulative(-40.0)), (1.0, 0.0));
    }
}
