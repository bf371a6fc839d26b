//! Scans of tiny models, one file per promise, in one binary. What must start or measure processes of its own is beside it.

mod budgets;
#[path = "../common/mod.rs"]
mod common;
mod confirm;
mod edges;
mod faults;
mod parity;
mod phantom;
mod probes;
mod resume;
mod scan;
mod screen;
mod turns;
mod types;
