//! From rows and samples to one vector of scores per block, in the same order of questions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use neuro_path::Block;
use neuro_record::{Row, RunData, Sample};

use crate::StatsError;

/// How far a row's score may lie from the mean of its samples: sums in another order, no more.
const ROUNDING: f64 = 1e-9;

/// The measured blocks of one probe and group.
pub(crate) struct Measured {
    /// Questions of a block that saw all of them.
    pub(crate) n: usize,
    pub(crate) blocks: HashMap<Block, Scores>,
    /// Blocks that dropped out of a screening before they saw a question of the group.
    pub(crate) unseen: HashSet<Block>,
}

/// What one block scored.
pub(crate) struct Scores {
    /// Mean, from the row where it holds one.
    pub(crate) score: f64,
    /// Per question, in order of question identifiers.
    pub(crate) scores: Vec<f64>,
    /// Where it dropped out of a screening: which of the probe's questions, in the same order, it saw.
    pub(crate) seen: Option<Vec<usize>>,
}

/// Collects the finished blocks of a probe, checking every row against its samples and against the other rows.
pub(crate) fn gather(data: &RunData, probe: &str, group: Option<&str>) -> Result<Measured, StatsError> {
    let known = groups(data, probe)?;
    if let Some(group) = group {
        // A run in which nothing is measured yet has no groups to compare with.
        if !known.iter().any(|name| name == group) && data.samples_of(probe).next().is_some() {
            return Err(StatsError::UnknownGroup { probe: probe.to_owned(), found: group.to_owned(), known });
        }
    }
    let mut samples: HashMap<&str, Vec<&Sample>> = HashMap::new();
    for sample in data.samples_of(probe) {
        samples.entry(&sample.path).or_default().push(sample);
    }
    let mut questions: Option<Vec<&str>> = None;
    let mut dropped: Vec<(Block, Vec<&str>)> = Vec::new();
    let (mut blocks, mut unseen) = (HashMap::new(), HashSet::new());
    let mut imported = 0;
    for row in data.rows_of(probe) {
        let Some([start, end]) = row.block else {
            continue;
        };
        let mut own = samples.remove(row.path.as_str()).unwrap_or_default();
        let inconsistent =
            |reason: String| StatsError::Inconsistent { path: row.path.clone(), probe: probe.to_owned(), reason };
        // Another program's rows are all there is of it.
        if data.info.is_imported() && own.is_empty() {
            let block =
                Block::new(start, end, data.info.model.layers).map_err(|error| inconsistent(error.to_string()))?;
            imported = imported.max(row.n);
            if blocks.insert(block, Scores { score: row.score, scores: Vec::new(), seen: None }).is_some() {
                return Err(inconsistent("the block has a second row, expected one".to_owned()));
            }
            continue;
        }
        check_against_samples(row, &own).map_err(inconsistent)?;
        own.sort_unstable_by(|a, b| a.question.cmp(&b.question));
        own.retain(|sample| group.is_none_or(|group| sample.group == group));
        let asked = own.iter().map(|sample| sample.question.as_str());
        let block = Block::new(start, end, data.info.model.layers).map_err(|error| inconsistent(error.to_string()))?;
        if row.screened.is_some() && data.info.screen.is_some() {
            dropped.push((block, asked.collect()));
        } else {
            let expected = questions.get_or_insert_with(|| asked.clone().collect());
            if !asked.eq(expected.iter().copied()) {
                return Err(inconsistent(
                    "it answers other questions than the rows before it, expected the same ones".to_owned(),
                ));
            }
        }
        let Some(score) = score_of(row, &own, group).map_err(inconsistent)? else {
            if row.screened.is_some() {
                unseen.insert(block);
            }
            continue;
        };
        let scores = own.iter().map(|sample| sample.score).collect();
        if blocks.insert(block, Scores { score, scores, seen: None }).is_some() {
            return Err(inconsistent("the block has a second row, expected one".to_owned()));
        }
    }
    // While a screening runs nobody has seen everything: its questions are then those that somebody saw.
    let questions = questions.unwrap_or_else(|| {
        let all: BTreeSet<&str> = dropped.iter().flat_map(|(_, asked)| asked.iter().copied()).collect();
        all.into_iter().collect()
    });
    for (block, asked) in dropped {
        let Some(scores) = blocks.get_mut(&block) else { continue };
        let places = asked.iter().map(|question| questions.binary_search(question));
        let places = places.collect::<Result<_, _>>().map_err(|_| StatsError::Inconsistent {
            path: block.to_string(),
            probe: probe.to_owned(),
            reason: "it answers questions that the rows which saw all of them do not answer".to_owned(),
        })?;
        scores.seen = Some(places);
    }
    Ok(Measured { n: questions.len().max(imported), blocks, unseen })
}

/// The groups of a probe's samples in order of name, without the empty one.
pub(crate) fn groups(data: &RunData, probe: &str) -> Result<Vec<String>, StatsError> {
    if data.info.probe(probe).is_none() {
        let known = data.info.probes.iter().map(|probe| probe.name.clone()).collect();
        return Err(StatsError::UnknownProbe { found: probe.to_owned(), known });
    }
    let names: BTreeSet<&str> = data.samples_of(probe).map(|sample| sample.group.as_str()).collect();
    Ok(names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// A row's numbers must be those of its samples.
fn check_against_samples(row: &Row, samples: &[&Sample]) -> Result<(), String> {
    if samples.len() != row.n {
        return Err(format!("it counts {} questions, but has {} samples", row.n, samples.len()));
    }
    let mean = mean(samples).unwrap_or(f64::NAN);
    // A NaN on either side is no agreement.
    let agrees = (mean - row.score).abs() <= ROUNDING;
    if !agrees {
        return Err(format!("its score is {}, but its samples have the mean {mean}", row.score));
    }
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    samples.iter().for_each(|sample| *sizes.entry(&sample.group).or_insert(0) += 1);
    for (name, group) in &row.groups {
        let found = sizes.get(name.as_str()).copied().unwrap_or(0);
        if found != group.n {
            return Err(format!("its group `{name}` counts {} questions, but has {found} samples", group.n));
        }
    }
    Ok(())
}

/// The score that the row states for the group, or the samples' mean where it states none.
fn score_of(row: &Row, samples: &[&Sample], group: Option<&str>) -> Result<Option<f64>, String> {
    let Some(name) = group else {
        return Ok(Some(row.score));
    };
    let mean = mean(samples);
    match (row.groups.get(name), mean) {
        (Some(stated), Some(mean)) if (stated.score - mean).abs() <= ROUNDING => Ok(Some(stated.score)),
        (Some(stated), Some(mean)) => {
            Err(format!("the score of its group `{name}` is {}, but its samples have the mean {mean}", stated.score))
        }
        (_, mean) => Ok(mean),
    }
}

fn mean(samples: &[&Sample]) -> Option<f64> {
    let total: f64 = samples.iter().map(|sample| sample.score).sum();
    (!samples.is_empty()).then(|| total / samples.len() as f64)
}
