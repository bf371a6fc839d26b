use std::path::PathBuf;

/// What can go wrong while a phantom is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A recipe that cannot be read.
    #[error("the recipe {} cannot be read: {source}", file.display())]
    ReadRecipe {
        /// The recipe file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    /// A recipe that is no recipe.
    #[error("the recipe {} is not valid: {message}", file.display())]
    ParseRecipe {
        /// The recipe file.
        file: PathBuf,
        /// What is wrong, and where.
        message: String,
    },

    /// A recipe whose numbers make no phantom.
    #[error("the recipe's {key} is {found}; expected {expected}")]
    BadRecipe {
        /// The key in the recipe.
        key: &'static str,
        /// What it holds.
        found: String,
        /// What it must hold.
        expected: &'static str,
    },

    /// The output folder exists and holds something.
    #[error("{} exists and is not empty; choose a new folder with --out, nothing is overwritten", folder.display())]
    OutputExists {
        /// The folder.
        folder: PathBuf,
    },

    /// A file of the phantom could not be written.
    #[error("{} cannot be written: {source}; check the folder and the free space", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    /// Training ran away.
    #[error(
        "training ran away at step {step}: the loss is {loss}, the norm of its gradient {gradient_norm}; lower \
         `learning_rate` in the recipe"
    )]
    Diverged {
        /// The step.
        step: usize,
        /// The loss, in nats per question.
        loss: f32,
        /// Norm of the gradient before clipping.
        gradient_norm: f64,
    },

    /// Training was asked to stop; nothing is written.
    #[error("stopped at step {step}; nothing was written")]
    Interrupted {
        /// The step.
        step: usize,
    },

    /// The decoder failed.
    #[error(transparent)]
    Model(#[from] neuro_model::ModelError),

    /// The layer path of the repeated block cannot be.
    #[error(transparent)]
    Path(#[from] neuro_path::PathError),

    /// The description of the phantom was refused.
    #[error(transparent)]
    Checkpoint(#[from] neuro_checkpoint::CheckpointError),
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}
