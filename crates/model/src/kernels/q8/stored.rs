//! Weights that were rounded to Q8_0 before, taken over as they are.

use rayon::prelude::*;

use super::{BLOCK, LANES, Matrix, PANEL, VECTORS, WORDS, WeightBlock};

/// Bytes of a stored block: the scale as f16, then the values (ggml's `block_q8_0`).
const STORED: usize = 2 + BLOCK;

impl Matrix {
    /// Takes the next rows of the weight, a multiple of [`PANEL`] or the last, as blocks of Q8_0: 34 bytes each, whole
    /// blocks in a row.
    pub(crate) fn push_stored(&mut self, rows: &[u8]) {
        let (per_panel, blocks) = (self.per_panel(), rows.as_chunks::<STORED>().0);
        let rows = blocks.len() / per_panel;
        let block = |index: usize| {
            let (first, at) = (index / per_panel * PANEL, index % per_panel);
            let mut block = WeightBlock { quants: [[[0; LANES]; VECTORS]; WORDS], scales: [[0; LANES]; VECTORS] };
            for column in 0..PANEL.min(rows - first) {
                let [low, high, quants @ ..] = &blocks[(first + column) * per_panel + at];
                let (vector, lane) = (column / LANES, column % LANES);
                for (word, quants) in block.quants.iter_mut().zip(quants.as_chunks().0) {
                    // From q to q + 128.
                    word[vector][lane] = u32::from_le_bytes(*quants) ^ 0x8080_8080;
                }
                block.scales[vector][lane] = u16::from_le_bytes([*low, *high]);
            }
            block
        };
        let room = self.blocks.grow(rows.div_ceil(PANEL) * per_panel);
        room.par_iter_mut().enumerate().for_each(|(index, room)| *room = block(index));
    }
}
