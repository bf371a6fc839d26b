//! What earlier confirmations of a run have asked: their questions are not fresh any more.

use std::collections::{HashMap, HashSet};

use neuro_probe::{Probe, Question, Role, family};
use neuro_record::{Asked, Earlier, QuestionSet};

use super::questions;
use super::request::{ConfirmRequest, base, split};
use crate::{Result, ScanError};

/// Role of the questions that earlier confirmations have asked.
const EARLIER_ROLE: &str = "earlier";

/// The confirmations of a run before one of them.
#[derive(Debug, Default)]
pub(crate) struct Before {
    confirmations: HashSet<String>,
    seeds: HashSet<u64>,
    /// Hashes of the questions, by the family of their probe.
    asked: HashMap<String, HashSet<String>>,
}

impl Before {
    /// Those of these lines of the run's ledger.
    pub(crate) fn of(lines: &[Asked]) -> Self {
        let mut before = Self::default();
        for Asked { finalists, seed, sets, .. } in lines {
            before.confirmations.insert(finalists.clone());
            before.seeds.insert(*seed);
            for QuestionSet { probe, questions, .. } in sets {
                before.asked.entry(probe.clone()).or_default().extend(questions.iter().cloned());
            }
        }
        before
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.confirmations.len()
    }

    /// Fresh questions of a probe, as many as [`ConfirmRequest::build`] gives to the first confirmation. Of a guard, which
    /// is not weighed, fewer will do.
    ///
    /// # Errors
    /// When the probe is refused, or too few questions are left.
    pub(crate) fn draw(
        &self,
        request: &ConfirmRequest,
        named: &str,
        count: usize,
        is_limit: bool,
        is_guard: bool,
    ) -> Result<Probe> {
        let first = request.build(named, Role::Confirm, count, is_limit)?;
        let name = family(split(named).0);
        let Some(asked) = self.asked.get(name) else { return Ok(first) };
        let is_used = |question: &Question| asked.contains(&questions::hash(question));
        if !first.questions().iter().any(is_used) {
            return Ok(first);
        }
        let wanted = first.questions().len();
        let more = request.build(named, Role::Confirm, wanted.saturating_add(asked.len()), true)?;
        let left = more.questions().iter().filter(|question| !is_used(question)).count();
        if left == 0 || left < wanted && !is_guard {
            let (probe, asked) = (first.name().to_owned(), asked.len());
            return Err(ScanError::UsedUp { probe, wanted, asked, confirmations: self.count(), left });
        }
        Ok(more.unused(wanted.min(left), request.seed(), is_used)?)
    }

    /// What a reader must know of them; none where there are none.
    pub(crate) fn told(&self, probe: &str, seed: u64) -> Option<Earlier> {
        let questions = self.asked.get(family(probe)).map_or(0, HashSet::len);
        let is_seed_repeated = self.seeds.contains(&seed);
        (self.count() > 0).then(|| Earlier { confirmations: self.count(), questions, is_seed_repeated })
    }

    /// Their questions of these probes, to be compared with the fresh ones.
    pub(crate) fn sets<'a>(&'a self, probes: &'a HashSet<String>) -> impl Iterator<Item = QuestionSet> + 'a {
        let mut known: Vec<_> = self.asked.iter().filter(|(probe, _)| probes.contains(*probe)).collect();
        known.sort_by(|a, b| a.0.cmp(b.0));
        known.into_iter().map(|(probe, asked)| {
            let mut questions: Vec<String> = asked.iter().cloned().collect();
            questions.sort_unstable();
            QuestionSet { role: EARLIER_ROLE.to_owned(), probe: probe.clone(), questions }
        })
    }
}

/// What is said before anything is measured; none where the others asked other probes with other seeds.
pub(crate) fn note(
    Earlier { confirmations, questions, is_seed_repeated }: &Earlier,
    probe: &str,
    seed: u64,
) -> Option<String> {
    let before = if *confirmations == 1 {
        "an earlier confirmation of this run".to_owned()
    } else {
        format!("{confirmations} earlier confirmations of this run")
    };
    let mut parts = Vec::new();
    if *questions > 0 {
        parts.push(format!("the {questions} questions of {} that {before} asked are left out", base(probe)));
    }
    if *is_seed_repeated {
        let questions = if *questions > 0 { " and questions are not" } else { "" };
        parts.push(format!("seed {seed} was used before, so random paths are the same{questions}"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_is_not_left_out() {
        let told = |questions, is_seed_repeated| {
            note(&Earlier { confirmations: 4, questions, is_seed_repeated }, "recall:likelihood", 3)
        };
        let left = "the 8 questions of recall that 4 earlier confirmations of this run asked are left out";
        let seed = "seed 3 was used before, so random paths are the same";
        assert_eq!(told(8, true), Some(format!("{left}; {seed} and questions are not")));
        assert_eq!(told(8, false).as_deref(), Some(left));
        assert_eq!(told(0, true).as_deref(), Some(seed));
        assert_eq!(told(0, false), None);
    }
}
