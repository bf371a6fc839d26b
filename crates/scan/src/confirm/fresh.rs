//! The fresh questions of a confirmation: of the confirmed probe, of second judges and of guards.

use std::collections::HashSet;

use neuro_probe::{Probe, ProbeError, Role, Scoring, family};
use neuro_record::{QuestionSet, QuestionSets, SCHEMA, SkippedProbe};

use super::earlier::Before;
use super::questions;
use super::request::{ConfirmRequest, base, split};
use crate::plan::sampling;
use crate::prompt::ask;
use crate::{Result, ScanError, Subject};

/// The probes of a confirmation with their fresh questions, and what could not be asked.
pub(crate) struct Fresh {
    pub(crate) main: Probe,
    /// Second judges and guards.
    pub(crate) side: Vec<Probe>,
    pub(crate) sets: QuestionSets,
}

/// The name of the probe that is to be confirmed, as its runs have it (`text` is `text:likelihood`), when it can be
/// asked: what is refused must not leave a folder with settings that refuse every other. Its questions are dropped
/// unseen; no choice knows them. A text that the user gives is read as well, before hours go by without it.
///
/// # Errors
/// When probe or text cannot be asked, or too few questions are left.
pub(crate) fn askable(subject: &Subject, request: &ConfirmRequest, named: &str, before: &Before) -> Result<String> {
    let (count, is_limit) = request.count(split(named).0);
    let probe = before.draw(request, named, count, is_limit, false)?;
    ask(subject, &probe)?;
    request.build(named, Role::Report, count, is_limit)?;
    if let Some(text) = &request.text {
        match request.build("text", Role::Confirm, request.guard_questions, true) {
            Err(ScanError::Probe(ProbeError::TooManyQuestions { available: 0, .. })) => {
                return Err(ScanError::ShortText { file: text.name.clone() });
            }
            built => ask(subject, &built?)?,
        };
    }
    Ok(probe.name().to_owned())
}

/// Probes that are asked beside the confirmed one, and what could not be.
#[derive(Default)]
struct Side {
    probes: Vec<Probe>,
    skipped: Vec<SkippedProbe>,
}

impl Side {
    fn skip(&mut self, probe: String, reason: String) {
        self.skipped.push(SkippedProbe { probe, reason });
    }

    /// Takes what was built, once, if it is not the confirmed probe and the model can be asked it; whether it is asked.
    fn take(&mut self, subject: &Subject, main: &Probe, name: String, built: Result<Probe>) -> bool {
        match built.and_then(|probe| ask(subject, &probe).map(|_| probe)) {
            Ok(probe) if probe.name() == main.name() => {
                let reason = format!("it is {} itself, which generates no answers", probe.name());
                self.skip(name, reason);
                false
            }
            Ok(probe) => {
                if self.probes.iter().all(|other| other.name() != probe.name()) {
                    self.probes.push(probe);
                }
                true
            }
            Err(error) => {
                self.skip(name, error.to_string());
                false
            }
        }
    }
}

/// Draws the fresh questions of every probe; `sets` are those that the search has asked. Called only when
/// `finalists.json` is written.
///
/// # Errors
/// When the confirmed probe cannot be asked.
pub(crate) fn draw(
    subject: &Subject,
    request: &ConfirmRequest,
    named: &str,
    before: &Before,
    mut sets: Vec<QuestionSet>,
) -> Result<Fresh> {
    let mut add = |set: QuestionSet| {
        if !sets.contains(&set) {
            sets.push(set);
        }
    };
    let set_of = |role: Role, probe: &Probe| questions::set_of(&role.to_string(), probe);
    let (count, is_limit) = request.count(split(named).0);
    let build = |name: &str| before.draw(request, name, count, is_limit, false);
    let main = build(named)?;
    ask(subject, &main)?;
    add(set_of(Role::Confirm, &main));
    add(set_of(Role::Report, &request.build(named, Role::Report, count, is_limit)?));

    let mut side = Side::default();
    let (confirmed, file) = split(named);
    let greedy_name = base(confirmed).to_owned();
    let is_drawn = request.draws > 0 && !always_likeliest(subject, request);
    if request.draws > 0 && !is_drawn {
        let reason = "the model's own settings (generation_config.json) always draw the likeliest token, so draws would \
                      repeat the greedy answers";
        side.skip(format!("{greedy_name}:sampled"), reason.to_owned());
    }
    let spelled = |name: &str| file.map_or_else(|| name.to_owned(), |file| format!("{name}={file}"));
    let greedy = build(&spelled(&greedy_name));
    // What cannot be asked is said once, of the greedy one.
    let drawn = greedy.as_ref().ok().filter(|_| is_drawn).map(|greedy| greedy.drawn(request.draws));
    let has_likelihood = if main.scoring() == Scoring::Likelihood {
        side.take(subject, &main, greedy_name.clone(), greedy);
        true
    } else {
        let name = format!("{greedy_name}:likelihood");
        let built = build(&spelled(&name));
        side.take(subject, &main, name, built)
    };
    if let Some(drawn) = drawn {
        side.take(subject, &main, format!("{greedy_name}:sampled"), drawn.map_err(ScanError::from));
    }
    let mut others = request.guard_names(confirmed);
    if !has_likelihood && request.text.is_some() && !others.iter().any(|name| base(name) == "text") {
        others.push("text".to_owned());
    }
    for name in others {
        let built = before.draw(request, &name, request.guard_questions, true, true);
        let set = built.as_ref().ok().map(|probe| set_of(Role::Confirm, probe));
        // What is not asked stays fresh.
        if side.take(subject, &main, name.clone(), built) {
            set.into_iter().for_each(&mut add);
            if let Ok(kept) = request.build(&name, Role::Report, request.guard_questions, true) {
                add(set_of(Role::Report, &kept));
            }
        }
    }
    let probes: Vec<String> = std::iter::once(&main).chain(&side.probes).map(|probe| probe.name().to_owned()).collect();
    let families: HashSet<String> = probes.iter().map(|name| family(name).to_owned()).collect();
    sets.extend(before.sets(&families));
    let earlier = before.told(main.name(), request.seed());
    let sets = QuestionSets { schema: SCHEMA, probes, sets, skipped: side.skipped, earlier };
    Ok(Fresh { main, side: side.probes, sets })
}

/// Whether drawing by the model's own settings is greedy decoding.
fn always_likeliest(subject: &Subject, request: &ConfirmRequest) -> bool {
    let drawn = sampling(subject, request.seed());
    drawn.temperature <= 0.0 || drawn.top_k == Some(1)
}
