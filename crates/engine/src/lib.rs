//! MANY PATHS AT ONCE: what a set of prompts gives along a path, sharing every state that can be shared.
//!
//! This is the plain executor: one path after another, all prompts of a set in one packed batch. What a path has in
//! common with the baseline's beginning (the *trunk*) is computed once per set and shared read-only, keys and values
//! included. It is the reference that faster ways are tested against. The room knows tokens, no text and no probe.
//!
//! Its sharpest edge: results agree with running a prompt alone up to floating-point order only, so a greedy choice
//! between two tokens whose logits differ in the last bits may depend on what else is in the set. The set is
//! therefore part of a run's plan.

mod error;
mod generation;
mod likelihood;
mod looping;
mod trunk;

pub use error::EngineError;
pub use generation::{Answer, GenerateOptions, Generation, StopReason};
pub use likelihood::{Likelihood, Scored};
pub use looping::is_looping;
pub use trunk::HEAD_ROWS;

/// Result of the engine room.
pub type Result<T> = std::result::Result<T, EngineError>;
