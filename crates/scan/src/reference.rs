//! What the weights' type does: the baseline once more, with weights as they are stored, computed in f32.
//!
//! The run's own weights are let go first, so that what the budget has room for is not both sets but one. Weights in f32 are
//! held where they fit; where they do not, each layer is read from disk once per walk, and decoding takes a walk for
//! every token.

mod carry_out;
mod look;
mod summary;

use std::collections::BTreeMap;

use neuro_model::{WeightBytes, WeightType};
use neuro_path::LayerPath;
use neuro_probe::Probe;
pub use summary::{ReferenceLeftOut, ReferenceSummary};

use crate::memory::{Costs, cut};
use crate::prompt::Asked;
use crate::work::Volume;
use crate::{Residence, Result, ScanError, Subject};

/// Held weights are measured with in so many parts, but none smaller than [`PART`]: whoever interrupts loses one.
const PARTS: usize = 8;
const PART: usize = 16;

/// How the baseline is measured in f32.
#[derive(Debug)]
pub(crate) struct Reference {
    /// The baseline's place among the paths.
    pub(crate) baseline: usize,
    /// Where the weights are in f32.
    pub(crate) residence: Residence,
    /// What they take.
    pub(crate) weights: WeightBytes,
    /// For each probe what is measured and recorded at once.
    pub(crate) parts: Vec<Parts>,
    costs: Costs,
}

/// The questions of a probe, cut.
#[derive(Debug)]
pub(crate) enum Parts {
    /// Half-open ranges of the questions in the order in which they are asked.
    Measured(Vec<[usize; 2]>),
    /// There is no room for a single question: bytes that it needs.
    LeftOut(u64),
}

/// What is known of a scan when its reference is planned.
pub(crate) struct Planned<'a> {
    pub(crate) probes: &'a [Probe],
    /// For each probe its questions as tokens.
    pub(crate) asked: &'a [Vec<Asked>],
    /// For each probe its questions, as indices, in the order in which they are asked.
    pub(crate) order: &'a [Vec<usize>],
    pub(crate) paths: &'a [LayerPath],
    pub(crate) budget: u64,
    /// What is held whatever runs.
    pub(crate) held: u64,
}

impl Reference {
    /// Plans it where the run's weights are quantised and the baseline is among the paths.
    ///
    /// # Errors
    /// When questions cannot be cut for another reason than their size.
    pub(crate) fn new(subject: &Subject, planned: &Planned<'_>) -> Result<Option<Self>> {
        let baseline = planned.paths.iter().position(LayerPath::is_baseline);
        let Some(baseline) = baseline.filter(|_| subject.weight_type() != WeightType::F32) else { return Ok(None) };
        let attempt = |residence: Residence| -> Result<Self> {
            let costs = Costs::of_reference(subject, &planned.paths[baseline], residence).with_held(planned.held);
            let parts = (0..planned.probes.len()).map(|probe| planned.parts(probe, baseline, &costs, residence));
            let (parts, weights) = (parts.collect::<Result<_>>()?, WeightBytes::of(subject.config(), WeightType::F32));
            Ok(Self { baseline, residence, weights, parts, costs })
        };
        let held = attempt(Residence::Held)?;
        let fits = held.parts.iter().all(|parts| matches!(parts, Parts::Measured(_)));
        Ok(Some(if fits { held } else { attempt(Residence::Streamed)? }))
    }

    /// Of each probe that is left out, bytes that it needs.
    pub(crate) fn needs(&self, probes: &[Probe]) -> BTreeMap<String, u64> {
        let needs = |(probe, parts): (&Probe, &Parts)| match parts {
            Parts::Measured(_) => None,
            Parts::LeftOut(needed) => Some((probe.name().to_owned(), *needed)),
        };
        probes.iter().zip(&self.parts).filter_map(needs).collect()
    }

    /// The parts of a probe; none where it is left out.
    pub(crate) fn parts(&self, probe: usize) -> &[[usize; 2]] {
        match &self.parts[probe] {
            Parts::Measured(parts) => parts,
            Parts::LeftOut(_) => &[],
        }
    }
}

impl Planned<'_> {
    fn parts(&self, probe: usize, baseline: usize, costs: &Costs, residence: Residence) -> Result<Parts> {
        let asked: Vec<Asked> = self.order[probe].iter().map(|&at| self.asked[probe][at].clone()).collect();
        let path = std::slice::from_ref(&self.paths[baseline]);
        let chunks = match cut(&self.probes[probe], &asked, path, costs, self.budget) {
            Err(ScanError::Memory { needs, .. }) => return Ok(Parts::LeftOut(needs.least)),
            cut => cut?.chunks,
        };
        Ok(Parts::Measured(match residence {
            Residence::Held => in_parts(&chunks, asked.len().div_ceil(PARTS).max(PART)),
            // Each part would read all weights again.
            Residence::Streamed => chunks,
        }))
    }
}

/// Chunks of questions cut into parts of at most so many.
fn in_parts(chunks: &[[usize; 2]], most: usize) -> Vec<[usize; 2]> {
    let parts = |&[start, end]: &[usize; 2]| {
        (start..end).step_by(most).map(move |part| [part, end.min(part + most)]).collect::<Vec<_>>()
    };
    chunks.iter().flat_map(parts).collect()
}

impl crate::Plan {
    /// What the questions of a part cost.
    fn reference_volume(&self, probe: usize, [start, end]: [usize; 2]) -> Volume {
        Volume::of(self.order[probe][start..end].iter().map(|&at| &self.asked[probe][at]))
    }
}

#[cfg(test)]
mod tests {
    use super::in_parts;

    #[test]
    fn parts_stay_within_their_chunks() {
        assert_eq!(in_parts(&[[0, 40], [40, 45]], 16), [[0, 16], [16, 32], [32, 40], [40, 45]]);
        assert_eq!(in_parts(&[[0, 16]], 16), [[0, 16]]);
        assert!(in_parts(&[], 16).is_empty());
    }
}
