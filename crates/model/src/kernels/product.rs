//! Products with packed weights: cut into pieces for threads, and what becomes of the sums.
//!
//! What a kernel does with a piece is its own; everything around it is here, once for all of them. No sum depends on how
//! the work is cut.

use std::mem::MaybeUninit;
use std::ops::Range;

use neuro_checkpoint::Activation;
use rayon::prelude::*;

use super::buffers::{Buffer, Reused};
use super::gated::apply;
use super::plan::{Costs, Plan, is_serial};

/// A weight whose outputs lie in panels, for rows that come in groups.
///
/// # Safety
/// [`multiply`](Self::multiply) must call `put` for every group of the rows and every set that it is given: results are taken to
/// be written where it has returned.
#[expect(unsafe_code, reason = "memory that is not set before depends on what implementations do")]
pub(crate) unsafe trait Packed: Sync {
    /// What a group's rows are at one step of the inner dimension.
    type Step: Reused;
    /// Sums of a group's rows over a panel's outputs.
    type Sums: Copy + Default + Send;

    /// Rows of a group.
    const GROUP: usize;
    /// Outputs of a panel.
    const PANEL: usize;

    /// Inputs.
    fn input(&self) -> usize;

    /// Outputs; where two weights take turns, those of one.
    fn output(&self) -> usize;

    /// What a panel costs.
    fn costs(&self) -> Costs;

    /// Steps of so many inputs; those of a panel's outputs are whole.
    fn steps(inputs: usize) -> usize;

    /// Multiplies groups of rows with some sets of `SET` adjacent panels. Gives `put` the group, the set and its sums; those of
    /// rows that are not there are anything.
    fn multiply<const SET: usize>(
        &self,
        x: &[Self::Step],
        rows: usize,
        sets: Range<usize>,
        put: &mut impl FnMut(usize, usize, &[Self::Sums; SET]),
    );

    /// Sums of a row over the panel's outputs.
    fn row(sums: &Self::Sums, row: usize) -> &[f32];

    /// Writes the steps that hold some rows' values, at most a panel's outputs of each. `None` where a group has no such
    /// row; there its value is zero.
    fn fill(&self, rows: impl Fn(usize) -> Option<[f32; MOST]>, width: usize, steps: &mut [Self::Step]);
}

/// Outputs that a panel has at most.
pub(crate) const MOST: usize = 48;

/// Rows in the order in which products read them: by groups, in them by steps.
#[derive(Debug)]
pub(crate) struct Rows<S: Reused> {
    pub(crate) steps: Buffer<S>,
    pub(crate) rows: usize,
    pub(crate) input: usize,
}

/// Bytes of so many rows in that order.
pub(crate) fn rows_bytes<P: Packed>(rows: usize, input: usize) -> usize {
    rows.div_ceil(P::GROUP) * P::steps(input) * size_of::<P::Step>()
}

/// What is added to a product.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Added<'a> {
    /// `(out)`
    pub(crate) bias: Option<&'a [f32]>,
    /// `(rows, out)`, after the bias.
    pub(crate) rows: Option<&'a [f32]>,
}

/// Products of the same rows with some weights, `(rows, in)` → `(rows, out)` each, plus what is added to them.
pub(crate) fn multiply<P: Packed>(x: &Rows<P::Step>, weights: &[(&P, Added)]) -> Vec<Vec<f32>> {
    let mut outs = vec![Vec::new(); weights.len()];
    write(x, weights, &mut outs.iter_mut().collect::<Vec<_>>());
    outs
}

