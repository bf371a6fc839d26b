//! Stored blocks to single precision: exactly the values that ggml's reference code gives.
//!
//! Formulas and bit layouts are those of ggml's `ggml-quants.c` (`dequantize_row_…`); multiplications and additions happen
//! in single precision and in its order, so that not a bit differs.

mod k;
mod small;

use half::f16;

use super::format::{BlockFormat, SMALL, SUPER};
use crate::convert;
use crate::dtype::Dtype;

/// The levels of IQ4_NL and IQ4_XS (`kvalues_iq4nl`).
const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Twice the values of E2M1 (`kvalues_mxfp4`).
const DOUBLED_E2M1: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Converts whole blocks; `bytes` has exactly those of `values`. Returns the position of the first number that is not
/// finite.
pub(super) fn to_f32(format: BlockFormat, bytes: &[u8], values: &mut [f32]) -> Option<usize> {
    debug_assert_eq!(Some(bytes.len()), format.bytes_of(values.len()));
    match format {
        BlockFormat::F32 => return convert::to_f32(Dtype::F32, bytes, values),
        BlockFormat::F16 => return convert::to_f32(Dtype::F16, bytes, values),
        BlockFormat::BF16 => return convert::to_f32(Dtype::BF16, bytes, values),
        BlockFormat::Q4_0 => each(bytes, values, small::q4_0),
        BlockFormat::Q4_1 => each(bytes, values, small::q4_1),
        BlockFormat::Q5_0 => each(bytes, values, small::q5_0),
        BlockFormat::Q5_1 => each(bytes, values, small::q5_1),
        BlockFormat::Q8_0 => each(bytes, values, small::q8_0),
        BlockFormat::IQ4NL => each(bytes, values, small::iq4_nl),
        BlockFormat::MXFP4 => each(bytes, values, small::mxfp4),
        BlockFormat::Q2K => each(bytes, values, k::q2),
        BlockFormat::Q3K => each(bytes, values, k::q3),
        BlockFormat::Q4K => each(bytes, values, k::q4),
        BlockFormat::Q5K => each(bytes, values, k::q5),
        BlockFormat::Q6K => each(bytes, values, k::q6),
        BlockFormat::IQ4XS => each(bytes, values, k::iq4_xs),
    }
    convert::first_not_finite(values)
}

/// Calls `unpack` for every block of `BYTES` bytes and `LEN` numbers.
fn each<const BYTES: usize, const LEN: usize>(
    bytes: &[u8],
    values: &mut [f32],
    unpack: fn(&[u8; BYTES], &mut [f32; LEN]),
) {
    for (bytes, values) in bytes.as_chunks().0.iter().zip(values.as_chunks_mut().0) {
        unpack(bytes, values);
    }
}

/// The half-precision number at a position of a block.
fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}
