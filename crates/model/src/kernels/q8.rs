//! Products with weights in Q8_0: 8-bit integers in blocks of 32 inner values that share a scale.
//!
//! Activations are rounded to the same form as they come in, so that the sums inside a block are exact in integers; only
//! the sum over blocks is in f32, and runs in the order of the blocks. A row's result is therefore the same, bit for bit,
//! whatever rows stand beside it and however the work is shared.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::lanes::{LANES, Line};

#[cfg(not(target_arch = "x86_64"))]
mod none;
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
const PANEL: usize = VECTORS * LANES;
/// Rows that are multiplied at once: with two vectors of outputs, integer and f32 sums fill 24 of 32 registers.
const GROUP: usize = 6;
/// Blocks after which the next rows have their turn: the weights of so many stay in the nearest cache.
const CHUNK: usize = 32;
/// Bytes of activations that stay in a core's own cache while all weights pass by.
const TILE_BYTES: usize = 1 << 20;
/// Bytes of activations that are rounded before they are multiplied.
const SCRATCH_BYTES: usize = 8 << 20;
/// Rounded values that are worth waking a thread for.
const ROUNDED: usize = 1 << 17;
/// Pieces of work for each thread: a thread that something else interrupts leaves its share to others.
const PIECES: usize = 4;
/// Nanoseconds of work that are worth waking a thread for.
const PIECE_TIME: usize = 20_000;

/// A block of a panel: its weights, each as `q + 128`, and the scales as f16.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct WeightBlock {
    quants: [[[u32; LANES]; VECTORS]; WORDS],
    scales: [[u16; LANES]; VECTORS],
}

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
type Sums = [[Line; VECTORS]; GROUP];

/// A weight `(out, in)`, held once, in the order in which products read it: by panels of outputs, in them by blocks.
#[derive(Debug)]
pub(crate) struct Matrix {
    blocks: Vec<WeightBlock>,
    input: usize,
    output: usize,
    instructions: Instructions,
}

impl Matrix {
    /// Whether this processor has the instructions.
    pub(crate) fn available() -> bool {
        Instructions::detect().is_some()
    }