/// The same, each over what is in its place of `outs`.
pub(crate) fn write<P: Packed>(x: &Rows<P::Step>, weights: &[(&P, Added)], outs: &mut [&mut Vec<f32>]) {
    let threads = rayon::current_num_threads();
    let plan =
        |weight: &P| Plan::of(x.rows.div_ceil(P::GROUP), weight.output().div_ceil(P::PANEL), weight.costs(), threads);
    let plans: Vec<Plan> = weights.iter().map(|(weight, _)| plan(weight)).collect();
    let mut pieces = Vec::new();
    for (((weight, added), plan), out) in weights.iter().copied().zip(&plans).zip(outs.iter_mut()) {
        out.clear();
        out.reserve_exact(x.rows * weight.output());
        let written = &mut out.spare_capacity_mut()[..x.rows * weight.output()];
        let cut = cut(written, weight.output(), [plan.groups * P::GROUP, plan.panels * P::PANEL]);
        pieces.extend(cut.into_iter().map(|piece| (weight, added, piece)));
    }
    let is_serial = is_serial(plans.iter().map(|plan| plan.time).sum(), threads);
    for_each(pieces, is_serial, |(weight, added, piece)| store_piece(weight, x, added, piece));
    for (out, (weight, _)) in outs.iter_mut().zip(weights) {
        #[expect(unsafe_code, reason = "zeros would be written first otherwise, which takes as long as small products")]
        // SAFETY: the pieces are all of every row, and each has been written whole, as implementations of `Packed` promise.
        unsafe {
            out.set_len(x.rows * weight.output());
        }
    }
}

/// Computes every value of a piece of `(rows, out)`.
fn store_piece<P: Packed>(weight: &P, x: &Rows<P::Step>, added: Added, mut piece: Piece<MaybeUninit<f32>>) {
    let Some(width) = piece.parts.first().map(|part| part.len()) else { return };
    let first = piece.column / P::PANEL;
    let (groups, rows) = piece.groups(x, weight, P::GROUP);
    weight.multiply::<1>(groups, rows, first..first + width.div_ceil(P::PANEL), &mut |group, panel, [sums]| {
        let start = (panel - first) * P::PANEL;
        let columns = start..width.min(start + P::PANEL);
        let outs = columns.start + piece.column..columns.end + piece.column;
        let bias = added.bias.map(|bias| &bias[outs.clone()]);
        for row in group * P::GROUP..rows.min((group + 1) * P::GROUP) {
            let more = added.rows.map(|more| &more[(piece.row + row) * weight.output()..][outs.clone()]);
            let out = &mut piece.parts[row][columns.clone()];
            store(P::row(sums, row % P::GROUP), bias, more, out);
        }
    });
}

/// The first sums, and what is added to them.
fn store(sums: &[f32], bias: Option<&[f32]>, more: Option<&[f32]>, out: &mut [MaybeUninit<f32>]) {
    let sums = &sums[..out.len()];
    match (bias, more) {
        (None, None) => _ = out.write_copy_of_slice(sums),
        (Some(added), None) | (None, Some(added)) => {
            out.iter_mut().zip(sums).zip(added).for_each(|((out, sum), added)| _ = out.write(sum + added));
        }
        (Some(bias), Some(more)) => {
            let added = bias.iter().zip(more);
            out.iter_mut().zip(sums).zip(added).for_each(|((out, sum), (bias, more))| _ = out.write(sum + bias + more));
        }
    }
}

/// `act(gate) · up` (arXiv 2002.05202) of products with two weights that take turns, `(rows, in)` → `(rows, out)`, in the
/// order in which the next product reads it. What is gated is never anywhere as a whole.
pub(crate) fn gated<P: Packed>(
    weight: &P,
    x: &Rows<P::Step>,
    bias: Option<&[f32]>,
    activation: Activation,
) -> Rows<P::Step> {
    let (output, threads) = (weight.output(), rayon::current_num_threads());
    let (width, per_panel) = (P::steps(output), P::steps(P::PANEL));
    let (groups, sets) = (x.rows.div_ceil(P::GROUP), output.div_ceil(P::PANEL));
    let plan = Plan::of(groups, sets, weight.costs().of_sets(2), threads);
    let mut steps = Buffer::of(groups * width);
    let pieces = cut(&mut steps, width, [plan.groups, plan.panels * per_panel]);
    for_each(pieces, is_serial(plan.time, threads), |mut piece| {
        let Some(width) = piece.parts.first().map(|part| part.len()) else { return };
        let first = piece.column / per_panel;
        let groups = &x.steps[piece.row * P::steps(weight.input())..][..piece.parts.len() * P::steps(weight.input())];
        let rows = (x.rows - piece.row * P::GROUP).min(piece.parts.len() * P::GROUP);
        weight.multiply::<2>(groups, rows, first..first + width.div_ceil(per_panel), &mut |group, set, sums| {
            let outs = set * P::PANEL..output.min((set + 1) * P::PANEL);
            let bias = bias.map(|bias| [&bias[outs.clone()], &bias[output + outs.start..output + outs.end]]);
            let here = rows - group * P::GROUP;
            let values = |row: usize| (row < here).then(|| gate::<P>(sums, row, outs.len(), bias, activation));
            let start = (set - first) * per_panel;
            weight.fill(values, outs.len(), &mut piece.parts[group][start..width.min(start + per_panel)]);
        });
    });
    Rows { steps, rows: x.rows, input: output }
}

