//! What is measured at once and recorded together: a group of paths over a chunk of questions.

use std::ops::Range;

use neuro_path::LayerPath;

use crate::recorder::Recorder;
use crate::work::{Volume, unit_work};
use crate::{Plan, Result, ScanError};

/// A group of paths over a chunk of questions: paths as indices of the plan, questions as places in its order. A portion is always run whole, because
/// floating-point order follows from what is run together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Portion {
    pub(crate) questions: Range<usize>,
    pub(crate) paths: Vec<usize>,
    /// What the questions cost.
    pub(crate) volume: Volume,
}

impl Portion {
    /// What its paths count, of all that are planned.
    pub(crate) fn work(&self, paths: &[LayerPath]) -> u64 {
        self.paths.iter().map(|&path| unit_work(&paths[path], self.volume)).sum()
    }
}

/// The plan by which questions and paths are cut: the run's own, so that a resumed run cuts alike. Less memory than the run began
/// with is honoured where it is asked for: grouping changes nothing but floating-point order.
pub(crate) fn followed<'a>(plan: &'a Plan, recorder: &'a Recorder) -> &'a neuro_record::Plan {
    let (stored, own) = (&recorder.info().plan, &plan.info.plan);
    if plan.memory_is_asked && own.memory_bytes < stored.memory_bytes { own } else { stored }
}

/// The portions of each probe by the run's own plan, which may be an older one than this process would make. Nothing is
/// screened, so its questions are asked in their own order.
pub(crate) fn stored_portions(plan: &Plan, recorder: &Recorder) -> Result<Vec<Vec<Portion>>> {
    let stored = followed(plan, recorder);
    let mut all = Vec::with_capacity(plan.probes.len());
    for (index, probe) in plan.probes.iter().enumerate() {
        let refuse = |what, expected| ScanError::StoredPlan { what, probe: probe.name().to_owned(), expected };
        let questions = probe.questions().len();
        let chunks = stored.chunks.get(index).filter(|chunks| joins(chunks, questions));
        let chunks = chunks.ok_or_else(|| refuse("chunks of questions", questions))?;
        let alone: Vec<[usize; 2]>;
        let groups = match stored.groups.get(index) {
            Some(groups) if joins(groups, plan.paths.len()) => groups,
            Some(_) => return Err(refuse("groups of paths", plan.paths.len())),
            None => {
                alone = (0..plan.paths.len()).map(|path| [path, path + 1]).collect();
                &alone
            }
        };
        let portions = chunks.iter().flat_map(|&[first, end]| {
            let volume = Volume::of(&plan.asked[index][first..end]);
            let portion = move |&[path, path_end]: &[usize; 2]| Portion {
                questions: first..end,
                paths: (path..path_end).collect(),
                volume,
            };
            groups.iter().map(portion)
        });
        all.push(portions.collect());
    }
    Ok(all)
}

/// Whether half-open ranges cover everything once and in order.
fn joins(ranges: &[[usize; 2]], expected: usize) -> bool {
    let mut end = 0;
    let joined = ranges.iter().all(|&[start, next]| {
        let fits = start == end && next > start;
        end = next;
        fits
    });
    joined && end == expected
}

#[cfg(test)]
mod tests {
    use super::joins;

    #[test]
    fn ranges_cover_everything_once() {
        assert!(joins(&[[0, 2], [2, 3]], 3) && joins(&[], 0));
        for wrong in
            [&[[0, 2]][..], &[[0, 2], [1, 3]], &[[0, 2], [2, 2], [2, 3]], &[[1, 3]], &[[0, 1], [2, 3]], &[[0, 4]]]
        {
            assert!(!joins(wrong, 3), "{wrong:?}");
        }
    }
}
