//! Calibration: did the scanner find the circuit that was planted?

use neuro_path::Block;

use crate::BlockMap;

/// Layers that the best block must share with the planted one, or all of a planted block that has fewer.
pub const OVERLAP: usize = 3;

/// A phantom's map held against what is planted in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlantedVerdict {
    /// The planted block.
    pub planted: Block,
    /// The best block of the map.
    pub best: Block,
    /// Number of layers that both contain.
    pub overlap: usize,
    /// Whether the best block beats the baseline and shares at least [`OVERLAP`] layers with the planted one, or all of
    /// one that has fewer.
    pub found: bool,
}

/// Compares the best block with the planted one; none while the baseline or every block is unmeasured.
#[must_use]
pub fn planted_verdict(map: &BlockMap, planted: Block) -> Option<PlantedVerdict> {
    let best = map.best()?;
    let delta = best.delta?;
    let overlap = best.block.end.min(planted.end).saturating_sub(best.block.start.max(planted.start));
    let found = delta > 0.0 && overlap >= OVERLAP.min(planted.size());
    Some(PlantedVerdict { planted, best: best.block, overlap, found })
}
