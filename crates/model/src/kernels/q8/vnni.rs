//! The instructions of AVX-512 VNNI.

use core::arch::x86_64::*;

use super::{BLOCK, LANES, Rounded, Sums, VECTORS, WORDS, WeightBlock};

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[expect(clippy::needless_range_loop, reason = "a row and a vector of outputs index several things")]
pub(super) fn multiply<const ROWS: usize>(
    x: &[Rounded],
    weights: &[WeightBlock],
    next: &[WeightBlock],
    out: &mut Sums,
) {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for (index, (x, weights)) in x.iter().zip(weights).enumerate() {
        if let Some(next) = next.get(index) {
            prefetch(next);
        }
        let mut dots = [[_mm512_setzero_si512(); VECTORS]; ROWS];
        for row in 0..ROWS {
            dots[row] = [_mm512_set1_epi32(x.starts[row]); VECTORS];
        }
        for word in 0..WORDS {
            let vectors = [load_words(&weights.quants[word][0]), load_words(&weights.quants[word][1])];
            for row in 0..ROWS {
                let x = _mm512_set1_epi32(x.quants[row][word].cast_signed());
                for vector in 0..VECTORS {
                    dots[row][vector] = _mm512_dpbusd_epi32(dots[row][vector], vectors[vector], x);
                }
            }
        }
        let scales = [load_halves(&weights.scales[0]), load_halves(&weights.scales[1])];
        for row in 0..ROWS {
            let scale = _mm512_set1_ps(x.scales[row]);
            for vector in 0..VECTORS {
                let dots = _mm512_cvtepi32_ps(dots[row][vector]);
                sums[row][vector] = _mm512_fmadd_ps(dots, _mm512_mul_ps(scales[vector], scale), sums[row][vector]);
            }
        }
    }
    for row in 0..ROWS {
        for vector in 0..VECTORS {
            store(sums[row][vector], &mut out.0[row][vector]);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn round(x: &[f32]) -> ([u32; WORDS], f32, i32) {
    let x = load_block(x);
    // Without their sign, bits of floats are ordered as the floats are, with infinity and NaN above all numbers.
    let magnitude = |x: __m512| _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(i32::MAX));
    let largest = _mm512_reduce_max_epu32(_mm512_max_epu32(magnitude(x[0]), magnitude(x[1])));
    let scale = f32::from_bits(largest) / 127.0;
    if !scale.is_finite() {
        return ([0; WORDS], f32::NAN, 0);
    }
    let inverse = if scale < f32::MIN_POSITIVE { 0.0 } else { 1.0 / scale };
    let inverse = _mm512_set1_ps(inverse);
    let quants = x.map(|x| _mm512_cvtps_epi32(_mm512_mul_ps(x, inverse)));
    let sum = _mm512_reduce_add_epi32(_mm512_add_epi32(quants[0], quants[1]));
    (words(quants.map(|quants| _mm512_cvtepi32_epi8(quants))), scale, sum)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn round_weights(weights: &[f32]) -> ([u32; WORDS], u16) {
    let weights = load_block(weights);
    let largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(weights[0]), _mm512_abs_ps(weights[1])));
    let scale = largest / 127.0;
    let inverse = _mm512_set1_ps(if scale == 0.0 { 0.0 } else { 1.0 / scale });
    let quants = weights.map(|weights| {
        let scaled = _mm512_mul_ps(weights, inverse);
        // Just below a half, so that adding it to the number just below a half does not give one.
        let half = _mm512_castps_si512(_mm512_set1_ps(0.5f32.next_down()));
        let sign = _mm512_and_si512(_mm512_castps_si512(scaled), _mm512_set1_epi32(i32::MIN));
        let rounded = _mm512_cvttps_epi32(_mm512_add_ps(scaled, _mm512_castsi512_ps(_mm512_or_si512(half, sign))));
        _mm_xor_si128(_mm512_cvtsepi32_epi8(rounded), _mm_set1_epi8(i8::MIN))
    });
    let scale = _mm_cvtsi128_si32(_mm_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm_set_ss(scale)));
    (words(quants), scale as u16)
}

/// The values, and zeros behind them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn load_block(x: &[f32]) -> [__m512; 2] {
    let (lines, rest) = x.as_chunks::<LANES>();
    if let [first, second] = lines {
        return [load(first), load(second)];
    }
    let mut all = [[0.0; LANES]; 2];
    all.as_flattened_mut()[..x.len()].copy_from_slice(x);
    debug_assert!(x.len() < BLOCK && rest.len() < LANES);
    [load(&all[0]), load(&all[1])]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn words(quants: [__m128i; 2]) -> [u32; WORDS] {
    let all = _mm256_set_m128i(quants[1], quants[0]);
    let mut words = [0; WORDS];
    store_words(all, &mut words);
    words
}

// SAFETY, for every block below: the pointers are those of references to exactly what is loaded or stored, and no
// alignment is asked for.

#[expect(unsafe_code, reason = "loads and stores go through pointers")]
mod memory {
    use super::*;

    #[target_feature(enable = "avx512f")]
    pub(super) fn load(values: &[f32; LANES]) -> __m512 {
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn load_words(words: &[u32; LANES]) -> __m512i {
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn load_halves(halves: &[u16; LANES]) -> __m512 {
        _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(halves.as_ptr().cast()) })
    }

    /// Asks for all cache lines of a block.
    #[target_feature(enable = "avx512f")]
    pub(super) fn prefetch(block: &WeightBlock) {
        let start: *const i8 = std::ptr::from_ref(block).cast();
        for line in (0..size_of::<WeightBlock>()).step_by(64) {
            unsafe { _mm_prefetch::<_MM_HINT_T1>(start.add(line)) };
        }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn store(values: __m512, out: &mut [f32; LANES]) {
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), values) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn store_words(words: __m256i, out: &mut [u32; WORDS]) {
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), words) }
    }
}
use memory::{load, load_halves, load_words, prefetch, store, store_words};
