//! Carrying a plan out, portion by portion, in an order that a resumed run repeats.

mod room;
mod screened;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use neuro_engine::EngineError;
use neuro_path::LayerPath;
use neuro_record::{Row, RunData, Screened};

use crate::memory::{Costs, has_room};
use crate::observer::{Observer, Progress};
use crate::portion::{Portion, stored_portions};
use crate::recorder::Recorder;
use crate::share::Shares;
use crate::unit::{Asking, Raw, Session};
use crate::work::{trunk_layers, unit_work};
use crate::{Generated, Plan, Residence, Result, ScanError, Subject, notes};

/// What a scan leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Everything measured, earlier processes' part included.
    pub data: RunData,
    /// Whether it ended before its plan; the same call then goes on.
    pub interrupted: bool,
    /// How the answers came about that this process generated.
    pub generated: Generated,
}

/// Carries the plan out in a run directory: creates it, or resumes the run that is there. Ends early, with everything
/// safe, soon after `interrupted` is set.
///
/// # Errors
/// When the directory holds a run of other settings or is being written, the weights are refused, or a unit fails.
pub fn run(
    subject: &Subject,
    plan: &Plan,
    dir: &Path,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<Outcome> {
    carry_out(subject, plan, Recorder::open(plan, dir)?, observer, interrupted)
}

/// Carries the plan out in memory; nothing is written.
///
/// # Errors
/// When the weights are refused or a unit fails.
pub fn measure(
    subject: &Subject,
    plan: &Plan,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<Outcome> {
    carry_out(subject, plan, Recorder::memory(plan), observer, interrupted)
}

fn carry_out(
    subject: &Subject,
    plan: &Plan,
    recorder: Recorder,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<Outcome> {
    let mut experiment = Experiment {
        plan,
        progress: Progress { rows_total: plan.paths.len() * plan.probes.len(), ..Progress::default() },
        recorder,
        observer,
        interrupted,
        begin: Instant::now(),
        costs: plan.costs,
        residence: plan.residence,
        said: Vec::new(),
        generated: Generated::default(),
    };
    let complete =
        if plan.info.screen.is_some() { experiment.screen(subject)? } else { experiment.ask_all(subject)? };
    let complete = complete && experiment.reference(subject)?;
    let Experiment { recorder, generated, .. } = experiment;
    Ok(Outcome { data: recorder.into_data(), interrupted: !complete, generated })
}

/// One probe being asked.
struct Ongoing<'a> {
    probe: usize,
    shares: Shares,
    /// What each path counts in all portions so far planned.
    work: Vec<u64>,
    asking: Option<Asking<'a>>,
}

impl Ongoing<'_> {
    fn new(plan: &Plan, probe: usize) -> Self {
        let paths = plan.paths.len();
        Self { probe, shares: Shares::new(paths), work: vec![0; paths], asking: None }
    }

    /// Counts portions that are to be measured.
    fn plan(&mut self, plan: &Plan, portions: &[Portion]) {
        for portion in portions {
            for &path in &portion.paths {
                self.work[path] += unit_work(&plan.paths[path], portion.volume);
            }
        }
    }
}

/// A plan being carried out.
pub(crate) struct Experiment<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) recorder: Recorder,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) interrupted: &'a AtomicBool,
    pub(crate) progress: Progress,
    pub(crate) begin: Instant,
    /// What the plan costs in this process, and where its weights are: its own, unless less memory is free.
    costs: Costs,
    residence: Residence,
    /// Notes that are said once.
    said: Vec<&'static str>,
    generated: Generated,
}

