//! Results of other tools: a baseline and a path, scored on the same questions.

mod csv;
mod folders;
mod samples;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

pub use csv::read_paired_csv;
pub use folders::read_paired_folders;
pub use samples::read_paired_samples;

/// Largest file that is read: an lm-eval sample file of 100,000 questions has about 1 GiB.
const LARGEST_FILE: u64 = 4 << 30;

/// Largest score, of either sign: sums of squares over any number of questions stay finite, and no metric is larger.
const LARGEST_SCORE: f64 = 1e9;

/// Why a score cannot be compared, if so.
fn out_of_range(score: f64) -> Option<String> {
    (score.abs() > LARGEST_SCORE).then(|| "expected a score from -1e9 to 1e9".to_owned())
}

/// The scores of one task by one metric, question by question.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedScores {
    /// The task's name; empty where the file does not name it.
    pub task: String,
    /// The metric's name; empty where the file does not name it.
    pub metric: String,
    /// The answer filter's name; empty where the file does not name it.
    pub filter: String,
    /// The baseline's scores, in the order of the questions in the file.
    pub baseline: Vec<f64>,
    /// The path's scores on the same questions.
    pub path: Vec<f64>,
}

/// What a file of results holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Paired {
    /// One entry for each task, metric and filter, in the order of the file. Never empty, and no entry is.
    pub tasks: Vec<PairedScores>,
    /// What a reader of the numbers must know: what was left out, and what was read in an unusual way.
    pub notes: Vec<String>,
}

/// What can be wrong with a file of results.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairedError {
    /// The operating system refused to read.
    #[error("cannot read {}: {cause}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        cause: io::Error,
    },
    /// Something is wrong with the file as a whole.
    #[error("{}: {reason}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// Something is wrong with a line.
    #[error("{}, line {line}: {reason}", .file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What was found and what was expected.
        reason: String,
    },
}

impl PairedError {
    fn of_file(file: &Path, reason: impl Into<String>) -> Self {
        Self::File { file: file.to_owned(), reason: reason.into() }
    }

    fn of_line(file: &Path, line: usize, reason: impl Into<String>) -> Self {
        Self::Line { file: file.to_owned(), line, reason: reason.into() }
    }
}

/// The file's text; says in which line it is no UTF-8.
fn read_text(file: &Path) -> Result<String, PairedError> {
    let io = |cause| PairedError::Io { file: file.to_owned(), cause };
    let length = fs::metadata(file).map_err(io)?.len();
    if length > LARGEST_FILE {
        return Err(PairedError::of_file(file, format!("it has {length} bytes, expected at most {LARGEST_FILE}")));
    }
    let bytes = fs::read(file).map_err(io)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(valid).filter(|&&byte| byte == b'\n').count() + 1;
        PairedError::of_line(file, line, "invalid UTF-8, expected text in UTF-8")
    })
}

/// Scores of one task, metric and filter on their way into [`PairedScores`], with the lines they stand in.
#[derive(Debug, Default)]
struct Group {
    scores: PairedScores,
    /// Line of each item.
    lines: HashMap<String, usize>,
    /// First score that is neither 0 nor 1, with its line, and how many there are.
    between: Option<(usize, f64)>,
    betweens: usize,
}

impl Default for PairedScores {
    fn default() -> Self {
        let name = String::new;
        Self { task: name(), metric: name(), filter: name(), baseline: Vec::new(), path: Vec::new() }
    }
}

impl Group {
    fn push(&mut self, line: usize, baseline: f64, path: f64) {
        for score in [baseline, path] {
            if score != 0.0 && score != 1.0 {
                self.betweens += 1;
                self.between.get_or_insert((line, score));
            }
        }
        self.scores.baseline.push(baseline);
        self.scores.path.push(path);
    }

    /// A few scores that are not right or wrong among many that are look like a mistake, and change the test.
    fn mixture(&self) -> Option<String> {
        let (line, score) = self.between?;
        let all = 2 * self.scores.baseline.len();
        (self.betweens * 10 < all).then(|| {
            let name = label(&self.scores);
            let are = if self.betweens == 1 { "is" } else { "are" };
            format!(
                "{name}: {} of {all} scores {are} neither 0 nor 1 (the first, {score}, in line {line}), so they are not compared as \
                 right and wrong answers",
                self.betweens
            )
        })
    }
}

/// Task, metric and filter in one line.
fn label(scores: &PairedScores) -> String {
    let parts = [&scores.task, &scores.metric, &scores.filter];
    let named: Vec<&str> = parts.into_iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    if named.is_empty() { "the file".to_owned() } else { named.join(", ") }
}

/// Groups in the order in which they were met.
#[derive(Debug, Default)]
struct Groups {
    order: Vec<Group>,
    places: HashMap<[String; 3], usize>,
}

impl Groups {
    fn of(&mut self, [task, metric, filter]: [String; 3]) -> &mut Group {
        let place = *self.places.entry([task.clone(), metric.clone(), filter.clone()]).or_insert_with(|| {
            let scores = PairedScores { task, metric, filter, ..PairedScores::default() };
            self.order.push(Group { scores, ..Group::default() });
            self.order.len() - 1
        });
        &mut self.order[place]
    }

    fn finish(self, mut notes: Vec<String>) -> Paired {
        notes.extend(self.order.iter().filter_map(Group::mixture));
        Paired { tasks: self.order.into_iter().map(|group| group.scores).collect(), notes }
    }
}
