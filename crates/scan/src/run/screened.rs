//! Carrying out a screening: stage by stage, and who goes on follows from the samples so far.

use neuro_engine::StopReason;
use neuro_stats::{Race, Stage};

use super::{Experiment, Ongoing};
use crate::memory::Costs;
use crate::plan::cut_all;
use crate::portion::{Portion, followed};
use crate::screen::{race, stage_portions};
use crate::work::{Volume, trunk_layers, unit_work};
use crate::{Result, ScanError, Subject};

/// What the portions of every stage are cut by.
struct Cutting {
    costs: Costs,
    budget: u64,
}

impl Experiment<'_> {
    /// Lets the paths of each probe race; `false` when interrupted.
    pub(super) fn screen(&mut self, subject: &Subject) -> Result<bool> {
        let plan = self.plan;
        let followed = followed(plan, &self.recorder);
        let (budget, held) = (followed.memory_bytes, followed.held_bytes);
        let costs = if (budget, held) == (plan.info.plan.memory_bytes, plan.info.plan.held_bytes) {
            plan.costs
        } else {
            cut_all(subject, &plan.probes, &plan.asked, &plan.paths, budget, Some(held))?.costs
        };
        let cutting = Cutting { costs, budget };
        let mut allowed = Vec::with_capacity(plan.probes.len());
        for probe in 0..plan.probes.len() {
            let (total, done) = self.replay(probe, &cutting)?;
            self.progress.work_total += total;
            self.progress.work_done += done;
            allowed.push(total);
        }
        self.begin_work();
        for (probe, allowed) in allowed.into_iter().enumerate() {
            if !self.race(subject, probe, &cutting, allowed)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the race of a probe may count in all, and what earlier processes did of it. A race that is over counts what
    /// it came to.
    fn replay(&self, probe: usize, cutting: &Cutting) -> Result<(u64, u64)> {
        let (mut total, mut done) = (0, 0);
        let Some(mut race) = race(self.plan, probe)? else { return Ok((total, done)) };
        while let Some(stage) = race.stage() {
            let portions = self.cut(probe, &stage, cutting)?;
            let (of_stage, done_of_stage) = self.tally(probe, &portions);
            done += done_of_stage;
            match self.scores(probe, &stage) {
                Some(scores) if done_of_stage == of_stage => self.record(probe, &mut race, &scores)?,
                _ => return Ok((self.allowance(probe).max(total + of_stage), done)),
            }
            total += of_stage;
        }
        Ok((total, done))
    }

    /// What a race may count: its budget's part of the scan without screening.
    fn allowance(&self, probe: usize) -> u64 {
        let plan = self.plan;
        let budget = plan.info.screen.as_ref().map_or(1.0, |screen| screen.budget);
        let volume = Volume::of(&plan.asked[probe]);
        let paths: u64 = plan.paths.iter().map(|path| unit_work(path, volume)).sum();
        let whole = paths + trunk_layers(&plan.paths) as u64 * volume.read;
        (whole as f64 * budget).ceil() as u64
    }

    fn race(&mut self, subject: &Subject, probe: usize, cutting: &Cutting, mut allowed: u64) -> Result<bool> {
        let plan = self.plan;
        let Some(mut race) = race(plan, probe)? else { return Ok(true) };
        let mut ongoing = Ongoing::new(plan, probe);
        let mut planned = 0;
        while let Some(stage) = race.stage() {
            let portions = self.cut(probe, &stage, cutting)?;
            ongoing.plan(plan, &portions);
            planned += self.tally(probe, &portions).0;
            // The allowance counts layer-tokens; heads and chunks that begin alike come on top.
            self.progress.work_total += planned.saturating_sub(allowed);
            allowed = allowed.max(planned);
            if !self.portions(subject, &mut ongoing, &portions)? {
                return Ok(false);
            }
            let Some(scores) = self.scores(probe, &stage) else {
                let missing = |path: &&usize| self.recorder.samples(probe, **path, stage.questions.clone()).is_none();
                return Err(self.contradiction(probe, stage.paths.iter().find(missing).copied().unwrap_or(0)));
            };
            self.record(probe, &mut race, &scores)?;
            let next = race.stage();
            for &path in &stage.paths {
                let goes_on = next.as_ref().is_some_and(|next| next.paths.binary_search(&path).is_ok());
                if !goes_on {
                    self.finish(&ongoing, path, stage.questions.end)?;
                }
            }
            if next.is_none() {
                self.progress.work_total -= allowed - planned;
            }
            self.progress.elapsed = self.begin.elapsed();
            self.observer.progress(&self.progress);
        }
        Ok(true)
    }

    fn cut(&self, probe: usize, stage: &Stage, cutting: &Cutting) -> Result<Vec<Portion>> {
        stage_portions(self.plan, probe, stage, &cutting.costs, cutting.budget)
    }

    /// The scores of a stage, `(paths, questions)`; `None` while a sample is missing. Where activations were not finite
    /// there is no score to race with.
    fn scores(&self, probe: usize, stage: &Stage) -> Option<Vec<Vec<f64>>> {
        let not_finite = Some(StopReason::NotFinite.name());
        let of_path = |&path: &usize| {
            let samples = self.recorder.samples(probe, path, stage.questions.clone())?;
            let score = |sample: &&neuro_record::Sample| {
                if sample.stop.as_deref() == not_finite { f64::NAN } else { sample.score }
            };
            Some(samples.iter().map(score).collect())
        };
        stage.paths.iter().map(of_path).collect()
    }

    fn record(&self, probe: usize, race: &mut Race, scores: &[Vec<f64>]) -> Result<()> {
        race.record(scores).map_err(|source| ScanError::Screen {
            probe: self.plan.probes[probe].name().to_owned(),
            source: Box::new(source),
        })
    }

    fn contradiction(&self, probe: usize, path: usize) -> ScanError {
        let (path, probe) = (self.plan.printed[path].clone(), self.plan.probes[probe].name().to_owned());
        ScanError::Screened { path, probe }
    }
}
