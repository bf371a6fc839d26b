//! Products with weights in f32.
//!
//! Weights lie in the order in which they are read, so that nothing has to be sorted for a product; a general matrix
//! product sorts them anew each time, which is most of the work where rows are few. Every result is one chain of
//! multiply-adds over the inputs in order: a row is the same, bit for bit, whatever rows stand beside it and however the
//! work is shared.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::lanes::{LANES, Lanes, Line};
use super::pages::{Pages, Plain};
use super::plan::{Costs, Plan};
use super::rows::for_rows;

/// Vectors of outputs side by side.
const VECTORS: usize = 3;
/// Outputs of a panel, whose weights lie together.
pub(crate) const PANEL: usize = VECTORS * LANES;
/// Rows that are multiplied at once: their sums fill 24 of 32 registers.
const GROUP: usize = 8;
/// Inputs that all rows of a piece pass by before the next have their turn: so much of a panel stays in a level-1 cache
/// of 48 KiB, beside a group of rows.
const DEPTH: usize = 208;
/// Groups of rows of a piece: they stay in a core's own cache while panels pass by.
const GROUPS: usize = 24;
/// Panels of a piece.
const PANELS: usize = 3;
/// Picoseconds in which a panel's weights for one input come from memory, and those in which they are multiplied with a
/// group.
const INPUT_TIMES: [usize; 2] = [20_000, 4_500];

/// A panel's weights for one input.
type Column = [Line; VECTORS];

// SAFETY: floats, for which all bytes zero is 0, aligned to a cache line.
#[expect(unsafe_code, reason = "so that large weights can lie in large pages")]
unsafe impl Plain for Column {}

/// Sums of a group's rows over a panel's outputs.
type Sums = [[Line; VECTORS]; GROUP];

/// A weight `(out, in)` in the order in which products read it: by panels of outputs, in them by inputs.
#[derive(Debug)]
pub(crate) struct Matrix {
    columns: Pages<Column>,
    input: usize,
    output: usize,
}

impl Matrix {
    /// Whether this kernel beats the tensor library's: it needs 24 registers of sixteen sums.
    pub(crate) fn available() -> bool {
        cfg!(all(target_arch = "x86_64", target_feature = "avx512f"))
    }

    /// A weight `(out, in)` that has no rows yet. `None` where other kernels are better.
    pub(crate) fn begin((input, output): (usize, usize)) -> Option<Self> {
        let room = || Pages::with_capacity(output.div_ceil(PANEL) * input);
        (Self::available() && input > 0).then(|| Self { columns: room(), input, output })
    }

    /// Takes the next rows of the weight: a multiple of [`PANEL`], or the last.
    pub(crate) fn push(&mut self, weight: &[f32]) {
        let input = self.input;
        let rows = weight.len() / input;
        let panels = self.columns.grow(rows.div_ceil(PANEL) * input).par_chunks_mut(input);
        panels.zip(weight.par_chunks(PANEL * input)).for_each(|(panel, weight)| {
            for (vector, weight) in weight.chunks(LANES * input).enumerate() {
                for start in (0..input).step_by(LANES) {
                    let width = LANES.min(input - start);
                    let columns = transpose(weight, input, start, width);
                    for (column, lanes) in panel[start..start + width].iter_mut().zip(columns) {
                        lanes.store(&mut column[vector].0);
                    }
                }
            }
        });
    }

    /// Bytes that a weight takes.
    pub(crate) fn bytes_of(input: usize, output: usize) -> usize {
        input * output.div_ceil(PANEL) * size_of::<Column>()
    }

    /// `(rows, in)` → `(rows, out)`, plus the bias `(out)`.
    pub(crate) fn multiply(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let rows = x.len() / self.input;
        let panels = self.columns.get().len() / self.input;
        let [read, multiplied] = INPUT_TIMES.map(|time| (time * self.input).div_ceil(1000));
        let costs = Costs { read, multiplied, strip: PANELS, groups: GROUPS };
        let plan = Plan::of(rows.div_ceil(GROUP), panels, costs, rayon::current_num_threads());
        let mut out = Vec::with_capacity(rows * self.output);
        let written = &mut out.spare_capacity_mut()[..rows * self.output];
        let mut work = || self.multiply_into(&plan, &interleave(&x[..rows * self.input], self.input), written, bias);
        // In the scope all that follows finds threads that are awake.
        if plan.serial {
            work()
        } else {
            rayon::scope(|_| work())
        }
        #[expect(unsafe_code, reason = "zeros would be written first otherwise, which takes as long as small products")]
        // SAFETY: `multiply_into` has written every value of the rows that it was given, and it was given all.
        unsafe {
            out.set_len(rows * self.output);
        }
        out
    }

