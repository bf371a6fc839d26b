//! Confirming: finalists, fixed in writing, on questions that nobody has seen.
//!
//! The order is the point. Once it is known that the probe can be asked at all, `finalists.json` is written: who is a
//! finalist and why, the controls, the shams, every setting. Only then are fresh questions drawn to be asked, and their
//! hashes compared with those of the search, of the set kept for a report, and of what earlier confirmations of the run
//! have asked, which its ledger knows; what they are is entered there before anything is measured. Then everything is
//! measured together, as any plan is: resumable, each path beside the baseline.

mod cost;
mod draw;
mod earlier;
mod finalists;
mod fresh;
mod preview;
mod questions;
mod request;
mod search;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use neuro_path::LayerPath;
use neuro_probe::{Probe, Role, family};
use neuro_record::{
    Asked, CONFIRM_ROLE, ConfirmData, ConfirmWriter, Finalists, Ledger, MAIN_RUN, QuestionSet, QuestionSets, RunData,
    RunInfo, SCHEMA, SIDE_RUN, finalists_hash, rows_hash,
};

use crate::observer::Observer;
use crate::plan::plan_probes;
use crate::prompt::ask;
use crate::{Paths, Plan, Residence, Result, ScanError, ScanRequest, Subject, run};
pub use draw::{SHAM_ORDER, SHAM_PLACE};
use earlier::Before;
use fresh::Fresh;
pub use preview::{ConfirmPlan, confirm_plan};
use request::base;
pub use request::{CONFIRM_QUESTIONS, CONTROLS, ConfirmRequest, DRAWS, FINALISTS, GUARD_QUESTIONS, GUARDS};
use search::SearchQuestions;

/// What a confirmation leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfirmOutcome {
    /// Everything that is on disk.
    pub data: ConfirmData,
    /// Whether it ended early; the same call then goes on.
    pub interrupted: bool,
}

