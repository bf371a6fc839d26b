//! All probes of a run in one map.

use std::collections::BTreeMap;

use neuro_path::{Block, triangle};
use neuro_record::RunData;

use crate::bootstrap::{Resampler, ScoreKind};
use crate::chance::Chance;
use crate::gather::{Measured, gather};
use crate::map::{DEEPEST, RESAMPLES};
use crate::{BlockMap, Cell, StatsError};

/// The map of mean scores and mean deltas over all probes of a run, each probe weighing the same; its probe is called
/// `mean of …`. None for a run of one probe, and of a screening, whose paths did not see the same questions.
///
/// Intervals resample the questions of all probes together, each with the weight of its probe. Scorings of one probe
/// (`math`, `math:likelihood`) ask the same questions, so these answers are resampled as one.
///
/// # Errors
/// As [`BlockMap::from_run`].
pub fn combined_map(data: &RunData) -> Result<Option<BlockMap>, StatsError> {
    let names: Vec<&str> = data.info.probes.iter().map(|probe| probe.name.as_str()).collect();
    let depth = data.info.model.layers;
    if names.len() < 2 || depth > DEEPEST || data.rows.iter().any(|row| row.screened.is_some()) {
        return Ok(None);
    }
    let mut sets: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
    for name in &names {
        let base = name.split_once(':').map_or(*name, |(base, _)| base);
        sets.entry(base).or_default().push(gather(data, name, None)?);
    }
    // Scorings of a probe have answered the same questions, or are not comparable yet.
    let same = |set: &Vec<Measured>| set.iter().all(|measured| measured.n == set[0].n && measured.n > 0);
    if !sets.values().all(same) {
        return Ok(None);
    }
    let sets: Vec<Vec<Measured>> = sets.into_values().collect();
    let total: usize = sets.iter().map(|set| set[0].n).sum();
    let probes = names.len() as f64;
    let mean_score = |block: Block| -> Option<f64> {
        let scores = sets.iter().flatten().map(|measured| Some(measured.blocks.get(&block)?.score));
        Some(scores.sum::<Option<f64>>()? / probes)
    };
    let differences: Vec<Option<Vec<f64>>> = triangle(depth)
        .map(|block| if block.is_baseline() { None } else { weighted(&sets, block, total, probes) })
        .collect();
    let resampler = Resampler::new(total, RESAMPLES, data.info.seed);
    let baseline = mean_score(Block::BASELINE);
    let cells: Vec<Cell> = triangle(depth)
        .zip(&differences)
        .map(|(block, differences)| {
            let score = mean_score(block);
            let interval =
                differences.as_ref().and_then(|differences| resampler.delta(differences, ScoreKind::Graded)?.interval);
            Cell {
                block,
                score,
                delta: score.zip(baseline).map(|(score, baseline)| score - baseline),
                interval,
                screened: None,
            }
        })
        .collect();
    let chance = Chance::new(&cells, &differences, &resampler, ScoreKind::Graded, data.info.seed);
    Ok(Some(BlockMap {
        depth,
        probe: format!("mean of {}", names.join(", ")),
        group: None,
        baseline,
        n: total,
        cells,
        chance,
    }))
}

/// A block's differences on the questions of all probes, weighted so that their plain mean is the mean of the probes'
/// deltas; none where a probe lacks the block or the baseline.
fn weighted(sets: &[Vec<Measured>], block: Block, total: usize, probes: f64) -> Option<Vec<f64>> {
    let mut differences = Vec::with_capacity(total);
    for set in sets {
        let n = set[0].n;
        let mut own = vec![0.0; n];
        for measured in set {
            let (path, baseline) = (measured.blocks.get(&block)?, measured.blocks.get(&Block::BASELINE)?);
            for ((sum, path), baseline) in own.iter_mut().zip(&path.scores).zip(&baseline.scores) {
                *sum += path - baseline;
            }
        }
        let weight = total as f64 / (probes * n as f64);
        differences.extend(own.into_iter().map(|difference| difference * weight));
    }
    Some(differences)
}
