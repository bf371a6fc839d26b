/// Why a probe could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// A name that no probe has.
    #[error("there is no probe `{name}`; the probes are {}", crate::PROBES.join(", "))]
    UnknownProbe {
        /// The name that was asked for.
        name: String,
    },
    /// A number of questions that is neither a number nor `all`.
    #[error("the number of questions is `{found}`, expected a whole number or `all`")]
    Count {
        /// What was found instead.
        found: String,
    },
    /// A probe without questions measures nothing.
    #[error("the probe `{probe}` was asked for 0 questions; ask for at least 1")]
    NoQuestions {
        /// The probe.
        probe: String,
    },
    /// More questions than the role has, or than one run should hold.
    #[error("the probe `{probe}` was asked for {asked} questions, but has {available} for this purpose; {advice}")]
    TooManyQuestions {
        /// The probe.
        probe: String,
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        available: usize,
        /// What to do.
        advice: &'static str,
    },
    /// `all` of a generator that never ends.
    #[error(
        "the probe `{probe}` has no last question, so it cannot ask all; give a number of questions, for example 32"
    )]
    Unlimited {
        /// The probe.
        probe: String,
    },
    /// The phantom's probe without a phantom.
    #[error(
        "the probe `{probe}` asks about a phantom's secret permutation, but the model is no phantom; use `math`, or scan `phantom`"
    )]
    NoPhantom {
        /// The probe.
        probe: String,
    },
    /// A file that holds something else.
    #[error("{file}, line {line}: {problem}")]
    File {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What was found, what was expected and what to do.
        problem: String,
    },
    /// A probe that asks what stands in a file, without one.
    #[error("the probe `{probe}` asks what stands in a file; name it, `{probe}=FILE`")]
    NoFile {
        /// The probe.
        probe: String,
    },
    /// Worked examples that did not come with a file.
    #[error(
        "the probe `{probe}` shows worked examples before each question, which were not read; expected them in {file}"
    )]
    NoExamples {
        /// The probe.
        probe: String,
        /// Where they are expected.
        file: String,
    },
    /// A file for a probe that needs none.
    #[error("the probe `{probe}` has questions of its own, but {file} was given with it; leave the file out")]
    NeedsNoFile {
        /// The probe.
        probe: String,
        /// The file's name.
        file: String,
    },
    /// A kind of scoring that means nothing for this probe.
    #[error("the probe `{probe}` {reason}")]
    Scoring {
        /// The probe.
        probe: String,
        /// Why, and what to ask instead.
        reason: &'static str,
    },
    /// Two questions of one name.
    #[error("the probe `{probe}` has two questions with the id `{id}`; ids must differ")]
    DuplicateQuestion {
        /// The probe.
        probe: String,
        /// The id.
        id: String,
    },
}