/// Confirms the finalists of the run in `search` in the folder `out`: creates it, or goes on with what is there.
///
/// # Errors
/// When the run is of another model or not complete, its questions cannot be made again, `out` holds a confirmation of
/// other settings, a probe that is to be confirmed or a text that is given cannot be asked, earlier confirmations have
/// left too few questions, or a measurement fails.
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
    // Locked until it is entered what is asked: of two confirmations at once, one leaves out the other's questions.
    let mut ledger = Ledger::open(search)?;
    let earlier = ledger.before(finalists_hash(out)?.as_deref());
    let settled = Settled::of(subject, search, &data, request, out, earlier)?;
    let is_own_seed = request.seed.is_none();
    let (request, name) = (&settled.request, settled.name.as_str());
    let (writer, fixed) = ConfirmWriter::open(out, &settled.fixed)?;

    let Fresh { main, side, sets } = settled.draw(subject)?;
    let paths = parse(&fixed, subject.depth())?;
    let prompt = ask(subject, &main)?.first().map(|asked| asked.prompt().to_vec()).unwrap_or_default();
    // What is refused is not asked, and so not entered.
    writer.check_questions(&sets)?;
    let (main, side) = plans_of(subject, request, &paths, main, side)?;
    ledger.enter(entry(out, name, request.seed(), &sets)?)?;
    drop(ledger);
    writer.write_questions(&sets)?;
    let note = sets.earlier.as_ref().and_then(|earlier| earlier::note(earlier, name, request.seed()));
    if is_own_seed {
        let seed = request.seed();
        observer.note(&format!("seed {seed} follows from the run; --seed {seed} draws the same elsewhere"));
    }
    if let Some(note) = note {
        observer.note(&note);
    }
    let mut done = !run(subject, &main, &out.join(MAIN_RUN), observer, interrupted)?.interrupted;
    if let (true, Some(side)) = (done, side) {
        done = !run(subject, &side, &out.join(SIDE_RUN), observer, interrupted)?.interrupted;
    }
    if done && main.residence == Residence::Streamed {
        observer.note("paths are not timed alone: with weights from disk that would be the disk's time");
    } else if done && writer.costs()?.is_none() {
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

/// What is settled before anything is written.
struct Settled {
    /// What was asked for, with a seed.
    request: ConfirmRequest,
    /// The confirmed probe as it was named, perhaps with a file.
    named: String,
    /// Its name with scoring.
    name: String,
    before: Before,
    /// The search's questions on the probe that ranks.
    ranking: SearchQuestions,
    /// The sets of all that the search asked.
    asked: Vec<QuestionSet>,
    fixed: Finalists,
}

impl Settled {
    /// Settles who is confirmed and how; `earlier` are the ledger's lines of the confirmations before.
    fn of(
        subject: &Subject,
        search: &Path,
        data: &RunData,
        request: &ConfirmRequest,
        out: &Path,
        earlier: &[Asked],
    ) -> Result<Self> {
        let named = request.probe.clone().or_else(|| data.info.probes.first().map(|probe| probe.name.clone()));
        let named = named.ok_or(ScanError::NoPaths)?;
        let before = Before::of(earlier);
        let rows_hash = rows_hash(search)?;
        let request = ConfirmRequest { seed: Some(seed(request, &rows_hash, &before, out)?), ..request.clone() };
        let name = fresh::askable(subject, &request, &named, &before)?;
        let (ranking, asked) = search_questions(data, &request, &name)?;
        let fixed = finalists::fix(subject, &request, data, &ranking, rows_hash, &name)?;
        Ok(Self { request, named, name, before, ranking, asked, fixed })
    }

    /// Draws the fresh questions.
    fn draw(&self, subject: &Subject) -> Result<Fresh> {
        fresh::draw(subject, &self.request, &self.named, &self.before, self.asked.clone())
    }
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

/// The seed that was given, or with which the folder was begun; else one that follows from the times in the run's rows, which
/// no other scan of the model repeats, and from how often the run was confirmed before.
fn seed(request: &ConfirmRequest, rows_hash: &str, before: &Before, out: &Path) -> Result<u64> {
    let begun = || -> Result<Option<u64>> {
        let fixed = neuro_record::read_finalists(out)?;
        Ok(fixed.and_then(|fixed| fixed.settings.get("seed").and_then(serde_json::Value::as_u64)))
    };
    let Some(seed) = request.seed.map_or_else(begun, |seed| Ok(Some(seed)))? else {
        let own =
            questions::hash_of(&[b"confirm".as_slice(), rows_hash.as_bytes(), &(before.count() as u64).to_le_bytes()]);
        // Half of the digits: short enough to be typed, and no other program rounds it.
        return Ok(u64::from_str_radix(own.get(..8).unwrap_or_default(), 16).unwrap_or_default());
    };
    Ok(seed)
}

/// What the ledger says of this confirmation.
fn entry(out: &Path, probe: &str, seed: u64, sets: &QuestionSets) -> Result<Asked> {
    let finalists = finalists_hash(out)?.unwrap_or_default();
    let asked = sets.sets.iter().filter(|set| set.role == CONFIRM_ROLE).cloned().collect();
    Ok(Asked { schema: SCHEMA, finalists, probe: probe.to_owned(), seed, sets: asked })
}

/// The search's questions on the probe that ranks, and the sets of all that it asked.
fn search_questions(
    data: &RunData,
    request: &ConfirmRequest,
    name: &str,
) -> Result<(SearchQuestions, Vec<QuestionSet>)> {
    let mut sets: Vec<QuestionSet> = Vec::new();
    let mut remade = Vec::new();
    for info in &data.info.probes {
        let asked = search::remake(&data.info, info, request)?;
        let set = questions::set_of(&Role::Search.to_string(), &asked.questions);
        if !sets.contains(&set) {
            sets.push(set);
        }
        remade.push(asked);
    }
    // A probe is ranked by itself, or by another scoring or wording of the same questions; else by the run's first.
    let place = |test: &dyn Fn(&str) -> bool| remade.iter().position(|asked| test(&asked.probe));
    let tests: [&dyn Fn(&str) -> bool; 3] =
        [&|probe| probe == name, &|probe| base(probe) == base(name), &|probe| family(probe) == family(name)];
    let place = tests.into_iter().find_map(place).unwrap_or(0);
    Ok((remade.swap_remove(place), sets))
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

/// The plan of the confirmed probe along all paths, and of the others along the finalists. Where memory is too small for both, the
/// refusal is the one that asks for more.
fn plans_of(
    subject: &Subject,
    request: &ConfirmRequest,
    paths: &ConfirmPaths,
    main: Probe,
    side: Vec<Probe>,
) -> Result<(Plan, Option<Plan>)> {
    let main = plan_of(subject, request, &paths.all, vec![main]);
    let side = match side.is_empty() {
        true => Ok(None),
        false => plan_of(subject, request, &paths.finalists, side).map(Some),
    };
    match (main, side) {
        (Err(ScanError::Memory { needs: less, .. }), Err(refusal @ ScanError::Memory { needs: more, .. }))
            if more.least > less.least =>
        {
            Err(refusal)
        }
        (main, side) => Ok((main?, side?)),
    }
}

fn plan_of(subject: &Subject, request: &ConfirmRequest, paths: &[LayerPath], probes: Vec<Probe>) -> Result<Plan> {
    let scan = ScanRequest {
        paths: Paths::List(paths.to_vec()),
        seed: request.seed(),
        role: Role::Confirm,
        memory_bytes: request.memory_bytes,
        // Paths of one type are compared with each other.
        type_effect: false,
        ..ScanRequest::default()
    };
    plan_probes(subject, &scan, probes)
}
