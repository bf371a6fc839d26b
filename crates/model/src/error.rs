use neuro_checkpoint::CheckpointError;

/// What can go wrong while a decoder is built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The checkpoint could not deliver a weight.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),

    /// The tensor library refused an operation; with correct shapes this means that memory or the device failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),

    /// The system has no room for the threads that compute.
    #[error("the threads that compute could not be started")]
    Threads(#[source] rayon::ThreadPoolBuildError),

    /// A token that the embedding has no row for.
    #[error("token {token} does not exist: the model's vocabulary has {vocab} entries, 0 to {}", vocab - 1)]
    TokenOutOfRange {
        /// The token that was given.
        token: u32,
        /// Entries of the vocabulary.
        vocab: usize,
    },

    /// A text that is longer than the model's table of positions.
    #[error("position {position} does not exist: the model learned {known} of them, so no text may be longer")]
    PositionOutOfRange {
        /// The position that was given.
        position: usize,
        /// Positions of the table.
        known: usize,
    },

    /// A visit of a layer that the decoder does not have.
    #[error("layer {layer} does not exist: the model has {depth} layers, 0 to {}", depth - 1)]
    LayerOutOfRange {
        /// The layer that was asked for.
        layer: usize,
        /// Layers of the decoder.
        depth: usize,
    },

    /// Visits and slots do not pair up.
    #[error("{visits} visits were given with {slots} slots of state; each visit needs its own slot")]
    SlotCount {
        /// Visits to run.
        visits: usize,
        /// Slots that came with them.
        slots: usize,
    },

    /// A batch for slots that did not come with it.
    #[error("a batch names slot {slot} where {slots} were given")]
    SlotIndex {
        /// Index of the slot.
        slot: usize,
        /// Slots that came with the batch.
        slots: usize,
    },

    /// A residual stream whose rows are not those of its batch.
    #[error("the residual stream has {found} rows where its batch has {expected}")]
    RowCount {
        /// Rows of the batch.
        expected: usize,
        /// Rows of the tensor.
        found: usize,
    },

    /// A segment names tokens that its slot does not hold.
    #[error("a batch reads row {} of a slot that holds {found}", expected.saturating_sub(1))]
    SlotRows {
        /// Rows that the slot must have.
        expected: usize,
        /// Rows that it has.
        found: usize,
    },

    /// A text that is to go on from a token of which nothing is kept.
    #[error("a batch goes on from before row {first} of a slot that keeps nothing before it; read the text anew")]
    ForgottenRows {
        /// The first row that the slot still has.
        first: usize,
    },

    /// A recurrent state of one kind where another is needed.
    #[error("a slot of a recurrent layer was filled by other kernels than those that go on from it; give each its own")]
    ForeignState,

    /// A named parameter is missing from the tensors that a decoder is built of.
    #[error("parameter {name} with shape {shape:?} is missing")]
    MissingParameter {
        /// The parameter's canonical name.
        name: String,
        /// The shape that the description asks for.
        shape: Vec<usize>,
    },
}
