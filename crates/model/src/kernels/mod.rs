//! What the forward pass does between its matrix products, on plain slices of f32 in memory.
//!
//! Every result has a fixed order of operations that depends on its own inputs alone, so a row comes out the same bit
//! for bit whatever is computed beside it.

pub(crate) mod attention;
pub(crate) mod buffers;
pub(crate) mod cap;
pub(crate) mod delta;
pub(crate) mod dense;
pub(crate) mod gated;
pub(crate) mod lanes;
pub(crate) mod norm;
mod pages;
pub(crate) mod panels;
mod plan;
pub(crate) mod product;
pub(crate) mod q8;
pub(crate) mod rope;
pub(crate) mod router;
pub(crate) mod rows;
pub(crate) mod values;
