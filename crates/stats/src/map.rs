//! The triangle of blocks of one probe.

use neuro_path::{Block, triangle};
use neuro_record::RunData;

use crate::StatsError;
use crate::bootstrap::{Interval, Resampler, ScoreKind};
use crate::chance::Chance;
use crate::gather::{Scores, gather};
use crate::skyline::{Skyline, skyline};

/// Bootstrap resamples of every cell's interval.
pub const RESAMPLES: usize = 1_000;
/// Deepest model with a map: 32,896 blocks, whose paths take about 0.3 GB. Released models have up to 126 layers.
pub const DEEPEST: usize = 256;

/// Every block `(i, j)` of a model on one probe, or on one group of its questions.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockMap {
    /// The model's number of layers.
    pub depth: usize,
    /// The probe's name with scoring.
    pub probe: String,
    /// The group of questions; none for all of them.
    pub group: Option<String>,
    /// The baseline's score; none while it is not measured.
    pub baseline: Option<f64>,
    /// Questions of a cell whose path saw all of them.
    pub n: usize,
    /// The baseline, then the blocks in the order of [`triangle`].
    pub cells: Vec<Cell>,
    /// What chance alone makes of the same questions; none after a screening, which chose its finalists on them, and for
    /// fewer than two questions.
    pub chance: Option<Chance>,
}

/// One block of a map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The block; [`Block::BASELINE`] for the first cell.
    pub block: Block,
    /// Mean score in [0, 1]; none where not measured.
    pub score: Option<f64>,
    /// Score − the baseline's, on the same questions; none where either is not measured.
    pub delta: Option<f64>,
    /// Interval of the delta; none where there is no delta, for the baseline, for fewer than two questions, where
    /// fewer than two questions carry a graded delta, and for a path that dropped out of a screening: it did so because it
    /// looked bad, which no bootstrap knows.
    pub interval: Option<Interval>,
    /// Questions that its path saw before it dropped out of a screening; none for a path that saw all of them. Such a
    /// cell is drawn, where it saw any of the group, and never ranked.
    pub screened: Option<usize>,
}

/// The blocks of a map that dropped out of a screening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// How many they are.
    pub blocks: usize,
    /// Fewest questions that one of them saw.
    pub fewest: usize,
    /// Most questions that one of them saw.
    pub most: usize,
}

impl BlockMap {
    /// The map of a run on one probe, restricted to one group of questions if given. Scores are the rows'; the samples
    /// give a group's score and the intervals. Paths that are no block have no place here.
    ///
    /// # Errors
    /// The probe or group is not in the run, or a row contradicts its samples.
    pub fn from_run(data: &RunData, probe: &str, group: Option<&str>) -> Result<Self, StatsError> {
        let depth = data.info.model.layers;
        if depth > DEEPEST {
            return Err(StatsError::TooDeep { found: depth, limit: DEEPEST });
        }
        let measured = gather(data, probe, group)?;
        let baseline = measured.blocks.get(&Block::BASELINE);
        let differences: Vec<Option<Vec<f64>>> = triangle(depth)
            .map(|block| {
                // The baseline's own delta is 0 by definition, not by measurement. The baseline itself never drops out.
                let found = measured.blocks.get(&block).filter(|found| !block.is_baseline() && found.seen.is_none())?;
                let baseline = baseline.filter(|baseline| baseline.seen.is_none())?;
                Some(found.scores.iter().zip(&baseline.scores).map(|(path, base)| path - base).collect())
            })
            .collect();
        let kind = ScoreKind::of(measured.blocks.values().flat_map(|found| &found.scores));
        let resampler = Resampler::new(measured.n, RESAMPLES, data.info.seed);
        let cells = triangle(depth).zip(&differences).map(|(block, differences)| {
            let found = measured.blocks.get(&block);
            let pair = found.zip(baseline.filter(|baseline| baseline.seen.is_none()));
            let screened = found.and_then(|found| found.seen.as_ref());
            // The baseline on the questions of a path that dropped out.
            let baseline_score = |(found, baseline): (&Scores, &Scores)| match &found.seen {
                None => baseline.score,
                Some(seen) => seen.iter().map(|&place| baseline.scores[place]).sum::<f64>() / seen.len() as f64,
            };
            Cell {
                block,
                score: found.map(|found| found.score),
                delta: pair.map(|(found, baseline)| found.score - baseline_score((found, baseline))),
                interval: differences.as_ref().and_then(|differences| resampler.delta(differences, kind)?.interval),
                screened: screened.map(Vec::len).or_else(|| measured.unseen.contains(&block).then_some(0)),
            }
        });
        let cells: Vec<Cell> = cells.collect();
        let screened = cells.iter().any(|cell| cell.screened.is_some());
        let chance = if screened { None } else { Chance::new(&cells, &differences, &resampler, kind, data.info.seed) };
        Ok(Self {
            depth,
            probe: probe.to_owned(),
            group: group.map(str::to_owned),
            baseline: baseline.map(|baseline| baseline.score),
            n: measured.n,
            cells,
            chance,
        })
    }

