//! Soft caps: `cap · tanh(x / cap)` (Gemma 2, arXiv 2408.00118, section 2).

use super::lanes::{LANES, Lanes};
use super::rows::for_rows;

/// Scales each value, then caps it where there is a cap.
pub(crate) fn scale_and_cap(values: &mut [f32], scale: f32, cap: Option<f32>) {
    for_rows(values, 1, |_, values| {
        for values in values.chunks_mut(LANES) {
            let scaled = Lanes::load_part(values).mul(Lanes::splat(scale));
            cap.map_or(scaled, |cap| capped(scaled, cap)).store_part(values);
        }
    });
}

/// `cap · tanh(x / cap)`, as `cap · (1 − 2 / (exp(2 x / cap) + 1))`.
#[inline(always)]
pub(crate) fn capped(x: Lanes, cap: f32) -> Lanes {
    let one = Lanes::splat(1.0);
    let double = x.mul(Lanes::splat(2.0 / cap)).exp();
    one.sub(Lanes::splat(2.0).div(double.add(one))).mul(Lanes::splat(cap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_formula() {
        let x: Vec<f32> = (-40_000..40_000).map(|i| i as f32 / 100.0).collect();
        for cap in [5.0, 30.0, 50.0] {
            let mut out = x.clone();
            scale_and_cap(&mut out, 0.5, Some(cap));
            for (x, out) in x.iter().zip(out) {
                let exact = f64::from(cap) * (0.5 * f64::from(*x) / f64::from(cap)).tanh();
                assert!((f64::from(out) - exact).abs() <= 4e-7 * f64::from(cap), "{x} {cap}: {out} {exact}");
            }
        }
        let mut ends = [f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30];
        scale_and_cap(&mut ends, 1.0, Some(2.0));
        assert_eq!(ends, [2.0, -2.0, 2.0, -2.0]);
        let mut plain = [1.0, -3.0];
        scale_and_cap(&mut plain, 0.25, None);
        assert_eq!(plain, [0.25, -0.75]);
    }
}
