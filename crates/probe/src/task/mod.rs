//! Questions from files: the published sets as they are distributed, and a format for one's own.
//!
//! Prompts, filters and measures of the published sets are those of lm-evaluation-harness (commit 4e7e0d4, 0.4.13.dev0),
//! under the task names of [`Harness`]. How many worked examples the prompt has, for most of them none, stands in the probe's
//! id. `docs/reference/task-files.md` says which file each name reads and describes the own format.

mod bbh;
mod choice;
mod constants;
mod examples;
mod filters;
mod generation;
mod grading;
mod item;
mod latex;
mod native;
mod own;
mod said;
mod samples;
mod scorer;
mod source;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

pub use constants::Constant;
pub use examples::examples_of;
pub use item::{Graded, Measure};
pub use native::SCORERS;

use crate::{
    Count, Frame, Likelihood, Probe, ProbeError, ProbeFile, ProbeParts, ProbeRequest, Question, Role, Scoring,
    Terminator,
};
use item::Item;
use scorer::TaskScorer;
use source::Source;

/// The names of the kinds of file, each asked as `NAME=FILE`.
pub const TASKS: &[&str] = &[
    "task",
    "rys-math",
    "rys-eq",
    "eqbench",
    "bbh",
    "bbh-cot",
    "gsm8k",
    "gsm8k-5shot",
    "gsm8k-cot",
    "math500",
    "ifeval",
    "arc-easy",
    "arc-challenge",
    "piqa",
    "winogrande",
    "boolq",
    "lambada",
];
/// What may stand behind a name and a colon: how probabilities are scored.
const SCORINGS: [(&str, Likelihood); 3] =
    [("likelihood", Likelihood::Choice), ("acc", Likelihood::Best), ("acc-norm", Likelihood::BestPerCharacter)];
/// Version of the prompts and the grading of all kinds, raised whenever one of them changes: runs of different versions never
/// mix. `tests/tasks/versions.rs` holds digests of both, which may change only together with it.
const VERSION: u32 = 2;
/// Version of whose purpose a question is, and of the drawing.
const DRAWING: u32 = 3;

/// A file of questions, read.
#[derive(Debug, Clone)]
pub struct TaskSet {
    kind: &'static str,
    file: String,
    harness: Option<Harness>,
    stops: Vec<String>,
    items: Vec<Item>,
    places: HashMap<String, usize>,
}

/// A task of lm-evaluation-harness.
#[derive(Debug, Clone, PartialEq)]
pub struct Harness {
    /// Its name there: `bbh_zeroshot_navigate`.
    pub task: String,
    /// Its version there.
    pub version: f64,
    /// Worked examples in each prompt: `num_fewshot`.
    pub shots: usize,
    /// The measures of generated answers as metric and filter; of the others what the harness computes of probabilities.
    pub measures: Vec<(&'static str, &'static str)>,
}

impl Harness {
    /// Asked without worked examples.
    fn new(task: impl Into<String>, version: f64, measures: Vec<(&'static str, &'static str)>) -> Self {
        Self { task: task.into(), version, shots: 0, measures }
    }

    /// With so many worked examples in each prompt.
    fn with_shots(self, shots: usize) -> Self {
        Self { shots, ..self }
    }
}

/// What a reader makes of a file.
struct Read {
    items: Vec<Item>,
    harness: Option<Harness>,
    stops: &'static [&'static str],
}

/// The kind that a probe's name begins with, and what stands behind the colon.
fn kind_of(name: &str) -> Option<(&'static str, Option<&str>)> {
    let (kind, scoring) = name.split_once(':').map_or((name, None), |(kind, scoring)| (kind, Some(scoring)));
    let kind = TASKS.iter().find(|known| **known == kind)?;
    (scoring.is_none_or(|scoring| SCORINGS.iter().any(|(known, _)| *known == scoring))).then_some((*kind, scoring))
}

/// Whether a probe of this name asks what stands in a file, whatever the file: `gsm8k`, `piqa:acc-norm`.
#[must_use]
pub fn is_task(name: &str) -> bool {
    kind_of(name).is_some()
}

