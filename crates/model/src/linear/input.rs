//! Rows that products take, and what our own kernels make of them.

use std::cell::OnceCell;

use candle_core::Tensor;

use super::refused;
use crate::Result;
use crate::kernels::buffers::Reused;
use crate::kernels::norm::RowNorm;
use crate::kernels::product::Rows;
use crate::kernels::values::Values;
use crate::kernels::{dense, q8};
use crate::norm::Norm;

/// Rows `(rows, in)` for products. What a kernel of our own makes of them is made once for all products that take them, and
/// a norm that stands before is applied in passing, so that normed rows need be nowhere as a whole.
pub(crate) struct Input<'a> {
    x: X<'a>,
    groups: OnceCell<Rows<dense::Group>>,
    rounded: OnceCell<Rows<q8::Rounded>>,
}

enum X<'a> {
    Tensor(Tensor),
    /// Rows that are still to be normed, and what comes of it once somebody wants it as a tensor.
    Normed {
        x: Tensor,
        norm: &'a Norm,
        normed: OnceCell<Tensor>,
    },
    /// What a product has left in the order in which products of its kind read it, `(rows, in)`.
    Prepared([usize; 2]),
}

impl<'a> Input<'a> {
    pub(crate) fn new(x: &Tensor) -> Self {
        Self::of(X::Tensor(x.clone()))
    }

    /// Rows behind a norm, where there is one.
    pub(crate) fn normed(norm: Option<&'a Norm>, x: &Tensor) -> Self {
        match norm {
            None => Self::new(x),
            Some(norm) => Self::of(X::Normed { x: x.clone(), norm, normed: OnceCell::new() }),
        }
    }

    fn of(x: X<'a>) -> Self {
        Self { x, groups: OnceCell::new(), rounded: OnceCell::new() }
    }

    pub(super) fn of_groups(rows: Rows<dense::Group>) -> Self {
        let x = X::Prepared([rows.rows, rows.input]);
        Self { groups: OnceCell::from(rows), ..Self::of(x) }
    }

    pub(super) fn of_rounded(rows: Rows<q8::Rounded>) -> Self {
        let x = X::Prepared([rows.rows, rows.input]);
        Self { rounded: OnceCell::from(rows), ..Self::of(x) }
    }

    /// Some of the rows, in the given order.
    pub(crate) fn select(&self, rows: &[u32]) -> Result<Self> {
        let some = |x: &Tensor| x.index_select(&Tensor::new(rows, x.device())?, 0);
        match &self.x {
            X::Normed { x, norm, normed } if normed.get().is_none() => Ok(Self::normed(Some(*norm), &some(x)?)),
            _ => Ok(Self::of(X::Tensor(some(self.tensor()?)?))),
        }
    }

    /// `[rows, in]`
    pub(crate) fn shape(&self) -> Result<[usize; 2]> {
        match &self.x {
            X::Tensor(x) | X::Normed { x, .. } => Ok(x.dims2()?.into()),
            X::Prepared(shape) => Ok(*shape),
        }
    }

    /// The rows as a tensor.
    pub(crate) fn tensor(&self) -> Result<&Tensor> {
        match &self.x {
            X::Tensor(x) => Ok(x),
            X::Normed { x, norm, normed } => match normed.get() {
                Some(normed) => Ok(normed),
                None => {
                    let made = norm.forward(x)?;
                    Ok(normed.get_or_init(|| made))
                }
            },
            X::Prepared(shape) => {
                let what = format!("rows {shape:?} in the order of packed weights were given to weights that are not");
                Err(candle_core::Error::msg(what).into())
            }
        }
    }

    pub(super) fn groups(&self, matrix: &dense::Matrix, input: usize) -> Result<&Rows<dense::Group>> {
        self.prepared(&self.groups, input, |x, norm| matrix.prepare(x, norm))
    }

    pub(super) fn rounded(&self, matrix: &q8::Matrix, input: usize) -> Result<&Rows<q8::Rounded>> {
        self.prepared(&self.rounded, input, |x, norm| matrix.prepare(x, norm))
    }

    fn prepared<'b, S: Reused>(
        &'b self,
        cell: &'b OnceCell<Rows<S>>,
        input: usize,
        prepare: impl Fn(&[f32], Option<RowNorm>) -> Rows<S>,
    ) -> Result<&'b Rows<S>> {
        if cell.get().is_none() {
            let rows = match self.norming(input, &prepare) {
                Some(rows) => rows,
                None => {
                    let x = self.tensor()?;
                    let (_rows, width) = x.dims2()?;
                    let contiguous = x.contiguous()?;
                    let values = Values::of(&contiguous).filter(|_| width == input && !x.track_op());
                    prepare(values.ok_or_else(|| refused(x))?.get(), None)
                }
            };
            // Nobody else can have filled it between.
            let _ = cell.set(rows);
        }
        cell.get().filter(|rows| rows.input == input).ok_or_else(|| {
            let found = cell.get().map_or(0, |rows| rows.input);
            candle_core::Error::msg(format!(
                "packed weights of {input} inputs cannot be multiplied with rows of {found}"
            ))
            .into()
        })
    }

    /// Rows that are normed as they are prepared; `None` where they are normed already or cannot be.
    fn norming<S: Reused>(
        &self,
        input: usize,
        prepare: &impl Fn(&[f32], Option<RowNorm>) -> Rows<S>,
    ) -> Option<Rows<S>> {
        let X::Normed { x, norm, normed } = &self.x else { return None };
        if normed.get().is_some() || x.track_op() {
            return None;
        }
        let values = Values::of(x)?;
        let width = x.dims2().ok()?.1;
        norm.by_row(|norm| (width == input && norm.weight.len() == width).then(|| prepare(values.get(), Some(norm))))?
    }
}
