//! MANY PATHS AT ONCE: what a set of prompts gives along a set of paths, sharing every state that can be shared.
//!
//! A state is keyed by what ran (a path's beginning) and on what (a text's beginning), and computed once for all who
//! need it. What paths share with the baseline's beginning, the *trunk*, is kept for all paths to come. A *sweep* walks
//! over the layer stack and runs each layer once over everything that waits for it. The room knows tokens, no text and
//! no probe. [`Plain`] is the plain way that all of this is tested against.
//!
//! Its sharpest edge: log-probabilities agree with the plain way up to floating-point order only, and that order follows
//! from what shares a batch. Chosen tokens do not: where two are closer than [`NEAR_TIE`], the text is read once more, alone
//! and in one pass, and that decides.

mod drafts;
mod error;
mod forest;
mod generation;
mod head;
mod likelihood;
mod looping;
mod plain;
mod sampling;
mod softmax;
mod stats;
mod strands;
mod tokens;

pub use error::EngineError;
pub use forest::{Watch, tile_rows};
pub use generation::{Answer, GenerateOptions, Generation, NEAR_TIE, Prompt, StopReason};
pub use head::HEAD_ROWS;
pub use likelihood::{Likelihood, Scored};
pub use looping::is_looping;
pub use plain::Plain;
pub use sampling::{Choice, ChoiceKey, LARGEST_FILTERED_LEAD, Rule, Sampling, choose};
pub use stats::Stats;
pub use strands::distinct_visits;
pub use tokens::DistinctTokens;

/// Result of the engine room.
pub type Result<T> = std::result::Result<T, EngineError>;
