//! Measuring the baseline in f32, part by part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use neuro_engine::EngineError;
use neuro_model::{Decoder, WeightType};

use super::{Parts, Reference};
use crate::error::size;
use crate::memory::has_room;
use crate::run::Experiment;
use crate::unit::Asking;
use crate::work::{Volume, trunk_layers, unit_work};
use crate::{Plan, Residence, Result, Subject};

impl Plan {
    /// What a part counts in progress.
    fn reference_work(&self, reference: &Reference, volume: Volume) -> u64 {
        let path = &self.paths[reference.baseline];
        trunk_layers([path]) as u64 * volume.read + unit_work(path, volume)
    }
}

impl Experiment<'_> {
    /// What there is to do in f32, and what of it earlier processes did.
    pub(crate) fn reference_tally(&self) -> (u64, u64) {
        let plan = self.plan;
        let Some(reference) = &plan.reference else { return (0, 0) };
        let (mut total, mut done) = (0, 0);
        for probe in 0..plan.probes.len() {
            for &part in reference.parts(probe) {
                let work = plan.reference_work(reference, plan.reference_volume(probe, part));
                total += work;
                done += if self.lacks_reference(probe, part) { 0 } else { work };
            }
        }
        (total, done)
    }

    fn lacks_reference(&self, probe: usize, [start, end]: [usize; 2]) -> bool {
        (start..end).any(|place| !self.recorder.has_reference(probe, place))
    }

    /// Measures the baseline in f32 on every question that has no such answer yet; `false` when interrupted.
    pub(crate) fn reference(&mut self, subject: &Subject) -> Result<bool> {
        let plan = self.plan;
        let Some(reference) = &plan.reference else { return Ok(true) };
        let mut decoder: Option<Arc<Decoder>> = None;
        for (index, probe) in plan.probes.iter().enumerate() {
            if let Parts::LeftOut(needed) = &reference.parts[index] {
                if !self.lacks_reference(index, [0, plan.order[index].len()]) {
                    continue;
                }
                let (needed, budget) = (size(*needed), size(plan.info.plan.memory_bytes));
                self.observer.note(&format!(
                    "the effect of {} on {} is not measured: the baseline in f32 needs {needed}, the memory budget is {budget}",
                    plan.info.compute,
                    probe.name()
                ));
                continue;
            }
            let parts = reference.parts(index).iter().copied();
            let open: Vec<[usize; 2]> = parts.filter(|&part| self.lacks_reference(index, part)).collect();
            if open.is_empty() {
                continue;
            }
            if self.stop() {
                return Ok(false);
            }
            let decoder = match &decoder {
                Some(decoder) => decoder.clone(),
                None => decoder.insert(self.reference_decoder(subject, reference)?).clone(),
            };
            let questions: usize = open.iter().map(|[start, end]| end - start).sum();
            self.observer.note(&format!(
                "measuring what {} does to the score: the baseline once more in f32, on {questions} question{} of {}",
                plan.info.compute,
                if questions == 1 { "" } else { "s" },
                probe.name()
            ));
            let asking = Asking::with_decoder(subject, probe, plan.sampling, decoder)?;
            for part in open {
                if self.stop() || !self.reference_part(&asking, reference, index, part)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The weights in f32, where the plan says and there is room now. The rest of the work runs at another pace: it is
    /// timed from here.
    fn reference_decoder(&mut self, subject: &Subject, reference: &Reference) -> Result<Arc<Decoder>> {
        subject.forget_decoder();
        let (checkpoint, device) = (subject.shared_checkpoint(), subject.device());
        let bytes = reference.weights.held;
        let decoder = if reference.residence == Residence::Held && has_room(device, bytes) {
            self.observer.note(&format!("reading {} of weights in f32", size(bytes)));
            Decoder::load_as(&checkpoint, device, WeightType::F32)?
        } else {
            let short = if reference.residence == Residence::Held { "the machine" } else { "the memory budget" };
            let note = format!("{short} has no room for the weights in f32: each layer is read when it is needed");
            self.observer.note(&note);
            Decoder::stream(&checkpoint, device, WeightType::F32)
        };
        self.begin = Instant::now();
        self.progress.elapsed = Duration::ZERO;
        self.progress.work_resumed = self.progress.work_done;
        Ok(Arc::new(decoder))
    }

    /// Measures a part whole and records it; `false` when interrupted, with nothing of it kept.
    fn reference_part(
        &mut self,
        asking: &Asking<'_>,
        reference: &Reference,
        probe: usize,
        part: [usize; 2],
    ) -> Result<bool> {
        let plan = self.plan;
        let (path, printed) = (&plan.paths[reference.baseline], &plan.printed[reference.baseline]);
        let (begun, work) =
            (self.progress.work_done, plan.reference_work(reference, plan.reference_volume(probe, part)));
        let questions = plan.order[probe][part[0]..part[1]].to_vec();
        let mut watch = |layer_tokens: u64| {
            self.progress.work_done = (self.progress.work_done + layer_tokens).min(begun + work);
            self.progress.elapsed = self.begin.elapsed();
            self.observer.progress(&self.progress);
            !self.interrupted.load(std::sync::atomic::Ordering::Relaxed)
        };
        let run = asking.session(&questions, &plan.asked[probe]).and_then(|mut session| {
            let raw = session.run(std::slice::from_ref(path), &mut watch)?;
            Ok((session, raw))
        });
        let (session, raw) = match run {
            Err(EngineError::Interrupted) => return Ok(false),
            run => run.map_err(|source| self.failed(printed, probe, part[0]..part[1], source))?,
        };
        for raw in raw {
            let samples = session.grade(printed, raw)?;
            self.recorder.add_reference(probe, samples)?;
        }
        self.progress.work_done = begun + work;
        self.report(probe, reference.baseline);
        Ok(true)
    }
}
