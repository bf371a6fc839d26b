//! Confirming: finalists, fixed in writing, on questions that nobody has seen.
//!
//! The order is the point. Once it is known that the probe can be asked at all, `finalists.json` is written: who is a
//! finalist and why, the controls, the shams, every setting. Only then are fresh questions drawn to be asked, and their
//! hashes compared with those of the search and of the set kept for a report. Then everything is measured together, as
//! any plan is: resumable, each path beside the baseline.

mod cost;
mod draw;
mod finalists;
mod questions;
mod request;
mod search;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use neuro_path::LayerPath;
use neuro_probe::{Probe, Role, Scoring};
use neuro_record::{
    ConfirmData, ConfirmWriter, Finalists, MAIN_RUN, QuestionSets, RunData, RunInfo, SCHEMA, SIDE_RUN, SkippedProbe,
    rows_hash,
};

use crate::observer::Observer;
use crate::plan::{plan_probes, sampling};
use crate::prompt::ask;
use crate::{Paths, Plan, Result, ScanError, ScanRequest, Subject, run};
pub use draw::{SHAM_ORDER, SHAM_PLACE};
pub use request::{CONFIRM_QUESTIONS, CONTROLS, ConfirmRequest, DRAWS, FINALISTS, GUARD_QUESTIONS, GUARDS};
use request::{base, split};

/// What a confirmation leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfirmOutcome {
    /// Everything that is on disk.
    pub data: ConfirmData,
    /// Whether it ended early; the same call then goes on.
    pub interrupted: bool,
}

/// The probes of a confirmation with their fresh questions, and what could not be asked.
struct Fresh {
    main: Probe,
    /// Second judges and guards.
    side: Vec<Probe>,
    sets: QuestionSets,
}

/// Confirms the finalists of the run in `search` in the folder `out`: creates it, or goes on with what is there.
///
/// # Errors
/// When the run is of another model or not complete, its questions cannot be made again, `out` holds a confirmation of
/// other settings, a probe that is to be confirmed cannot be asked, or a measurement fails.
pub fn confirm(
    subject: &Subject,
    search: &Path,
    request: &ConfirmRequest,
    out: &Path,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<ConfirmOutcome> {
    let data = RunData::read(search)?;
    same_model(subject, &data.info)?;
    let named = request.probe.clone().or_else(|| data.info.probes.first().map(|probe| probe.name.clone()));
    let named = named.ok_or(ScanError::NoPaths)?;
    let name = askable(subject, request, &named)?;
    let name = name.as_str();
    let (ranking, asked) = search_questions(&data, request, name)?;
    let fixed = finalists::fix(subject, request, &data, &ranking, rows_hash(search)?, name)?;
    let (writer, fixed) = ConfirmWriter::open(out, &fixed)?;

    let fresh = fresh(subject, request, &named, asked)?;
    writer.write_questions(&fresh.sets)?;
    let paths = parse(&fixed, subject.depth())?;
    let prompt = ask(subject, &fresh.main)?.first().map(|asked| asked.prompt().to_vec()).unwrap_or_default();
    let main = plan_of(subject, request, &paths.all, vec![fresh.main])?;
    let mut done = !run(subject, &main, &out.join(MAIN_RUN), observer, interrupted)?.interrupted;
    if done && !fresh.side.is_empty() {
        let side = plan_of(subject, request, &paths.finalists, fresh.side)?;
        done = !run(subject, &side, &out.join(SIDE_RUN), observer, interrupted)?.interrupted;
    }
    if done && writer.costs()?.is_none() {
        observer.note("timing each path alone");
        let decoder = subject.decoder_with(main.residence)?;
        match cost::costs(subject, &decoder, &paths.finalists, &prompt, interrupted)? {
            Some(costs) => writer.write_costs(&costs)?,
            None => done = false,
        }
    }
    drop(writer);
    let missing = || {
        ScanError::Record(neuro_record::RecordError::NotARun {
            dir: out.to_owned(),
            reason: "its finalists are gone again".to_owned(),
            advice: "run the same command again",
        })
    };
    let data = ConfirmData::read(out)?.ok_or_else(missing)?;
    Ok(ConfirmOutcome { data, interrupted: !done })
}

/// Refuses a run of other weights: its rows say nothing about these.
fn same_model(subject: &Subject, run: &RunInfo) -> Result<()> {
    let own = subject.model_info();
    let differs = |what: &'static str, found: String, expected: String| {
        Err(ScanError::OtherModel { model: subject.name().to_owned(), what, found, expected })
    };
    if own.hash != run.model.hash || own.random_weights != run.model.random_weights {
        return differs("hash", own.hash, run.model.hash.clone());
    }
    let text = subject.text();
    let hashes = [
        ("tokenizer hash", text.map(|text| text.tokenizer_hash()), run.tokenizer_hash.as_deref()),
        ("template hash", text.and_then(|text| text.template_hash()), run.template_hash.as_deref()),
    ];
    for (what, found, expected) in hashes {
        if found != expected {
            let shown = |hash: Option<&str>| hash.unwrap_or("none").to_owned();
            return differs(what, shown(found), shown(expected));
        }
    }
    let compute = subject.weight_type().name();
    if compute != run.compute {
        return differs("weight type", compute.to_owned(), run.compute.clone());
    }
    Ok(())
}

