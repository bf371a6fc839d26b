//! What the weights' type does: the baseline once more, with weights as they are stored.

use neuro_model::WeightType;
use neuro_path::LayerPath;

use crate::error::size;
use crate::memory::cut;
use crate::prompt::Asked;
use crate::run::Experiment;
use crate::unit::Asking;
use crate::work::Volume;
use crate::{Plan, Result, ScanError, Subject};

impl Experiment<'_> {
    /// Measures the baseline in f32 on every question, where the run's weights are quantised and it is planned; `false`
    /// when interrupted. The run's own weights are let go first and these are streamed: two sets need not fit into memory.
    pub(crate) fn reference(&mut self, subject: &Subject) -> Result<bool> {
        let plan = self.plan;
        let baseline = plan.paths.iter().position(LayerPath::is_baseline);
        let Some(baseline) = baseline.filter(|_| subject.weight_type() != WeightType::F32) else { return Ok(true) };
        let (path, printed) = (&plan.paths[baseline], &plan.printed[baseline]);
        for (index, probe) in plan.probes.iter().enumerate() {
            let order = &plan.order[index];
            // A screened run stores none: its stages are cut anew. Here every question is asked.
            let stored = self.recorder.info().plan.chunks.get(index);
            let chunks = stored.unwrap_or(&plan.chunks[index]);
            let chunks = chunks.iter().map(|&chunk| plan.reference_chunks(index, chunk)).collect::<Result<Vec<_>>>();
            let chunks = match chunks {
                Err(ScanError::Memory { probe, needed, budget, .. }) => {
                    let (needed, budget) = (size(needed), size(budget));
                    self.observer.note(&format!(
                        "the baseline in f32 on {probe} is left out: it needs {needed}, the memory budget is {budget}"
                    ));
                    continue;
                }
                chunks => chunks?.concat(),
            };
            let mut asking: Option<Asking<'_>> = None;
            for [start, end] in chunks {
                let open = (start..end).filter(|&place| !self.recorder.has_reference(index, place));
                let questions: Vec<usize> = open.map(|place| order[place]).collect();
                if questions.is_empty() {
                    continue;
                }
                if self.stop() {
                    return Ok(false);
                }
                if asking.is_none() {
                    self.observer.note(&format!("measuring the baseline in f32 on {}", probe.name()));
                    subject.forget_decoder();
                    asking = Some(Asking::with_decoder(subject, probe, plan.sampling, subject.reference_decoder())?);
                }
                let Some(asking) = &asking else { continue };
                let run = asking.session(&questions, &plan.asked[index]).and_then(|mut session| {
                    let raw = session.run(std::slice::from_ref(path), &mut |_| !self.stop())?;
                    Ok((session, raw))
                });
                let (session, raw) = match run {
                    Err(neuro_engine::EngineError::Interrupted) => return Ok(false),
                    run => run.map_err(|source| self.failed(printed, index, start..end, source))?,
                };
                for raw in raw {
                    let samples = session.grade(printed, raw)?;
                    self.recorder.add_reference(index, samples)?;
                }
            }
        }
        Ok(true)
    }
}

impl Plan {
    /// The parts of a chunk of questions that the baseline in f32 has room for, as half-open ranges: a layer in f32 is several
    /// times what one of the run's own takes.
    ///
    /// # Errors
    /// [`ScanError::Memory`] when one question alone exceeds the budget.
    fn reference_chunks(&self, probe: usize, [start, end]: [usize; 2]) -> Result<Vec<[usize; 2]>> {
        let baseline = self.paths.iter().position(LayerPath::is_baseline);
        let (Some(baseline), Some(costs)) = (baseline, &self.reference) else { return Ok(vec![[start, end]]) };
        let asked: Vec<Asked> = self.order[probe][start..end].iter().map(|&at| self.asked[probe][at].clone()).collect();
        let budget = self.info.plan.memory_bytes;
        let cut = cut(&self.probes[probe], &asked, std::slice::from_ref(&self.paths[baseline]), costs, budget)?;
        Ok(cut.chunks.into_iter().map(|chunk| chunk.map(|place| start + place)).collect())
    }

    /// Bytes that the baseline in f32 needs on a chunk of questions; 0 where it is not measured.
    pub(crate) fn reference_needed(&self, probe: usize, chunk: [usize; 2]) -> u64 {
        let baseline = self.paths.iter().find(|path| path.is_baseline());
        let (Some(baseline), Some(costs)) = (baseline, &self.reference) else { return 0 };
        let parts = self.reference_chunks(probe, chunk).unwrap_or_default();
        let needed = |[start, end]: [usize; 2]| {
            let asked = self.order[probe][start..end].iter().map(|&at| &self.asked[probe][at]);
            costs.needed(std::slice::from_ref(baseline), Volume::of(asked), self.probes[probe].scoring())
        };
        parts.into_iter().map(needed).max().unwrap_or(0)
    }
}

impl Subject {
    /// The weights as they are stored, computed in f32 and read layer by layer.
    fn reference_decoder(&self) -> std::sync::Arc<neuro_model::Decoder> {
        std::sync::Arc::new(neuro_model::Decoder::stream(&self.shared_checkpoint(), self.device(), WeightType::F32))
    }
}
