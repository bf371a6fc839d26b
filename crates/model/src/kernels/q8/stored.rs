//! Weights that were rounded to Q8_0 before, taken over as they are.

use rayon::prelude::*;

use super::{BLOCK, Matrix, PANEL, WeightBlock};

/// Bytes of a stored block: the scale as f16, then the values (ggml's `block_q8_0`).
const STORED: usize = 2 + BLOCK;

impl Matrix {
    /// Takes the next rows of the weight, a multiple of [`PANEL`] or its last, as blocks of Q8_0: 34 bytes each, whole
    /// blocks in a row.
    pub(crate) fn push_stored(&mut self, rows: &[u8]) {
        let (per_panel, blocks) = (self.panels.per_panel(), rows.as_chunks::<STORED>().0);
        let panels = self.panels.next((blocks.len() / per_panel).div_ceil(PANEL));
        panels.zip(blocks.par_chunks(PANEL * per_panel)).for_each(|(panel, stored)| {
            for (index, block) in panel.iter_mut().enumerate() {
                *block = WeightBlock::default();
                for (column, row) in stored.chunks(per_panel).enumerate() {
                    let [low, high, quants @ ..] = &row[index];
                    let mut words = [0; super::WORDS];
                    for (word, quants) in words.iter_mut().zip(quants.as_chunks().0) {
                        // From q to q + 128.
                        *word = u32::from_le_bytes(*quants) ^ 0x8080_8080;
                    }
                    block.put(column, words, u16::from_le_bytes([*low, *high]));
                }
            }
        });
    }
}
