//! Stored numbers to single precision. Bytes may lie at any address, so nothing is reinterpreted in place.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::dtype::Dtype;
use crate::weights::TensorView;

/// An empty vector with room for every number of the shape, or a message.
pub(crate) fn reserve(shape: &[usize]) -> Result<Vec<f32>, String> {
    let too_large = || format!("has shape {shape:?}, which does not fit into memory");
    let count = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)).ok_or_else(too_large)?;
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| too_large())?;
    Ok(values)
}

/// Every number of a tensor; the error is a message about it.
pub(crate) fn to_f32(view: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let mut values = reserve(view.shape)?;
    match view.dtype {
        Dtype::F32 => values.extend(view.bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes))),
        // The upper half of a single-precision number.
        Dtype::BF16 => {
            let widen = |&bytes: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
            values.extend(view.bytes.as_chunks().0.iter().map(widen));
        }
        Dtype::F16 => extend_from_f16(&view.bytes, &mut values),
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(position) => {
            let (value, index) = (values[position], index_of(position, view.shape));
            Err(format!(
                "holds {value} at {index:?}, expected finite numbers; the file is damaged or training diverged"
            ))
        }
        None => Ok(values),
    }
}

/// In blocks, because `half` converts slices much faster than single numbers.
fn extend_from_f16(bytes: &[u8], values: &mut Vec<f32>) {
    const BLOCK: usize = 1024;
    let mut narrow = [f16::ZERO; BLOCK];
    let mut wide = [0.0_f32; BLOCK];
    for block in bytes.as_chunks::<2>().0.chunks(BLOCK) {
        for (number, &bytes) in narrow.iter_mut().zip(block) {
            *number = f16::from_le_bytes(bytes);
        }
        narrow[..block.len()].convert_to_f32_slice(&mut wide[..block.len()]);
        values.extend_from_slice(&wide[..block.len()]);
    }
}

/// The index along each axis of the number at a flat position.
fn index_of(position: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = position;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let along = rest % size;
            rest /= size;
            along
        })
        .collect();
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use half::bf16;

    use super::*;

    fn view(dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> TensorView<'_> {
        TensorView { name: "x", dtype, shape, bytes: Cow::Owned(bytes) }
    }

    #[test]
    fn every_half_precision_number_is_converted_exactly() {
        let finite = |value: f32| value.is_finite();
        let shorts: Vec<u16> = (0..=u16::MAX).filter(|&bits| finite(f16::from_bits(bits).to_f32())).collect();
        let bytes = shorts.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let expected: Vec<f32> = shorts.iter().map(|&bits| f16::from_bits(bits).to_f32()).collect();
        assert_eq!(to_f32(&view(Dtype::F16, &[shorts.len()], bytes)).unwrap(), expected);

        let shorts: Vec<u16> = (0..=u16::MAX).filter(|&bits| finite(bf16::from_bits(bits).to_f32())).collect();
        let bytes = shorts.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let expected: Vec<f32> = shorts.iter().map(|&bits| bf16::from_bits(bits).to_f32()).collect();
        assert_eq!(to_f32(&view(Dtype::BF16, &[shorts.len()], bytes)).unwrap(), expected);
    }

    #[test]
    fn a_number_that_is_none_is_located() {
        let bytes = [1.0, 2.0, 3.0, 4.0, f32::NAN, 6.0_f32].iter().flat_map(|value| value.to_le_bytes()).collect();
        let message = to_f32(&view(Dtype::F32, &[2, 3], bytes)).unwrap_err();
        assert!(message.contains("NaN at [1, 1]"), "{message}");
        let infinite = bf16::NEG_INFINITY.to_le_bytes().to_vec();
        let message = to_f32(&view(Dtype::BF16, &[1], infinite)).unwrap_err();
        assert!(message.contains("-inf at [0]"), "{message}");
    }
}