    /// The groups of a probe's questions, in order of name; empty when its questions have none.
    ///
    /// # Errors
    /// The probe is not in the run.
    pub fn groups(data: &RunData, probe: &str) -> Result<Vec<String>, StatsError> {
        crate::gather::groups(data, probe)
    }

    /// The cell of block `(i, j)`, or of the baseline for `(0, 0)`; none when that is no block of this model.
    #[must_use]
    pub fn cell(&self, start: usize, end: usize) -> Option<&Cell> {
        if (start, end) == (0, 0) {
            return self.cells.first();
        }
        if start >= end || end > self.depth {
            return None;
        }
        // Starts before this one own depth, depth − 1, … blocks each; the baseline stands in front of them all.
        let before = start * self.depth - start * start.saturating_sub(1) / 2;
        self.cells.get(1 + before + end - start - 1)
    }

    /// The measured block with the highest score, whether or not it beats the baseline; none that dropped out of a
    /// screening.
    #[must_use]
    pub fn best(&self) -> Option<&Cell> {
        self.cells.iter().filter(|cell| is_candidate(cell)).min_by(|a, b| rank(a, b))
    }

    /// The `top` measured blocks without the baseline and without those that dropped out of a screening: highest score first, of equal ones the smaller overhead, then
    /// the smaller start.
    #[must_use]
    pub fn ranked(&self, top: usize) -> Vec<&Cell> {
        let mut cells: Vec<&Cell> = self.cells.iter().filter(|cell| is_candidate(cell)).collect();
        cells.sort_by(|a, b| rank(a, b));
        cells.truncate(top);
        cells
    }

    /// Who dropped out of a screening; none where nobody did.
    #[must_use]
    pub fn dropped(&self) -> Option<Dropped> {
        let seen = || self.cells.iter().filter_map(|cell| cell.screened);
        let (fewest, most) = (seen().min()?, seen().max()?);
        Some(Dropped { blocks: seen().count(), fewest, most })
    }

    /// E(j): mean delta of the measured blocks that end at j, for j = 0 … depth. The index is j; none where nothing
    /// is measured, so always for j = 0.
    #[must_use]
    pub fn end_skyline(&self) -> Vec<Option<Skyline>> {
        skyline(self, |block| block.end)
    }

    /// S(i): mean delta of the measured blocks that start at i, for i = 0 … depth. The index is i; none where nothing
    /// is measured, so always for i = depth.
    #[must_use]
    pub fn start_skyline(&self) -> Vec<Option<Skyline>> {
        skyline(self, |block| block.start)
    }
}

fn is_candidate(cell: &Cell) -> bool {
    cell.score.is_some() && cell.screened.is_none() && !cell.block.is_baseline()
}

/// Order of a ranking, best first. A block's overhead grows with its size alone.
fn rank(a: &Cell, b: &Cell) -> std::cmp::Ordering {
    let score = |cell: &Cell| cell.score.unwrap_or(f64::NEG_INFINITY);
    let by_score = score(b).total_cmp(&score(a));
    by_score.then(a.block.size().cmp(&b.block.size())).then(a.block.start.cmp(&b.block.start))
}
