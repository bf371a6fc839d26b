//! What the baseline in f32 comes to, for a plan's summary.

use std::fmt;

use serde::Serialize;

use super::Parts;
use crate::Plan;
use crate::error::size;
use crate::work::decoding_work;

/// The baseline once more in f32, which says what quantised weights do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReferenceSummary {
    /// Layer-tokens of all prompts and scored keys.
    pub layer_tokens: u64,
    /// Layer-tokens of decoding if every answer runs to its limit.
    pub decoded_layer_tokens_at_most: u64,
    /// Bytes of the weights in f32.
    pub weights_bytes: u64,
    /// Whether they are read from disk layer by layer, because they do not fit into the memory.
    pub streamed: bool,
    /// Walks over the layers, each of which reads all weights, if every answer runs to its limit.
    pub sweeps_at_most: u64,
    /// Probes on which it is not measured.
    pub left_out: Vec<ReferenceLeftOut>,
}

/// A probe on which the baseline in f32 finds no room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReferenceLeftOut {
    /// Its name with scoring.
    pub probe: String,
    /// Bytes that it needs.
    pub needed_bytes: u64,
    /// Bytes that it may use.
    pub memory_bytes: u64,
}

impl Plan {
    /// What the baseline in f32 comes to, and the most bytes that a part of it needs; none where it is not planned.
    pub(crate) fn reference_summary(&self) -> Option<(ReferenceSummary, u64)> {
        let reference = self.reference.as_ref()?;
        let path = &self.paths[reference.baseline];
        let mut summary = ReferenceSummary {
            layer_tokens: 0,
            decoded_layer_tokens_at_most: 0,
            weights_bytes: reference.weights.held,
            streamed: reference.residence == crate::Residence::Streamed,
            sweeps_at_most: 0,
            left_out: Vec::new(),
        };
        let mut most = 0;
        for (index, probe) in self.probes.iter().enumerate() {
            if let Parts::LeftOut(needed_bytes) = reference.parts[index] {
                let (probe, memory_bytes) = (probe.name().to_owned(), self.info.plan.memory_bytes);
                summary.left_out.push(ReferenceLeftOut { probe, needed_bytes, memory_bytes });
            }
            for &[start, end] in reference.parts(index) {
                let volume = self.reference_volume(index, [start, end]);
                summary.layer_tokens += path.len() as u64 * volume.read;
                summary.decoded_layer_tokens_at_most += decoding_work(path, volume);
                let longest = self.order[index][start..end].iter().map(|&at| self.asked[index][at].limit).max();
                summary.sweeps_at_most += 1 + longest.unwrap_or(0) as u64;
                most = most.max(reference.costs.needed(std::slice::from_ref(path), volume, probe.scoring()));
            }
        }
        Some((summary, most))
    }
}

impl fmt::Display for ReferenceSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weights = size(self.weights_bytes);
        if self.sweeps_at_most > 0 {
            write!(f, "reference     the baseline once more in f32: {} layer-tokens", self.layer_tokens)?;
            if self.decoded_layer_tokens_at_most > 0 {
                write!(f, ", and at most {} for decoding", self.decoded_layer_tokens_at_most)?;
            }
            writeln!(f)?;
            if self.streamed {
                let walks = if self.sweeps_at_most == 1 { "walk" } else { "walks" };
                writeln!(
                    f,
                    "              {weights} of weights from disk in each of at most {} {walks}",
                    self.sweeps_at_most
                )?;
            } else {
                writeln!(f, "              {weights} of weights in memory, once the run's own are let go")?;
            }
        }
        for ReferenceLeftOut { probe, needed_bytes, memory_bytes } in &self.left_out {
            let (needed, budget) = (size(*needed_bytes), size(*memory_bytes));
            writeln!(
                f,
                "reference     not measured on {probe}: the baseline in f32 needs {needed}, the memory budget is {budget}"
            )?;
        }
        Ok(())
    }
}
