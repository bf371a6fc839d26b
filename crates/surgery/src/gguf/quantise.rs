//! Numbers in the formats that are written from a folder.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use half::{bf16, f16};
use neuro_checkpoint::BlockFormat;

use crate::{Result, SurgeryError};

/// Numbers of a block of Q8_0.
const BLOCK: usize = 32;

/// Appends numbers in a format. Of blocks they are whole ones. Q4_K, Q5_K and Q6_K are what candle makes of them
/// (`quantized/k_quants.rs`, after ggml's `quantize_row_q4_K_ref` and its like).
///
/// # Errors
/// When nothing here writes the format.
pub(super) fn push(bytes: &mut Vec<u8>, format: BlockFormat, values: &[f32]) -> Result<()> {
    match format {
        BlockFormat::F32 => values.iter().for_each(|value| bytes.extend(value.to_le_bytes())),
        BlockFormat::F16 => values.iter().for_each(|value| bytes.extend(f16::from_f32(*value).to_le_bytes())),
        BlockFormat::BF16 => values.iter().for_each(|value| bytes.extend(bf16::from_f32(*value).to_le_bytes())),
        BlockFormat::Q8_0 => values.chunks(BLOCK).for_each(|block| push_block(bytes, block)),
        BlockFormat::Q4K => push_super(bytes, GgmlDType::Q4K, values)?,
        BlockFormat::Q5K => push_super(bytes, GgmlDType::Q5K, values)?,
        BlockFormat::Q6K => push_super(bytes, GgmlDType::Q6K, values)?,
        other => {
            return Err(SurgeryError::Place {
                place: other.name().into(),
                problem: "is a number format that is not written here; choose another with --numbers".to_owned(),
            });
        }
    }
    Ok(())
}

fn push_super(bytes: &mut Vec<u8>, kind: GgmlDType, values: &[f32]) -> Result<()> {
    let tensor = Tensor::from_slice(values, values.len(), &Device::Cpu)?;
    bytes.extend_from_slice(&QTensor::quantize(&tensor, kind)?.data()?);
    Ok(())
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

/// Whether a number is beyond the format: half precision ends at 65,504, and so do the scales of blocks.
pub(super) fn overflows(format: BlockFormat, value: f32) -> bool {
    match format {
        BlockFormat::F16 => value.is_finite() && !f16::from_f32(value).is_finite(),
        BlockFormat::Q8_0 => value.abs() / 127.0 > f16::MAX.to_f32(),
        // Fifteen levels or more above a minimum or around 0; that scales of scales go up to 63 or 127 leaves more room.
        BlockFormat::Q4K | BlockFormat::Q5K | BlockFormat::Q6K => value.abs() / 15.0 > f16::MAX.to_f32(),
        BlockFormat::BF16 => value.is_finite() && !bf16::from_f32(value).is_finite(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_its_largest_number_and_rounds_the_rest() {
        let values: Vec<f32> = (0..32).map(|index| (index as f32 - 16.0) * 0.1).collect();
        let mut bytes = Vec::new();
        push(&mut bytes, BlockFormat::Q8_0, &values).unwrap();
        assert_eq!(bytes.len(), 34);
        let scale = f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
        for (value, byte) in values.iter().zip(&bytes[2..]) {
            let read = scale * f32::from(byte.cast_signed());
            assert!((read - value).abs() <= scale * 0.51 + 1e-3, "{value} {read}");
        }
        let mut zeros = Vec::new();
        push(&mut zeros, BlockFormat::Q8_0, &[0.0; 32]).unwrap();
        assert!(zeros.iter().all(|byte| *byte == 0));
        assert!(overflows(BlockFormat::F16, 70_000.0) && !overflows(BlockFormat::BF16, 70_000.0));
    }

    #[test]
    fn a_super_block_has_its_length_and_formats_that_are_not_written_are_refused() {
        let values: Vec<f32> = (0..512).map(|index| (index as f32 * 0.7).sin()).collect();
        for format in [BlockFormat::Q4K, BlockFormat::Q5K, BlockFormat::Q6K] {
            let mut bytes = Vec::new();
            push(&mut bytes, format, &values).unwrap();
            assert_eq!(bytes.len(), 2 * format.block_bytes(), "{format}");
        }
        assert!(push(&mut Vec::new(), BlockFormat::Q2K, &values).is_err());
    }
}
