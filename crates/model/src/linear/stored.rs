//! Weights that a file holds in the very form in which they are multiplied: their blocks are taken over as they are, so
//! that nothing is rounded a second time and nothing is there as f32.

use std::borrow::Cow;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use neuro_checkpoint::{BlockFormat, Checkpoint};

use super::{READ_ROWS, SUPER_BLOCK, Weight, rows_at_once};
use crate::Result;
use crate::kernels::q8;
use crate::source::WeightType;

impl Weight {
    /// Joined weights of the same input, `(out, in)` each; `None` where some is stored in another form, or candle could not
    /// multiply with it.
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
        let is_such =
            |(name, _): &(&str, usize)| checkpoint.weights.block_format(&format!("{name}.weight")) == Some(format);
        if !parts.iter().all(is_such) {
            return Ok(None);
        }
        let output = parts.iter().map(|(_, output)| output).sum();
        if kind == WeightType::Q8_0
            && let Some(mut matrix) = q8::Matrix::begin((input, output))
        {
            let row_bytes = input / format.block_len() * format.block_bytes();
            read_blocks(checkpoint, parts, input, row_bytes, |rows| matrix.push_stored(rows))?;
            return Ok(Some(Self::Packed(matrix)));
        }
        if !input.is_multiple_of(SUPER_BLOCK) {
            return Ok(None);
        }
        let mut bytes: Vec<u8> = Vec::new();
        for (name, output) in parts {
            bytes.extend(checkpoint.weights.read_blocks(&format!("{name}.weight"), &[*output, input], 0..*output)?);
        }
        // candle looks at the bytes as blocks where they lie.
        if !(bytes.as_ptr() as usize).is_multiple_of(align_of::<f32>()) {
            return Ok(None);
        }
        let storage = QStorage::from_data(Cow::Borrowed(&bytes), &Device::Cpu, block)?;
        let tensor = QTensor::new(storage, (output, input))?;
        Ok(Some(Self::Quantised(QMatMul::from_qtensor(tensor)?, kind)))
    }
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
