//! Carrying a plan out, unit by unit, in an order that a resumed run repeats.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use neuro_engine::EngineError;
use neuro_record::{Row, RunData};

use crate::observer::{Observer, Progress};
use crate::recorder::Recorder;
use crate::share::Shares;
use crate::unit::{Asking, Trunk};
use crate::work::{trunk_work, unit_work};
use crate::{Plan, Result, ScanError, Subject, notes};

/// What a scan leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Everything measured, earlier processes' part included.
    pub data: RunData,
    /// Whether it ended before its plan; the same call then goes on.
    pub interrupted: bool,
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
    let chunks = stored_chunks(plan, &recorder)?;
    let mut experiment = Experiment {
        plan,
        progress: Progress { rows_total: plan.paths.len() * plan.probes.len(), ..Progress::default() },
        recorder,
        observer,
        interrupted,
        begin: Instant::now(),
    };
    experiment.count(&chunks);
    let mut complete = true;
    for (probe, chunks) in chunks.iter().enumerate() {
        complete = experiment.probe(subject, probe, chunks)?;
        if !complete {
            break;
        }
    }
    Ok(Outcome { data: experiment.recorder.into_data(), interrupted: !complete })
}

/// The chunks of the run's own plan, which may be an older one; each probe's must cover its questions once, in order.
fn stored_chunks(plan: &Plan, recorder: &Recorder) -> Result<Vec<Vec<[usize; 2]>>> {
    let stored = &recorder.info().plan.chunks;
    for (index, probe) in plan.probes.iter().enumerate() {
        let questions = probe.questions().len();
        let mut end = 0;
        let joined = stored.get(index).is_some_and(|chunks| {
            chunks.iter().all(|&[start, next]| {
                let fits = start == end && next > start && next <= questions;
                end = next;
                fits
            })
        });
        if !joined || end != questions {
            return Err(ScanError::StoredChunks { probe: probe.name().to_owned(), questions });
        }
    }
    Ok(stored.clone())
}

/// A plan being carried out.
struct Experiment<'a> {
    plan: &'a Plan,
    recorder: Recorder,
    observer: &'a mut dyn Observer,
    interrupted: &'a AtomicBool,
    progress: Progress,
    begin: Instant,
}

