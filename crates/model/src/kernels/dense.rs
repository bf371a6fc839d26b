//! Products with weights in f32.
//!
//! Weights lie in the order in which they are read, so that nothing has to be sorted for a product; a general matrix
//! product sorts them anew each time, which is most of the work where rows are few. Every result is one chain of
//! multiply-adds over the inputs in order: a row is the same, bit for bit, whatever rows stand beside it and however the
//! work is shared.

use std::ops::Range;

use rayon::prelude::*;

use super::buffers::{Buffer, Buffers, Reused};
use super::lanes::{LANES, Lanes, Line};
use super::norm::{RowNorm, normed};
use super::pages::Plain;
use super::panels::{Order, Panels};
use super::plan::Costs;
use super::product::{MOST, Packed, Rows};
use super::rows::for_rows;

/// Whether a vector is one register of 32, or two of 16.
const IS_WIDE: bool = cfg!(target_feature = "avx512f");
/// Vectors of outputs side by side.
const VECTORS: usize = if IS_WIDE { 3 } else { 1 };
/// Outputs of a panel, whose weights lie together.
pub(crate) const PANEL: usize = VECTORS * LANES;
/// Rows that are multiplied at once: their sums fill 24 of 32 registers, or 12 of 16.
const GROUP: usize = if IS_WIDE { 8 } else { 6 };
/// Inputs that all rows of a piece pass by before the next have their turn: so much of a panel stays in a level-1 cache
/// of 48 KiB, or of 32, beside a group of rows.
const DEPTH: usize = if IS_WIDE { 208 } else { 256 };
/// Groups of rows of a piece: they stay in a core's own cache while panels pass by.
const GROUPS: usize = 24;
/// Panels of a piece.
const PANELS: usize = 9 / VECTORS;
/// Bytes of rows that a core's own cache keeps while panels pass by; half of it is left to them and to sums.
const NEAR: usize = 1 << 20;
/// Groups of rows that are multiplied sooner than weights come from memory in parts of panels; whole panels come faster.
const FEW_GROUPS: usize = 36;
/// Picoseconds in which a panel's weights for one input come from memory, and those in which they are multiplied with a
/// group.
const INPUT_TIMES: [usize; 2] = if IS_WIDE { [20_000, 4_500] } else { [6_700, 2_000] };

/// A panel's weights for one input.
type Column = [Line; VECTORS];

// SAFETY: floats, for which all bytes zero is 0, aligned to a cache line.
#[expect(unsafe_code, reason = "so that large weights can lie in large pages")]
unsafe impl Plain for Column {}

/// A group's rows at one input. Rows that are not there are zero.
pub(crate) type Group = [f32; GROUP];

static GROUPS_WAITING: Buffers<Group> = Buffers::new();

impl Reused for Group {
    fn buffers() -> &'static Buffers<Self> {
        &GROUPS_WAITING
    }
}

/// Sums of a group's rows over a panel's outputs.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Sums([[[f32; LANES]; VECTORS]; GROUP]);

/// A weight `(out, in)` in the order in which products read it: by panels of outputs, in them by inputs.
#[derive(Debug)]
pub(crate) struct Matrix {
    panels: Panels<Column>,
    input: usize,
    output: usize,
}

impl Matrix {
    /// Whether this kernel beats the tensor library's: it needs registers for a group's sums.
    pub(crate) fn available() -> bool {
        cfg!(all(target_arch = "x86_64", target_feature = "avx2", target_feature = "fma"))
    }

    /// A weight `(out, in)` that has no rows yet, or two that take turns. `None` where other kernels are better.
    pub(crate) fn begin(shape: (usize, usize), order: Order) -> Option<Self> {
        (Self::available() && shape.0 > 0).then(|| Self::empty(shape, order))
    }

    fn empty((input, output): (usize, usize), order: Order) -> Self {
        let weights = if order == Order::InTurn { 2 } else { 1 };
        Self { panels: Panels::new(input, weights * output.div_ceil(PANEL), order), input, output }
    }

    /// Takes the next rows of the weight: a multiple of [`PANEL`], or its last.
    pub(crate) fn push(&mut self, weight: &[f32]) {
        let input = self.input;
        let rows = weight.len() / input;
        let panels = self.panels.next(rows.div_ceil(PANEL));
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

    /// Rows `(rows, in)` as products read them, normed first where that is asked for.
    pub(crate) fn prepare(&self, x: &[f32], norm: Option<RowNorm>) -> Rows<Group> {
        let input = self.input;
        let rows = x.len() / input;
        let mut steps = Buffer::of(rows.div_ceil(GROUP) * input);
        for_rows(steps.as_flattened_mut(), GROUP * input, |first, out| {
            let x = &x[first * GROUP * input..rows * input];
            let mut scratch = Vec::new();
            let (out, _) = out.as_chunks_mut::<GROUP>();
            for (group, x) in out.chunks_mut(input).zip(x.chunks(GROUP * input)) {
                let x = normed(x, input, norm, &mut scratch);
                for start in (0..input).step_by(LANES) {
                    let width = LANES.min(input - start);
                    let columns = transpose(x, input, start, width);
                    for (values, lanes) in group[start..start + width].iter_mut().zip(columns) {
                        lanes.store_first(values);
                    }
                }
            }
        });
        Rows { steps, rows, input }
    }
}

#[expect(unsafe_code, reason = "the trait's promise")]
// SAFETY: `multiply` runs over all groups and, in each, over all sets.
unsafe impl Packed for Matrix {
    type Step = Group;
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
        let [read, multiplied] = INPUT_TIMES.map(|time| (time * self.input).div_ceil(1000));
        Costs { read, multiplied, strip: PANELS, groups: GROUPS }
    }

