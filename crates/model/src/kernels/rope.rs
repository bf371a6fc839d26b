//! Rotary position embedding.

use super::lanes::{LANES, Lanes};
use super::rows::for_rows;

/// Cosines and sines by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Angles<'a> {
    /// `(rows, rotary_dim / 2)`
    pub(crate) cos: &'a [f32],
    /// `(rows, rotary_dim / 2)`
    pub(crate) sin: &'a [f32],
    pub(crate) rotary_dim: usize,
    /// Whether feature 2f turns with 2f + 1, instead of f with `f + rotary_dim / 2`.
    pub(crate) interleaved: bool,
}

/// Rotates each head of `x`, `(rows, heads·head_dim)`, by the angles of its row (arXiv 2104.09864, in the layout of
/// transformers' `rotate_half`: feature `f` turns with feature `f + rotary_dim / 2`; or of its interleaved one, as in
/// `modeling_glm4.py`). Features from `rotary_dim` on stay as they are.
///
/// # Panics
/// When there are fewer angles than rows.
pub(crate) fn rotate(x: &mut [f32], width: usize, head_dim: usize, angles: Angles) {
    let half = angles.rotary_dim / 2;
    for_rows(x, width, |first, x| {
        for (row, x) in x.chunks_exact_mut(width).enumerate().map(|(row, x)| (first + row, x)) {
            let cos = &angles.cos[row * half..(row + 1) * half];
            let sin = &angles.sin[row * half..(row + 1) * half];
            for x in x.chunks_exact_mut(head_dim) {
                match angles.interleaved {
                    true => rotate_pairs(&mut x[..2 * half], cos, sin),
                    false => rotate_halves(&mut x[..2 * half], cos, sin),
                }
            }
        }
    });
}

fn rotate_halves(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (x, y) = x.split_at_mut(cos.len());
    let pairs = x.chunks_mut(LANES).zip(y.chunks_mut(LANES));
    for ((x, y), (cos, sin)) in pairs.zip(cos.chunks(LANES).zip(sin.chunks(LANES))) {
        let (cos, sin) = (Lanes::load_part(cos), Lanes::load_part(sin));
        let (left, right) = (Lanes::load_part(x), Lanes::load_part(y));
        left.mul(cos).sub(right.mul(sin)).store_part(x);
        left.mul(sin).add(right.mul(cos)).store_part(y);
    }
}

fn rotate_pairs(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    for (pair, (cos, sin)) in x.as_chunks_mut::<2>().0.iter_mut().zip(cos.iter().zip(sin)) {
        let [x, y] = *pair;
        *pair = [x * cos - y * sin, x * sin + y * cos];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_pairs_and_lets_the_rest_pass() {
        for (heads, head_dim, rotary_dim) in [(3, 64, 64), (2, 16, 8), (1, 96, 72), (2, 6, 2), (2, 128, 128)] {
            let (rows, half, width) = (400, rotary_dim / 2, heads * head_dim);
            let angle = |position: usize, pair: usize| position as f32 * 0.37f32.powi(pair as i32);
            let positions: Vec<usize> = (0..rows).map(|row| row * 13 % 50).collect();
            let table = |f: fn(f32) -> f32| -> Vec<f32> {
                positions.iter().flat_map(|&p| (0..half).map(move |pair| f(angle(p, pair)))).collect()
            };
            let (cos, sin) = (table(f32::cos), table(f32::sin));
            let before: Vec<f32> = (0..rows * width).map(|i| ((i * 7919) % 1013) as f32 / 500.0 - 1.0).collect();
            let mut x = before.clone();
            let angles = Angles { cos: &cos, sin: &sin, rotary_dim, interleaved: false };
            rotate(&mut x, width, head_dim, angles);
            // The same pairs, brought side by side before and taken apart after.
            let place = |feature: usize| match feature {
                f if f < half => 2 * f,
                f if f < rotary_dim => 2 * (f - half) + 1,
                f => f,
            };
            let mut paired = before.clone();
            for (paired, before) in paired.chunks_mut(head_dim).zip(before.chunks(head_dim)) {
                (0..head_dim).for_each(|feature| paired[place(feature)] = before[feature]);
            }
            rotate(&mut paired, width, head_dim, Angles { interleaved: true, ..angles });
            for (paired, x) in paired.chunks(head_dim).zip(x.chunks(head_dim)) {
                assert!((0..head_dim).all(|feature| (paired[place(feature)] - x[feature]).abs() < 1e-6));
            }
            for (head, (x, before)) in x.chunks(head_dim).zip(before.chunks(head_dim)).enumerate() {
                let position = positions[head / heads];
                for (feature, &found) in x.iter().enumerate() {
                    let (sin, cos) = f64::from(angle(position, feature % half)).sin_cos();
                    let at = |feature: usize| f64::from(before[feature]);
                    let exact = match feature {
                        f if f < half => at(f) * cos - at(f + half) * sin,
                        f if f < rotary_dim => at(f) * cos + at(f - half) * sin,
                        f => at(f),
                    };
                    assert!((f64::from(found) - exact).abs() < 1e-6, "{position} {feature}: {} {exact}", x[feature]);
                }
            }
        }
    }
}