impl TaskSet {
    /// Reads a file of the kind that `name` says, one of [`TASKS`]; a scoring behind a colon is allowed.
    ///
    /// # Errors
    /// Names the line and the reason: what is no UTF-8 or JSON, a missing or wrong key, a key or id that is there twice, an
    /// index out of range, an empty set. Also when no kind has this name.
    pub fn read(name: &str, file: &ProbeFile) -> Result<Self, ProbeError> {
        let unknown = || ProbeError::UnknownProbe { name: name.to_owned() };
        let (kind, _) = kind_of(name).ok_or_else(unknown)?;
        let source = Source::new(file)?;
        let read = match kind {
            "rys-math" => own::rys_math(&source)?,
            "rys-eq" => own::rys_eq(&source)?,
            "eqbench" => own::eqbench(&source)?,
            "bbh" => bbh::read(&source, &file.name)?,
            "bbh-cot" => bbh::read_with_examples(&source, file)?,
            "gsm8k" => generation::gsm8k(&source)?,
            "gsm8k-5shot" => generation::gsm8k_with_examples(&source, file)?,
            "gsm8k-cot" => generation::gsm8k_cot(&source, file)?,
            "math500" => generation::math500(&source)?,
            "ifeval" => generation::ifeval(&source)?,
            "lambada" => choice::lambada(&source)?,
            "winogrande" => choice::winogrande(&source)?,
            "arc-easy" | "arc-challenge" | "piqa" | "boolq" => choice::lettered(&source, kind)?,
            _ => native::read(&source)?,
        };
        if read.items.is_empty() {
            return Err(source.refuse("the set has no questions; expected at least one"));
        }
        let mut places = HashMap::new();
        for (place, item) in read.items.iter().enumerate() {
            if let Some(first) = places.insert(item.question.id.clone(), place) {
                let (id, line) = (&item.question.id, read.items[first].line);
                let problem = format!("the id `{id}` is on line {line} already; ids must differ");
                return Err(ProbeError::File { file: file.name.clone(), line: item.line, problem });
            }
        }
        let stops = read.stops.iter().map(|stop| (*stop).to_owned()).collect();
        Ok(Self { kind, file: file.name.clone(), harness: read.harness, stops, items: read.items, places })
    }

    /// The kind of file, one of [`TASKS`].
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The task of lm-evaluation-harness that asks and measures the same, where there is one.
    #[must_use]
    pub fn harness(&self) -> Option<&Harness> {
        self.harness.as_ref()
    }

    /// The questions in the order of the file.
    pub fn questions(&self) -> impl ExactSizeIterator<Item = &Question> {
        self.items.iter().map(|item| &item.question)
    }

    /// The question with this id.
    #[must_use]
    pub fn question(&self, id: &str) -> Option<&Question> {
        self.places.get(id).map(|place| &self.items[*place].question)
    }

    /// Where the question with this id stands among the questions, from 0, and how it stands in the file: JSON.
    #[must_use]
    pub fn document(&self, id: &str) -> Option<(usize, &str)> {
        self.places.get(id).map(|place| (*place, self.items[*place].document.as_str()))
    }

    /// What ends a generated answer, also where it stands in the middle of a line.
    #[must_use]
    pub fn stops(&self) -> &[String] {
        &self.stops
    }

    /// The right answer to the question with this id as the harness writes it into its samples; of other files the key.
    #[must_use]
    pub fn target(&self, id: &str) -> Option<String> {
        let item = self.places.get(id).map(|place| &self.items[*place])?;
        // WinoGrande's choices are two beginnings, and what follows both of them is the target.
        let said = || Some(item.question.continuations.first()?.first()?.said.clone());
        let target = match self.kind {
            "winogrande" => said(),
            // Of this task the number alone.
            "gsm8k-cot" => None,
            _ if self.harness.is_some() => item.grading.target(),
            _ => None,
        };
        Some(target.unwrap_or_else(|| item.question.key.clone()))
    }

    /// Grades an answer to the question with this id, with the harness's own measures; none when there is no such question.
    #[must_use]
    pub fn grade(&self, id: &str, answer: &str) -> Option<Graded> {
        self.places.get(id).map(|place| self.items[*place].grade(answer))
    }

    /// What answers that look at nothing would score; see [`Constant`].
    #[must_use]
    pub fn constants(&self) -> Vec<Constant> {
        constants::of(self.kind, &self.items)
    }

    /// The probe that asks these questions, under a name with or without scoring.
    ///
    /// # Errors
    /// When more questions are asked for than the role has, or the questions have no choices to score by probability.
    pub fn probe(&self, name: &str, request: &ProbeRequest) -> Result<Probe, ProbeError> {
        let (_, scoring) = kind_of(name).ok_or_else(|| ProbeError::UnknownProbe { name: name.to_owned() })?;
        let likelihood = SCORINGS.iter().find(|(known, _)| Some(*known) == scoring).map(|(_, likelihood)| *likelihood);
        let likelihood = likelihood.map(|likelihood| self.likelihood(name, likelihood)).transpose()?;
        let drawn = self.draw(name, request)?;
        let drawing = match request.count {
            Count::All => String::new(),
            Count::Some(_) => format!(" draw=v{DRAWING} role={} seed={}", request.role, request.seed),
        };
        let shots = self.harness.as_ref().map_or_else(String::new, |harness| format!(" shots={}", harness.shots));
        let is_scored = likelihood.is_some();
        Probe::from_parts(ProbeParts {
            name: name.to_owned(),
            parameters: format!("v{VERSION}{shots} file={} count={}{drawing}", file_name(&self.file), request.count),
            scoring: if is_scored { Scoring::Likelihood } else { Scoring::Generation },
            likelihood: likelihood.unwrap_or(Likelihood::Key),
            frame: self.frame(is_scored, &drawn),
            questions: drawn.iter().map(|item| item.question.clone()).collect(),
            scorer: Arc::new(TaskScorer::new(self.kind, is_scored, drawn.into_iter().cloned().collect())),
        })
    }

