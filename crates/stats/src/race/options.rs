//! How a race is run, and why it cannot be.

use std::cmp::Ordering;
use std::ops::Range;

use super::{cuts, of_stages};

/// How a race is run.
#[derive(Debug, Clone, PartialEq)]
pub struct RaceOptions {
    /// Fraction of the paths that is wanted: the best tenth.
    pub keep: f64,
    /// Most of the full scan's layer-tokens that may be spent.
    pub budget: f64,
    /// Questions that a path has seen at each look, as fractions of all questions, ascending; at least two questions.
    pub looks: Vec<f64>,
    /// Finalists that the looks plan for, as a multiple of `keep`. The last look takes what the budget still pays.
    pub finalists: f64,
}

impl Default for RaceOptions {
    /// The best tenth at a fifth of the cost, with looks at 1/32, 1/8 and 3/8 of the questions.
    fn default() -> Self {
        Self { keep: 0.1, budget: 0.2, looks: vec![0.03125, 0.125, 0.375], finalists: 1.2 }
    }
}

/// Where asking everything in stages costs so many times as much as in one go, two looks keep more than three: simulated,
/// docs/log.md.
const DEAR_STAGES: f64 = 1.04;

impl RaceOptions {
    /// These, without the last of three or more looks where stages are dear, because each pays anew what prompts begin with.
    /// `costs` is that of [`Race::new`](super::Race::new).
    #[must_use]
    pub fn suited(mut self, costs: impl Fn(Range<usize>) -> Vec<f64>, questions: usize) -> Self {
        // With few questions looks fall together.
        let cuts = cuts(&self.looks, questions);
        let in_stages: f64 = of_stages(&cuts, &costs).iter().flatten().sum();
        if cuts.len() > 3 && in_stages > DEAR_STAGES * costs(0..questions).iter().sum::<f64>() {
            self.looks.pop();
        }
        self
    }

    /// Refuses impossible values.
    pub(super) fn check(&self) -> Result<(), RaceError> {
        let share = |value: f64| value > 0.0 && value <= 1.0;
        for (what, value) in [("paths to keep", self.keep), ("budget", self.budget)] {
            if !share(value) {
                return Err(RaceError::invalid(what, value, "a fraction above 0 and up to 1"));
            }
        }
        let ascends = |pair: &[f64]| matches!(pair[0].partial_cmp(&pair[1]), Some(Ordering::Less));
        if !self.looks.iter().all(|&look| share(look)) || !self.looks.windows(2).all(ascends) {
            return Err(RaceError::invalid(
                "looks",
                format!("{:?}", self.looks),
                "ascending fractions above 0 and up to 1",
            ));
        }
        if !(self.finalists >= 1.0 && self.finalists.is_finite()) {
            return Err(RaceError::invalid("finalists", self.finalists, "a factor of 1 or more"));
        }
        Ok(())
    }
}

/// Why a race cannot be run.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum RaceError {
    /// The plan cannot be kept.
    #[error(
        "{questions} questions are too few to screen {paths} paths: a first look at all of them and all questions for the best {keep} of \
         them take {:.2} of the full scan, expected at most {budget:.2}; ask more questions, or scan without screening",
        (needed * 100.0).ceil() / 100.0
    )]
    Budget {
        /// Number of paths.
        paths: usize,
        /// Number of questions.
        questions: usize,
        /// Fraction of paths that is wanted.
        keep: f64,
        /// Fraction of the full scan's layer-tokens that it would take.
        needed: f64,
        /// Fraction that may be spent.
        budget: f64,
    },
    /// Options, costs or scores have an impossible value or shape.
    #[error("{what}: found {found}, expected {expected}")]
    Invalid {
        /// What is wrong.
        what: &'static str,
        /// What was found.
        found: String,
        /// What is possible.
        expected: String,
    },
}

impl RaceError {
    pub(super) fn invalid(what: &'static str, found: impl ToString, expected: impl ToString) -> Self {
        Self::Invalid { what, found: found.to_string(), expected: expected.to_string() }
    }
}