impl Experiment<'_> {
    /// Whether the unit still needs measuring.
    fn is_open(&self, probe: usize, path: usize, [start, end]: [usize; 2]) -> bool {
        !self.recorder.has_row(probe, path) && !self.recorder.has_samples(probe, path, start..end)
    }

    /// Adds up what there is to do, and what earlier processes did.
    fn count(&mut self, chunks: &[Vec<[usize; 2]>]) {
        let plan = self.plan;
        for (probe, chunks) in chunks.iter().enumerate() {
            for &chunk in chunks {
                let asked = &plan.asked[probe][chunk[0]..chunk[1]];
                let mut open = false;
                for (index, path) in plan.paths.iter().enumerate() {
                    let work = unit_work(path, asked);
                    self.progress.work_total += work;
                    match self.is_open(probe, index, chunk) {
                        true => open = true,
                        false => self.progress.work_done += work,
                    }
                }
                let trunk = trunk_work(plan.info.model.layers, asked);
                self.progress.work_total += trunk;
                self.progress.work_done += if open { 0 } else { trunk };
            }
        }
        self.progress.work_resumed = self.progress.work_done;
        self.progress.rows_done = self.recorder.rows();
        if self.progress.work_done > 0 {
            let Progress { rows_done, rows_total, .. } = self.progress;
            self.observer.note(&format!("resuming: {rows_done} of {rows_total} rows are there"));
        }
        self.observer.progress(&self.progress);
    }

    /// Measures one probe; `false` when interrupted.
    fn probe(&mut self, subject: &Subject, probe: usize, chunks: &[[usize; 2]]) -> Result<bool> {
        let plan = self.plan;
        let mut asking: Option<Asking<'_>> = None;
        let mut shares = Shares::new(plan.paths.len());
        for &chunk in chunks {
            let open = (0..plan.paths.len()).any(|path| self.is_open(probe, path, chunk));
            if open && self.stop() {
                return Ok(false);
            }
            let trunk = match open {
                false => None,
                true => {
                    let asking = match &mut asking {
                        Some(asking) => asking,
                        empty => {
                            self.load(subject)?;
                            empty.insert(Asking::new(subject, &plan.probes[probe])?)
                        }
                    };
                    Some(self.trunk(asking, probe, chunk, &mut shares)?)
                }
            };
            for path in 0..plan.paths.len() {
                let open = trunk.as_ref().filter(|_| self.is_open(probe, path, chunk));
                if let Some(trunk) = open
                    && (self.stop() || !self.unit(trunk, probe, path, chunk, &mut shares)?)
                {
                    return Ok(false);
                }
                // Also where nothing was open: a process may have been killed between the samples and their row.
                let written = self.finish(probe, path, &shares)?;
                if open.is_some() || written {
                    self.report(probe, path);
                }
            }
        }
        Ok(true)
    }

    fn stop(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Reads the weights where nobody has; the time that takes is no measure of the work to come.
    fn load(&mut self, subject: &Subject) -> Result<()> {
        if !subject.is_loaded() {
            self.observer.note("reading the weights");
            let begin = Instant::now();
            subject.decoder()?;
            self.begin += begin.elapsed();
        }
        Ok(())
    }

    /// Runs the trunk of a chunk.
    fn trunk<'a>(
        &mut self,
        asking: &'a Asking<'a>,
        probe: usize,
        chunk: [usize; 2],
        shares: &mut Shares,
    ) -> Result<Trunk<'a>> {
        let plan = self.plan;
        let [start, end] = chunk;
        let asked = &plan.asked[probe][start..end];
        let begin = Instant::now();
        let trunk =
            asking.trunk(start..end, asked).map_err(|source| self.failed(&plan.printed[0], probe, chunk, source))?;
        let sharing = (0..plan.paths.len()).filter(|&path| self.is_open(probe, path, chunk));
        shares.trunk(begin.elapsed(), sharing.map(|path| (path, &plan.paths[path])));
        self.progress.work_done += trunk_work(plan.info.model.layers, asked);
        Ok(trunk)
    }

    /// Measures one unit; `false` when interrupted, with nothing of it kept.
    fn unit(
        &mut self,
        trunk: &Trunk<'_>,
        probe: usize,
        path: usize,
        chunk: [usize; 2],
        shares: &mut Shares,
    ) -> Result<bool> {
        let plan = self.plan;
        let (steps, printed) = (&plan.paths[path], &plan.printed[path]);
        let begin = Instant::now();
        let raw = trunk.run(steps, self.interrupted).map_err(|source| self.failed(printed, probe, chunk, source))?;
        let Some(raw) = raw else { return Ok(false) };
        let work = unit_work(steps, &plan.asked[probe][chunk[0]..chunk[1]]);
        shares.unit(path, begin.elapsed(), work);
        let samples = trunk.grade(printed, raw)?;
        self.recorder.add_samples(probe, path, chunk[0], samples)?;
        self.progress.work_done += work;
        Ok(true)
    }

    /// Writes the row of a path whose samples are complete; `false` where there is none to write.
    fn finish(&mut self, probe: usize, path: usize, shares: &Shares) -> Result<bool> {
        let plan = self.plan;
        if self.recorder.has_row(probe, path) {
            return Ok(false);
        }
        let Some(samples) = self.recorder.samples(probe, path) else { return Ok(false) };
        let work = unit_work(&plan.paths[path], &plan.asked[probe]);
        let mut row = Row::from_samples(&plan.paths[path], plan.probes[probe].name(), &samples)?;
        (row.seconds, row.seconds_kind) =
            shares.seconds(path, work).map(|(time, kind)| (time, kind.to_owned())).unzip();
        row.notes.clone_from(&plan.notes[probe]);
        row.notes.extend(notes::of_samples(&samples));
        row.random_weights = plan.info.model.random_weights;
        self.recorder.add_row(probe, path, row.clone())?;
        self.progress.rows_done += 1;
        self.observer.row(&row);
        Ok(true)
    }

    fn report(&mut self, probe: usize, path: usize) {
        self.progress.elapsed = self.begin.elapsed();
        self.plan.probes[probe].name().clone_into(&mut self.progress.probe);
        self.progress.path.clone_from(&self.plan.printed[path]);
        self.observer.progress(&self.progress);
    }

    fn failed(&self, path: &str, probe: usize, [start, end]: [usize; 2], source: EngineError) -> ScanError {
        let probe = &self.plan.probes[probe];
        let id = |index: usize| probe.questions()[index].id.clone();
        let (first, last) = (id(start), id(end - 1));
        ScanError::Unit { path: path.to_owned(), probe: probe.name().to_owned(), first, last, source: Box::new(source) }
    }
}
