//! Products with weights in Q8_0: 8-bit integers in blocks of 32 inner values that share a scale.
//!
//! Activations are rounded to the same form as they come in, so that the sums inside a block are exact in integers; only
//! the sum over blocks is in f32, and runs in the order of the blocks. A row's result is therefore the same, bit for bit,
//! whatever rows stand beside it and however the work is shared.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::lanes::LANES;
use super::pages::{Pages, Plain};
use super::plan::{Costs, Plan};

#[cfg(not(target_arch = "x86_64"))]
mod none;
mod stored;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vnni;

#[cfg(not(target_arch = "x86_64"))]
use none as backend;
#[cfg(target_arch = "x86_64")]
use vnni as backend;

use backend::Instructions;

/// Inner values that share a scale.
const BLOCK: usize = 32;
/// Words of a block: four 8-bit values each, what one instruction multiplies and sums.
const WORDS: usize = BLOCK / 4;
/// Vectors of outputs side by side, so that a row's word is read once for both.
const VECTORS: usize = 2;
/// Outputs of a panel, whose weights lie together.
pub(crate) const PANEL: usize = VECTORS * LANES;
/// Rows that are multiplied at once: with two vectors of outputs, integer and f32 sums fill 24 of 32 registers.
const GROUP: usize = 6;
/// Bytes of weights that all rows pass by before the next have their turn: a core's own cache keeps them, and what a row
/// gets of their products lies together.
const STRIP_BYTES: usize = 640 << 10;
/// Bytes of activations that are rounded before they are multiplied.
const SCRATCH_BYTES: usize = 8 << 20;
/// Rounded values that are worth waking a thread for.
const ROUNDED: usize = 1 << 17;
/// Nanoseconds in which a block of a panel comes from memory, and those in which it is multiplied with a group.
const BLOCK_TIMES: [usize; 2] = [150, 25];
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
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct Rounded {
    quants: [[u32; WORDS]; GROUP],
    scales: [f32; GROUP],
    /// −128 Σ q, which takes back what the weights have too much.
    starts: [i32; GROUP],
}

/// Sums of a group's rows over a panel's outputs.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
struct Sums([[[f32; LANES]; VECTORS]; GROUP]);

/// A weight `(out, in)`, held once, in the order in which products read it: by panels of outputs, in them by blocks.
#[derive(Debug)]
pub(crate) struct Matrix {
    blocks: Pages<WeightBlock>,
    input: usize,
    output: usize,
    instructions: Instructions,
}

impl Matrix {
    /// Whether this processor has the instructions.
    pub(crate) fn available() -> bool {
        Instructions::detect().is_some()
    }

    /// A weight `(out, in)` that has no rows yet. `None` where the processor lacks the instructions.
    pub(crate) fn begin((input, output): (usize, usize)) -> Option<Self> {
        let instructions = Instructions::detect().filter(|_| input > 0)?;
        let blocks = Pages::with_capacity(output.div_ceil(PANEL) * input.div_ceil(BLOCK));
        Some(Self { blocks, input, output, instructions })
    }

    /// Rounds the next rows of the weight, a multiple of [`PANEL`] or the last, as Q8_0 does: a block's scale `d` is its
    /// largest magnitude / 127, kept as f16, and a weight is `round(w / d)`.
    pub(crate) fn push(&mut self, weight: &[f32]) {
        let (input, per_panel, instructions) = (self.input, self.per_panel(), self.instructions);
        let rows = weight.len() / input;
        let block = |index: usize| {
            let (first, start) = (index / per_panel * PANEL, index % per_panel * BLOCK);
            let mut block = WeightBlock { quants: [[[0; LANES]; VECTORS]; WORDS], scales: [[0; LANES]; VECTORS] };
            for column in 0..PANEL.min(rows - first) {
                let row = &weight[(first + column) * input..][..input];
                let (quants, scale) = instructions.round_weights(&row[start..input.min(start + BLOCK)]);
                let (vector, lane) = (column / LANES, column % LANES);
                for (word, quants) in block.quants.iter_mut().zip(quants) {
                    word[vector][lane] = quants;
                }
                block.scales[vector][lane] = scale;
            }
            block
        };
        let room = self.blocks.grow(rows.div_ceil(PANEL) * per_panel);
        room.par_iter_mut().enumerate().for_each(|(index, room)| *room = block(index));
    }

    /// Bytes that a weight takes.
    pub(crate) fn bytes_of(input: usize, output: usize) -> usize {
        input.div_ceil(BLOCK) * output.div_ceil(PANEL) * size_of::<WeightBlock>()
    }

    /// `(rows, in)` → `(rows, out)`, plus the bias `(out)`.
    pub(crate) fn multiply(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let (rows, per_panel) = (x.len() / self.input, self.per_panel());
        let largest = (SCRATCH_BYTES / (per_panel * size_of::<Rounded>())).max(1);
        let (groups, panels) = (largest.min(rows.div_ceil(GROUP)), self.blocks.get().len() / per_panel);
        let plan = Plan::of(groups, panels, costs(per_panel), rayon::current_num_threads());
        let mut out = Vec::with_capacity(rows * self.output);
        let written = &mut out.spare_capacity_mut()[..rows * self.output];
        let mut work = || {
            let x = x[..rows * self.input].chunks(largest * GROUP * self.input);
            for (x, written) in x.zip(written.chunks_mut(largest * GROUP * self.output)) {
                let rounded = self.round(x);
                self.multiply_rounded(&plan, &rounded, written, bias);
            }
        };
        // In the scope all that follows finds threads that are awake.
        if plan.serial {
            work()
        } else {
            rayon::scope(|_| work())
        }
        #[expect(unsafe_code, reason = "zeros would be written first otherwise, which takes as long as small products")]
        // SAFETY: `multiply_rounded` has written every value of the rows that it was given, and the pairs of chunks are
        // all rows: of `x` there are `rows` times `input` values, of `written` `rows` times `output`.
        unsafe {
            out.set_len(rows * self.output);
        }
        out
    }