    /// Choices where there are some, the key else.
    fn likelihood(&self, name: &str, asked: Likelihood) -> Result<Likelihood, ProbeError> {
        let refuse = |reason| Err(ProbeError::Scoring { probe: name.to_owned(), reason });
        let has_choices = |item: &&Item| !item.question.continuations.is_empty();
        let with = self.items.iter().filter(has_choices).count();
        let scales = self.items.iter().filter(|item| item.grading.is_expected()).count();
        if self.items.iter().any(|item| item.grading.is_expected() && !has_choices(&item)) {
            return refuse(
                "has a scale that cannot be counted off (a lower end that is no whole number, or more than 101 values); ask it without `:likelihood`",
            );
        }
        if scales > 0 && scales < with && with == self.items.len() {
            return refuse("has questions with scales and others with choices; ask them from two files");
        }
        if with == self.items.len() {
            return match (scales > 0, asked) {
                (false, asked) => Ok(asked),
                (true, Likelihood::Choice) => Ok(Likelihood::Expected),
                _ => refuse(
                    "has scales, on which no value is the one right choice; ask it with `:likelihood`, which scores the value that is expected",
                ),
            };
        }
        if with > 0 {
            return refuse("has questions with choices and others without; ask them from two files");
        }
        if asked != Likelihood::Choice {
            return refuse(
                "has no choices, so no accuracy of probabilities; ask it without what stands behind the colon",
            );
        }
        if self.items.iter().any(|item| item.question.key.is_empty()) {
            return refuse(
                "has questions without one right answer, so no probability of it; ask it without `:likelihood`",
            );
        }
        Ok(Likelihood::Key)
    }

    /// What stands around an answer: scored choices are continuations of plain text, as the harness has them.
    fn frame(&self, is_scored: bool, items: &[&Item]) -> Frame {
        let always_plain = is_scored && items.iter().any(|item| !item.question.continuations.is_empty());
        let word = self.kind == "lambada";
        let plain = if is_scored && !always_plain && !word { Terminator::Text("\n") } else { Terminator::None };
        let chat = if word { Terminator::None } else { Terminator::EndOfTurn };
        Frame {
            chat_terminator: if always_plain { Terminator::None } else { chat },
            plain_terminator: plain,
            plain_stops: self.stops.clone(),
            always_plain: always_plain || word,
        }
    }

    /// The questions of the role, each once, in the order of the file, or so many of them by the seed.
    fn draw(&self, name: &str, request: &ProbeRequest) -> Result<Vec<&Item>, ProbeError> {
        let probe = name.to_owned();
        let Count::Some(asked) = request.count else {
            return Ok(self.items.iter().collect());
        };
        // Not the id's: published files ask some questions twice, and a role's are to be new to the others, in whatever words
        // another kind of file asks them.
        let belongs = |item: &&Item| Role::of(&item.identity()) == request.role;
        // What is asked twice is answered alike, and would count as two answers that agree.
        let mut seen = HashSet::new();
        let is_new = |item: &&Item| seen.insert(item.identity());
        let of_role: Vec<&Item> = self.items.iter().filter(belongs).filter(is_new).collect();
        let available = of_role.len();
        if asked == 0 {
            return Err(ProbeError::NoQuestions { probe });
        }
        if asked > available {
            let advice = "a third of a file's questions is for searching, one for confirming, one for the report; \
                          ask for fewer, or `all`";
            return Err(ProbeError::TooManyQuestions { probe, asked, available, advice });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(request.seed);
        let mut places = index::sample(&mut rng, available, asked).into_vec();
        places.sort_unstable();
        Ok(places.into_iter().map(|place| of_role[place]).collect())
    }
}

/// What parts the score of `eqbench` from the official one.
pub const EQBENCH_CUT: &str =
    "the score is each question's eqbench ÷ 100, cut at 0; the official eqbench counts what is below 0";

/// Builds the probe of a name and its file.
pub(crate) fn build(name: &str, request: &ProbeRequest) -> Result<Probe, ProbeError> {
    match &request.file {
        Some(file) => TaskSet::read(name, file)?.probe(name, request),
        None => Err(ProbeError::NoFile { probe: name.to_owned() }),
    }
}

/// The last part of a path of any system.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
