//! Normalisation, and what is added to rows.

use super::lanes::{LANES, Lanes};
use super::rows::for_rows;

/// Partial sums of a row's squares, so that one addition need not wait for the last.
const CHAINS: usize = 4;

/// Root mean square normalisation (arXiv 1910.07467) of each row: `x / sqrt(mean(x²) + eps) · weight`.
///
/// `x` and `out` are `(rows, width)`, `weight` is `(width)`.
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    RowNorm { weight, bias: None, eps }.rows(x, out);
}

/// Normalisation of each row to mean 0 and variance 1 (arXiv 1607.06450): `(x − mean) / sqrt(var + eps) · weight + bias`.
///
/// `x` and `out` are `(rows, width)`, `weight` and `bias` are `(width)`.
pub(crate) fn layer_norm(x: &[f32], (weight, bias): (&[f32], &[f32]), eps: f32, out: &mut [f32]) {
    RowNorm { weight, bias: Some(bias), eps }.rows(x, out);
}

/// What a norm does to a row: that of [`layer_norm`] where there is a bias, else that of [`rms_norm`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowNorm<'a> {
    /// `(width)`
    pub(crate) weight: &'a [f32],
    /// `(width)`
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) eps: f32,
}

impl RowNorm<'_> {
    fn rows(&self, x: &[f32], out: &mut [f32]) {
        let width = self.weight.len();
        for_rows(out, width, |first, out| {
            for (row, out) in x[first * width..].chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                self.row(row, out);
            }
        });
    }

    /// One row, `(width)`.
    pub(crate) fn row(&self, row: &[f32], out: &mut [f32]) {
        let width = self.weight.len() as f32;
        let Some(bias) = self.bias else {
            let inverse = Lanes::splat(1.0 / (sum_of_squares(row) / width + self.eps).sqrt());
            for ((x, weight), out) in row.chunks(LANES).zip(self.weight.chunks(LANES)).zip(out.chunks_mut(LANES)) {
                Lanes::load_part(x).mul(inverse).mul(Lanes::load_part(weight)).store_part(out);
            }
            return;
        };
        let mean = Lanes::splat(sum_of(row) / width);
        // The differences first: the variance of large values would be lost in the difference of two sums.
        for (x, out) in row.chunks(LANES).zip(out.chunks_mut(LANES)) {
            Lanes::load_part(x).sub(mean).store_part(out);
        }
        let inverse = Lanes::splat(1.0 / (sum_of_squares(out) / width + self.eps).sqrt());
        for ((out, weight), bias) in out.chunks_mut(LANES).zip(self.weight.chunks(LANES)).zip(bias.chunks(LANES)) {
            let normed = Lanes::load_part(out).mul(inverse);
            normed.fma(Lanes::load_part(weight), Lanes::load_part(bias)).store_part(out);
        }
    }
}

/// Some rows `(rows, width)`, normed into `scratch` where there is a norm.
pub(crate) fn normed<'a>(x: &'a [f32], width: usize, norm: Option<RowNorm>, scratch: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(norm) = norm else { return x };
    scratch.resize(x.len(), 0.0);
    for (row, out) in x.chunks_exact(width).zip(scratch.chunks_exact_mut(width)) {
        norm.row(row, out);
    }
    scratch
}

fn sum_of(row: &[f32]) -> f32 {
    let mut sums = [Lanes::splat(0.0); CHAINS];
    for block in row.chunks(CHAINS * LANES) {
        for (sum, x) in sums.iter_mut().zip(block.chunks(LANES)) {
            *sum = sum.add(Lanes::load_part(x));
        }
    }
    let [a, b, c, d] = sums;
    a.add(b).add(c.add(d)).sum()
}

fn sum_of_squares(row: &[f32]) -> f32 {
    let mut sums = [Lanes::splat(0.0); CHAINS];
    let (blocks, rest) = row.as_chunks::<{ CHAINS * LANES }>();
    for block in blocks {
        let (lines, _) = block.as_chunks::<LANES>();
        for (sum, x) in sums.iter_mut().zip(lines) {
            let x = Lanes::load(x);
            *sum = x.fma(x, *sum);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest.chunks(LANES)) {
        let x = Lanes::load_part(x);
        *sum = x.fma(x, *sum);
    }
    let [a, b, c, d] = sums;
    a.add(b).add(c.add(d)).sum()
}

/// `a + b`.
pub(crate) fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; a.len()];
    for_rows(&mut out, 1, |first, out| {
        for (out, (a, b)) in out.iter_mut().zip(a[first..].iter().zip(&b[first..])) {
            *out = a + b;
        }
    });
    out
}

