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
        backend::prefetch(&self.0[0]);
    }
}

/// Asks for the lines of some values, as [`Line::prefetch`].
#[inline(always)]
pub(crate) fn prefetch(values: &[f32]) {
    values.iter().step_by(LANES).for_each(backend::prefetch);
}

#[cfg(all(target_arch = "x86_64", target_feature = "avx512f"))]
#[path = "lanes/avx512.rs"]
mod backend;
#[cfg(all(target_arch = "x86_64", target_feature = "avx2", target_feature = "fma", not(target_feature = "avx512f")))]
#[path = "lanes/avx2.rs"]
mod backend;
#[cfg(not(all(target_arch = "x86_64", target_feature = "avx2", target_feature = "fma")))]
#[path = "lanes/plain.rs"]
mod backend;
#[cfg(test)]
mod tests;

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

    /// Stores the first lanes.
    #[inline(always)]
    pub(crate) fn store_first<const COUNT: usize>(self, values: &mut [f32; COUNT]) {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        values.copy_from_slice(&all[..COUNT]);
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
