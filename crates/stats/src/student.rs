//! Student's t distribution.

use std::f64::consts::PI;

/// P(|T| ≥ |t|) with `freedom` degrees of freedom; NaN for none: the regularised incomplete beta function
/// I(ν ⁄ 2, ½) at ν ⁄ (ν + t²) (Abramowitz and Stegun, 26.7.1).
pub(crate) fn two_sided(t: f64, freedom: usize) -> f64 {
    if freedom == 0 || t.is_nan() {
        return f64::NAN;
    }
    let nu = freedom as f64;
    incomplete_beta(freedom, nu / (nu + t * t), t * t / (nu + t * t))
}

/// I(ν ⁄ 2, ½) at `x`, of which `rest` is 1 − x without cancellation.
fn incomplete_beta(freedom: usize, x: f64, rest: f64) -> f64 {
    if x <= 0.0 || rest <= 0.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    let a = freedom as f64 / 2.0;
    // x^a √(1 − x) ⁄ B(a, ½), in logarithms: x^a underflows long before the p-value does not matter.
    let front = (a * x.ln() + 0.5 * rest.ln() - ln_beta(freedom)).exp();
    // The fraction converges fast on this side of the mean only.
    if x < (a + 1.0) / (a + 2.5) { front * fraction(a, 0.5, x) / a } else { 1.0 - front * fraction(0.5, a, rest) / 0.5 }
}

/// ln B(ν ⁄ 2, ½), from B(½, ½) = π or B(1, ½) = 2 by B(a + 1, b) = B(a, b)·a ⁄ (a + b).
fn ln_beta(freedom: usize) -> f64 {
    let (first, start) = if freedom % 2 == 1 { (1, PI) } else { (2, 2.0) };
    let steps = (first..freedom).step_by(2).map(|twice| twice as f64 / 2.0);
    start.ln() + steps.map(|a| (a / (a + 0.5)).ln()).sum::<f64>()
}

/// The continued fraction of the incomplete beta function by Lentz's method (Press et al., Numerical Recipes, 3rd ed.,
/// 6.4).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut product = d;
    for step in 1..500 {
        let m = f64::from(step);
        for term in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / guard(1.0 + term * d);
            c = guard(1.0 + term / c);
            product *= d * c;
        }
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // One degree of freedom is Cauchy's distribution; two have a closed form.
        for t in [0.0_f64, 0.3, 1.0, 4.0, 60.0] {
            assert!((two_sided(t, 1) - (1.0 - 2.0 * t.atan() / PI)).abs() < 1e-13, "{t}");
            assert!((two_sided(t, 2) - (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-13, "{t}");
        }
        assert_eq!(two_sided(f64::INFINITY, 5), 0.0);
        assert!(two_sided(1.0, 0).is_nan() && two_sided(f64::NAN, 3).is_nan());
    }
}
