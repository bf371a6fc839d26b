//! Products with weights in Q8_0: 8-bit integers in blocks of 32 inner values that share a scale.
//!
//! Activations are rounded to the same form as they come in, so that the sums inside a block are exact in integers; only
//! the sum over blocks is in f32, and runs in the order of the blocks. A row's result is therefore the same, bit for bit,
//! whatever rows stand beside it and however the work is shared.

use std::ops::Range;

use rayon::prelude::*;

use super::buffers::{Buffer, Buffers, Reused};
use super::lanes::LANES;
use super::norm::{RowNorm, normed};
use super::pages::Plain;
use super::panels::{Order, Panels};
use super::plan::Costs;
use super::product::{MOST, Packed, Rows};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(not(target_arch = "x86_64"))]
mod none;
mod stored;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vnni;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(not(target_arch = "x86_64"))]
use none as backend;
#[cfg(target_arch = "x86_64")]
use x86 as backend;

use backend::Instructions;

/// Inner values that share a scale.
const BLOCK: usize = 32;
/// Words of a block: four 8-bit values each, what one instruction multiplies and sums.
const WORDS: usize = BLOCK / 4;
/// Vectors of outputs side by side, so that a row's word is read once for both.
const VECTORS: usize = 2;
/// Outputs of a panel, whose weights lie together: as many as a block has inner values, so that what a panel gives is a block
/// of the next product.
pub(crate) const PANEL: usize = VECTORS * LANES;
/// Rows that are multiplied at once: with two vectors of outputs, integer and f32 sums fill 24 of 32 registers.
const GROUP: usize = 6;
/// Bytes of weights that all rows pass by before the next have their turn: a core's own cache keeps them, and what a row
/// gets of their products lies together.
const STRIP_BYTES: usize = 640 << 10;
/// Rounded values that are worth waking a thread for.
const ROUNDED: usize = 1 << 17;
/// Groups of rows that a piece has before its outputs become fewer: weights are read anew for each piece.
const GROUPS: usize = 8;

/// A block of a panel: its weights, each as `q + 128`, and the scales as f16.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
struct WeightBlock {
    quants: [[[u32; LANES]; VECTORS]; WORDS],
    scales: [[u16; LANES]; VECTORS],
}

// SAFETY: integers, for which all bytes zero is 0, aligned to a cache line.
#[expect(unsafe_code, reason = "so that large weights can lie in large pages")]
unsafe impl Plain for WeightBlock {}

/// A block of a group of rows. Rows that are not there are zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C)]
pub(crate) struct Rounded {
    quants: [[u32; WORDS]; GROUP],
    scales: [f32; GROUP],
    /// −128 Σ q, which takes back what the weights have too much.
    starts: [i32; GROUP],
}

static ROUNDED_WAITING: Buffers<Rounded> = Buffers::new();

impl Reused for Rounded {
    fn buffers() -> &'static Buffers<Self> {
        &ROUNDED_WAITING
    }
}

/// Sums of a group's rows over a panel's outputs.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Sums([[[f32; LANES]; VECTORS]; GROUP]);

/// A weight `(out, in)`, held once, in the order in which products read it: by panels of outputs, in them by blocks.
#[derive(Debug)]
pub(crate) struct Matrix {
    panels: Panels<WeightBlock>,
    input: usize,
    output: usize,
    instructions: Instructions,
}

impl Matrix {
    /// Whether this processor has the instructions.
    pub(crate) fn available() -> bool {
        Instructions::detect().is_some()
    }

    /// A weight `(out, in)` that has no rows yet, or two that take turns. `None` where the processor lacks the instructions.
    pub(crate) fn begin((input, output): (usize, usize), order: Order) -> Option<Self> {
        let instructions = Instructions::detect().filter(|_| input > 0)?;
        let weights = if order == Order::InTurn { 2 } else { 1 };
        let panels = Panels::new(input.div_ceil(BLOCK), weights * output.div_ceil(PANEL), order);
        Some(Self { panels, input, output, instructions })
    }

    /// Rounds the next rows of the weight, a multiple of [`PANEL`] or its last, as Q8_0 does: a block's scale `d` is its
    /// largest magnitude / 127, kept as f16, and a weight is `round(w / d)`.
    pub(crate) fn push(&mut self, weight: &[f32]) {
        let (input, instructions) = (self.input, self.instructions);
        let panels = self.panels.next((weight.len() / input).div_ceil(PANEL));
        panels.zip(weight.par_chunks(PANEL * input)).for_each(|(panel, weight)| {
            for (index, block) in panel.iter_mut().enumerate() {
                let start = index * BLOCK;
                *block = WeightBlock::default();
                for (column, row) in weight.chunks(input).enumerate() {
                    let (quants, scale) = instructions.round_weights(&row[start..input.min(start + BLOCK)]);
                    block.put(column, quants, scale);
                }
            }
        });
    }

