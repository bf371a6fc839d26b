//! Log-probabilities of a row of logits: a vocabulary is 150,000 numbers, and the library's `exp` takes as long for them as
//! the head does.

/// Numbers that are worked on side by side, each with a sum of its own.
const LANES: usize = 16;

/// `log softmax(logits)[token]` of each token, summed in f64; `NaN` when a logit is not finite.
pub(crate) fn log_probabilities(logits: &[f32], tokens: &[u32]) -> Vec<f64> {
    let Some(largest) = largest(logits) else { return vec![f64::NAN; tokens.len()] };
    let mut sums = [0f64; LANES];
    let (blocks, rest) = logits.as_chunks::<LANES>();
    for block in blocks {
        for (sum, logit) in sums.iter_mut().zip(block) {
            *sum += exp(f64::from(*logit) - f64::from(largest));
        }
    }
    for (sum, logit) in sums.iter_mut().zip(rest) {
        *sum += exp(f64::from(*logit) - f64::from(largest));
    }
    let sum = sums.iter().sum::<f64>().ln();
    let one = |&token: &u32| {
        logits.get(token as usize).map_or(f64::NAN, |&logit| f64::from(logit) - f64::from(largest) - sum)
    };
    tokens.iter().map(one).collect()
}

/// The largest of finite numbers; `None` where one is not finite.
fn largest(values: &[f32]) -> Option<f32> {
    let (mut largest, mut magnitudes) = ([f32::NEG_INFINITY; LANES], [0u32; LANES]);
    let mut see = |lane: usize, value: f32| {
        largest[lane] = if value > largest[lane] { value } else { largest[lane] };
        magnitudes[lane] = magnitudes[lane].max(value.to_bits() & !(1 << 31));
    };
    let (blocks, rest) = values.as_chunks::<LANES>();
    blocks.iter().for_each(|block| (0..LANES).for_each(|lane| see(lane, block[lane])));
    rest.iter().enumerate().for_each(|(lane, &value)| see(lane, value));
    // Without their sign, bits of floats are ordered as the floats are, with infinity and NaN above all numbers.
    let is_finite = magnitudes.iter().all(|bits| *bits < f32::INFINITY.to_bits());
    is_finite.then(|| largest.into_iter().fold(f32::NEG_INFINITY, f32::max))
}

/// `eˣ` for x ≤ 0, within 3 units in the last place; below −700 as at −700, which is nothing beside the one that the
/// largest logit gives.
///
/// `x = n ln 2 + r` and the Taylor series of `eʳ` up to `r¹³`, whose rest is below 10⁻¹⁷. No branch and no call, so that
/// the compiler makes vectors of it.
#[inline(always)]
fn exp(x: f64) -> f64 {
    // Adding 1.5 · 2⁵² rounds to an integer, which the lowest bits then hold.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // ln 2 in two parts, the first so short that n times it is exact (fdlibm, e_exp.c).
    const LN_2: [f64; 2] = [f64::from_bits(0x3fe6_2e42_fee0_0000), f64::from_bits(0x3dea_39ef_3579_3c76)];
    /// 1 / k!
    const C: [f64; 14] = {
        let (mut c, mut k) = ([1.0; 14], 1);
        while k < 14 {
            c[k] = c[k - 1] / k as f64;
            k += 1;
        }
        c
    };
    let x = if x > -700.0 { x } else { -700.0 };
    let rounded = x * std::f64::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2[0]) - n * LN_2[1];
    let mut sum = C[13];
    for c in C.iter().rev().skip(1) {
        sum = sum * r + c;
    }
    sum * f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_the_library() {
        let mut worst = 0f64;
        for step in 0..200_000 {
            let x = -f64::from(step) * 0.003_499_9;
            let exact = x.exp();
            let unit = f64::from_bits(exact.to_bits() + 1) - exact;
            worst = worst.max((exp(x) - exact).abs() / unit);
        }
        assert!(worst < 3.0, "{worst} units");
        assert!(worst > 0.4, "{worst} units is better than rounding: nothing was compared");
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e9) < 1e-300);
    }

    #[test]
    fn log_probabilities_sum_to_one_and_survive_large_logits() {
        let total: f64 = log_probabilities(&[1000.0, 1001.0, 999.5], &[0, 1, 2]).iter().map(|value| value.exp()).sum();
        assert!((total - 1.0).abs() < 1e-12, "{total}");
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 1, 15, 16, 35] {
                let mut logits = [0.5; 36];
                logits[place] = bad;
                assert!(log_probabilities(&logits, &[3])[0].is_nan(), "{bad} at {place}");
            }
        }
        assert!(log_probabilities(&[0.0], &[7])[0].is_nan());
    }

    #[test]
    fn agrees_with_the_formula() {
        for count in [1, 15, 16, 17, 1000, 151_936] {
            let logits: Vec<f32> = (0..count).map(|i| ((i * 7919) % 1013) as f32 / 40.0 - 12.0).collect();
            // Sums of parts, so that this side loses no more than the other.
            let part = |part: &[f32]| part.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>();
            let exact = logits.chunks(400).map(part).sum::<f64>().ln();
            let tokens = [0, count as u32 / 2, count as u32 - 1];
            for (token, found) in tokens.iter().zip(log_probabilities(&logits, &tokens)) {
                let expected = f64::from(logits[*token as usize]) - exact;
                assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "{count}: {found} {expected}");
            }
        }
    }
}
