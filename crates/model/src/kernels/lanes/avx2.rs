//! Pairs of registers of AVX2.

#![expect(unsafe_code, reason = "intrinsics; see the SAFETY paragraph of each")]

use core::arch::x86_64::*;
use std::array::from_fn;

use super::LANES;

/// Asks for a line.
#[inline(always)]
pub(super) fn prefetch(line: &f32) {
    // SAFETY: a hint, which reads nothing; the address is that of a reference.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(line).cast()) };
}

/// Two 256-bit registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes([__m256; 2]);

// SAFETY, for every block below: the intrinsics need AVX2 and FMA, and this module is compiled only where the whole
// program is compiled for them. Loads and stores go through references to sixteen f32, eight from the first and eight from
// the ninth on, and ask for no alignment.
impl Lanes {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(__m256, __m256) -> __m256) -> Self {
        Self([f(self.0[0], other.0[0]), f(self.0[1], other.0[1])])
    }

    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Self {
        Self([unsafe { _mm256_set1_ps(value) }; 2])
    }

    #[inline(always)]
    pub(crate) fn load(values: &[f32; LANES]) -> Self {
        let start = values.as_ptr();
        Self(unsafe { [_mm256_loadu_ps(start), _mm256_loadu_ps(start.add(LANES / 2))] })
    }

    #[inline(always)]
    pub(crate) fn store(self, values: &mut [f32; LANES]) {
        let start = values.as_mut_ptr();
        unsafe {
            _mm256_storeu_ps(start, self.0[0]);
            _mm256_storeu_ps(start.add(LANES / 2), self.0[1]);
        }
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { _mm256_add_ps(a, b) })
    }

    #[inline(always)]
    pub(crate) fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { _mm256_sub_ps(a, b) })
    }

    #[inline(always)]
    pub(crate) fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { _mm256_mul_ps(a, b) })
    }

    #[inline(always)]
    pub(crate) fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { _mm256_div_ps(a, b) })
    }

    /// `self · factor + summand`.
    #[inline(always)]
    pub(crate) fn fma(self, factor: Self, summand: Self) -> Self {
        Self(unsafe {
            [
                _mm256_fmadd_ps(self.0[0], factor.0[0], summand.0[0]),
                _mm256_fmadd_ps(self.0[1], factor.0[1], summand.0[1]),
            ]
        })
    }

    /// The larger lanes; where `other` is NaN, this one's.
    #[inline(always)]
    pub(crate) fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { _mm256_max_ps(b, a) })
    }

    /// `self · 2ⁿ` for a whole n that keeps the result normal.
    #[inline(always)]
    pub(super) fn times_power_of_two(self, n: Self) -> Self {
        // Adding 1.5 · 2²³ leaves an integer in the lowest bits.
        let n = n.add(Self::splat(12_582_912.0));
        self.zip(n, |a, n| unsafe {
            let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(n));
            let power = _mm256_add_epi32(exponent, _mm256_set1_epi32(127 << 23));
            _mm256_mul_ps(a, _mm256_castsi256_ps(power))
        })
    }

    /// `then` where `of < bound`, itself elsewhere.
    #[inline(always)]
    pub(super) fn where_less(self, of: Self, bound: f32, then: f32) -> Self {
        self.zip(of, |a, of| unsafe {
            let mask = _mm256_cmp_ps::<_CMP_LT_OQ>(of, _mm256_set1_ps(bound));
            _mm256_blendv_ps(a, _mm256_set1_ps(then), mask)
        })
    }

    /// `then` where `of > bound`, itself elsewhere.
    #[inline(always)]
    pub(super) fn where_greater(self, of: Self, bound: f32, then: f32) -> Self {
        self.zip(of, |a, of| unsafe {
            let mask = _mm256_cmp_ps::<_CMP_GT_OQ>(of, _mm256_set1_ps(bound));
            _mm256_blendv_ps(a, _mm256_set1_ps(then), mask)
        })
    }

    /// This one in the given range of lanes, `other` elsewhere.
    #[inline(always)]
    pub(crate) fn within(self, lanes: std::ops::Range<usize>, other: Self) -> Self {
        let [start, end] = [lanes.start, lanes.end].map(|lane| lane.min(LANES) as i32);
        Self(from_fn(|half| unsafe {
            let first = _mm256_set1_epi32((half * LANES / 2) as i32);
            let lane = _mm256_add_epi32(first, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
            let before = _mm256_cmpgt_epi32(_mm256_set1_epi32(start), lane);
            let inside = _mm256_andnot_si256(before, _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane));
            _mm256_blendv_ps(other.0[half], self.0[half], _mm256_castsi256_ps(inside))
        }))
    }

    /// Rows become columns.
    #[inline(always)]
    pub(crate) fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        // A quarter: eight rows' first or last eight lanes.
        let quarter = |row: usize, half: usize| transpose(from_fn(|i| rows[row + i].0[half]));
        let [[a, b], [c, d]] = [0, LANES / 2].map(|row| [quarter(row, 0), quarter(row, 1)]);
        from_fn(|column| match column.checked_sub(LANES / 2) {
            None => Self([a[column], c[column]]),
            Some(column) => Self([b[column], d[column]]),
        })
    }
}

/// Eight rows become columns.
#[inline(always)]
fn transpose(rows: [__m256; 8]) -> [__m256; 8] {
    // SAFETY: as above.
    unsafe {
        let pairs: [__m256; 8] = from_fn(|i| match i % 2 {
            0 => _mm256_unpacklo_ps(rows[i], rows[i + 1]),
            _ => _mm256_unpackhi_ps(rows[i - 1], rows[i]),
        });
        let doubles = pairs.map(|pair| _mm256_castps_pd(pair));
        // Half L of fours[4 i + c] is column 4 L + c of rows 4 i to 4 i + 3.
        let fours: [__m256; 8] = from_fn(|i| {
            let first = i / 4 * 4 + i % 4 / 2;
            _mm256_castpd_ps(match i % 2 {
                0 => _mm256_unpacklo_pd(doubles[first], doubles[first + 2]),
                _ => _mm256_unpackhi_pd(doubles[first], doubles[first + 2]),
            })
        });
        from_fn(|column| match column.checked_sub(4) {
            None => _mm256_permute2f128_ps::<0x20>(fours[column], fours[4 + column]),
            Some(column) => _mm256_permute2f128_ps::<0x31>(fours[column], fours[4 + column]),
        })
    }
}
