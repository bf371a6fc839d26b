//! Many paths over one set of prompts: every state is computed once, keyed by what ran (a path's beginning) and on what
//! (a text's beginning), and layers are walked in order so that each layer's weights are read once per sweep.

mod jobs;
mod layers;
mod resid;
mod tiles;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;
use neuro_model::{Decoder, Device};
use neuro_path::LayerPath;

use self::jobs::Job;
use self::resid::{Resid, joined};
use crate::strands::{Strand, cut};
use crate::tokens::TokenTrie;
use crate::{EngineError, Result, Stats};

/// Rows that run through a layer together at most on a CPU: enough for its matmul, few enough for its caches.
const CPU_TILE: usize = 576;
/// The same on devices that want many rows at once.
const DEVICE_TILE: usize = 8192;
/// Tiles should have a part of this less: room for those of one flow to be equal and end where segments do.
const SPARE: usize = 9;
/// What a row costs that leaves only keys and values behind, in rows.
const UNASKED: f64 = 0.1;

/// Rows that may run through a layer at once on a device: those that are asked for behind it, and all of them, of which
/// then few are asked for.
pub fn tile_rows(device: &Device) -> (usize, usize) {
    let asked = if device.is_cpu() { CPU_TILE } else { DEVICE_TILE };
    (asked, (asked as f64 / UNASKED) as usize)
}

/// Called between tiles with the layer-tokens done since the last call; `false` ends the sweep.
pub type Watch<'a> = dyn FnMut(u64) -> bool + 'a;

/// What one path needs in a sweep.
pub(crate) struct Demand {
    /// The strand that the path ends with.
    pub(crate) end: usize,
    /// Tokens to run behind the prompts; where they are new, each after its parent.
    pub(crate) tokens: Vec<u32>,
    /// Of the prompts and these, what the residual stream is asked for, ascending.
    pub(crate) asked: Vec<u32>,
}

/// The states of a set of prompts along the paths that are being run, and for good along the trunk.
pub(crate) struct Forest {
    pub(crate) decoder: Arc<Decoder>,
    pub(crate) tokens: TokenTrie,
    /// Nodes of the prompts, the first of the trie.
    prompts: usize,
    baseline: LayerPath,
    /// The trunk's, one for each of its layers, then those of the paths that are being run.
    strands: Vec<Strand>,
    trunk: usize,
    /// The residual stream of the prompts before layer 0, 1, …, `trunk`: each `(prompts, hidden)`.
    resid: Vec<Resid>,
    /// Whether tokens will follow, so that keys and values must stay.
    keeps: bool,
    pub(crate) stats: Stats,
}

impl Forest {
    /// Prompts whose nodes are all that `tokens` holds. Nothing is run yet.
    pub(crate) fn new(decoder: Arc<Decoder>, tokens: TokenTrie, keeps: bool) -> Result<Self> {
        let baseline = LayerPath::baseline(decoder.config().num_layers())?;
        let prompts = tokens.len();
        let (strands, resid) = (Vec::new(), Vec::new());
        Ok(Self { decoder, tokens, prompts, baseline, strands, trunk: 0, resid, keeps, stats: Stats::default() })
    }

    /// Makes room for these paths, in place of those before, and gives the strand that each ends with. The trunk is run
    /// as far as they share it.
    pub(crate) fn plant(&mut self, paths: &[LayerPath], watch: &mut Watch<'_>) -> Result<Vec<usize>> {
        let depth = self.baseline.depth();
        if let Some(path) = paths.iter().find(|path| path.depth() != depth) {
            return Err(EngineError::DepthMismatch { expected: depth, found: path.depth() });
        }
        self.strands.truncate(self.trunk);
        self.strands.iter_mut().for_each(|strand| strand.keep_prompts(self.prompts));
        let shared = paths.iter().map(|path| path.shared_prefix(&self.baseline)).max().unwrap_or(0);
        self.trunk(shared, watch)?;
        let (strands, ends) = cut(paths, &self.baseline, self.trunk);
        self.strands.extend(strands);
        Ok(ends)
    }

    /// Runs the trunk up to this number of layers, where that has not been done.
    pub(crate) fn trunk(&mut self, layers: usize, watch: &mut Watch<'_>) -> Result<()> {
        if self.prompts == 0 || layers <= self.trunk {
            return Ok(());
        }
        self.strands.truncate(self.trunk);
        let visits = self.baseline.visits();
        for (layer, &visit) in visits.iter().enumerate().take(layers).skip(self.trunk) {
            let strand = Strand::new(vec![visit], layer.checked_sub(1));
            self.strands.push(strand);
            self.trunk = layer + 1;
        }
        self.sweep(&[Demand { end: self.trunk - 1, tokens: Vec::new(), asked: Vec::new() }], watch)?;
        Ok(())
    }

    /// Runs what the demands need, each layer once per walk over the stack. Gives for each demand the residual stream
    /// behind its path, `(asked, hidden)`.
    ///
    /// # Errors
    /// When the decoder fails or `watch` ends it. All states are then forgotten, the trunk's too.
    pub(crate) fn sweep(&mut self, demands: &[Demand], watch: &mut Watch<'_>) -> Result<Vec<Option<Tensor>>> {
        let swept = self.walk(demands, watch);
        if swept.is_err() {
            self.strands.clear();
            self.resid.clear();
            self.trunk = 0;
        }
        swept
    }

