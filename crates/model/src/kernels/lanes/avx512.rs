//! Registers of AVX-512.

#![expect(unsafe_code, reason = "intrinsics; see the SAFETY paragraph of each")]

use core::arch::x86_64::*;

use super::LANES;

/// Asks for a line.
#[inline(always)]
pub(super) fn prefetch(line: &f32) {
    // SAFETY: a hint, which reads nothing; the address is that of a reference.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(line).cast()) };
}

/// One 512-bit register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes(__m512);

// SAFETY, for every block below: the intrinsics need AVX-512F, and this module is compiled only where the whole
// program is compiled for it. Loads and stores go through references to exactly sixteen f32 and ask for no
// alignment.
impl Lanes {
    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    pub(crate) fn load(values: &[f32; LANES]) -> Self {
        Self(unsafe { _mm512_loadu_ps(values.as_ptr()) })
    }

    #[inline(always)]
    pub(crate) fn store(self, values: &mut [f32; LANES]) {
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    pub(crate) fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    pub(crate) fn mul(self, other: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    pub(crate) fn div(self, other: Self) -> Self {
        Self(unsafe { _mm512_div_ps(self.0, other.0) })
    }

    /// `self · factor + summand`.
    #[inline(always)]
    pub(crate) fn fma(self, factor: Self, summand: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, summand.0) })
    }

    /// The larger lanes; where `other` is NaN, this one's.
    #[inline(always)]
    pub(crate) fn max(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_ps(other.0, self.0) })
    }

    /// `self · 2ⁿ` for a whole n that keeps the result normal.
    #[inline(always)]
    pub(super) fn times_power_of_two(self, n: Self) -> Self {
        Self(unsafe { _mm512_scalef_ps(self.0, n.0) })
    }

    /// `then` where `of < bound`, itself elsewhere.
    #[inline(always)]
    pub(super) fn where_less(self, of: Self, bound: f32, then: f32) -> Self {
        let bound = Self::splat(bound);
        Self(unsafe {
            let mask = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(of.0, bound.0);
            _mm512_mask_blend_ps(mask, self.0, Self::splat(then).0)
        })
    }

    /// `then` where `of > bound`, itself elsewhere.
    #[inline(always)]
    pub(super) fn where_greater(self, of: Self, bound: f32, then: f32) -> Self {
        let bound = Self::splat(bound);
        Self(unsafe {
            let mask = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(of.0, bound.0);
            _mm512_mask_blend_ps(mask, self.0, Self::splat(then).0)
        })
    }

    /// This one in the given range of lanes, `other` elsewhere.
    #[inline(always)]
    pub(crate) fn within(self, lanes: std::ops::Range<usize>, other: Self) -> Self {
        let below = |end: usize| ((1u32 << end.min(LANES)) - 1) as u16;
        let mask = below(lanes.end) & !below(lanes.start);
        Self(unsafe { _mm512_mask_blend_ps(mask, other.0, self.0) })
    }

    /// Rows become columns.
    #[inline(always)]
    pub(crate) fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let (mut pairs, mut fours, mut columns) = (rows, rows, rows);
        unsafe {
            for i in (0..LANES).step_by(2) {
                pairs[i].0 = _mm512_unpacklo_ps(rows[i].0, rows[i + 1].0);
                pairs[i + 1].0 = _mm512_unpackhi_ps(rows[i].0, rows[i + 1].0);
            }
            let doubles = pairs.map(|pair| _mm512_castps_pd(pair.0));
            // Part L of fours[4 i + c] is column 4 L + c of rows 4 i to 4 i + 3.
            for i in (0..LANES).step_by(4) {
                fours[i].0 = _mm512_castpd_ps(_mm512_unpacklo_pd(doubles[i], doubles[i + 2]));
                fours[i + 1].0 = _mm512_castpd_ps(_mm512_unpackhi_pd(doubles[i], doubles[i + 2]));
                fours[i + 2].0 = _mm512_castpd_ps(_mm512_unpacklo_pd(doubles[i + 1], doubles[i + 3]));
                fours[i + 3].0 = _mm512_castpd_ps(_mm512_unpackhi_pd(doubles[i + 1], doubles[i + 3]));
            }
            for c in 0..4 {
                let [a, b, d, e] = [fours[c].0, fours[4 + c].0, fours[8 + c].0, fours[12 + c].0];
                let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
                let (even2, odd2) = (_mm512_shuffle_f32x4::<0x88>(d, e), _mm512_shuffle_f32x4::<0xdd>(d, e));
                columns[c].0 = _mm512_shuffle_f32x4::<0x88>(even, even2);
                columns[4 + c].0 = _mm512_shuffle_f32x4::<0x88>(odd, odd2);
                columns[8 + c].0 = _mm512_shuffle_f32x4::<0xdd>(even, even2);
                columns[12 + c].0 = _mm512_shuffle_f32x4::<0xdd>(odd, odd2);
            }
        }
        columns
    }
}
