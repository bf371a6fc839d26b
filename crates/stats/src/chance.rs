//! What chance alone makes of a map: labels of baseline and path swapped at random within questions.

use crate::bootstrap::{Resampler, ScoreKind};
use crate::flips::Flips;
use crate::max_t::max_t;
use crate::{BlockMap, Cell};

/// Swapped maps that a map is held against.
pub const SWAPS: usize = 999;

/// A map beside maps in which nothing differs from the baseline, on the same questions and as noisy.
#[derive(Debug, Clone, PartialEq)]
pub struct Chance {
    /// One swapped map: what the picture would look like. In the order of the map's cells, with the same gaps; a swapped
    /// cell has no score, since a score belongs to a path.
    pub cells: Vec<Cell>,
    /// Number of blocks that were compared.
    pub blocks: usize,
    /// Mean delta of the best block of a swapped map.
    pub expected_best: f64,
    /// What the best block of a swapped map exceeds in one of twenty.
    pub rarely_exceeded: f64,
    /// For each of the map's cells its p-value, one-sided and corrected for all blocks by max-T; none where it has no delta.
    pub adjusted: Vec<Option<f64>>,
}

impl Chance {
    /// Swaps the labels of all blocks together; none for fewer than two questions or no block. `differences` are (cell,
    /// question), path − baseline.
    pub(crate) fn new(
        cells: &[Cell],
        differences: &[Option<Vec<f64>>],
        resampler: &Resampler,
        scores: ScoreKind,
        seed: u64,
    ) -> Option<Self> {
        let questions = differences.iter().flatten().map(Vec::len).max().filter(|&questions| questions > 1)?;
        let found = max_t(differences.iter().map(Option::as_deref), SWAPS, seed);
        let flips = Flips::new(questions, 1, seed);
        let swapped = cells.iter().zip(differences).map(|(cell, differences)| {
            let delta = differences.as_ref().and_then(|values| resampler.delta(&flips.swapped(values, 0), scores));
            // The baseline swapped with itself stays where it is.
            let own = cell.delta.filter(|_| cell.block.is_baseline());
            Cell {
                score: None,
                delta: delta.map(|delta| delta.mean).or(own),
                interval: delta.and_then(|delta| delta.interval),
                ..*cell
            }
        });
        Some(Self {
            cells: swapped.collect(),
            blocks: differences.iter().flatten().count(),
            expected_best: found.expected_best()?,
            rarely_exceeded: found.rarely_exceeded()?,
            adjusted: found.adjusted,
        })
    }
}

impl BlockMap {
    /// One map of swapped labels, as a map of its own: what there is to see where there is nothing; none where the map has
    /// no [`Chance`].
    #[must_use]
    pub fn null_map(&self) -> Option<Self> {
        let cells = self.chance.as_ref()?.cells.clone();
        Some(Self {
            cells,
            chance: None,
            baseline: self.baseline,
            probe: self.probe.clone(),
            group: self.group.clone(),
            ..*self
        })
    }

    /// The p-value of a cell, corrected for all blocks of the map; none where it has no delta or the map no [`Chance`].
    #[must_use]
    pub fn corrected_p(&self, cell: &Cell) -> Option<f64> {
        let place = self.cells.iter().position(|other| other.block == cell.block)?;
        self.chance.as_ref()?.adjusted.get(place).copied().flatten()
    }
}
