//! Which questions and which paths are run together: as many as the memory budget holds.

use std::ops::Range;

use neuro_path::LayerPath;
use neuro_probe::{Probe, Scoring};

use super::Costs;
use crate::prompt::Asked;
use crate::work::{Volume, own_visits};
use crate::{MemoryNeeds, Result, ScanError};

/// Rows that keep a device busy: a group of paths grows until it has as many in each step of decoding, or reads as many
/// logits. More would only lose more when a scan is killed.
const BUSY_ROWS: u64 = 512;

/// What the allocator keeps beside what is in use: this part of the budget, and no more than so many bytes.
const SLACK_PART: u64 = 8;
const SLACK: u64 = 32 << 20;

/// How a probe is cut: questions into chunks, and for each chunk paths into groups, as half-open ranges `[start, end)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) chunks: Vec<[usize; 2]>,
    pub(crate) groups: Vec<[usize; 2]>,
}

/// Cuts a probe so that every group of paths over every chunk of questions fits into the budget. The baseline stays
/// alone, so that what other paths are compared with, and drafted from, is there first.
///
/// # Errors
/// [`ScanError::Memory`] with the smallest budget in which every question has room, alone and with each path.
pub(crate) fn cut(probe: &Probe, asked: &[Asked], paths: &[LayerPath], costs: &Costs, budget: u64) -> Result<Cut> {
    let scoring = probe.scoring();
    let greediest = greediest(paths);
    if greediest.is_empty() {
        return Ok(Cut { chunks: Vec::new(), groups: Vec::new() });
    }
    let room = costs.room(budget);
    let needed = |range: Range<usize>| {
        let volume = Volume::of(&asked[range]);
        greediest.iter().map(|path| costs.needed(std::slice::from_ref(*path), volume, scoring)).max().unwrap_or(0)
    };
    let most = (0..asked.len()).map(|question| (needed(question..question + 1), question));
    // The first of those that need most.
    if let Some((running, question)) = most.rev().max().filter(|(running, _)| *running > room) {
        return Err(ScanError::Memory {
            probe: probe.name().to_owned(),
            question: probe.questions()[question].id.clone(),
            needs: costs.needs(running, budget),
        });
    }
    let mut chunks: Vec<[usize; 2]> = Vec::new();
    let mut start = 0;
    while start < asked.len() {
        // The largest end that fits: what is needed only grows with the questions.
        let mut end = asked.len();
        if needed(start..end) > room {
            let (mut fits, mut exceeds) = (start + 1, end);
            while fits + 1 < exceeds {
                let middle = fits + (exceeds - fits) / 2;
                if needed(start..middle) > room { exceeds = middle } else { fits = middle }
            }
            end = fits;
        }
        chunks.push([start, end]);
        start = end;
    }
    // One list of groups serves every chunk: the one that needs most decides.
    let volumes: Vec<Volume> = chunks.iter().map(|&[start, end]| Volume::of(&asked[start..end])).collect();
    let rows = |volume: &Volume| if volume.new > 0 { 0 } else { volume.asked };
    let questions = chunks.iter().map(|[start, end]| (end - start) as u64);
    let busy =
        volumes.iter().zip(questions).map(|(volume, questions)| rows(volume).max(questions)).min().unwrap_or(1).max(1);
    let most = if costs.is_streamed() { usize::MAX } else { BUSY_ROWS.div_ceil(busy) as usize };
    let mut groups: Vec<[usize; 2]> = Vec::new();
    let mut open = false;
    for (index, path) in paths.iter().enumerate() {
        if let Some(group) = groups.last_mut().filter(|_| open)
            && group[1] - group[0] < most
            && volumes.iter().all(|&volume| costs.needed(&paths[group[0]..=index], volume, scoring) <= room)
        {
            group[1] = index + 1;
            continue;
        }
        groups.push([index, index + 1]);
        open = !path.is_baseline();
    }
    Ok(Cut { chunks, groups })
}

/// The paths one of which needs most, whatever is asked: no other has more visits, of its own and in all.
pub(super) fn greediest(paths: &[LayerPath]) -> Vec<&LayerPath> {
    let mut sorted: Vec<_> = paths.iter().map(|path| ([own_visits(path), path.len()], path)).collect();
    sorted.sort_by_key(|&(visits, _)| std::cmp::Reverse(visits));
    let mut most = 0;
    sorted.retain(|([_, visits], _)| {
        let goes_on = *visits > most;
        most = most.max(*visits);
        goes_on
    });
    sorted.into_iter().map(|(_, path)| path).collect()
}

impl Costs {
    /// Whether a group of paths over some questions fits into a budget.
    pub(crate) fn fit(&self, paths: &[LayerPath], volume: Volume, scoring: Scoring, budget: u64) -> bool {
        self.needed(paths, volume, scoring) <= self.room(budget)
    }

    /// What of a budget is left beside what is held whatever runs and what the allocator keeps.
    pub(super) fn room(&self, budget: u64) -> u64 {
        budget.saturating_sub(self.held).saturating_sub(SLACK.min(budget / SLACK_PART))
    }

    /// The smallest budget with room for so many bytes.
    pub(crate) fn least_budget(&self, running: u64) -> u64 {
        let used = running.saturating_add(self.held);
        used.saturating_add(SLACK.min(used.saturating_sub(1) / (SLACK_PART - 1)))
    }

    fn needs(&self, running: u64, budget: u64) -> MemoryNeeds {
        let (weights, is_f32) = (self.of_weights(), self.is_f32);
        MemoryNeeds { least: self.least_budget(running), running, weights, is_f32, budget }
    }
}
