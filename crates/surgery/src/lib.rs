//! HOW TO TAKE IT AWAY: a layer path as something that other programs run, and other programs' paths as ours.
//!
//! Text forms ([`notation`]) say the path to programs that repeat layers themselves. Checkpoints ([`hf`], [`gguf`]) hold
//! every visit as a layer of its own: weights move as bytes, and only folding, quantising and verification compute.
//! [`verify`] opens what was written and compares it with the path.
//!
//! Sharpest edge: an export that loads and computes something else. Programs derive a layer's kind from its position, and a
//! path moves layers; so every rule that looks at positions is rewritten, or refused with the reason, and what nobody here
//! knows is refused too.

mod card;
mod copying;
mod error;
mod fold;
mod links;
mod nearest;
mod progress;
mod sharing;
mod space;
mod staging;

pub mod gguf;
pub mod hf;
pub mod import;
pub mod notation;
pub mod peers;
pub mod verify;

pub use card::Card;
pub use error::SurgeryError;
pub use progress::{Progress, Quiet};

/// What the errors of this room are.
pub type Result<T, E = SurgeryError> = std::result::Result<T, E>;

/// The program and its version, as exports name it.
pub const TOOL: &str = concat!("neuro ", env!("CARGO_PKG_VERSION"));