    fn walk(&mut self, demands: &[Demand], watch: &mut Watch<'_>) -> Result<Vec<Option<Tensor>>> {
        let mut jobs = self.jobs(demands)?;
        // Flows by the layer that they wait for.
        let mut waiting: BTreeMap<usize, Vec<Flow>> = BTreeMap::new();
        let mut delivered: Vec<Option<Tensor>> = vec![None; demands.len()];
        for (demand, out) in demands.iter().zip(&mut delivered) {
            // Of a prompt the trunk already knows the end.
            if demand.end < self.trunk
                && demand.tokens.is_empty()
                && !demand.asked.is_empty()
                && let Some(resid) = self.resid.get(demand.end + 1)
            {
                *out = Some(resid.select(demand.asked.iter().copied())?);
            }
        }
        let ready: Vec<usize> =
            jobs.iter().filter(|(_, job)| job.parent.is_none()).map(|(&strand, _)| strand).collect();
        for strand in ready {
            let resid = self.begin(strand, &jobs[&strand], None)?;
            waiting.entry(self.strands[strand].visits[0].layer).or_default().push(Flow { strand, at: 0, resid });
        }
        let mut layer = 0;
        self.stats.sweeps += u64::from(!waiting.is_empty());
        while !waiting.is_empty() {
            let Some(next) = waiting.range(layer..).next().map(|(&next, _)| next) else {
                layer = 0;
                self.stats.sweeps += 1;
                continue;
            };
            layer = next;
            let flows = waiting.remove(&layer).unwrap_or_default();
            for flow in self.layer(layer, flows, &jobs, watch)? {
                let strand = flow.strand;
                if let Some(visit) = self.strands[strand].visits.get(flow.at) {
                    waiting.entry(visit.layer).or_default().push(flow);
                    continue;
                }
                self.finish(&flow, &jobs[&strand], demands, &mut delivered)?;
                let children = jobs.get_mut(&strand).map(|job| std::mem::take(&mut job.children)).unwrap_or_default();
                for child in children {
                    let resid = self.begin(child, &jobs[&child], Some((&jobs[&strand], &flow.resid)))?;
                    let first = self.strands[child].visits[0].layer;
                    waiting.entry(first).or_default().push(Flow { strand: child, at: 0, resid });
                }
            }
            layer += 1;
        }
        Ok(delivered)
    }

    /// Rows that a tile should have, of those that cost all of a layer, and those that it may have.
    fn tile(&self) -> (usize, usize) {
        let (most, _) = tile_rows(self.decoder.device());
        (most - most / SPARE, most)
    }

    /// The residual stream at the beginning of a strand: from what its parent gives, from the trunk, or from the
    /// embedding.
    fn begin(&mut self, strand: usize, job: &Job, parent: Option<(&Job, &Resid)>) -> Result<Resid> {
        let Some(before) = self.strands[strand].parent else {
            let tokens: Vec<u32> = job.nodes.iter().map(|&node| self.tokens.token(node)).collect();
            let positions = job.nodes.iter().map(|&node| self.tokens.position(node));
            let resid = Resid::of(self.decoder.embed_at(&tokens, positions)?)?;
            if job.prompts && self.trunk > 0 && self.resid.is_empty() {
                self.resid.push(resid.clone());
            }
            return Ok(resid);
        };
        // Prompts that the parent does not run in this sweep are the trunk's.
        let kept = job.prompts && parent.is_none_or(|(parent, _)| !parent.prompts);
        let mut own = Resid::default();
        let mut rest = job.nodes.as_slice();
        if kept {
            own.extend(self.resid.get(before + 1).ok_or(EngineError::MissingState)?)?;
            rest = &job.nodes[self.prompts..];
        }
        if let Some((parent, resid)) = parent
            && !rest.is_empty()
        {
            match rest.len() == parent.asked.len() {
                true => own.extend(resid)?,
                false => own.push(resid.select(positions(rest, &parent.asked)?)?)?,
            }
        }
        Ok(own)
    }

    /// Hands over what was asked for behind a strand, and keeps the trunk's prompts.
    fn finish(&mut self, flow: &Flow, job: &Job, demands: &[Demand], delivered: &mut [Option<Tensor>]) -> Result<()> {
        for &end in &job.ends {
            let asked = &demands[end].asked;
            // Prompts that are not run here are the trunk's.
            let known = if job.prompts { 0 } else { asked.partition_point(|&node| (node as usize) < self.prompts) };
            let (known, new) = asked.split_at(known);
            let mut pieces = Vec::new();
            if !known.is_empty() {
                let resid = self.resid.get(flow.strand + 1).ok_or(EngineError::MissingState)?;
                pieces.push(resid.select(known.iter().copied())?);
            }
            if !new.is_empty() {
                pieces.push(flow.resid.select(positions(new, &job.asked)?)?);
            }
            delivered[end] = if pieces.is_empty() { None } else { Some(joined(pieces)?) };
        }
        if flow.strand < self.trunk && job.prompts && self.resid.len() == flow.strand + 1 {
            self.resid.push(flow.resid.first(self.prompts)?);
        }
        Ok(())
    }
}

/// A residual stream on its way.
struct Flow {
    strand: usize,
    /// Index of the next visit of the strand.
    at: usize,
    resid: Resid,
}

/// Where the wanted nodes stand among the given ones, both ascending.
fn positions(wanted: &[u32], nodes: &[u32]) -> Result<Vec<u32>> {
    let place = |node: &u32| nodes.binary_search(node).map(|place| place as u32).map_err(|_| EngineError::MissingState);
    wanted.iter().map(place).collect()
}
