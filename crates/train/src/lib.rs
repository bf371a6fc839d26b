//! HOW IT LEARNS: phantoms, small models in which a circuit is planted, so that the scanner has a right answer to find.
//!
//! A [`Recipe`] says everything that shapes a phantom; [`train`] follows it and writes an ordinary checkpoint folder.
//! The forward pass is the model room's own decoder over a layer path, in which a block is repeated while it learns:
//! nothing here knows how a layer computes. Its sharpest edge: the same bytes come out only on the same machine with
//! the same number of threads; elsewhere the same map.

mod embedded;
mod error;
mod folder;
mod init;
mod optimizer;
mod recipe;
mod trainer;

pub use embedded::{EMBEDDED, EmbeddedPhantom, embedded};
pub use error::TrainError;
pub use recipe::{Answering, ModelShape, Optimisation, Planting, Recipe};
pub use trainer::{Progress, Trained, train};

/// Result of the train room.
pub type Result<T> = std::result::Result<T, TrainError>;
