//! Blocks of 32 numbers.

use super::{DOUBLED_E2M1, LEVELS, SMALL, half};

/// The lower halves of 16 bytes are the first 16 numbers, the upper halves the others.
fn nibbles(quants: &[u8], values: &mut [f32; SMALL], value: impl Fn(usize, u8) -> f32) {
    let (low, high) = values.split_at_mut(SMALL / 2);
    for (at, ((low, high), byte)) in low.iter_mut().zip(high).zip(quants).enumerate() {
        *low = value(at, byte & 15);
        *high = value(at + SMALL / 2, byte >> 4);
    }
}

/// The fifth bit of each number, where 4 bytes hold those of 32.
fn fifth(bits: &[u8], at: usize) -> u8 {
    (bits[at / 8] >> (at % 8) & 1) << 4
}

pub(super) fn q4_0(block: &[u8; 18], values: &mut [f32; SMALL]) {
    let scale = half(block, 0);
    nibbles(&block[2..], values, |_, quant| f32::from(i16::from(quant) - 8) * scale);
}

pub(super) fn q4_1(block: &[u8; 20], values: &mut [f32; SMALL]) {
    let (scale, minimum) = (half(block, 0), half(block, 2));
    nibbles(&block[4..], values, |_, quant| f32::from(quant) * scale + minimum);
}

pub(super) fn q5_0(block: &[u8; 22], values: &mut [f32; SMALL]) {
    let scale = half(block, 0);
    nibbles(&block[6..], values, |at, quant| f32::from(i16::from(quant | fifth(&block[2..6], at)) - 16) * scale);
}

pub(super) fn q5_1(block: &[u8; 24], values: &mut [f32; SMALL]) {
    let (scale, minimum) = (half(block, 0), half(block, 2));
    nibbles(&block[8..], values, |at, quant| f32::from(quant | fifth(&block[4..8], at)) * scale + minimum);
}

pub(super) fn q8_0(block: &[u8; 34], values: &mut [f32; SMALL]) {
    let scale = half(block, 0);
    for (value, quant) in values.iter_mut().zip(&block[2..]) {
        *value = f32::from(quant.cast_signed()) * scale;
    }
}

pub(super) fn iq4_nl(block: &[u8; 18], values: &mut [f32; SMALL]) {
    let scale = half(block, 0);
    nibbles(&block[2..], values, |_, quant| scale * f32::from(LEVELS[usize::from(quant)]));
}

/// The scale is half of `2^(e − 127)`, since the table holds doubled values (`ggml_e8m0_to_fp32_half`).
pub(super) fn mxfp4(block: &[u8; 17], values: &mut [f32; SMALL]) {
    let exponent = u32::from(block[0]);
    let bits = if exponent < 2 { 0x0020_0000 << exponent } else { (exponent - 1) << 23 };
    let scale = f32::from_bits(bits);
    nibbles(&block[1..], values, |_, quant| f32::from(DOUBLED_E2M1[usize::from(quant)]) * scale);
}
