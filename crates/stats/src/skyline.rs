//! Skylines: what ending or starting a block at a layer does on average.

use neuro_path::Block;

use crate::BlockMap;

/// Mean and spread of the deltas of the blocks that share a border.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Skyline {
    /// Mean delta.
    pub mean: f64,
    /// Standard deviation of these deltas (divisor n: the blocks are all there are, no sample of more).
    pub sd: f64,
    /// Number of measured blocks.
    pub n: usize,
}

/// One entry per layer border 0 … depth, from the deltas of the blocks which `border` places there.
pub(crate) fn skyline(map: &BlockMap, border: impl Fn(Block) -> usize) -> Vec<Option<Skyline>> {
    let mut deltas: Vec<Vec<f64>> = vec![Vec::new(); map.depth + 1];
    for cell in map.cells.iter().filter(|cell| !cell.block.is_baseline()) {
        if let (Some(delta), Some(entry)) = (cell.delta, deltas.get_mut(border(cell.block))) {
            entry.push(delta);
        }
    }
    deltas.iter().map(|deltas| summary(deltas)).collect()
}

fn summary(deltas: &[f64]) -> Option<Skyline> {
    if deltas.is_empty() {
        return None;
    }
    let n = deltas.len();
    let mean = deltas.iter().sum::<f64>() / n as f64;
    let variance = deltas.iter().map(|delta| (delta - mean).powi(2)).sum::<f64>() / n as f64;
    Some(Skyline { mean, sd: variance.sqrt(), n })
}
