//! The instructions of AVX2. There is none that multiplies and sums four 8-bit values: they are widened
//! to 16 bits, two of four at a time, weights once for a group of rows and rows once for a panel.

use core::arch::x86_64::*;
use std::array::from_fn;

use super::{BLOCK, Rounded, Sums, WORDS, WeightBlock};

/// 32-bit values of a register.
const HALF: usize = 8;
/// Registers of a panel's outputs.
const HALVES: usize = super::PANEL / HALF;
/// Registers of a block's f32.
const PARTS: usize = BLOCK / HALF;

#[target_feature(enable = "avx2,fma,f16c")]
#[expect(clippy::needless_range_loop, reason = "a row and a vector of outputs index several things")]
pub(super) fn multiply<const ROWS: usize>(
    x: &[Rounded],
    weights: &[WeightBlock],
    next: &[WeightBlock],
    out: &mut Sums,
) {
    let mut sums = [[_mm256_setzero_ps(); HALVES]; ROWS];
    for (index, (x, weights)) in x.iter().zip(weights).enumerate() {
        if let Some(next) = next.get(index) {
            prefetch(next);
        }
        // A row's words, each as the first and third, and as the second and fourth, of its values.
        let mut wide = [[[0; WORDS]; 2]; ROWS];
        for row in 0..ROWS {
            let words = load_words(&x.quants[row]);
            store_words(_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(words)), &mut wide[row][0]);
            store_words(_mm256_srai_epi16::<8>(words), &mut wide[row][1]);
        }
        for half in 0..HALVES {
            let mut dots: [__m256i; ROWS] = from_fn(|row| _mm256_set1_epi32(x.starts[row]));
            for word in 0..WORDS {
                let weights = load_words(&weights.quants[word].as_flattened().as_chunks().0[half]);
                let even = _mm256_and_si256(weights, _mm256_set1_epi16(255));
                let odd = _mm256_srli_epi16::<8>(weights);
                for row in 0..ROWS {
                    let first = _mm256_set1_epi32(wide[row][0][word].cast_signed());
                    dots[row] = _mm256_add_epi32(dots[row], _mm256_madd_epi16(even, first));
                    let second = _mm256_set1_epi32(wide[row][1][word].cast_signed());
                    dots[row] = _mm256_add_epi32(dots[row], _mm256_madd_epi16(odd, second));
                }
            }
            let scales = load_halves(&weights.scales.as_flattened().as_chunks().0[half]);
            for row in 0..ROWS {
                let scale = _mm256_mul_ps(scales, _mm256_set1_ps(x.scales[row]));
                sums[row][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[row]), scale, sums[row][half]);
            }
        }
    }
    for row in 0..ROWS {
        for half in 0..HALVES {
            store(sums[row][half], &mut out.0[row].as_flattened_mut().as_chunks_mut().0[half]);
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn round(x: &[f32]) -> ([u32; WORDS], f32, i32) {
    let x = load_block(x);
    // Infinity and NaN are above all numbers.
    let scale = f32::from_bits(largest(x)) / 127.0;
    if !scale.is_finite() {
        return ([0; WORDS], f32::NAN, 0);
    }
    let inverse = if scale < f32::MIN_POSITIVE { 0.0 } else { 1.0 / scale };
    let inverse = _mm256_set1_ps(inverse);
    let quants = x.map(|x| _mm256_cvtps_epi32(_mm256_mul_ps(x, inverse)));
    let pairs = _mm256_add_epi32(_mm256_add_epi32(quants[0], quants[1]), _mm256_add_epi32(quants[2], quants[3]));
    let mut lanes = [0; HALF];
    store_words(pairs, &mut lanes);
    let sum = lanes.into_iter().fold(0, |sum: i32, lane| sum + lane.cast_signed());
    (words(bytes(quants)), scale, sum)
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn round_weights(weights: &[f32]) -> ([u32; WORDS], u16) {
    let weights = load_block(weights);
    let scale = f32::from_bits(largest(weights)) / 127.0;
    let inverse = _mm256_set1_ps(if scale == 0.0 { 0.0 } else { 1.0 / scale });
    let quants = weights.map(|weights| {
        let scaled = _mm256_mul_ps(weights, inverse);
        // Just below a half, so that adding it to the number just below a half does not give one.
        let half = _mm256_set1_ps(0.5f32.next_down());
        let sign = _mm256_and_ps(scaled, _mm256_set1_ps(-0.0));
        _mm256_cvttps_epi32(_mm256_add_ps(scaled, _mm256_or_ps(half, sign)))
    });
    let scale = _mm_cvtsi128_si32(_mm_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm_set_ss(scale)));
    (words(_mm256_xor_si256(bytes(quants), _mm256_set1_epi8(i8::MIN))), scale as u16)
}

/// Bits of the largest magnitude: without their sign, bits of floats are ordered as the floats are.
#[target_feature(enable = "avx2,fma,f16c")]
fn largest(x: [__m256; PARTS]) -> u32 {
    let bits = x.map(|x| _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(i32::MAX)));
    let all = _mm256_max_epu32(_mm256_max_epu32(bits[0], bits[1]), _mm256_max_epu32(bits[2], bits[3]));
    let mut lanes = [0; HALF];
    store_words(all, &mut lanes);
    lanes.into_iter().fold(0, u32::max)
}

/// 32-bit values as 8-bit ones, those out of range as the nearest.
#[target_feature(enable = "avx2,fma,f16c")]
fn bytes(quants: [__m256i; PARTS]) -> __m256i {
    let [a, b, c, d] = quants;
    // In each half of the register four values of `a`, of `b`, of `c` and of `d`.
    let mixed = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
}

#[target_feature(enable = "avx2,fma,f16c")]
fn words(bytes: __m256i) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    store_words(bytes, &mut words);
    words
}

/// The values, and zeros behind them.
#[target_feature(enable = "avx2,fma,f16c")]
fn load_block(x: &[f32]) -> [__m256; PARTS] {
    let mut all = [0.0; BLOCK];
    let x = match x.try_into() {
        Ok(whole) => whole,
        Err(_) => {
            all[..x.len()].copy_from_slice(x);
            &all
        }
    };
    let (parts, _) = x.as_chunks::<HALF>();
    from_fn(|part| load(&parts[part]))
}

// SAFETY, for every block below: the pointers are those of references to exactly what is loaded or stored, and no
// alignment is asked for.

#[expect(unsafe_code, reason = "loads and stores go through pointers")]
mod memory {
    use super::*;

    #[target_feature(enable = "avx2")]
    pub(super) fn load(values: &[f32; HALF]) -> __m256 {
        unsafe { _mm256_loadu_ps(values.as_ptr()) }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn load_words(words: &[u32; HALF]) -> __m256i {
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2,f16c")]
    pub(super) fn load_halves(halves: &[u16; HALF]) -> __m256 {
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(halves.as_ptr().cast()) })
    }

    /// Asks for all cache lines of a block.
    #[target_feature(enable = "avx2")]
    pub(super) fn prefetch(block: &WeightBlock) {
        let start: *const i8 = std::ptr::from_ref(block).cast();
        for line in (0..size_of::<WeightBlock>()).step_by(64) {
            unsafe { _mm_prefetch::<_MM_HINT_T1>(start.add(line)) };
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn store(values: __m256, out: &mut [f32; HALF]) {
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), values) }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn store_words(words: __m256i, out: &mut [u32; HALF]) {
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), words) }
    }
}
use memory::{load, load_halves, load_words, prefetch, store, store_words};