    fn steps(inputs: usize) -> usize {
        inputs
    }

    fn multiply<const SET: usize>(
        &self,
        x: &[Group],
        rows: usize,
        sets: Range<usize>,
        put: &mut impl FnMut(usize, usize, &[Sums; SET]),
    ) {
        let (input, groups) = (self.input, rows.div_ceil(GROUP));
        let depth = input.div_ceil(input.div_ceil(DEPTH));
        let share = depth.div_ceil(groups);
        let panels = sets.start * SET..sets.end * SET;
        // Rows that a core's own cache does not hold pass by all panels part by part, instead of by one after the other.
        let is_far = groups > FEW_GROUPS && groups * input * size_of::<Group>() > NEAR;
        let together = if is_far { panels.len().max(1) } else { 1 };
        let mut sums = vec![[Sums::default(); SET]; sets.len() * groups];
        for first in panels.clone().step_by(together) {
            let last = panels.end.min(first + together) - 1;
            for inputs in (0..input).step_by(depth) {
                let end = input.min(inputs + depth);
                for panel in first..=last {
                    let next = match (panel < last, end < input) {
                        (true, _) => &self.panels.from(panel + 1)[inputs..],
                        (false, true) => &self.panels.from(first)[end..],
                        (false, false) => self.panels.from(last + 1),
                    };
                    // Each group fetches its share of what all need next.
                    let mut next = next[..next.len().min(depth)].chunks(share);
                    let weights = &self.panels.from(panel)[inputs..end];
                    let sums = &mut sums[(panel / SET - sets.start) * groups..][..groups];
                    for (group, (x, sums)) in x.chunks(input).zip(sums).enumerate() {
                        let (x, next) = (&x[inputs..end], next.next().unwrap_or_default());
                        let here = (rows - group * GROUP).min(GROUP);
                        multiply(here, x, weights, next, inputs > 0, &mut sums[panel % SET]);
                    }
                }
            }
        }
        for (set, sums) in sets.zip(sums.chunks(groups.max(1))) {
            sums.iter().enumerate().for_each(|(group, sums)| put(group, set, sums));
        }
    }

    fn row(sums: &Sums, row: usize) -> &[f32] {
        sums.0[row].as_flattened()
    }

    fn fill(&self, rows: impl Fn(usize) -> Option<[f32; MOST]>, width: usize, steps: &mut [Group]) {
        let rows: [[f32; MOST]; GROUP] = std::array::from_fn(|row| rows(row).unwrap_or([0.0; MOST]));
        for (start, steps) in (0..width).step_by(LANES).zip(steps.chunks_mut(LANES)) {
            let columns = Lanes::transpose(std::array::from_fn(|row| match rows.get(row) {
                Some(values) => Lanes::load_part(&values[start..start + LANES]),
                None => Lanes::splat(0.0),
            }));
            steps.iter_mut().zip(columns).for_each(|(step, lanes)| lanes.store_first(step));
        }
    }
}

/// Up to sixteen rows `(rows, in)` from an input on as columns; rows that are not there are zero.
fn transpose(rows: &[f32], input: usize, start: usize, width: usize) -> [Lanes; LANES] {
    let count = rows.len() / input;
    Lanes::transpose(std::array::from_fn(|row| match row < count {
        true => Lanes::load_part(&rows[row * input + start..][..width]),
        false => Lanes::splat(0.0),
    }))
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
        7 => multiply_rows::<{ GROUP - 1 }>(x, panel, next, goes_on, sums),
        _ => multiply_rows::<GROUP>(x, panel, next, goes_on, sums),
    }
}

#[inline(never)]
fn multiply_rows<const ROWS: usize>(x: &[Group], panel: &[Column], next: &[Column], goes_on: bool, out: &mut Sums) {
    let mut sums = [[Lanes::splat(0.0); VECTORS]; ROWS];
    if goes_on {
        for (sums, lines) in sums.iter_mut().zip(&out.0) {
            *sums = std::array::from_fn(|vector| Lanes::load(&lines[vector]));
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
    for (lines, sums) in out.0.iter_mut().zip(sums) {
        for (line, sum) in lines.iter_mut().zip(sums) {
            sum.store(line);
        }
    }
}

#[cfg(test)]
mod tests;