impl Experiment<'_> {
    /// Whether some path of the portion still needs measuring.
    fn is_open(&self, probe: usize, portion: &Portion) -> bool {
        portion.paths.iter().any(|&path| self.is_path_open(probe, path, portion))
    }

    fn is_path_open(&self, probe: usize, path: usize, portion: &Portion) -> bool {
        !self.recorder.has_row(probe, path) && !self.recorder.has_samples(probe, path, portion.questions.clone())
    }

    /// Asks every path everything; `false` when interrupted.
    fn ask_all(&mut self, subject: &Subject) -> Result<bool> {
        let plan = self.plan;
        let portions = stored_portions(plan, &self.recorder)?;
        for (probe, portions) in portions.iter().enumerate() {
            let (total, done) = self.tally(probe, portions);
            self.progress.work_total += total;
            self.progress.work_done += done;
        }
        self.begin_work();
        for (probe, portions) in portions.iter().enumerate() {
            let mut ongoing = Ongoing::new(plan, probe);
            ongoing.plan(plan, portions);
            if !self.portions(subject, &mut ongoing, portions)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What there is to do in these portions, and what of it earlier processes did.
    fn tally(&self, probe: usize, portions: &[Portion]) -> (u64, u64) {
        let plan = self.plan;
        let (mut total, mut done) = (0, 0);
        for same in portions.chunk_by(|a, b| a.questions == b.questions) {
            let open: Vec<bool> = same.iter().map(|portion| self.is_open(probe, portion)).collect();
            for (portion, open) in same.iter().zip(&open) {
                let work = portion.work(&plan.paths);
                total += work;
                done += if *open { 0 } else { work };
            }
            let trunk = trunk_layers(&plan.paths) as u64 * same[0].volume.read;
            total += trunk;
            done += if open.contains(&true) { 0 } else { trunk };
        }
        (total, done)
    }

    /// Tells how far earlier processes came.
    fn begin_work(&mut self) {
        let (total, done) = self.reference_tally();
        self.progress.work_total += total;
        self.progress.work_done += done;
        self.progress.work_resumed = self.progress.work_done;
        self.progress.rows_done = self.recorder.rows();
        if self.progress.work_done > 0 {
            let Progress { rows_done, rows_total, .. } = self.progress;
            self.observer.note(&format!("resuming: {rows_done} of {rows_total} rows are there"));
        }
        self.observer.progress(&self.progress);
    }

    /// Measures portions, and writes the rows that are complete then; `false` when interrupted.
    fn portions<'a>(&mut self, subject: &'a Subject, ongoing: &mut Ongoing<'a>, portions: &[Portion]) -> Result<bool>
    where
        Self: 'a,
    {
        let (plan, probe) = (self.plan, ongoing.probe);
        for chunk in portions.chunk_by(|a, b| a.questions == b.questions) {
            if chunk.iter().any(|portion| self.is_open(probe, portion)) {
                if self.stop() {
                    return Ok(false);
                }
                if ongoing.asking.is_none() {
                    self.find_room_for_weights(subject, probe);
                    self.load(subject)?;
                    ongoing.asking = Some(Asking::new(subject, &plan.probes[probe], plan.sampling, self.residence)?);
                }
            }
            let parts = self.find_room_for_questions(subject, ongoing, chunk);
            for part in parts.chunk_by(|a, b| a.questions == b.questions) {
                if !self.part(ongoing, part)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The same for portions of the same questions, which share a trunk.
    fn part(&mut self, ongoing: &mut Ongoing<'_>, portions: &[Portion]) -> Result<bool> {
        let (plan, probe) = (self.plan, ongoing.probe);
        let mut session: Option<Session<'_>> = None;
        for portion in portions {
            let open = self.is_open(probe, portion);
            if let (true, Some(asking)) = (open, &ongoing.asking) {
                if self.stop() {
                    return Ok(false);
                }
                let session = match &mut session {
                    Some(session) => session,
                    empty => match self.session(asking, probe, portion, &mut ongoing.shares)? {
                        Some(session) => empty.insert(session),
                        None => return Ok(false),
                    },
                };
                if !self.portion(session, probe, portion, &mut ongoing.shares)? {
                    return Ok(false);
                }
            }
            // Also where nothing was open: a process may have been killed between the samples and their row.
            for &path in &portion.paths {
                let written = self.finish(ongoing, path, plan.order[probe].len())?;
                if open || written {
                    self.report(probe, path);
                }
            }
        }
        Ok(true)
    }

    pub(crate) fn stop(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Reads the weights where nobody has; the time that takes is no measure of the work to come.
    fn load(&mut self, subject: &Subject) -> Result<()> {
        if self.residence == Residence::Held && !subject.is_loaded() {
            self.observer.note("reading the weights");
            let begin = Instant::now();
            subject.decoder_with(self.residence)?;
            self.begin += begin.elapsed();
        }
        Ok(())
    }

    /// Prepares the questions of a portion and runs their trunk; `None` when interrupted.
    fn session<'a>(
        &mut self,
        asking: &'a Asking<'a>,
        probe: usize,
        portion: &Portion,
        shares: &mut Shares,
    ) -> Result<Option<Session<'a>>> {
        let plan = self.plan;
        let begin = Instant::now();
        let layers = trunk_layers(&plan.paths);
        let questions = plan.order[probe][portion.questions.clone()].to_vec();
        let session = asking.session(&questions, &plan.asked[probe]);
        let session = session.and_then(|mut session| {
            session.trunk(layers, &mut |_| !self.interrupted.load(Ordering::Relaxed))?;
            Ok(session)
        });
        let session = match session {
            Err(EngineError::Interrupted) => return Ok(None),
            session => {
                session.map_err(|source| self.failed(&plan.printed[0], probe, portion.questions.clone(), source))?
            }
        };
        let sharing = (0..plan.paths.len()).filter(|&path| self.is_path_open(probe, path, portion));
        shares.trunk(begin.elapsed(), sharing.map(|path| (path, &plan.paths[path])));
        self.progress.work_done += layers as u64 * portion.volume.read;
        Ok(Some(session))
    }

    /// Measures a portion whole; `false` when interrupted, with nothing of it kept.
    fn portion(
        &mut self,
        session: &mut Session<'_>,
        probe: usize,
        portion: &Portion,
        shares: &mut Shares,
    ) -> Result<bool> {
        let plan = self.plan;
        let begin = Instant::now();
        let (begun, work) = (self.progress.work_done, portion.work(&plan.paths));
        let paths: Vec<LayerPath> = portion.paths.iter().map(|&path| plan.paths[path].clone()).collect();
        let has_room = |bytes| has_room(session.device(), bytes);
        let (parts, fits) = self.costs.parts(&paths, portion.volume, plan.probes[probe].scoring(), &has_room);
        if !fits {
            self.say_once(room::NO_ROOM_FOR_PATH);
        }
        let mut watch = |layer_tokens: u64| {
            // The head counts as a layer more, which is only done in the end.
            self.progress.work_done = (self.progress.work_done + layer_tokens).min(begun + work);
            self.progress.elapsed = self.begin.elapsed();
            self.observer.progress(&self.progress);
            !self.interrupted.load(Ordering::Relaxed)
        };
        let before = session.stats();
        let raw = parts.into_iter().map(|[start, end]| session.run(&paths[start..end], &mut watch));
        let raw = raw
            .collect::<std::result::Result<Vec<_>, _>>()
            .map(|parts| parts.into_iter().flatten().collect::<Vec<_>>());
        let raw = match raw {
            Err(EngineError::Interrupted) => return Ok(false),
            raw => raw.map_err(|source| {
                self.failed(&plan.printed[portion.paths[0]], probe, portion.questions.clone(), source)
            })?,
        };
        self.generated.add(raw.iter().flat_map(Raw::answers), before, session.stats());
        let time = begin.elapsed();
        for (&path, raw) in portion.paths.iter().zip(raw) {
            let own = unit_work(&plan.paths[path], portion.volume);
            shares.unit(path, time.mul_f64(own as f64 / work.max(1) as f64), own);
            let samples = session.grade(&plan.printed[path], raw)?;
            self.recorder.add_samples(probe, path, portion.questions.start, samples)?;
        }
        self.progress.work_done = begun + work;
        Ok(true)
    }

    /// Writes the row of a path that has its samples on the first `seen` questions; `false` where there is none to write.
    fn finish(&mut self, ongoing: &Ongoing<'_>, path: usize, seen: usize) -> Result<bool> {
        let (plan, probe) = (self.plan, ongoing.probe);
        if self.recorder.has_row(probe, path) {
            return Ok(false);
        }
        let Some(samples) = self.recorder.samples(probe, path, 0..seen) else { return Ok(false) };
        let mut row = Row::from_samples(&plan.paths[path], plan.probes[probe].name(), &samples)?;
        let of = plan.order[probe].len();
        row.screened = (seen < of).then_some(Screened { seen, of });
        (row.seconds, row.seconds_kind) =
            ongoing.shares.seconds(path, ongoing.work[path]).map(|(time, kind)| (time, kind.to_owned())).unzip();
        row.notes.clone_from(&plan.notes[probe]);
        row.notes.extend(notes::of_samples(&samples));
        row.random_weights = plan.info.model.random_weights;
        self.recorder.add_row(probe, path, row.clone())?;
        self.progress.rows_done += 1;
        self.observer.row(&row);
        Ok(true)
    }

    pub(crate) fn report(&mut self, probe: usize, path: usize) {
        self.progress.elapsed = self.begin.elapsed();
        self.plan.probes[probe].name().clone_into(&mut self.progress.probe);
        self.progress.path.clone_from(&self.plan.printed[path]);
        self.observer.progress(&self.progress);
        self.progress.path.clear();
    }

    pub(crate) fn failed(
        &self,
        path: &str,
        probe: usize,
        questions: std::ops::Range<usize>,
        source: EngineError,
    ) -> ScanError {
        let (probe, order) = (&self.plan.probes[probe], &self.plan.order[probe]);
        let id = |place: usize| probe.questions()[order[place]].id.clone();
        let (first, last) = (id(questions.start), id(questions.end - 1));
        ScanError::Unit { path: path.to_owned(), probe: probe.name().to_owned(), first, last, source: Box::new(source) }
    }
}