/// `out += x`.
pub(crate) fn add(out: &mut [f32], x: &[f32]) {
    for_rows(out, 1, |first, out| {
        for (out, x) in out.iter_mut().zip(&x[first..]) {
            *out += x;
        }
    });
}

/// `out += bias` in each row.
pub(crate) fn add_to_rows(out: &mut [f32], bias: &[f32]) {
    for_rows(out, bias.len(), |_, out| {
        for row in out.chunks_exact_mut(bias.len()) {
            for (out, bias) in row.iter_mut().zip(bias) {
                *out += bias;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize, width: usize) -> Vec<f32> {
        (0..count * width).map(|i| ((i * 7919) % 1013) as f32 / 500.0 - 1.0).collect()
    }

    #[test]
    fn norm_agrees_with_the_formula() {
        for width in [1, 16, 20, 64, 100, 896] {
            let count = 100;
            let (x, mut out) = (rows(count, width), vec![0.0; count * width]);
            let weight: Vec<f32> = (0..width).map(|i| 0.5 + i as f32 / width as f32).collect();
            rms_norm(&x, &weight, 1e-5, &mut out);
            for (row, out) in x.chunks(width).zip(out.chunks(width)) {
                let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64;
                for ((x, weight), out) in row.iter().zip(&weight).zip(out) {
                    let exact = f64::from(*x) / (mean + 1e-5).sqrt() * f64::from(*weight);
                    assert!((f64::from(*out) - exact).abs() < 1e-6 * exact.abs().max(1.0), "{width}: {out} {exact}");
                }
            }
            let mut alone = vec![0.0; width];
            rms_norm(&x[width..2 * width], &weight, 1e-5, &mut alone);
            assert_eq!(alone, out[width..2 * width]);
        }
    }

    #[test]
    fn layer_norm_agrees_with_the_formula() {
        for width in [1, 16, 20, 64, 100, 896] {
            let count = 100;
            // A mean far from zero, which must be taken away before squares are summed.
            let x: Vec<f32> = rows(count, width).iter().map(|x| x + 30.0).collect();
            let mut out = vec![0.0; count * width];
            let weight: Vec<f32> = (0..width).map(|i| 0.5 + i as f32 / width as f32).collect();
            let bias: Vec<f32> = (0..width).map(|i| i as f32 / 7.0 - 1.0).collect();
            layer_norm(&x, (&weight, &bias), 1e-5, &mut out);
            for (row, out) in x.chunks(width).zip(out.chunks(width)) {
                let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / width as f64;
                let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / width as f64;
                for (((x, weight), bias), out) in row.iter().zip(&weight).zip(&bias).zip(out) {
                    let exact =
                        (f64::from(*x) - mean) / (variance + 1e-5).sqrt() * f64::from(*weight) + f64::from(*bias);
                    assert!((f64::from(*out) - exact).abs() < 2e-5 * exact.abs().max(1.0), "{width}: {out} {exact}");
                }
            }
            let mut alone = vec![0.0; width];
            layer_norm(&x[width..2 * width], (&weight, &bias), 1e-5, &mut alone);
            assert_eq!(alone, out[width..2 * width]);
        }
    }

    #[test]
    fn adds_a_bias_to_each_row() {
        let (mut out, bias) = (rows(300, 500), rows(1, 500));
        add_to_rows(&mut out, &bias);
        for (found, before) in out.chunks(500).zip(rows(300, 500).chunks(500)) {
            let expected: Vec<f32> = before.iter().zip(&bias).map(|(x, bias)| x + bias).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn adds() {
        for len in [5, 200_000] {
            let (mut out, x) = (rows(1, len), rows(2, len));
            add(&mut out, &x[len..]);
            let expected: Vec<f32> = rows(1, len).iter().zip(&x[len..]).map(|(out, x)| out + x).collect();
            assert_eq!(out, expected);
            assert_eq!(sum(&rows(1, len), &x[len..]), expected);
        }
    }
}
