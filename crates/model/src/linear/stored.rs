//! Weights that a file holds in the very form in which they are multiplied: their blocks are taken over as they are, so
//! that nothing is rounded a second time and nothing is there as f32. And blocks that are made of rows as they are read.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{Device, Tensor};
use neuro_checkpoint::{BlockFormat, Checkpoint};

use super::weight::{READ_ROWS, Weight, block_of, quantised, read_rows, rows_at_once};
use super::{SUPER_BLOCK, padded};
use crate::Result;
use crate::source::WeightType;

impl Weight {
    /// Takes joined weights of the same input, `(out, in)` each, into one that was begun; `false` where some is stored in
    /// another form.
    pub(super) fn push_stored(
        &mut self,
        checkpoint: &Checkpoint,
        parts: &[(&str, usize)],
        input: usize,
    ) -> Result<bool> {
        let Self::Packed(matrix) = self else { return Ok(false) };
        if !all_stored_as(checkpoint, parts, BlockFormat::Q8_0) {
            return Ok(false);
        }
        let row_bytes = input / BlockFormat::Q8_0.block_len() * BlockFormat::Q8_0.block_bytes();
        read_blocks(checkpoint, parts, input, row_bytes, |rows| matrix.push_stored(rows))?;
        Ok(true)
    }

    /// Joined weights of the same input, `(out, in)` each, for candle's kernels; `None` where some is stored in another form,
    /// or candle could not multiply with it.
    pub(super) fn as_stored(
        checkpoint: &Checkpoint,
        parts: &[(&str, usize)],
        input: usize,
        kind: WeightType,
    ) -> Result<Option<Self>> {
        let (format, block) = match kind {
            WeightType::F32 => return Ok(None),
            WeightType::Q8_0 => (BlockFormat::Q8_0, GgmlDType::Q8_0),
            WeightType::Q4K => (BlockFormat::Q4K, GgmlDType::Q4K),
        };
        if !all_stored_as(checkpoint, parts, format) || !input.is_multiple_of(SUPER_BLOCK) {
            return Ok(None);
        }
        let mut bytes: Vec<u8> = Vec::new();
        for (name, output) in parts {
            bytes.extend(checkpoint.weights.read_blocks(&format!("{name}.weight"), &[*output, input], 0..*output)?);
        }
        let output = parts.iter().map(|(_, output)| output).sum();
        Ok(of_blocks(&bytes, (output, input), block)?.map(|matmul| Self::Quantised(matmul, kind)))
    }

    /// Joined weights of the same input as candle's blocks, made of some rows at a time: nowhere is a whole weight there as f32.
    pub(super) fn in_blocks(
        checkpoint: &Checkpoint,
        parts: &[(&str, usize)],
        input: usize,
        kind: WeightType,
    ) -> Result<Option<Self>> {
        let Some(block) = block_of(kind) else { return Ok(None) };
        let output: usize = parts.iter().map(|(_, output)| output).sum();
        let mut bytes = Vec::with_capacity(output * padded(input) / block.block_size() * block.type_size());
        read_rows(checkpoint, parts, input, |rows| {
            let count = rows.len() / input;
            if count > 0 {
                let rows = Tensor::from_slice(rows, (count, input), &Device::Cpu)?;
                bytes.extend_from_slice(&quantised(&rows, block)?.data()?);
            }
            Ok(())
        })?;
        Ok(of_blocks(&bytes, (output, padded(input)), block)?.map(|matmul| Self::Quantised(matmul, kind)))
    }
}

fn all_stored_as(checkpoint: &Checkpoint, parts: &[(&str, usize)], format: BlockFormat) -> bool {
    parts.iter().all(|(name, _)| checkpoint.weights.block_format(&format!("{name}.weight")) == Some(format))
}

/// candle's product with blocks of `(out, in)`; `None` where it could not look at the bytes as blocks where they lie.
fn of_blocks(bytes: &[u8], shape: (usize, usize), block: GgmlDType) -> Result<Option<QMatMul>> {
    if !(bytes.as_ptr() as usize).is_multiple_of(align_of::<f32>()) {
        return Ok(None);
    }
    let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, block)?;
    Ok(Some(QMatMul::from_qtensor(QTensor::new(storage, shape)?)?))
}

/// Reads joined weights and gives their rows as stored, some at a time: a multiple of [`READ_ROWS`], or the last.
fn read_blocks(
    checkpoint: &Checkpoint,
    parts: &[(&str, usize)],
    input: usize,
    row_bytes: usize,
    mut take: impl FnMut(&[u8]),
) -> Result<()> {
    let mut rows: Vec<u8> = Vec::new();
    let at_once = rows_at_once(input);
    for &(name, output) in parts {
        let name = format!("{name}.weight");
        for start in (0..output).step_by(at_once) {
            rows.extend(checkpoint.weights.read_blocks(&name, &[output, input], start..output.min(start + at_once))?);
            // What one part leaves over comes before the next.
            let whole = rows.len() / (READ_ROWS * row_bytes) * READ_ROWS * row_bytes;
            take(&rows[..whole]);
            rows.drain(..whole);
        }
    }
    if !rows.is_empty() {
        take(&rows);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::Tensor;

    use super::super::Linear;
    use super::*;
    use crate::source::{CheckpointSource, ParameterSource};

    /// What is multiplied in the form in which it is stored are the numbers that it stands for: products differ from those
    /// in f32 only by the rounding of activations, and for Q8_0 not at all from those of numbers that are rounded anew, as
    /// the fixture's blocks come out of that unchanged.
    #[test]
    fn products_are_those_of_the_numbers_in_the_file() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gguf/every-format.gguf");
        let (checkpoint, device) = (Checkpoint::open(&file).unwrap(), &Device::Cpu);
        for (kind, name, output) in
            [(WeightType::Q8_0, "lm_head", 40), (WeightType::Q4K, "model.layers.0.self_attn.v_proj", 16)]
        {
            let source = CheckpointSource { checkpoint: &checkpoint, device, weight_type: kind };
            assert!(Weight::as_stored(&checkpoint, &[(name, output)], 256, kind).unwrap().is_some());
            let x: Vec<f32> = (0..5 * 256).map(|at| ((at * 37 % 101) as f32 - 50.0) / 40.0).collect();
            let x = Tensor::from_vec(x, (5, 256), device).unwrap();
            let linear = Linear::load(&source, name, (256, output), false).unwrap();
            let found = linear.forward(&x).unwrap().to_vec2::<f32>().unwrap();
            let weight = source.parameter(&format!("{name}.weight"), &[output, 256]).unwrap();
            let exact = x.matmul(&weight.t().unwrap()).unwrap().to_vec2::<f32>().unwrap();
            let pairs = || found.iter().flatten().zip(exact.iter().flatten());
            let size = exact.iter().flatten().map(|value| value.abs()).fold(0.0, f32::max);
            let worst = pairs().map(|(found, exact)| (found - exact).abs()).fold(0.0, f32::max);
            assert!(worst < size * 0.01, "{kind:?}: {worst} of {size}");
            if kind == WeightType::Q8_0 {
                let anew = Linear::from_weight(weight, kind).unwrap().forward(&x).unwrap();
                assert_eq!(found, anew.to_vec2::<f32>().unwrap());
            }
        }
        // Another form, or none at all.
        for (name, kind) in [("lm_head", WeightType::Q4K), ("lm_head", WeightType::F32), ("absent", WeightType::Q8_0)] {
            assert!(Weight::as_stored(&checkpoint, &[(name, 40)], 256, kind).unwrap().is_none());
        }
    }
}