    /// Rounds a weight `(out, in)` as Q8_0 does: a block's scale `d` is its largest magnitude / 127, kept as f16, and a
    /// weight is `round(w / d)`. `None` where the processor lacks the instructions.
    pub(crate) fn quantise(weight: &[f32], (input, output): (usize, usize)) -> Option<Self> {
        let instructions = Instructions::detect().filter(|_| input > 0)?;
        let per_panel = input.div_ceil(BLOCK);
        let block = |index: usize| {
            let (first, start) = (index / per_panel * PANEL, index % per_panel * BLOCK);
            let mut block = WeightBlock { quants: [[[0; LANES]; VECTORS]; WORDS], scales: [[0; LANES]; VECTORS] };
            for column in 0..PANEL.min(output - first) {
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
        let blocks = (0..output.div_ceil(PANEL) * per_panel).into_par_iter().map(block).collect();
        Some(Self { blocks, input, output, instructions })
    }

    /// Bytes that a weight takes.
    pub(crate) fn bytes_of(input: usize, output: usize) -> usize {
        input.div_ceil(BLOCK) * output.div_ceil(PANEL) * size_of::<WeightBlock>()
    }

    /// `(rows, in)` → `(rows, out)`, plus the bias `(out)`.
    pub(crate) fn multiply(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let (rows, per_panel) = (x.len() / self.input, self.per_panel());
        let largest = (SCRATCH_BYTES / (per_panel * size_of::<Rounded>())).max(1);
        let plan = Plan::of(largest.min(rows.div_ceil(GROUP)), self.blocks.len() / per_panel, per_panel);
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
        let (per_panel, columns) = (self.per_panel(), plan.panels * PANEL);
        let mut pieces = Vec::new();
        let tiles = x.chunks(plan.groups * per_panel).zip(out.chunks_mut(plan.groups * GROUP * self.output));
        for (x, out) in tiles {
            let first = pieces.len();
            pieces.extend((0..self.output).step_by(columns).map(|start| (x, start / PANEL, Vec::new())));
            for row in out.chunks_mut(self.output) {
                for (piece, part) in pieces[first..].iter_mut().zip(row.chunks_mut(columns)) {
                    piece.2.push(part);
                }
            }
        }
        match plan.serial {
            true => pieces.into_iter().for_each(|(x, panel, out)| self.piece(x, panel, out, bias)),
            false => pieces.into_par_iter().with_max_len(1).for_each(|(x, panel, out)| self.piece(x, panel, out, bias)),
        }
    }

    /// Multiplies rows with the panels from the given one on, as far as the parts of rows in `out` reach.
    fn piece(&self, x: &[Rounded], panel: usize, mut out: Vec<&mut [MaybeUninit<f32>]>, bias: Option<&[f32]>) {
        let (per_panel, width) = (self.per_panel(), out.first().map_or(0, |row| row.len()));
        let mut sums = vec![Sums::default(); x.len() / per_panel];
        // With one group there is nothing that a part of the weights could wait for.
        let chunk = if sums.len() == 1 { per_panel } else { CHUNK };
        for (index, weights) in
            self.blocks[panel * per_panel..].chunks(per_panel).take(width.div_ceil(PANEL)).enumerate()
        {
            sums.fill(Sums::default());
            for (start, weights) in (0..).step_by(chunk).zip(weights.chunks(chunk)) {
                for ((x, sums), first) in x.chunks(per_panel).zip(&mut sums).zip((0..).step_by(GROUP)) {
                    let rows = GROUP.min(out.len() - first);
                    self.instructions.multiply(rows, &x[start..start + weights.len()], weights, sums);
                }
            }
            let columns = index * PANEL..width.min((index + 1) * PANEL);
            let bias = bias.map(|bias| &bias[panel * PANEL..][columns.clone()]);
            for (out, sums) in out.iter_mut().zip(sums.as_flattened()) {
                store(sums, bias, &mut out[columns.clone()]);
            }
        }
    }
}

/// The first sums, and the bias where there is one.
fn store(sums: &[Line; VECTORS], bias: Option<&[f32]>, out: &mut [MaybeUninit<f32>]) {
    let sums = sums.iter().flat_map(|line| line.0);
    match bias {
        None => out.iter_mut().zip(sums).for_each(|(out, sum)| _ = out.write(sum)),
        Some(bias) => out.iter_mut().zip(sums).zip(bias).for_each(|((out, sum), bias)| _ = out.write(sum + bias)),
    }
}

/// How a product is cut into pieces.
#[derive(Debug, PartialEq)]
struct Plan {
    /// Groups of rows of a piece.
    groups: usize,
    /// Panels of a piece.
    panels: usize,
    /// Whether it is so little that the caller does it alone.
    serial: bool,
}

impl Plan {
    fn of(groups: usize, panels: usize, per_panel: usize) -> Self {
        let threads = rayon::current_num_threads();
        let most = (TILE_BYTES / (per_panel * size_of::<Rounded>())).max(1);
        let tiles = groups.div_ceil(most);
        let tile = groups.div_ceil(tiles.max(1)).max(1);
        // A block of a panel comes from memory in about 150 ns and is multiplied with a group in about 30.
        let time = |groups: usize, panels: usize| panels * per_panel * (30 * groups).max(150);
        if threads == 1 || time(groups, panels) < 2 * PIECE_TIME {
            return Self { groups: tile, panels: panels.max(1), serial: true };
        }
        let wanted = (PIECES * threads).div_ceil(tiles);
        let least = (1..panels).find(|panels| time(tile, *panels) >= PIECE_TIME).unwrap_or(panels);
        Self { groups: tile, panels: panels.div_ceil(wanted).max(least), serial: false }
    }
}
