//! Exports and imports, one file per form, in one binary. What measures its own process is beside it.

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod gguf;
mod gguf_architectures;
mod hf;
mod import;
mod links;
mod notation;