    /// Bytes that a weight takes.
    pub(crate) fn bytes_of(input: usize, output: usize) -> usize {
        input.div_ceil(BLOCK) * output.div_ceil(PANEL) * size_of::<WeightBlock>()
    }

    /// Rounds rows `(rows, in)` as products read them, normed first where that is asked for.
    pub(crate) fn prepare(&self, x: &[f32], norm: Option<RowNorm>) -> Rows<Rounded> {
        let input = self.input;
        let (rows, per_group) = (x.len() / input, input.div_ceil(BLOCK));
        let mut steps = Buffer::of(rows.div_ceil(GROUP) * per_group);
        let round = |scratch: &mut Vec<f32>, (group, blocks): (usize, &mut [Rounded])| {
            let x = &x[group * GROUP * input..(rows * input).min((group + 1) * GROUP * input)];
            let x = normed(x, input, norm, scratch);
            for (index, block) in blocks.iter_mut().enumerate() {
                *block = Rounded::default();
                let start = index * BLOCK;
                for (row, x) in x.chunks(input).enumerate() {
                    block.put(row, self.instructions.round(&x[start..input.min(start + BLOCK)]));
                }
            }
        };
        match x.len() < 2 * ROUNDED {
            true => {
                let mut scratch = Vec::new();
                steps.chunks_mut(per_group).enumerate().for_each(|group| round(&mut scratch, group));
            }
            false => {
                let least = ROUNDED.div_ceil(GROUP * input);
                steps.par_chunks_mut(per_group).enumerate().with_min_len(least).for_each_init(Vec::new, round);
            }
        }
        Rows { steps, rows, input }
    }
}

impl WeightBlock {
    /// Sets an output's weights.
    fn put(&mut self, column: usize, quants: [u32; WORDS], scale: u16) {
        let (vector, lane) = (column / LANES, column % LANES);
        for (word, quants) in self.quants.iter_mut().zip(quants) {
            word[vector][lane] = quants;
        }
        self.scales[vector][lane] = scale;
    }
}

impl Rounded {
    /// Sets a row's values: `(q, d, Σ q)`.
    #[inline(always)]
    fn put(&mut self, row: usize, (quants, scale, sum): ([u32; WORDS], f32, i32)) {
        (self.quants[row], self.scales[row], self.starts[row]) = (quants, scale, -128 * sum);
    }
}

#[expect(unsafe_code, reason = "the trait's promise")]
// SAFETY: `multiply` runs over all groups and, in each, over all sets.
unsafe impl Packed for Matrix {
    type Step = Rounded;
    type Sums = Sums;

    const GROUP: usize = GROUP;
    const PANEL: usize = PANEL;

    fn input(&self) -> usize {
        self.input
    }

    fn output(&self) -> usize {
        self.output
    }

    fn costs(&self) -> Costs {
        costs(self.panels.per_panel(), self.instructions.block_times())
    }

    fn steps(inputs: usize) -> usize {
        inputs.div_ceil(BLOCK)
    }

    fn multiply<const SET: usize>(
        &self,
        x: &[Rounded],
        rows: usize,
        sets: Range<usize>,
        put: &mut impl FnMut(usize, usize, &[Sums; SET]),
    ) {
        let (per_panel, groups) = (self.panels.per_panel(), rows.div_ceil(GROUP));
        let weights = |panel: usize| &self.panels.from(panel)[..per_panel];
        // Few rows pass by few panels, so that the next come from memory while these are multiplied.
        let strip = (groups / (2 * SET)).clamp(1, sets.len().max(1));
        let share = per_panel.div_ceil(groups);
        for first in sets.clone().step_by(strip) {
            for (group, x) in x.chunks(per_panel).enumerate() {
                let here = (rows - group * GROUP).min(GROUP);
                for set in first..sets.end.min(first + strip) {
                    let mut sums = [Sums::default(); SET];
                    for (part, sums) in sums.iter_mut().enumerate() {
                        let next = if set + strip < sets.end { weights((set + strip) * SET + part) } else { &[] };
                        let next = next.chunks(share).nth(group).unwrap_or_default();
                        self.instructions.multiply(here, x, weights(set * SET + part), next, sums);
                    }
                    put(group, set, &sums);
                }
            }
        }
    }

    fn row(sums: &Sums, row: usize) -> &[f32] {
        sums.0[row].as_flattened()
    }

    fn fill(&self, rows: impl Fn(usize) -> Option<[f32; MOST]>, width: usize, steps: &mut [Rounded]) {
        for block in steps {
            *block = Rounded::default();
            for row in 0..GROUP {
                if let Some(values) = rows(row) {
                    block.put(row, self.instructions.round(&values[..width]));
                }
            }
        }
    }
}

/// What a product with panels of so many blocks costs, whose times for one block are given.
fn costs(per_panel: usize, block_times: [usize; 2]) -> Costs {
    let [read, multiplied] = block_times.map(|time| time * per_panel);
    Costs { read, multiplied, strip: STRIP_BYTES / (per_panel * size_of::<WeightBlock>()), groups: GROUPS }
}