    /// Blocks of a panel.
    fn per_panel(&self) -> usize {
        self.input.div_ceil(BLOCK)
    }

    /// Rounds rows: by groups, in them by blocks.
    fn round(&self, x: &[f32]) -> Vec<Rounded> {
        let (rows, per_panel) = (x.len() / self.input, self.per_panel());
        let block = |index: usize| {
            let (first, start) = (index / per_panel * GROUP, index % per_panel * BLOCK);
            let mut block = Rounded::default();
            for row in 0..GROUP.min(rows - first) {
                let x = &x[(first + row) * self.input..][..self.input];
                let (quants, scale, sum) = self.instructions.round(&x[start..self.input.min(start + BLOCK)]);
                (block.quants[row], block.scales[row], block.starts[row]) = (quants, scale, -128 * sum);
            }
            block
        };
        let blocks = 0..rows.div_ceil(GROUP) * per_panel;
        match x.len() < 2 * ROUNDED {
            true => blocks.map(block).collect(),
            false => blocks.into_par_iter().with_min_len(ROUNDED / (GROUP * BLOCK)).map(block).collect(),
        }
    }

    /// Writes every value of `out`, `(rows, out)`.
    fn multiply_rounded(&self, plan: &Plan, x: &[Rounded], out: &mut [MaybeUninit<f32>], bias: Option<&[f32]>) {
        let columns = plan.panels * PANEL;
        let tiles = x.chunks(plan.groups * self.per_panel());
        let count = tiles.len();
        // Pieces of the same weights follow one another.
        let starts = (0..self.output).step_by(columns);
        let mut pieces: Vec<_> =
            starts.flat_map(|start| tiles.clone().map(move |x| Piece { x, start, out: Vec::new() })).collect();
        for (tile, out) in out.chunks_mut(plan.groups * GROUP * self.output).enumerate() {
            for row in out.chunks_mut(self.output) {
                for (piece, part) in pieces[tile..].iter_mut().step_by(count).zip(row.chunks_mut(columns)) {
                    piece.out.push(part);
                }
            }
        }
        match plan.serial {
            true => pieces.into_iter().for_each(|piece| self.multiply_piece(piece, bias)),
            false => pieces.into_par_iter().with_max_len(1).for_each(|piece| self.multiply_piece(piece, bias)),
        }
    }

    fn multiply_piece(&self, piece: Piece, bias: Option<&[f32]>) {
        let Piece { x, start, mut out } = piece;
        let (per_panel, width) = (self.per_panel(), out.first().map_or(0, |row| row.len()));
        let (panels, groups) = (width.div_ceil(PANEL), out.len().div_ceil(GROUP));
        let weights = |panel: usize| &self.blocks.get()[(start / PANEL + panel) * per_panel..][..per_panel];
        // Few rows pass by few panels, so that the next come from memory while these are multiplied.
        let strip = (groups / 2).clamp(1, panels);
        let share = per_panel.div_ceil(groups);
        for first in (0..panels).step_by(strip) {
            for (group, (x, out)) in x.chunks(per_panel).zip(out.chunks_mut(GROUP)).enumerate() {
                for panel in first..panels.min(first + strip) {
                    let next = if panel + strip < panels { weights(panel + strip) } else { &[] };
                    let next = next.chunks(share).nth(group).unwrap_or_default();
                    let mut sums = Sums::default();
                    self.instructions.multiply(out.len(), x, weights(panel), next, &mut sums);
                    let columns = panel * PANEL..width.min((panel + 1) * PANEL);
                    let bias = bias.map(|bias| &bias[start..][columns.clone()]);
                    for (out, sums) in out.iter_mut().zip(&sums.0) {
                        store(sums, bias, &mut out[columns.clone()]);
                    }
                }
            }
        }
    }
}

/// What a product with panels of so many blocks costs.
fn costs(per_panel: usize) -> Costs {
    let [read, multiplied] = BLOCK_TIMES.map(|time| time * per_panel);
    Costs { read, multiplied, strip: STRIP_BYTES / (per_panel * size_of::<WeightBlock>()), groups: GROUPS }
}

/// Groups of rows, and the outputs from `start` on, as many as the parts of rows in `out` hold.
struct Piece<'a> {
    x: &'a [Rounded],
    start: usize,
    out: Vec<&'a mut [MaybeUninit<f32>]>,
}

/// The first sums, and the bias where there is one.
fn store(sums: &[[f32; LANES]; VECTORS], bias: Option<&[f32]>, out: &mut [MaybeUninit<f32>]) {
    let sums = &sums.as_flattened()[..out.len()];
    match bias {
        None => _ = out.write_copy_of_slice(sums),
        Some(bias) => out.iter_mut().zip(sums).zip(bias).for_each(|((out, sum), bias)| _ = out.write(sum + bias)),
    }
}