/// The name of the probe that is to be confirmed, as its runs have it (`text` is `text:likelihood`), when it can be
/// asked: what is refused must not leave a folder with settings that refuse every other. Its questions are dropped
/// unseen; no choice knows them.
fn askable(subject: &Subject, request: &ConfirmRequest, named: &str) -> Result<String> {
    let (count, is_limit) = request.count(split(named).0);
    let probe = request.build(named, Role::Confirm, count, is_limit)?;
    ask(subject, &probe)?;
    request.build(named, Role::Report, count, is_limit)?;
    Ok(probe.name().to_owned())
}

/// The search's questions on the probe that ranks, and the sets of all that it asked.
fn search_questions(
    data: &RunData,
    request: &ConfirmRequest,
    name: &str,
) -> Result<(search::SearchQuestions, Vec<neuro_record::QuestionSet>)> {
    let mut sets: Vec<neuro_record::QuestionSet> = Vec::new();
    let mut remade = Vec::new();
    for info in &data.info.probes {
        let asked = search::remake(&data.info, info, request)?;
        let set = questions::set_of(&Role::Search.to_string(), &asked.questions);
        if !sets.contains(&set) {
            sets.push(set);
        }
        remade.push(asked);
    }
    // A probe is ranked by itself, or by the other scoring of the same questions; else by the run's first.
    let place = |test: &dyn Fn(&str) -> bool| remade.iter().position(|asked| test(&asked.probe));
    let place = place(&|probe| probe == name).or_else(|| place(&|probe| base(probe) == base(name))).unwrap_or(0);
    Ok((remade.swap_remove(place), sets))
}

