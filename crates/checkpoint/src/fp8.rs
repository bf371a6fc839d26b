//! Eight-bit floats in blocks that share a scale, as DeepSeek-V3, MiniMax-M2 and Qwen publish their weights: a number is
//! its E4M3 value (arXiv 2209.05433, table 1; the variant without infinities) times the scale of its block (DeepSeek-V3's
//! `inference/kernel.py`, `weight_dequant`), in single precision.

use crate::convert;

/// The blocks of a stored matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// Rows of a block; the last ones of a matrix may have fewer.
    pub(crate) rows: usize,
    /// Columns of a block; the last ones may have fewer.
    pub(crate) columns: usize,
    /// Columns of the matrix.
    pub(crate) width: usize,
}

impl Blocks {
    /// Shape of the scales of a matrix with so many rows.
    pub(crate) fn scales(&self, height: usize) -> [usize; 2] {
        [height.div_ceil(self.rows), self.width.div_ceil(self.columns)]
    }

    /// Which scales numbers from one flat position of the matrix to another need: those of whole rows of blocks.
    pub(crate) fn scales_between(&self, first: usize, end: usize) -> std::ops::Range<usize> {
        let (row, last) = (first / self.width, end.saturating_sub(1).max(first) / self.width);
        let across = self.width.div_ceil(self.columns);
        row / self.rows * across..(last / self.rows + 1) * across
    }

    /// Decodes numbers from a flat position of the matrix on. `scales` begins with the first of those that
    /// [`Blocks::scales_between`] names. Gives the position of the first number that is not finite, among `values`.
    pub(crate) fn unpack(&self, first: usize, bytes: &[u8], scales: &[f32], values: &mut [f32]) -> Option<usize> {
        let across = self.width.div_ceil(self.columns);
        let top = first / self.width / self.rows;
        let mut done = 0;
        while done < values.len() {
            let (row, column) = ((first + done) / self.width, (first + done) % self.width);
            // What shares a scale with the first lies behind it up to the end of the block or of the row.
            let end = (column / self.columns + 1).saturating_mul(self.columns).min(self.width);
            let run = done..values.len().min(done + end - column);
            let scale = scales.get((row / self.rows - top) * across + column / self.columns).copied();
            let scale = scale.unwrap_or(f32::NAN);
            let stored = bytes.get(run.clone()).unwrap_or_default();
            values[run.clone()]
                .iter_mut()
                .zip(stored)
                .for_each(|(value, &bits)| *value = VALUES[usize::from(bits)] * scale);
            done = run.end;
        }
        convert::first_not_finite(values)
    }
}

/// The value of every byte.
static VALUES: [f32; 256] = values();

const fn values() -> [f32; 256] {
    let mut values = [0.0; 256];
    let mut bits = 0;
    while bits < 256 {
        values[bits] = value(bits as u8);
        bits += 1;
    }
    values
}

/// E4M3: sign, four bits of exponent with a bias of 7, three of mantissa; all ones is no number.
const fn value(bits: u8) -> f32 {
    let sign = if bits & 0x80 == 0 { 1.0 } else { -1.0 };
    let (exponent, mantissa) = ((bits >> 3) & 0x0f, bits & 0x07);
    match (exponent, mantissa) {
        (0x0f, 0x07) => f32::NAN,
        // Subnormal: in steps of 2⁻⁹.
        (0, _) => sign * mantissa as f32 / 512.0,
        _ => sign * (8 + mantissa) as f32 * f32::from_bits((exponent as u32 + 127 - 10) << 23),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_format() {
        for (bits, expected) in [
            (0x00, 0.0),
            (0x01, 2f32.powi(-9)),
            (0x07, 7.0 * 2f32.powi(-9)),
            (0x08, 2f32.powi(-6)),
            (0x38, 1.0),
            (0x39, 1.125),
            (0x7e, 448.0),
            (0xb8, -1.0),
            (0xfe, -448.0),
        ] {
            assert_eq!(VALUES[bits], expected, "{bits:#x}");
        }
        assert!(VALUES[0x7f].is_nan() && VALUES[0xff].is_nan() && VALUES[0x80].is_sign_negative());
        assert_eq!(VALUES.iter().filter(|value| value.is_finite()).count(), 254);
    }

    #[test]
    fn every_number_has_the_scale_of_its_block() {
        let blocks = Blocks { rows: 2, columns: 3, width: 7 };
        assert_eq!(blocks.scales(5), [3, 3]);
        let scales: Vec<f32> = (0..9).map(|scale| scale as f32 + 1.0).collect();
        let bytes: Vec<u8> = (0..35).map(|byte| 0x30 + byte % 8).collect();
        let expected = |position: usize| {
            let (row, column) = (position / 7, position % 7);
            VALUES[usize::from(bytes[position])] * scales[row / 2 * 3 + column / 3]
        };
        for first in 0..35 {
            for end in first..=35 {
                let needed = blocks.scales_between(first, end);
                let mut values = vec![0.0; end - first];
                assert_eq!(blocks.unpack(first, &bytes[first..end], &scales[needed], &mut values), None);
                let expected: Vec<f32> = (first..end).map(expected).collect();
                assert_eq!(values, expected, "{first}..{end}");
            }
        }
        let mut values = [0.0; 2];
        assert_eq!(blocks.unpack(0, &[0x38, 0x7f], &scales, &mut values), Some(1));
        assert_eq!(blocks.unpack(0, &[0x38, 0x38], &[f32::INFINITY], &mut values), Some(0));
    }
}
