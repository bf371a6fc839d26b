//! MXFP4: four-bit floats that share a power of two in blocks of 32 (OCP Microscaling Formats 1.0, sections 5.3.3 and 5.4.1).

/// Numbers of a block, which share a scale.
pub(crate) const BLOCK: usize = 32;

/// E2M1: sign, two bits of exponent, one of mantissa.
const VALUES: [f32; 16] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// Unpacks numbers from position `first` of a tensor on. `packed` begins with the byte that holds it, the lower four bits
/// first, and `scales` with its block's. Gives the position of the first number that is none, among `values`.
pub(crate) fn unpack(first: usize, packed: &[u8], scales: &[u8], values: &mut [f32]) -> Option<usize> {
    for (offset, value) in values.iter_mut().enumerate() {
        let position = first + offset;
        let byte = packed.get(position / 2 - first / 2).copied().unwrap_or_default();
        let bits = if position.is_multiple_of(2) { byte & 0x0f } else { byte >> 4 };
        let scale = scales.get(position / BLOCK - first / BLOCK).copied().unwrap_or(u8::MAX);
        *value = VALUES[usize::from(bits)] * power(scale);
    }
    values.iter().position(|value| !value.is_finite())
}

/// E8M0: 2 to the power of `scale − 127`; 255 means no number.
fn power(scale: u8) -> f32 {
    match scale {
        u8::MAX => f32::NAN,
        0 => f32::MIN_POSITIVE / 2.0,
        _ => f32::from_bits(u32::from(scale) << 23),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_format() {
        // The sixteen values in order, twice: low bits first.
        let packed: Vec<u8> = (0..32).map(|byte| (2 * byte % 16) | ((2 * byte + 1) % 16) << 4).collect();
        let scales = [127, 124];
        let mut whole = [0.0; 64];
        assert_eq!(unpack(0, &packed, &scales, &mut whole), None);
        for (position, value) in whole.iter().enumerate() {
            let scale = if position < 32 { 1.0 } else { 0.125 };
            assert_eq!(*value, VALUES[position % 16] * scale, "{position}");
        }
        for (first, count) in [(0, 1), (1, 1), (1, 40), (31, 2), (33, 31)] {
            let mut piece = vec![0.0; count];
            unpack(first, &packed[first / 2..], &scales[first / 32..], &mut piece);
            assert_eq!(piece, whole[first..first + count], "{first}");
        }
        assert_eq!(unpack(0, &packed, &[127, 255], &mut whole), Some(32));
        assert_eq!([power(0), power(1), power(254)], [2f32.powi(-127), 2f32.powi(-126), 2f32.powi(127)]);
    }
}
