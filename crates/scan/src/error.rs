use std::fmt;

use neuro_checkpoint::CheckpointError;
use neuro_engine::EngineError;
use neuro_model::ModelError;
use neuro_path::PathError;
use neuro_probe::ProbeError;
use neuro_record::RecordError;
use neuro_stats::RaceError;
use neuro_text::TextError;

/// What can go wrong in an experiment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The checkpoint was refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The decoder could not be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A path was refused.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A probe was refused.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The run directory was refused.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The tokenizer or the chat template was refused, or failed outside a question.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A folder without a tokenizer cannot be asked anything.
    #[error("model {model} has no tokenizer, so it cannot be asked questions; put its tokenizer.json into the folder")]
    NoTokenizer {
        /// The model's name.
        model: String,
    },
    /// Nothing to measure.
    #[error("the list of paths is empty; give at least one, or scan every block")]
    NoPaths,
    /// Every block of a model that has too many.
    #[error(
        "model {model} has {found} layers, but every block is measured of at most {limit}; give paths with `neuro probe`"
    )]
    TooDeep {
        /// The model's name.
        model: String,
        /// Its layers.
        found: usize,
        /// The most that a map of blocks has.
        limit: usize,
    },
    /// A path of another model.
    #[error("path {path} was made for {found} layers, but model {model} has {expected}")]
    PathDepth {
        /// The path.
        path: String,
        /// Depth of the path.
        found: usize,
        /// The model's name.
        model: String,
        /// Layers of the model.
        expected: usize,
    },
    /// The phantom says that something impossible is planted in it.
    #[error("phantom.json of model {model}, key planted.block: {source}")]
    Planted {
        /// The model's name.
        model: String,
        /// Why there is no such block.
        source: PathError,
    },
    /// The same probe twice.
    #[error("probe `{probe}` is asked for twice; name each probe once")]
    ProbeTwice {
        /// The probe's name with scoring.
        probe: String,
    },
    /// A probe's file that the caller did not read.
    #[error("probe `{probe}` is asked for with {file}, but the content of that file was not given")]
    ProbeFile {
        /// The probe's name with scoring.
        probe: String,
        /// The file.
        file: String,
    },
    /// A question that cannot be put into tokens.
    #[error("probe `{probe}`, question `{question}`: {source}")]
    QuestionText {
        /// The probe.
        probe: String,
        /// The question.
        question: String,
        /// What the tokenizer or the template said.
        source: Box<TextError>,
    },
    /// A question that the tokenizer has no tokens for.
    #[error(
        "the model cannot be asked the probe `{probe}`: its tokenizer knows some characters or words of question `{question}` \
         as unknown only; ask another probe"
    )]
    Inexpressible {
        /// The probe.
        probe: String,
        /// The first such question.
        question: String,
    },
    /// A question whose tokens make no sense for the model.
    #[error("probe `{probe}`, question `{question}`: {problem}")]
    Question {
        /// The probe.
        probe: String,
        /// The question.
        question: String,
        /// What was found, what was expected and what to do.
        problem: String,
    },
    /// A single question does not fit into the memory budget.
    #[error("probe `{probe}`, question `{question}` {needs}")]
    Memory {
        /// The probe.
        probe: String,
        /// The question.
        question: String,
        /// What it needs.
        needs: MemoryNeeds,
    },
    /// The portions stored in a run do not cover what is asked.
    #[error(
        "the plan stored in run.json has {what} that do not cover the {expected} of probe `{probe}` once and in order; restore the file, or choose another --out"
    )]
    StoredPlan {
        /// Which of its lists.
        what: &'static str,
        /// The probe's name.
        probe: String,
        /// How many there are.
        expected: usize,
    },
    /// The paths of a probe cannot race.
    #[error("probe `{probe}`: {source}")]
    Screen {
        /// The probe.
        probe: String,
        /// Why.
        source: Box<RaceError>,
    },
    /// A screening compares with the baseline, which must be there and first.
    #[error("a screening needs the baseline among its paths; include it, or scan without screening")]
    ScreenBaseline,
    /// A screened run whose rows do not follow from its samples.
    #[error(
        "the run's samples on probe `{probe}` do not lead to the row of path {path}; restore the files, or choose another --out"
    )]
    Screened {
        /// The path's printed map.
        path: String,
        /// The probe.
        probe: String,
    },
    /// A run of another model, or of the same in another type.
    #[error(
        "the run was made with another model than {model}: its {what} is {found}, expected {expected} as in run.json; \
         name the run's own model, and its --quantize"
    )]
    OtherModel {
        /// The model's name.
        model: String,
        /// What differs.
        what: &'static str,
        /// What the model has.
        found: String,
        /// What the run has.
        expected: String,
    },
    /// Finalists are chosen when everything is measured.
    #[error(
        "the run has {found} of {expected} rows of probe `{probe}`, expected all before the best are chosen; finish it \
         with the command that began it, or name finalists with --path"
    )]
    SearchIncomplete {
        /// The probe.
        probe: String,
        /// Rows found.
        found: usize,
        /// Rows that the run plans.
        expected: usize,
    },
    /// There is nothing to compare with.
    #[error("the run has no baseline on probe `{probe}`, so its paths cannot be ranked; measure it with the baseline")]
    SearchBaseline {
        /// The probe.
        probe: String,
    },
    /// The questions of a run cannot be made again, so that nobody knows which questions are fresh.
    #[error(
        "the questions that the run asked of probe `{probe}` cannot be made again: found `{found}`, expected \
         `{expected}` with the hash in run.json; use the program that made the run, with the same files"
    )]
    SearchQuestions {
        /// The probe.
        probe: String,
        /// What this program makes.
        found: String,
        /// What the run has.
        expected: String,
    },
    /// A probe of the search that asked what stands in a file, which was not named.
    #[error(
        "the search asked `{probe}` from a file, whose questions must be known so that none of them is asked again; name it 
         as well: --guard {probe}=FILE"
    )]
    SearchFile {
        /// The probe with scoring.
        probe: String,
    },
    /// A text of the user's own of which nothing falls to a confirmation.
    #[error(
        "{file} is too short: of its pieces of about 400 bytes a third belongs to a confirmation, and there is none; give a \
         text of some kilobytes"
    )]
    ShortText {
        /// The file.
        file: String,
    },
    /// Earlier confirmations have asked too many of the questions there are.
    #[error(
        "too few questions of probe `{probe}` are fresh: {} asked {asked} of them, {left} are left, expected {wanted}; {}",
        confirmations_words(*.confirmations), used_up_advice(*.left)
    )]
    UsedUp {
        /// The probe with scoring.
        probe: String,
        /// Questions wanted.
        wanted: usize,
        /// Questions that earlier confirmations have asked.
        asked: usize,
        /// How many confirmations.
        confirmations: usize,
        /// Questions left.
        left: usize,
    },
    /// A path could not be timed.
    #[error("path {path} cannot be timed: {source}")]
    Cost {
        /// The path's printed map.
        path: String,
        /// What failed.
        source: Box<EngineError>,
    },
    /// The engine failed on one unit.
    #[error("path {path} on probe `{probe}`, questions {first} to {last}: {source}")]
    Unit {
        /// The path's printed map.
        path: String,
        /// The probe.
        probe: String,
        /// Identifier of the unit's first question.
        first: String,
        /// Identifier of its last question.
        last: String,
        /// What failed.
        source: Box<EngineError>,
    },
    /// The answer of one path to one question could not be read.
    #[error("path {path} on probe `{probe}`, question `{question}`: {source}")]
    Answer {
        /// The path's printed map.
        path: String,
        /// The probe.
        probe: String,
        /// The question.
        question: String,
        /// What the tokenizer said.
        source: Box<TextError>,
    },
}

