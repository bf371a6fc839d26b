//! What can be wrong with a question put to a run.

/// An error of the statistics: the run lacks what was asked for, or contradicts itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// The run has no such probe.
    #[error("the run has no probe `{found}`, expected one of: {}", .known.join(", "))]
    UnknownProbe {
        /// What was asked for.
        found: String,
        /// The run's probes.
        known: Vec<String>,
    },
    /// No sample of the probe is in this group.
    #[error("probe `{probe}` has no group `{found}`, expected one of: {}", .known.join(", "))]
    UnknownGroup {
        /// The probe.
        probe: String,
        /// What was asked for.
        found: String,
        /// The groups of its samples.
        known: Vec<String>,
    },
    /// The model is too deep for a map.
    #[error("the model has {found} layers, expected at most {limit} for a map of its blocks")]
    TooDeep {
        /// Its number of layers.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A row and its samples do not belong together.
    #[error(
        "row of path {path} on probe `{probe}`: {reason}; restore the run's files, or remove the row and its samples to have the path measured again"
    )]
    Inconsistent {
        /// The row's path.
        path: String,
        /// The row's probe.
        probe: String,
        /// What was found and expected.
        reason: String,
    },
}
