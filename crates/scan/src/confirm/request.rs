//! What a confirmation is asked to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use neuro_path::LayerPath;
use neuro_probe::{Count, PROBES, PhantomWorld, Probe, ProbeError, ProbeFile, ProbeRequest, Role, family};

use crate::{PHANTOM_PROBE, Result};

/// Best paths of the search that become finalists when none is named.
pub const FINALISTS: usize = 5;
/// Fresh questions of the confirmed probe when nothing is said, or all that its role holds.
pub const CONFIRM_QUESTIONS: usize = 200;
/// Questions of every guard, or all that its role holds.
pub const GUARD_QUESTIONS: usize = 64;
/// Answers that are drawn to each question.
pub const DRAWS: usize = 4;
/// Controls of each overhead.
pub const CONTROLS: usize = 20;
/// Abilities that are measured beside, unless others are named.
pub const GUARDS: [&str; 6] = ["eq", "reason", "recall", "follow", "text", "sane"];

/// What to confirm. The default confirms the best paths of the run on its first probe.
#[derive(Debug, Clone)]
pub struct ConfirmRequest {
    /// The probe with scoring, or `NAME=FILE`; none for the run's first.
    pub probe: Option<String>,
    /// What is in files of probes, by FILE.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// Finalists by name; empty for the best paths of the search.
    pub paths: Vec<LayerPath>,
    /// How many of the best paths.
    pub finalists: usize,
    /// Fresh questions; none for [`CONFIRM_QUESTIONS`], or for a finite probe all that the role holds, where these are
    /// fewer or it is a phantom's.
    pub questions: Option<usize>,
    /// Guards by name with scoring; none for [`GUARDS`].
    pub guards: Option<Vec<String>>,
    /// Questions of every guard.
    pub guard_questions: usize,
    /// Answers that are drawn to each question; 0 judges no sampling.
    pub draws: usize,
    /// Controls of each overhead.
    pub controls: usize,
    /// Seed of questions, controls, shams, draws and intervals; none for one of the run's own, so that two runs of a model are
    /// not asked the same.
    pub seed: Option<u64>,
    /// The user's own text, for a probe without a key.
    pub text: Option<ProbeFile>,
    /// As for a scan.
    pub memory_bytes: Option<u64>,
    /// What a phantom was taught.
    pub phantom: Option<PhantomWorld>,
}

impl Default for ConfirmRequest {
    fn default() -> Self {
        Self {
            probe: None,
            files: BTreeMap::new(),
            paths: Vec::new(),
            finalists: FINALISTS,
            questions: None,
            guards: None,
            guard_questions: GUARD_QUESTIONS,
            draws: DRAWS,
            controls: CONTROLS,
            seed: None,
            text: None,
            memory_bytes: None,
            phantom: None,
        }
    }
}

/// Name and file of `NAME=FILE`.
pub(crate) fn split(named: &str) -> (&str, Option<&str>) {
    named.split_once('=').map_or((named, None), |(name, file)| (name, Some(file)))
}

/// A probe's name without its scoring: `piqa` of `piqa:acc-norm`.
pub(crate) fn base(name: &str) -> &str {
    name.split_once(':').map_or(name, |(base, _)| base)
}

impl ConfirmRequest {
    /// The seed, which is settled before anything is drawn.
    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or_default()
    }

    /// How many fresh questions the confirmed probe is asked: as a limit where nothing was said.
    pub(crate) fn count(&self, name: &str) -> (usize, bool) {
        match self.questions {
            Some(questions) => (questions, false),
            // A phantom's role holds few, and all of them are cheap.
            None if base(name) == PHANTOM_PROBE => (usize::MAX, true),
            None => (CONFIRM_QUESTIONS, true),
        }
    }

    /// The guards: of each the scoring that needs no generation, where there is one.
    pub(crate) fn guard_names(&self, confirmed: &str) -> Vec<String> {
        let scored = |guard: &&str| {
            let likelihood = format!("{guard}:likelihood");
            if PROBES.contains(&likelihood.as_str()) { likelihood } else { (*guard).to_owned() }
        };
        let usual = || GUARDS.iter().filter(|guard| **guard != base(confirmed)).map(scored).collect();
        self.guards.clone().unwrap_or_else(usual)
    }

    /// The file that goes with a probe: its own, `NAME=FILE`, or the one that the confirmed probe or a guard of the same name or
    /// family is named with; for `text` the user's.
    pub(crate) fn file_of(&self, named: &str) -> Option<ProbeFile> {
        let (name, own) = split(named);
        let with_files = || self.probe.iter().chain(self.guards.iter().flatten()).map(|named| split(named));
        let of =
            |is_same: &dyn Fn(&str) -> bool| with_files().find_map(|(other, file)| file.filter(|_| is_same(other)));
        let file = own.or_else(|| of(&|other| base(other) == base(name)));
        let file = file.or_else(|| of(&|other| family(other) == family(name)));
        let given = file.and_then(|file| ProbeFile::of(name, file, |file| self.files.get(file).cloned()));
        let is_text = base(name) == "text";
        given.or_else(|| self.text.clone().filter(|_| is_text))
    }

    /// Builds a probe for a role; where `is_limit`, with fewer questions when the role holds fewer.
    pub(crate) fn build(&self, named: &str, role: Role, count: usize, is_limit: bool) -> Result<Probe> {
        let name = split(named).0;
        let file = self.file_of(named);
        let request = |count| ProbeRequest {
            count: Count::Some(count),
            seed: self.seed(),
            role,
            phantom: self.phantom.clone(),
            file: file.clone(),
        };
        match Probe::build(name, &request(count)) {
            Err(ProbeError::TooManyQuestions { available, .. }) if is_limit && available > 0 => {
                Ok(Probe::build(name, &request(available))?)
            }
            built => Ok(built?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run knows what it asked by the questions' files, which it does not keep.
    #[test]
    fn a_file_is_found_by_name_then_by_family() {
        let file = |name: &str| (name.to_owned(), Arc::from(name.as_bytes()));
        let request = ConfirmRequest {
            probe: Some("gsm8k-5shot=a".to_owned()),
            guards: Some(vec!["recall:likelihood".to_owned(), "bbh=b".to_owned(), "gsm8k=c".to_owned()]),
            files: BTreeMap::from(["a", "b", "c", "d"].map(file)),
            ..ConfirmRequest::default()
        };
        let found = |named: &str| request.file_of(named).map(|file| file.name);
        let expected = ["gsm8k-5shot", "gsm8k", "gsm8k-cot", "bbh-cot:likelihood", "bbh=d"].map(found);
        assert_eq!(expected.map(Option::unwrap_or_default), ["a", "c", "a", "b", "d"]);
        assert_eq!([found("recall"), found("piqa:acc"), found("text")], [None, None, None]);
    }
}
