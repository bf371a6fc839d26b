/// Why a file of questions or answers was refused: where, what was found, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A line that does not fit.
    #[error("{file}, line {line}: {reason}")]
    Line {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// The file as a whole does not fit.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// A name that no kind of file has.
    #[error("there is no kind of task file `{name}`; the kinds are {}", super::TASKS.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
}
