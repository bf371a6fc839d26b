//! What every built-in probe promises.

mod questions;
mod scorers;
mod support;
mod versions;
