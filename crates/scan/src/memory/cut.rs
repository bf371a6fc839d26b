//! Which questions and which paths are run together: as many as the memory budget holds.

use std::ops::Range;

use neuro_path::LayerPath;
use neuro_probe::{Probe, Scoring};

use super::{Costs, SLACK};
use crate::prompt::Asked;
use crate::work::Volume;
use crate::{Result, ScanError};

/// Rows that keep a device busy: a group of paths grows until it has as many in each step of decoding, or reads as many
/// logits. More would only lose more when a scan is killed.
const BUSY_ROWS: u64 = 512;

/// How a probe is cut: questions into chunks, and for each chunk paths into groups, as half-open ranges `[start, end)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) chunks: Vec<[usize; 2]>,
    pub(crate) groups: Vec<[usize; 2]>,
}

/// Cuts a probe so that every group of paths over every chunk of questions fits into the budget. The baseline stays
/// alone, so that what other paths are compared with, and drafted from, is there first.
pub(crate) fn cut(probe: &Probe, asked: &[Asked], paths: &[LayerPath], costs: &Costs, budget: u64) -> Result<Cut> {
    let scoring = probe.scoring();
    let greediest = paths.iter().max_by_key(|path| {
        (costs.of(path, Volume { read: 1, new: 1, asked: 1, longest: 1, texts: 1, branches: 0 }, scoring), path.len())
    });
    let Some(greediest) = greediest else { return Ok(Cut { chunks: Vec::new(), groups: Vec::new() }) };
    let reserve = costs.reserve(budget);
    let room = budget - reserve;
    let needed =
        |range: Range<usize>| costs.needed(std::slice::from_ref(greediest), Volume::of(&asked[range]), scoring);
    let mut chunks: Vec<[usize; 2]> = Vec::new();
    let mut start = 0;
    while start < asked.len() {
        let alone = needed(start..start + 1);
        if alone > room {
            let (probe, question) = (probe.name().to_owned(), probe.questions()[start].id.clone());
            return Err(ScanError::Memory { probe, question, needed: alone.saturating_add(reserve), budget });
        }
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

impl Costs {
    /// Whether a group of paths over some questions fits into a budget.
    pub(crate) fn fit(&self, paths: &[LayerPath], volume: Volume, scoring: Scoring, budget: u64) -> bool {
        self.needed(paths, volume, scoring) <= budget - self.reserve(budget)
    }

    /// What of a budget goes to what the process holds already. Never more than half: who gives so little wants it tried.
    fn reserve(&self, budget: u64) -> u64 {
        self.base.saturating_add(SLACK).min(budget / 2)
    }
}
