//! Which strands must run which tokens in a sweep, and what each row sees.

use std::collections::BTreeMap;

use neuro_model::Segment;

use super::{Demand, Forest};
use crate::{EngineError, Result};

/// What a strand runs in one sweep.
#[derive(Default)]
pub(super) struct Job {
    /// Whether the prompts are run.
    pub(super) prompts: bool,
    /// Tokens behind them.
    pub(super) tokens: Vec<u32>,
    /// All of it, in row order.
    pub(super) nodes: Vec<u32>,
    /// What comes out at the end, in row order.
    pub(super) asked: Vec<u32>,
    pub(super) segments: Vec<Segment>,
    /// The strand before it, where that has work in this sweep too.
    pub(super) parent: Option<usize>,
    /// The strands that go on from here.
    pub(super) children: Vec<usize>,
    /// The demands whose path ends here.
    pub(super) ends: Vec<usize>,
}

impl Forest {
    /// What each strand must run, parents' work included.
    pub(super) fn jobs(&mut self, demands: &[Demand]) -> Result<BTreeMap<usize, Job>> {
        let mut jobs: BTreeMap<usize, Job> = BTreeMap::new();
        for (index, demand) in demands.iter().enumerate() {
            let mut at = Some(demand.end);
            let mut child = None;
            while let Some(strand) = at {
                let prompts = !self.strands[strand].prefilled;
                if !prompts && demand.tokens.is_empty() {
                    break;
                }
                let job = jobs.entry(strand).or_default();
                job.prompts = prompts;
                job.tokens.extend(&demand.tokens);
                match child {
                    None => job.ends.push(index),
                    Some(child) if !job.children.contains(&child) => job.children.push(child),
                    Some(_) => {}
                }
                child = Some(strand);
                at = self.strands[strand].parent;
            }
        }
        let strands: Vec<usize> = jobs.keys().copied().collect();
        for strand in strands {
            let parent = self.strands[strand].parent.filter(|parent| jobs.contains_key(parent));
            if let Some(job) = jobs.get_mut(&strand) {
                job.parent = parent;
                job.tokens.sort_unstable();
                job.tokens.dedup();
                self.pack(strand, job, demands)?;
            }
        }
        Ok(jobs)
    }

    /// Settles the rows of a job and what each of them sees.
    fn pack(&mut self, strand: usize, job: &mut Job, demands: &[Demand]) -> Result<()> {
        let (prompts, trunk, (tile, _)) = (self.prompts, self.trunk, self.tile());
        let state = &mut self.strands[strand];
        let mut nodes: Vec<u32> = if job.prompts { (0..prompts as u32).collect() } else { Vec::new() };
        nodes.extend(&job.tokens);
        if job.prompts {
            state.prefilled = true;
        }
        let base = state.len;
        state.len += nodes.len();
        let behind = nodes.iter().enumerate().filter(|(_, node)| **node as usize >= prompts);
        state.rows.extend(behind.map(|(index, &node)| (node, base + index)));
        // Only an end that nothing follows may leave rows behind; the trunk is kept whole.
        let is_end = job.children.is_empty() && (strand >= trunk || !job.prompts);
        let mut asked: Vec<u32> = Vec::new();
        if is_end {
            asked = job.ends.iter().flat_map(|&end| &demands[end].asked).copied().collect();
            asked.sort_unstable();
            asked.dedup();
        }
        for run in self.tokens.runs(&nodes) {
            let past = self.tokens.past(run[0], |node| state.row(node, prompts));
            let past = past.ok_or(EngineError::MissingState)?;
            let is_asked = |node: &u32| !is_end || asked.binary_search(node).is_ok();
            let first_asked = run.iter().position(is_asked).unwrap_or(run.len());
            job.asked.extend(&run[first_asked..]);
            let row = match (run[0] as usize) < prompts {
                true => run[0] as usize,
                false => state.rows.get(&run[0]).copied().ok_or(EngineError::MissingState)?,
            };
            for start in (0..run.len()).step_by(tile) {
                let len = (run.len() - start).min(tile);
                let mut past = past.clone();
                if start > 0 {
                    match past.last_mut() {
                        Some(last) if last.end == row => last.end = row + start,
                        _ => past.push(row..row + start),
                    }
                }
                let asked = (start + len).saturating_sub(first_asked.max(start));
                job.segments.push(Segment { past, len, asked, span: self.tokens.span(run[0]) });
            }
        }
        job.nodes = nodes;
        Ok(())
    }
}
