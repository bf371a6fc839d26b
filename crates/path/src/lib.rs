//! WHAT ORDER: the layer path, the only description of a configuration.
//!
//! Every public notation is parsed here and one is printed; blocks `(i, j)` and their triangle are enumerated here.
//! This room does no I/O, uses no floating-point numbers, and knows no model beyond its number of layers.
//!
//! Sharpest edge: the notations disagree about the end of a range. The layer map (`0..7`) includes it; blocks, PEFT
//! and mergekit exclude it. A [`LayerPath`] is therefore always the expanded list, and text exists only at the edges.

mod block;
mod cursor;
mod error;
mod layer_path;
mod mergekit;
mod parse;
mod scale;
mod step;
mod variant;

pub use block::{Block, triangle};
pub use error::PathError;
pub use layer_path::{LayerPath, MAX_VISITS};
pub use scale::Scale;
pub use step::{BranchScales, Step, Visit};
