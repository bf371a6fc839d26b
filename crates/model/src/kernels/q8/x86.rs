//! The fastest instructions that the processor has. All give the same, bit for bit.

use super::{Rounded, Sums, WORDS, WeightBlock, avx2, vnni};

/// Of a processor that has some.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instructions {
    Vnni(vnni::Instructions),
    Avx2(avx2::Instructions),
}

impl Instructions {
    pub(super) fn detect() -> Option<Self> {
        vnni::Instructions::detect().map(Self::Vnni).or_else(|| avx2::Instructions::detect().map(Self::Avx2))
    }

    /// Nanoseconds in which a block of a panel comes from memory, and those in which it is multiplied with a group.
    pub(super) fn block_times(self) -> [usize; 2] {
        match self {
            Self::Vnni(_) => [150, 25],
            Self::Avx2(_) => [150, 110],
        }
    }

    /// Up to 32 activations as `(q, d, Σ q)`: `d` is the largest magnitude / 127, `q` is `x / d` rounded to the nearest,
    /// to even ones in the middle. Where a value is not finite, `d` is NaN.
    #[inline]
    pub(super) fn round(self, x: &[f32]) -> ([u32; WORDS], f32, i32) {
        match self {
            Self::Vnni(instructions) => instructions.round(x),
            Self::Avx2(instructions) => instructions.round(x),
        }
    }

    /// Up to 32 weights as `(q + 128, d)`, `d` as f16; in the middle `q` is the one farther from zero.
    #[inline]
    pub(super) fn round_weights(self, weights: &[f32]) -> ([u32; WORDS], u16) {
        match self {
            Self::Vnni(instructions) => instructions.round_weights(weights),
            Self::Avx2(instructions) => instructions.round_weights(weights),
        }
    }

    /// Products of a group's first rows with a panel; the sums of the others stay as they are. Weights that come `next`
    /// are fetched, at most as many as there are now.
    #[inline]
    pub(super) fn multiply(
        self,
        rows: usize,
        x: &[Rounded],
        weights: &[WeightBlock],
        next: &[WeightBlock],
        sums: &mut Sums,
    ) {
        match self {
            Self::Vnni(instructions) => instructions.multiply(rows, x, weights, next, sums),
            Self::Avx2(instructions) => instructions.multiply(rows, x, weights, next, sums),
        }
    }
}