    /// Writes every value of `out`, `(rows, out)`.
    fn multiply_into(&self, plan: &Plan, x: &[Group], out: &mut [MaybeUninit<f32>], bias: Option<&[f32]>) {
        let columns = plan.panels * PANEL;
        let across = self.output.div_ceil(columns);
        let mut pieces = Vec::new();
        let outs = out.chunks_mut(plan.groups * GROUP * self.output);
        for (x, out) in x.chunks(plan.groups * self.input).zip(outs) {
            let first = pieces.len();
            pieces.extend((0..across).map(|index| Piece { x, start: index * columns, out: Vec::new() }));
            for row in out.chunks_mut(self.output) {
                for (piece, part) in pieces[first..].iter_mut().zip(row.chunks_mut(columns)) {
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
        let width = out.first().map_or(0, |row| row.len());
        let depth = self.input.div_ceil(self.input.div_ceil(DEPTH));
        let mut sums = vec![Sums::default(); out.len().div_ceil(GROUP)];
        let share = depth.div_ceil(sums.len());
        for first in (0..width).step_by(PANEL) {
            let (panel, behind) = self.columns.get()[(start + first) / PANEL * self.input..].split_at(self.input);
            for inputs in (0..self.input).step_by(depth) {
                let end = self.input.min(inputs + depth);
                let next = if end < self.input { &panel[end..] } else { behind };
                // Each group fetches its share of what all need next.
                let mut next = next[..next.len().min(depth)].chunks(share);
                for ((x, out), sums) in x.chunks(self.input).zip(out.chunks(GROUP)).zip(&mut sums) {
                    let next = next.next().unwrap_or_default();
                    multiply(out.len(), &x[inputs..end], &panel[inputs..end], next, inputs > 0, sums);
                }
            }
            let columns = first..width.min(first + PANEL);
            let bias = bias.map(|bias| &bias[start..][columns.clone()]);
            for (out, sums) in out.chunks_mut(GROUP).zip(&sums) {
                for (out, sums) in out.iter_mut().zip(sums) {
                    store(sums, bias, &mut out[columns.clone()]);
                }
            }
        }
    }
}

/// A group's rows at one input. Rows that are not there are zero.
type Group = [f32; GROUP];

/// Groups of rows, and the outputs from `start` on, as many as the parts of rows in `out` hold.
struct Piece<'a> {
    x: &'a [Group],
    start: usize,
    out: Vec<&'a mut [MaybeUninit<f32>]>,
}

/// Up to sixteen rows `(rows, in)` from an input on as columns; rows that are not there are zero.
fn transpose(rows: &[f32], input: usize, start: usize, width: usize) -> [Lanes; LANES] {
    let count = rows.len() / input;
    Lanes::transpose(std::array::from_fn(|row| match row < count {
        true => Lanes::load_part(&rows[row * input + start..][..width]),
        false => Lanes::splat(0.0),
    }))
}

/// Brings rows `(rows, in)` together by groups, in them by inputs.
fn interleave(x: &[f32], input: usize) -> Vec<Group> {
    let groups = (x.len() / input).div_ceil(GROUP);
    let mut out = vec![[0.0; GROUP]; groups * input];
    for_rows(out.as_flattened_mut(), GROUP * input, |first, out| {
        let x = &x[first * GROUP * input..];
        let (out, _) = out.as_chunks_mut::<GROUP>();
        for (group, x) in out.chunks_mut(input).zip(x.chunks(GROUP * input)) {
            for start in (0..input).step_by(LANES) {
                let width = LANES.min(input - start);
                for (values, lanes) in group[start..start + width].iter_mut().zip(transpose(x, input, start, width)) {
                    lanes.store_first(values);
                }
            }
        }
    });
    out
}

/// Products of a group's first rows with some inputs of a panel; where the product goes on, added to the sums. `next`
/// are weights to be fetched, at most as many as there are now.
fn multiply(rows: usize, x: &[Group], panel: &[Column], next: &[Column], goes_on: bool, sums: &mut Sums) {
    match rows {
        0 => (),
        1 => multiply_rows::<1>(x, panel, next, goes_on, sums),
        2 => multiply_rows::<2>(x, panel, next, goes_on, sums),
        3 => multiply_rows::<3>(x, panel, next, goes_on, sums),
        4 => multiply_rows::<4>(x, panel, next, goes_on, sums),
        5 => multiply_rows::<5>(x, panel, next, goes_on, sums),
        6 => multiply_rows::<6>(x, panel, next, goes_on, sums),
        7 => multiply_rows::<7>(x, panel, next, goes_on, sums),
        _ => multiply_rows::<GROUP>(x, panel, next, goes_on, sums),
    }
}

#[inline(never)]
fn multiply_rows<const ROWS: usize>(x: &[Group], panel: &[Column], next: &[Column], goes_on: bool, out: &mut Sums) {
    let mut sums = [[Lanes::splat(0.0); VECTORS]; ROWS];
    if goes_on {
        for (sums, lines) in sums.iter_mut().zip(&*out) {
            *sums = std::array::from_fn(|vector| Lanes::load(&lines[vector].0));
        }
    }
    let mut step = |x: &Group, column: &Column| {
        let column: [Lanes; VECTORS] = std::array::from_fn(|vector| Lanes::load(&column[vector].0));
        for row in 0..ROWS {
            let x = Lanes::splat(x[row]);
            for vector in 0..VECTORS {
                sums[row][vector] = x.fma(column[vector], sums[row][vector]);
            }
        }
    };
    let (early, late) = (next.len().min(panel.len()), panel.len().min(x.len()));
    for ((x, column), next) in x[..early].iter().zip(&panel[..early]).zip(next) {
        next.iter().for_each(Line::prefetch);
        step(x, column);
    }
    for (x, column) in x[early..late].iter().zip(&panel[early..late]) {
        step(x, column);
    }
    for (lines, sums) in out.iter_mut().zip(sums) {
        for (line, sum) in lines.iter_mut().zip(sums) {
            sum.store(&mut line.0);
        }
    }
}

/// The first sums, and the bias where there is one.
fn store(sums: &[Line; VECTORS], bias: Option<&[f32]>, out: &mut [MaybeUninit<f32>]) {
    for (vector, (out, sums)) in out.chunks_mut(LANES).zip(sums).enumerate() {
        let sums = &sums.0[..out.len()];
        match bias {
            None => _ = out.write_copy_of_slice(sums),
            Some(bias) => {
                let pairs = sums.iter().zip(&bias[vector * LANES..]);
                out.iter_mut().zip(pairs).for_each(|(out, (sum, bias))| _ = out.write(sum + bias));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize, step: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * step) % 1013) as f32 / 500.0 - 1.0).collect()
    }

    /// Also where the tensor library's kernel is used instead.
    fn pack(weight: &[f32], (input, output): (usize, usize)) -> Matrix {
        let mut matrix = Matrix { columns: Pages::with_capacity(0), input, output };
        weight.chunks(2 * PANEL * input).for_each(|rows| matrix.push(rows));
        assert_eq!(size_of_val(matrix.columns.get()), Matrix::bytes_of(input, output));
        matrix
    }

    #[test]
    fn agrees_with_the_formula_and_rows_do_not_meet() {
        let shapes = [(1, 5, 3), (2, 33, 48), (7, 64, 50), (9, 300, 33), (65, 20, 200), (300, 96, 64), (200, 500, 500)];
        for (rows, input, output) in shapes {
            let (weight, x, bias) = (noise(input * output, 7919), noise(rows * input, 5381), noise(output, 31));
            let matrix = pack(&weight, (input, output));
            let out = matrix.multiply(&x, Some(&bias));
            assert_eq!(out.len(), rows * output);
            for row in 0..rows {
                let x = &x[row * input..][..input];
                let alone = matrix.multiply(x, None);
                for (column, (alone, found)) in alone.iter().zip(&out[row * output..]).enumerate() {
                    assert_eq!(alone + bias[column], *found, "{rows} {input} {output}");
                    let pairs = x.iter().zip(&weight[column * input..][..input]);
                    let exact: f64 = pairs.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                    assert!((f64::from(*alone) - exact).abs() < 1e-4, "{rows} {input} {output}: {alone} {exact}");
                }
            }
        }
    }

    #[test]
    fn nothing_to_multiply() {
        let matrix = pack(&noise(12, 7919), (3, 4));
        assert!(matrix.multiply(&[], None).is_empty());
    }
}
