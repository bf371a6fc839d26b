//! Arrays, for the compiler to make the best of.

use super::LANES;

/// The processor knows by itself what is read next.
#[inline(always)]
pub(super) fn prefetch(_: &f32) {}

/// What the compiler makes of an array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes([f32; LANES]);

/// In one rounding where the machine has an instruction for that; elsewhere a call would cost more than it gives.
#[inline(always)]
fn fma(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) { a.mul_add(b, c) } else { a * b + c }
}

impl Lanes {
    #[inline(always)]
    fn zip(mut self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        for lane in 0..LANES {
            self.0[lane] = f(self.0[lane], other.0[lane]);
        }
        self
    }

    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    pub(crate) fn load(values: &[f32; LANES]) -> Self {
        Self(*values)
    }

    #[inline(always)]
    pub(crate) fn store(self, values: &mut [f32; LANES]) {
        *values = self.0;
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    pub(crate) fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    pub(crate) fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    pub(crate) fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    /// `self · factor + summand`.
    #[inline(always)]
    pub(crate) fn fma(self, factor: Self, mut summand: Self) -> Self {
        for lane in 0..LANES {
            summand.0[lane] = fma(self.0[lane], factor.0[lane], summand.0[lane]);
        }
        summand
    }

    /// The larger lanes; where `other` is NaN, this one's.
    #[inline(always)]
    pub(crate) fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if b > a { b } else { a })
    }

    /// `self · 2ⁿ` for a whole n that keeps the result normal.
    #[inline(always)]
    pub(super) fn times_power_of_two(self, n: Self) -> Self {
        // Adding 1.5 · 2²³ leaves an integer in the lowest bits.
        self.zip(n, |a, n| a * f32::from_bits(((n + 12_582_912.0).to_bits() << 23).wrapping_add(127 << 23)))
    }

    /// `then` where `of < bound`, itself elsewhere.
    #[inline(always)]
    pub(super) fn where_less(self, of: Self, bound: f32, then: f32) -> Self {
        self.zip(of, |a, of| if of < bound { then } else { a })
    }

    /// `then` where `of > bound`, itself elsewhere.
    #[inline(always)]
    pub(super) fn where_greater(self, of: Self, bound: f32, then: f32) -> Self {
        self.zip(of, |a, of| if of > bound { then } else { a })
    }

    /// This one in the given range of lanes, `other` elsewhere.
    #[inline(always)]
    pub(crate) fn within(mut self, lanes: std::ops::Range<usize>, other: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] = if lanes.contains(&lane) { self.0[lane] } else { other.0[lane] };
        }
        self
    }

    /// Rows become columns.
    #[inline(always)]
    pub(crate) fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let mut columns = rows;
        for (lane, row) in rows.iter().enumerate() {
            for (column, value) in columns.iter_mut().zip(row.0) {
                column.0[lane] = value;
            }
        }
        columns
    }
}