/// The first `width` outputs of a row.
fn gate<P: Packed>(
    [gates, ups]: &[P::Sums; 2],
    row: usize,
    width: usize,
    bias: Option<[&[f32]; 2]>,
    activation: Activation,
) -> [f32; MOST] {
    let (mut gate, mut up) = ([0.0; MOST], [0.0; MOST]);
    gate[..width].copy_from_slice(&P::row(gates, row)[..width]);
    up[..width].copy_from_slice(&P::row(ups, row)[..width]);
    if let Some([gates, ups]) = bias {
        gate.iter_mut().zip(gates).for_each(|(gate, bias)| *gate += bias);
        up.iter_mut().zip(ups).for_each(|(up, bias)| *up += bias);
    }
    apply(activation, &mut gate[..width], &up[..width]);
    gate
}

/// Some rows of what is written, and some adjacent columns of each.
struct Piece<'a, T> {
    row: usize,
    column: usize,
    parts: Vec<&'a mut [T]>,
}

impl<T> Piece<'_, T> {
    /// The groups of the piece's rows, and how many rows those are.
    fn groups<'x, P: Packed>(&self, x: &'x Rows<P::Step>, weight: &P, group: usize) -> (&'x [P::Step], usize) {
        let (steps, rows) = (P::steps(weight.input()), self.parts.len());
        (&x.steps[self.row / group * steps..][..rows.div_ceil(group) * steps], rows)
    }
}

/// Cuts `(rows, width)` into pieces of so many rows and columns. Pieces of the same columns follow one another: they read the
/// same weights.
fn cut<T>(out: &mut [T], width: usize, [rows, columns]: [usize; 2]) -> Vec<Piece<'_, T>> {
    if width == 0 {
        return Vec::new();
    }
    let all = out.len() / width;
    let down = all.div_ceil(rows);
    let places = (0..width).step_by(columns).flat_map(|column| (0..all).step_by(rows).map(move |row| (row, column)));
    let piece = |(row, column)| Piece { row, column, parts: Vec::with_capacity(rows.min(all - row)) };
    let mut pieces: Vec<_> = places.map(piece).collect();
    for (row, values) in out.chunks_mut(width).enumerate() {
        for (piece, part) in pieces[row / rows..].iter_mut().step_by(down).zip(values.chunks_mut(columns)) {
            piece.parts.push(part);
        }
    }
    pieces
}

fn for_each<T: Send>(pieces: Vec<T>, is_serial: bool, work: impl Fn(T) + Sync + Send) {
    match is_serial {
        true => pieces.into_iter().for_each(work),
        false => pieces.into_par_iter().with_max_len(1).for_each(work),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_piece() {
        for (all, width, rows, columns) in [(1, 1, 1, 1), (7, 10, 3, 4), (6, 9, 6, 3), (5, 4, 8, 8)] {
            let mut values: Vec<usize> = (0..all * width).collect();
            let mut pieces = cut(&mut values, width, [rows, columns]);
            assert_eq!(pieces.len(), usize::div_ceil(all, rows) * usize::div_ceil(width, columns));
            let mut seen = vec![0; all * width];
            for piece in &mut pieces {
                for (row, part) in piece.parts.iter().enumerate() {
                    for (column, value) in part.iter().enumerate() {
                        assert_eq!(*value, (piece.row + row) * width + piece.column + column);
                        seen[*value] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|count| *count == 1));
        }
        assert!(cut(&mut [0; 0], 0, [1, 1]).is_empty() && cut(&mut [0; 0], 3, [1, 1]).is_empty());
    }
}
