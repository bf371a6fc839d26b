//! What the search has asked: its questions are made again, so that fresh ones can be known to be fresh.

use std::collections::HashSet;

use neuro_probe::{Count, Probe, ProbeError, ProbeRequest, Role};
use neuro_record::{ProbeInfo, RunInfo};

use super::request::ConfirmRequest;
use crate::{Result, ScanError};

/// The questions of the search on the probe that ranks.
pub(crate) struct SearchQuestions {
    /// The probe's name with scoring.
    pub(crate) probe: String,
    pub(crate) probe_id: String,
    /// Identifiers of the questions that may rank: those of the search's role.
    pub(crate) ranking: HashSet<String>,
    /// Whether the search asked questions of other roles as well, which then do not rank.
    pub(crate) is_all_roles: bool,
    /// What was asked and ranks, to be compared with the fresh questions.
    pub(crate) questions: Probe,
}

/// Makes a probe of the run again.
///
/// # Errors
/// When what this program makes is not what the run has asked.
pub(crate) fn remake(run: &RunInfo, info: &ProbeInfo, asked: &ConfirmRequest) -> Result<SearchQuestions> {
    let is_all = info.id.split(' ').any(|word| word == "count=all");
    let request = |count| ProbeRequest {
        count,
        seed: run.seed,
        role: Role::Search,
        phantom: asked.phantom.clone(),
        file: asked.file_of(&info.name),
    };
    let count = if is_all { Count::All } else { Count::Some(info.questions) };
    let made = Probe::build(&info.name, &request(count)).map_err(|error| match error {
        ProbeError::NoFile { probe } => ScanError::SearchFile { probe },
        error => error.into(),
    })?;
    if made.hash() != info.hash {
        return Err(ScanError::SearchQuestions {
            probe: info.name.clone(),
            found: made.id(),
            expected: info.id.clone(),
        });
    }
    // Asked everything, a finite probe has used up its fresh questions; those of the search's role may rank all the same.
    let questions = if is_all {
        match Probe::build(&info.name, &request(Count::Some(usize::MAX))) {
            Err(ProbeError::TooManyQuestions { available, .. }) if available > 0 => {
                Probe::build(&info.name, &request(Count::Some(available)))?
            }
            built => built?,
        }
    } else {
        made
    };
    Ok(SearchQuestions {
        probe: info.name.clone(),
        probe_id: info.id.clone(),
        ranking: questions.questions().iter().map(|question| question.id.clone()).collect(),
        is_all_roles: is_all,
        questions,
    })
}
