use neuro_model::ModelError;

/// What can go wrong while paths are run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The decoder failed.
    #[error(transparent)]
    Model(#[from] ModelError),

    /// A prompt without tokens: there is nothing whose next token could be predicted.
    #[error("prompt {index} has no tokens; a prompt needs at least one, for example the beginning-of-text token")]
    EmptyPrompt {
        /// Index of the prompt in its set.
        index: usize,
    },

    /// A path of another model.
    #[error("the path was made for {found} layers, but the model has {expected}")]
    DepthMismatch {
        /// Layers of the model.
        expected: usize,
        /// Depth of the path.
        found: usize,
    },

    /// The caller ended it.
    #[error("interrupted")]
    Interrupted,

    /// A state that must be there is not: a defect of this room.
    #[error("a state that was to be shared is missing; please report this as a defect")]
    MissingState,

    /// The baseline of a model without layers, or a path that cannot be.
    #[error(transparent)]
    Path(#[from] neuro_path::PathError),
}

impl From<candle_core::Error> for EngineError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}
