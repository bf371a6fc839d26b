//! Rotary position embedding.

use super::lanes::{LANES, Lanes};
use super::rows::for_rows;

/// Cosines and sines by position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Angles<'a> {
    /// `(positions, rotary_dim / 2)`
    pub(crate) cos: &'a [f32],
    /// `(positions, rotary_dim / 2)`
    pub(crate) sin: &'a [f32],
    pub(crate) rotary_dim: usize,
    /// Whether feature 2f turns with 2f + 1, instead of f with `f + rotary_dim / 2`.
    pub(crate) interleaved: bool,
}

/// Rotates each head of `x`, `(rows, heads·head_dim)`, by the angles of its row's position (arXiv 2104.09864, in the
/// layout of transformers' `rotate_half`: feature `f` turns with feature `f + rotary_dim / 2`; or of its interleaved one, as
/// in `modeling_glm4.py`). Features from `rotary_dim` on pass.
///
/// # Panics
/// When a position lies outside the tables.
pub(crate) fn rotate(x: &mut [f32], width: usize, head_dim: usize, positions: &[usize], angles: Angles) {
    let half = angles.rotary_dim / 2;
    for_rows(x, width, |first, rows| {
        for (row, &position) in rows.chunks_exact_mut(width).zip(&positions[first..]) {
            let cos = &angles.cos[position * half..(position + 1) * half];
            let sin = &angles.sin[position * half..(position + 1) * half];
            for head in row.chunks_exact_mut(head_dim) {
                if angles.interleaved {
                    rotate_pairs(&mut head[..2 * half], cos, sin);
                    continue;
                }
                let (a, b) = head[..2 * half].split_at_mut(half);
                let (a, b) = (a.chunks_mut(LANES), b.chunks_mut(LANES));
                for (((a, b), cos), sin) in a.zip(b).zip(cos.chunks(LANES)).zip(sin.chunks(LANES)) {
                    let (cos, sin) = (Lanes::load_part(cos), Lanes::load_part(sin));
                    let (x, y) = (Lanes::load_part(a), Lanes::load_part(b));
                    x.mul(cos).sub(y.mul(sin)).store_part(a);
                    x.mul(sin).add(y.mul(cos)).store_part(b);
                }
            }
        }
    });
}

fn rotate_pairs(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    for ((pair, cos), sin) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
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
            let table = |f: fn(f32) -> f32| -> Vec<f32> {
                (0..50).flat_map(|p| (0..half).map(move |pair| f(angle(p, pair)))).collect()
            };
            let (cos, sin) = (table(f32::cos), table(f32::sin));
            let positions: Vec<usize> = (0..rows).map(|row| row * 13 % 50).collect();
            let before: Vec<f32> = (0..rows * width).map(|i| ((i * 7919) % 1013) as f32 / 500.0 - 1.0).collect();
            let mut x = before.clone();
            let angles = Angles { cos: &cos, sin: &sin, rotary_dim, interleaved: false };
            rotate(&mut x, width, head_dim, &positions, angles);
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
            rotate(&mut paired, width, head_dim, &positions, Angles { interleaved: true, ..angles });
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
