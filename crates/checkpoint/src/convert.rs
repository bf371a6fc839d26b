//! Stored numbers to single precision. Bytes may lie at any address, so nothing is reinterpreted in place.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::dtype::Dtype;

/// Numbers that are converted before they are checked, so that they are still in the cache.
const BLOCK: usize = 1024;

/// A vector of the shape's size, or a message. Its pages are first touched by whoever writes them.
pub(crate) fn zeroed(shape: &[usize]) -> Result<Vec<f32>, String> {
    let too_large = || format!("has shape {shape:?}, which does not fit into memory");
    let count = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)).ok_or_else(too_large)?;
    // Whether there is room is asked first, since a failing `vec!` ends the process.
    Vec::<f32>::new().try_reserve_exact(count).map_err(|_| too_large())?;
    Ok(vec![0.0; count])
}

/// Converts as many numbers as `values` holds; `bytes` has exactly theirs. Returns the position of the first that is not
/// finite.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8], values: &mut [f32]) -> Option<usize> {
    debug_assert_eq!(bytes.len(), values.len() * dtype.size());
    let stored = bytes.chunks(BLOCK * dtype.size());
    for (number, (values, bytes)) in values.chunks_mut(BLOCK).zip(stored).enumerate() {
        match dtype {
            Dtype::F32 => {
                let numbers = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
                values.iter_mut().zip(numbers).for_each(|(value, number)| *value = number);
            }
            // The upper half of a single-precision number.
            Dtype::BF16 => {
                let widen = |&bytes: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
                values.iter_mut().zip(bytes.as_chunks().0).for_each(|(value, bytes)| *value = widen(bytes));
            }
            // `half` converts slices much faster than single numbers.
            Dtype::F16 => {
                let mut halves = [f16::ZERO; BLOCK];
                let numbers = bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes));
                halves.iter_mut().zip(numbers).for_each(|(half, number)| *half = number);
                halves[..values.len()].convert_to_f32_slice(values);
            }
        }
        if let Some(position) = first_not_finite(values) {
            return Some(number * BLOCK + position);
        }
    }
    None
}

/// The position of the first number that is not finite, if there is one: the largest magnitude tells without a branch
/// per number.
pub(crate) fn first_not_finite(values: &[f32]) -> Option<usize> {
    let largest = values.iter().fold(0, |largest, value| u32::max(largest, value.to_bits() & 0x7fff_ffff));
    if largest < f32::INFINITY.to_bits() { None } else { values.iter().position(|value| !value.is_finite()) }
}

/// What is wrong with a number that is not finite, found at a flat position of a tensor.
pub(crate) fn not_finite(value: f32, position: usize, shape: &[usize]) -> String {
    let index = index_of(position, shape);
    format!("holds {value} at {index:?}, expected finite numbers; the file is damaged or training diverged")
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
    use half::bf16;

    use super::*;

    #[test]
    fn every_half_precision_number_is_converted_exactly() {
        type Read = fn(u16) -> f32;
        let formats: [(Dtype, Read); 2] =
            [(Dtype::F16, |bits| f16::from_bits(bits).to_f32()), (Dtype::BF16, |bits| bf16::from_bits(bits).to_f32())];
        for (dtype, read) in formats {
            let shorts: Vec<u16> = (0..=u16::MAX).filter(|&bits| read(bits).is_finite()).collect();
            let bytes: Vec<u8> = shorts.iter().flat_map(|bits| bits.to_le_bytes()).collect();
            let mut values = zeroed(&[shorts.len()]).unwrap();
            assert_eq!(to_f32(dtype, &bytes, &mut values), None);
            assert_eq!(values, shorts.iter().map(|&bits| read(bits)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_number_that_is_none_is_located() {
        for position in [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 5] {
            for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut numbers = vec![1.5_f32; 3 * BLOCK + 6];
                numbers[position] = number;
                let mut values = vec![0.0; numbers.len()];
                let wide: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                assert_eq!(to_f32(Dtype::F32, &wide, &mut values), Some(position));
                let narrow =
                    numbers.iter().flat_map(|&number| bf16::from_f32(number).to_le_bytes()).collect::<Vec<_>>();
                assert_eq!(to_f32(Dtype::BF16, &narrow, &mut values), Some(position));
                let narrow = numbers.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect::<Vec<_>>();
                assert_eq!(to_f32(Dtype::F16, &narrow, &mut values), Some(position));
            }
        }
        let message = not_finite(f32::NAN, 4, &[2, 3]);
        assert!(message.contains("NaN at [1, 1]"), "{message}");
        assert!(not_finite(f32::NEG_INFINITY, 0, &[1]).contains("-inf at [0]"));
    }

    #[test]
    fn what_no_memory_can_hold_is_refused() {
        for shape in [[usize::MAX, 2], [1 << 40, 1 << 20]] {
            assert!(zeroed(&shape).unwrap_err().contains("does not fit into memory"));
        }
    }
}
