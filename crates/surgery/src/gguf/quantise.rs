//! Numbers in the formats that are written from a folder.

use half::{bf16, f16};

use super::Numbers;

/// Numbers of a block of Q8_0.
pub(super) const BLOCK: usize = 32;

/// Appends numbers in a format. Of Q8_0 they are whole blocks.
pub(super) fn push(bytes: &mut Vec<u8>, numbers: Numbers, values: &[f32]) {
    match numbers {
        Numbers::F32 => values.iter().for_each(|value| bytes.extend(value.to_le_bytes())),
        Numbers::F16 => values.iter().for_each(|value| bytes.extend(f16::from_f32(*value).to_le_bytes())),
        Numbers::Bf16 => values.iter().for_each(|value| bytes.extend(bf16::from_f32(*value).to_le_bytes())),
        Numbers::Q8_0 => values.chunks(BLOCK).for_each(|block| push_block(bytes, block)),
    }
}

/// A block of Q8_0: a scale in half precision and 32 whole numbers (ggml's `quantize_row_q8_0_ref`). The numbers are made
/// with the scale before it is rounded, as there.
fn push_block(bytes: &mut Vec<u8>, block: &[f32]) {
    let largest = block.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    bytes.extend(f16::from_f32(scale).to_le_bytes());
    // In range by construction; the conversion saturates all the same.
    bytes.extend(block.iter().map(|value| ((value * inverse).round() as i8).cast_unsigned()));
}

/// Whether a number survives the format: half precision ends at 65,504.
pub(super) fn overflows(numbers: Numbers, value: f32) -> bool {
    match numbers {
        Numbers::F16 => value.is_finite() && !f16::from_f32(value).is_finite(),
        Numbers::Q8_0 => value.abs() / 127.0 > f16::MAX.to_f32(),
        Numbers::Bf16 => value.is_finite() && !bf16::from_f32(value).is_finite(),
        Numbers::F32 => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_its_largest_number_and_rounds_the_rest() {
        let values: Vec<f32> = (0..32).map(|index| (index as f32 - 16.0) * 0.1).collect();
        let mut bytes = Vec::new();
        push(&mut bytes, Numbers::Q8_0, &values);
        assert_eq!(bytes.len(), 34);
        let scale = f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
        for (value, byte) in values.iter().zip(&bytes[2..]) {
            let read = scale * f32::from(byte.cast_signed());
            assert!((read - value).abs() <= scale * 0.51 + 1e-3, "{value} {read}");
        }
        let mut zeros = Vec::new();
        push(&mut zeros, Numbers::Q8_0, &[0.0; 32]);
        assert!(zeros.iter().all(|byte| *byte == 0));
        assert!(overflows(Numbers::F16, 70_000.0) && !overflows(Numbers::Bf16, 70_000.0));
    }
}
