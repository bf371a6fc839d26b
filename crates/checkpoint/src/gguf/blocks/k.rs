//! Super-blocks of 256 numbers.

use super::{LEVELS, SUPER, half};

/// Scales and minima are 4 bits each, of 16 numbers; four numbers share a byte, 32 apart.
pub(super) fn q2(block: &[u8; 84], values: &mut [f32; SUPER]) {
    let (scales, quants) = (&block[..16], &block[16..80]);
    let (scale, minimum) = (half(block, 80), half(block, 82));
    for (group, values) in values.chunks_exact_mut(16).enumerate() {
        let (scale, minimum) = (scale * f32::from(scales[group] & 15), minimum * f32::from(scales[group] >> 4));
        let (quants, shift) = two_bits(quants, group);
        for (value, byte) in values.iter_mut().zip(quants) {
            *value = scale * f32::from(byte >> shift & 3) - minimum;
        }
    }
}

/// Scales are 6 bits around 0; the third bit of a number lies apart, and is there when nothing is to be taken away.
pub(super) fn q3(block: &[u8; 110], values: &mut [f32; SUPER]) {
    let (thirds, quants, packed) = (&block[..32], &block[32..96], &block[96..108]);
    let all = half(block, 108);
    for (group, values) in values.chunks_exact_mut(16).enumerate() {
        let low = if group < 8 { packed[group] & 15 } else { packed[group - 8] >> 4 };
        let high = packed[8 + group % 4] >> (2 * (group / 4)) & 3;
        let scale = all * f32::from((low | high << 4).cast_signed() - 32);
        let (quants, shift) = two_bits(quants, group);
        let thirds = &thirds[group % 2 * 16..][..16];
        for ((value, byte), third) in values.iter_mut().zip(quants).zip(thirds) {
            let missing = if third >> (group / 2) & 1 == 0 { 4 } else { 0 };
            *value = scale * f32::from((byte >> shift & 3).cast_signed() - missing);
        }
    }
}

/// The 16 bytes that hold the numbers of a group, and by how much they are shifted.
fn two_bits(quants: &[u8], group: usize) -> (&[u8], usize) {
    (&quants[group / 8 * 32 + group % 2 * 16..][..16], group % 8 / 2 * 2)
}

/// Scale and minimum, 6 bits each, of 32 numbers (`get_scale_min_k4`).
fn scale_and_minimum(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, minimum) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let both = packed[group + 4];
        (both & 15 | packed[group - 4] >> 6 << 4, both >> 4 | packed[group] >> 6 << 4)
    };
    (f32::from(scale), f32::from(minimum))
}

pub(super) fn q4(block: &[u8; 144], values: &mut [f32; SUPER]) {
    let (scale, minimum) = (half(block, 0), half(block, 2));
    for (group, values) in values.chunks_exact_mut(32).enumerate() {
        let (of_group, minimum_of_group) = scale_and_minimum(&block[4..16], group);
        let (scale, minimum) = (scale * of_group, minimum * minimum_of_group);
        let quants = &block[16 + group / 2 * 32..][..32];
        for (value, byte) in values.iter_mut().zip(quants) {
            *value = scale * f32::from(byte >> (group % 2 * 4) & 15) - minimum;
        }
    }
}

pub(super) fn q5(block: &[u8; 176], values: &mut [f32; SUPER]) {
    let (scale, minimum) = (half(block, 0), half(block, 2));
    for (group, values) in values.chunks_exact_mut(32).enumerate() {
        let (of_group, minimum_of_group) = scale_and_minimum(&block[4..16], group);
        let (scale, minimum) = (scale * of_group, minimum * minimum_of_group);
        let quants = &block[48 + group / 2 * 32..][..32];
        for ((value, byte), fifths) in values.iter_mut().zip(quants).zip(&block[16..48]) {
            let quant = byte >> (group % 2 * 4) & 15 | (fifths >> group & 1) << 4;
            *value = scale * f32::from(quant) - minimum;
        }
    }
}

/// Of each half of 128 numbers, 64 bytes hold the lower four bits and 32 the upper two.
pub(super) fn q6(block: &[u8; 210], values: &mut [f32; SUPER]) {
    let all = half(block, 208);
    for (group, values) in values.chunks_exact_mut(16).enumerate() {
        let scale = all * f32::from(block[192 + group].cast_signed());
        let (half, quarter, side) = (group / 8, group % 8 / 2, group % 2 * 16);
        let low = &block[half * 64 + quarter % 2 * 32 + side..][..16];
        let high = &block[128 + half * 32 + side..][..16];
        for ((value, low), high) in values.iter_mut().zip(low).zip(high) {
            let quant = low >> (quarter / 2 * 4) & 15 | (high >> (quarter * 2) & 3) << 4;
            *value = scale * f32::from(quant.cast_signed() - 32);
        }
    }
}

/// Scales are 6 bits around 0, their upper two in one word and their lower four behind it.
pub(super) fn iq4_xs(block: &[u8; 136], values: &mut [f32; SUPER]) {
    let all = half(block, 0);
    let upper = u16::from_le_bytes([block[2], block[3]]);
    for (group, values) in values.chunks_exact_mut(32).enumerate() {
        let low = block[4 + group / 2] >> (group % 2 * 4) & 15;
        let high = (upper >> (2 * group) & 3) as u8;
        let scale = all * f32::from((low | high << 4).cast_signed() - 32);
        let quants = &block[8 + group * 16..][..16];
        let (first, second) = values.split_at_mut(16);
        for ((first, second), byte) in first.iter_mut().zip(second).zip(quants) {
            *first = scale * f32::from(LEVELS[usize::from(byte & 15)]);
            *second = scale * f32::from(LEVELS[usize::from(byte >> 4)]);
        }
    }
}
