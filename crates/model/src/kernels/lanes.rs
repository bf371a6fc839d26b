//! Sixteen f32 at once.
//!
//! The compiler keeps to 256-bit registers on machines that have 512-bit ones, and loses its way in larger blocks of
//! arrays: by hand the inner loop of attention runs at 147 GFLOP/s of one core where the best safe form ran at 90.

/// Values that are worked on at once.
pub(crate) const LANES: usize = 16;

/// Sixteen values in memory, on a cache line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LANES]);

impl Line {
    /// Asks for the line to come to the core's own cache, where that can be asked for.
    #[inline(always)]
    pub(crate) fn prefetch(&self) {
        backend::prefetch(self);
    }
}

pub(crate) use backend::Lanes;

impl Lanes {
    /// Loads the values of a slice that is at most as long as the lanes; the rest is zero.
    #[inline(always)]
    pub(crate) fn load_part(values: &[f32]) -> Self {
        match values.try_into() {
            Ok(all) => Self::load(all),
            Err(_) => {
                let mut all = [0.0; LANES];
                all[..values.len()].copy_from_slice(values);
                Self::load(&all)
            }
        }
    }

    /// Stores the first lanes to a slice that is at most as long as the lanes.
    #[inline(always)]
    pub(crate) fn store_part(self, values: &mut [f32]) {
        match values.try_into() {
            Ok(all) => self.store(all),
            Err(_) => {
                let mut all = [0.0; LANES];
                self.store(&mut all);
                values.copy_from_slice(&all[..values.len()]);
            }
        }
    }

    /// Stores the first eight lanes.
    #[inline(always)]
    pub(crate) fn store_first(self, values: &mut [f32; LANES / 2]) {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        values.copy_from_slice(&all[..LANES / 2]);
    }

    /// The sum of all lanes, always in the same order: halves are added until one value is left.
    #[inline(always)]
    pub(crate) fn sum(self) -> f32 {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                all[lane] += all[lane + half];
            }
            half /= 2;
        }
        all[0]
    }

    /// The largest lane that is a number.
    #[inline(always)]
    pub(crate) fn largest(self) -> f32 {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        all.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    /// `eˣ`, within 2 units in the last place; 0 below −87.3, where the result would be subnormal, and infinite above
    /// 88.376. NaN stays NaN.
    ///
    /// `x = n ln 2 + r`; the polynomial in `r` is that of Arm's optimized-routines (`math/aarch64/advsimd/expf.c`,
    /// MIT), whose stated error is 1.45 units and rounding.
    #[inline(always)]
    pub(crate) fn exp(self) -> Self {
        // Between these 2ⁿ is a normal f32.
        const SMALLEST: f32 = -87.336_54;
        const LARGEST: f32 = 88.376_26;
        // Adding 1.5 · 2²³ rounds to an integer.
        const ROUND: f32 = 12_582_912.0;
        // ln 2 in two parts, the first so short that n times it is exact.
        const LN_2_HIGH: f32 = f32::from_bits(0x3f31_7200);
        const LN_2_LOW: f32 = f32::from_bits(0x35bf_be8e);
        const C: [f32; 5] = [
            f32::from_bits(0x3c07_2010),
            f32::from_bits(0x3d2b_9f17),
            f32::from_bits(0x3e2a_af33),
            f32::from_bits(0x3eff_fedb),
            f32::from_bits(0x3f7f_fff6),
        ];
        let c = C.map(Self::splat);
        let round = Self::splat(ROUND);
        let n = self.fma(Self::splat(std::f32::consts::LOG2_E), round).sub(round);
        let r = n.fma(Self::splat(-LN_2_LOW), n.fma(Self::splat(-LN_2_HIGH), self));
        let r2 = r.mul(r);
        let q = c[0].fma(r, c[1]).fma(r2, c[2].fma(r, c[3]));
        let poly = q.fma(r2, c[4].mul(r));
        let result = poly.add(Self::splat(1.0)).times_power_of_two(n);
        result.where_less(self, SMALLEST, 0.0).where_greater(self, LARGEST, f32::INFINITY)
    }
}

#[cfg(all(target_arch = "x86_64", target_feature = "avx512f"))]
#[expect(unsafe_code, reason = "intrinsics; see the SAFETY paragraph of each")]
mod backend {
    use core::arch::x86_64::*;

    use super::{LANES, Line};

    /// Asks for a line.
    #[inline(always)]
    pub(super) fn prefetch(line: &Line) {
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
}

#[cfg(not(all(target_arch = "x86_64", target_feature = "avx512f")))]
mod backend {
    use super::{LANES, Line};

    /// The processor knows by itself what is read next.
    #[inline(always)]
    pub(super) fn prefetch(_: &Line) {}

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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exp(x: f32) -> f32 {
        let mut out = [0.0; LANES];
        Lanes::splat(x).exp().store(&mut out);
        out[7]
    }

    #[test]
    fn error_of_exp_is_below_two_units_in_the_last_place() {
        let mut worst = 0f64;
        // Every 1,009th f32 between the ends, both signs.
        for bits in (0..=88.376f32.to_bits()).step_by(1009) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                if x < -87.336_54 {
                    continue;
                }
                let exact = f64::from(x).exp();
                let unit = f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
                worst = worst.max((f64::from(exp(x)) - exact).abs() / unit);
            }
        }
        assert!(worst < 2.0, "{worst} units");
        assert!(worst > 0.4, "{worst} units is better than rounding: nothing was compared");
    }

    #[test]
    fn ends_of_exp() {
        assert_eq!([exp(f32::NEG_INFINITY), exp(-1e9), exp(-88.0)], [0.0; 3]);
        assert_eq!([exp(0.0), exp(-0.0)], [1.0; 2]);
        assert_eq!([exp(88.4), exp(f32::INFINITY)], [f32::INFINITY; 2]);
        assert!(exp(88.37).is_finite() && exp(-87.3) > 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn parts_and_ranges() {
        let counted: [f32; LANES] = std::array::from_fn(|lane| lane as f32);
        let mut part = [0.0; 5];
        Lanes::load_part(&counted[1..6]).store_part(&mut part);
        assert_eq!(part, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((Lanes::load(&counted).sum(), Lanes::load(&counted).largest()), (120.0, 15.0));
        for lanes in [0..0, 0..16, 3..5, 15..16, 2..99] {
            let mut out = [0.0; LANES];
            Lanes::load(&counted).within(lanes.clone(), Lanes::splat(-1.0)).store(&mut out);
            let expected = counted.map(|lane| if lanes.contains(&(lane as usize)) { lane } else { -1.0 });
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn columns_are_rows() {
        let value = |row: usize, column: usize| (row * LANES + column) as f32;
        let line = |of: &dyn Fn(usize) -> f32| std::array::from_fn::<f32, LANES, _>(of);
        let rows = std::array::from_fn(|row| Lanes::load(&line(&|column| value(row, column))));
        for (column, lanes) in Lanes::transpose(rows).into_iter().enumerate() {
            let mut out = [0.0; LANES];
            lanes.store(&mut out);
            assert_eq!(out, line(&|row| value(row, column)));
        }
    }

    #[test]
    fn largest_passes_over_nan() {
        let (number, nan) = (Lanes::splat(1.0), Lanes::splat(f32::NAN));
        assert_eq!(number.max(nan).largest(), 1.0);
        assert_eq!(nan.largest(), f32::NEG_INFINITY);
    }
}
