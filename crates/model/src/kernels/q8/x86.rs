//! The fastest instructions that the processor is found to have. All give the same, bit for bit.

use super::{GROUP, Rounded, Sums, WORDS, WeightBlock, avx2, vnni};

/// That the processor has some: a value exists only where it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instructions(Set);

#[derive(Debug, Clone, Copy)]
enum Set {
    /// AVX-512 with its VNNI.
    Vnni,
    /// AVX2, FMA and F16C.
    Avx2,
}

#[expect(unsafe_code, reason = "what was detected can be called")]
impl Instructions {
    pub(super) fn detect() -> Option<Self> {
        let has_vnni = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        if has_vnni { Some(Self(Set::Vnni)) } else { Self::detect_avx2() }
    }

    /// The older ones.
    pub(super) fn detect_avx2() -> Option<Self> {
        let has_avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        has_avx2.then_some(Self(Set::Avx2))
    }

    /// Nanoseconds in which a block of a panel comes from memory, and those in which it is multiplied with a group.
    pub(super) fn block_times(self) -> [usize; 2] {
        match self.0 {
            Set::Vnni => [150, 25],
            Set::Avx2 => [150, 110],
        }
    }

    // SAFETY, for every block below: the functions are safe but for the processor's need to have what they are compiled
    // for, and `self` is the proof that it was found.

    /// Up to 32 activations as `(q, d, Σ q)`: `d` is the largest magnitude / 127, `q` is `x / d` rounded to the nearest,
    /// to even ones in the middle. Where a value is not finite, `d` is NaN.
    #[inline]
    pub(super) fn round(self, x: &[f32]) -> ([u32; WORDS], f32, i32) {
        match self.0 {
            Set::Vnni => unsafe { vnni::round(x) },
            Set::Avx2 => unsafe { avx2::round(x) },
        }
    }

    /// Up to 32 weights as `(q + 128, d)`, `d` as f16; in the middle `q` is the one farther from zero.
    #[inline]
    pub(super) fn round_weights(self, weights: &[f32]) -> ([u32; WORDS], u16) {
        match self.0 {
            Set::Vnni => unsafe { vnni::round_weights(weights) },
            Set::Avx2 => unsafe { avx2::round_weights(weights) },
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
        match rows {
            0 => (),
            1 => self.multiply_rows::<1>(x, weights, next, sums),
            2 => self.multiply_rows::<2>(x, weights, next, sums),
            3 => self.multiply_rows::<3>(x, weights, next, sums),
            4 => self.multiply_rows::<4>(x, weights, next, sums),
            5 => self.multiply_rows::<5>(x, weights, next, sums),
            _ => self.multiply_rows::<GROUP>(x, weights, next, sums),
        }
    }

    #[inline]
    fn multiply_rows<const ROWS: usize>(
        self,
        x: &[Rounded],
        weights: &[WeightBlock],
        next: &[WeightBlock],
        sums: &mut Sums,
    ) {
        match self.0 {
            Set::Vnni => unsafe { vnni::multiply::<ROWS>(x, weights, next, sums) },
            Set::Avx2 => unsafe { avx2::multiply::<ROWS>(x, weights, next, sums) },
        }
    }
}
