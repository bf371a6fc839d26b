//! What drafts saved while answers were generated.

use std::fmt::{self, Display, Formatter};

use neuro_engine::{Answer, Stats};
use serde::Serialize;

/// How the answers came about that one process generated. It depends on what shared a batch, which the answers do not, so it
/// is told and no part of a run's data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Generated {
    /// Answers.
    pub answers: u64,
    /// Their tokens, without end-of-text tokens.
    pub tokens: u64,
    /// Walks over a path that the answers took, each counted for itself: one for every token, less what drafts saved.
    pub sweeps: u64,
    /// Tokens that were proposed before they were chosen.
    pub drafted: u64,
    /// Proposed tokens that were then chosen.
    pub accepted: u64,
    /// Tokens that were too close to call and chosen from the text alone.
    pub near_ties: u64,
}

impl Generated {
    /// Adds answers, and what was run between two states of the counters.
    pub(crate) fn add<'a>(&mut self, answers: impl Iterator<Item = &'a Answer>, before: Stats, after: Stats) {
        for answer in answers {
            self.answers += 1;
            self.tokens += answer.tokens.len() as u64;
            self.sweeps += answer.sweeps as u64;
        }
        self.drafted += after.drafted - before.drafted;
        self.accepted += after.accepted - before.accepted;
        self.near_ties += after.near_ties - before.near_ties;
    }

    /// Walks over a path per answer; `None` without answers.
    pub fn sweeps_per_answer(&self) -> Option<f64> {
        (self.answers > 0).then(|| self.sweeps as f64 / self.answers as f64)
    }
}

impl Display for Generated {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(sweeps) = self.sweeps_per_answer() else { return f.write_str("no answers were generated") };
        let tokens = self.tokens as f64 / self.answers as f64;
        let answers = self.answers;
        write!(f, "{answers} answers of {tokens:.1} tokens took {sweeps:.1} sweeps over their paths, on average")?;
        if self.drafted > 0 {
            write!(f, "; {} of {} drafted tokens were right", self.accepted, self.drafted)?;
        }
        Ok(())
    }
}