/// What a question needs of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryNeeds {
    /// The smallest budget that is enough.
    pub least: u64,
    /// Of it, what is taken while the question runs, weights included.
    pub running: u64,
    /// Of that, the weights: all of them, or, where they are streamed, the layers that are there at once.
    pub weights: u64,
    /// Whether the weights are held in f32.
    pub is_f32: bool,
    /// The budget.
    pub budget: u64,
}

impl fmt::Display for MemoryNeeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self { least, running, weights, budget, .. } = self;
        let [budget, states, held] = [budget, running.saturating_sub(weights), least.saturating_sub(running)].map(size);
        write!(
            f,
            "needs more memory than the budget of {budget}: {} for weights, {states} for states, ",
            size(weights)
        )?;
        // Rounded up, so that what is read here is enough.
        write!(f, "{held} for the process and what is measured; give at least --memory {}", size_up(least))
    }
}

fn confirmations_words(count: usize) -> String {
    if count == 1 {
        "an earlier confirmation of this run".to_owned()
    } else {
        format!("{count} earlier confirmations of this run")
    }
}

fn used_up_advice(left: usize) -> String {
    if left == 0 {
        "confirm on another probe, or with another file of questions".to_owned()
    } else {
        format!("ask at most so many (--questions {left}), or confirm on another probe")
    }
}

/// A number of bytes for people: `1.5 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    let (value, unit) = scaled(bytes);
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// The same rounded up, and without a space, as a flag takes it: `1.5GiB`.
pub(crate) fn size_up(bytes: u64) -> String {
    let (value, unit) = scaled(bytes);
    if unit == 0 { format!("{bytes}") } else { format!("{:.1}{}", (value * 10.0).ceil() / 10.0, UNITS[unit]) }
}

const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];

fn scaled(bytes: u64) -> (f64, usize) {
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    (value, unit)
}

#[cfg(test)]
mod tests {
    use super::{size, size_up};

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(["1000", "1.5KiB", "1.6KiB"], [1000, 1536, 1537].map(size_up).each_ref().map(String::as_str));
        assert_eq!(size(2 << 30), "2.0 GiB");
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
    }
}