/// Draws the fresh questions of every probe. Called only when `finalists.json` is written.
fn fresh(
    subject: &Subject,
    request: &ConfirmRequest,
    named: &str,
    mut sets: Vec<neuro_record::QuestionSet>,
) -> Result<Fresh> {
    let mut add = |role: Role, probe: &Probe| {
        let set = questions::set_of(&role.to_string(), probe);
        if !sets.contains(&set) {
            sets.push(set);
        }
    };
    let (count, is_limit) = request.count(split(named).0);
    let main = request.build(named, Role::Confirm, count, is_limit)?;
    ask(subject, &main)?;
    add(Role::Confirm, &main);
    add(Role::Report, &request.build(named, Role::Report, count, is_limit)?);

    let (mut side, mut skipped): (Vec<Probe>, Vec<SkippedProbe>) = (Vec::new(), Vec::new());
    let (confirmed, file) = split(named);
    let greedy_name = base(confirmed).to_owned();
    let is_drawn = request.draws > 0 && !always_likeliest(subject, request);
    if request.draws > 0 && !is_drawn {
        let reason =
            "the model's own settings (generation_config.json) always draw the likeliest token, so draws would \
                      repeat the greedy answers"
                .to_owned();
        skipped.push(SkippedProbe { probe: format!("{greedy_name}:sampled"), reason });
    }
    let mut take = |name: String, built: Result<Probe>| {
        let asked = built.and_then(|probe| ask(subject, &probe).map(|_| probe));
        match asked {
            Ok(probe) if probe.name() == main.name() => {
                let reason = format!("it is {} itself, which generates no answers", probe.name());
                skipped.push(SkippedProbe { probe: name, reason });
                false
            }
            Ok(probe) if side.iter().all(|other| other.name() != probe.name()) => {
                side.push(probe);
                true
            }
            Ok(_) => true,
            Err(error) => {
                skipped.push(SkippedProbe { probe: name, reason: error.to_string() });
                false
            }
        }
    };
    let spelled = |name: String| file.map_or_else(|| name.clone(), |file| format!("{name}={file}"));
    let greedy = request.build(&spelled(greedy_name.clone()), Role::Confirm, count, is_limit);
    // What cannot be asked is said once, of the greedy one.
    let drawn = greedy.as_ref().ok().filter(|_| is_drawn).map(|greedy| greedy.drawn(request.draws));
    let mut likelihood = main.scoring() == Scoring::Likelihood;
    if likelihood {
        take(greedy_name.clone(), greedy);
    } else {
        let name = format!("{}:likelihood", base(confirmed));
        let built = request.build(&spelled(name.clone()), Role::Confirm, count, is_limit);
        likelihood = take(name, built);
    }
    if let Some(drawn) = drawn {
        take(format!("{greedy_name}:sampled"), drawn.map_err(ScanError::from));
    }
    let mut others = request.guard_names(confirmed);
    if !likelihood && request.text.is_some() && !others.iter().any(|name| base(name) == "text") {
        others.push("text".to_owned());
    }
    for name in others {
        let built = request.build(&name, Role::Confirm, request.guard_questions, true);
        if let Ok(probe) = &built {
            add(Role::Confirm, probe);
            if let Ok(kept) = request.build(&name, Role::Report, request.guard_questions, true) {
                add(Role::Report, &kept);
            }
        }
        take(name, built);
    }
    let probes = std::iter::once(&main).chain(&side).map(|probe| probe.name().to_owned()).collect();
    let sets = QuestionSets { schema: SCHEMA, probes, sets, skipped };
    Ok(Fresh { main, side, sets })
}

/// Whether drawing by the model's own settings is greedy decoding.
fn always_likeliest(subject: &Subject, request: &ConfirmRequest) -> bool {
    let drawn = sampling(subject, request.seed);
    drawn.temperature <= 0.0 || drawn.top_k == Some(1)
}

/// The paths of a confirmation.
struct ConfirmPaths {
    /// The baseline and the finalists.
    finalists: Vec<LayerPath>,
    /// These, their shams, and the controls.
    all: Vec<LayerPath>,
}

fn parse(fixed: &Finalists, depth: usize) -> Result<ConfirmPaths> {
    let mut finalists = vec![LayerPath::baseline(depth)?];
    for finalist in &fixed.finalists {
        finalists.push(LayerPath::parse(&finalist.path, depth)?);
    }
    let mut all = finalists.clone();
    let shams = fixed.finalists.iter().flat_map(|finalist| finalist.shams.iter().map(|sham| &sham.path));
    for path in shams.chain(fixed.controls.values().flatten()) {
        all.push(LayerPath::parse(path, depth)?);
    }
    Ok(ConfirmPaths { finalists, all })
}

fn plan_of(subject: &Subject, request: &ConfirmRequest, paths: &[LayerPath], probes: Vec<Probe>) -> Result<Plan> {
    let scan = ScanRequest {
        paths: Paths::List(paths.to_vec()),
        seed: request.seed,
        role: Role::Confirm,
        memory_bytes: request.memory_bytes,
        ..ScanRequest::default()
    };
    plan_probes(subject, &scan, probes)
}
