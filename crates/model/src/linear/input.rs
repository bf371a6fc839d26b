//! Rows that products take, and what our own kernels make of them.

use std::cell::OnceCell;

use candle_core::Tensor;

use super::refused;
use crate::Result;
use crate::kernels::buffers::Reused;
use crate::kernels::product::Rows;
use crate::kernels::values::Values;
use crate::kernels::{dense, q8};

/// Rows `(rows, in)` for products. What a kernel of our own makes of them is made once for all products that take them.
pub(crate) struct Input {
    x: X,
    groups: OnceCell<Rows<dense::Group>>,
    rounded: OnceCell<Rows<q8::Rounded>>,
}

enum X {
    Tensor(Tensor),
    /// What a product has left in the order in which products of its kind read it, `(rows, in)`.
    Prepared([usize; 2]),
}

impl Input {
    pub(crate) fn new(x: &Tensor) -> Self {
        Self { x: X::Tensor(x.clone()), groups: OnceCell::new(), rounded: OnceCell::new() }
    }

    pub(super) fn of_groups(rows: Rows<dense::Group>) -> Self {
        let x = X::Prepared([rows.rows, rows.input]);
        Self { x, groups: OnceCell::from(rows), rounded: OnceCell::new() }
    }

    pub(super) fn of_rounded(rows: Rows<q8::Rounded>) -> Self {
        let x = X::Prepared([rows.rows, rows.input]);
        Self { x, groups: OnceCell::new(), rounded: OnceCell::from(rows) }
    }

    /// The rows as a tensor.
    pub(crate) fn tensor(&self) -> Result<&Tensor> {
        match &self.x {
            X::Tensor(x) => Ok(x),
            X::Prepared(shape) => {
                let what = format!("rows {shape:?} in the order of packed weights were given to weights that are not");
                Err(candle_core::Error::msg(what).into())
            }
        }
    }

    pub(super) fn groups(&self, matrix: &dense::Matrix, input: usize) -> Result<&Rows<dense::Group>> {
        self.prepared(&self.groups, input, |x| matrix.prepare(x))
    }

    pub(super) fn rounded(&self, matrix: &q8::Matrix, input: usize) -> Result<&Rows<q8::Rounded>> {
        self.prepared(&self.rounded, input, |x| matrix.prepare(x))
    }

    fn prepared<'a, S: Reused>(
        &'a self,
        cell: &'a OnceCell<Rows<S>>,
        input: usize,
        prepare: impl Fn(&[f32]) -> Rows<S>,
    ) -> Result<&'a Rows<S>> {
        if cell.get().is_none() {
            let x = self.tensor()?;
            let (_rows, width) = x.dims2()?;
            let contiguous = x.contiguous()?;
            let values = Values::of(&contiguous).filter(|_| width == input && !x.track_op());
            // Nobody else can have filled it between.
            let _ = cell.set(prepare(values.ok_or_else(|| refused(x))?.get()));
        }
        cell.get().filter(|rows| rows.input == input).ok_or_else(|| {
            let found = cell.get().map_or(0, |rows| rows.input);
            candle_core::Error::msg(format!(
                "packed weights of {input} inputs cannot be multiplied with rows of {found}"
            ))
            .into()
        })
    }
}
