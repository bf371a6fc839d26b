//! Which questions share a trunk: as many as the memory budget holds.

use neuro_checkpoint::DecoderConfig;
use neuro_engine::trunk_bytes_per_token;
use neuro_path::LayerPath;
use neuro_probe::Probe;

use crate::prompt::Asked;
use crate::work::own_visits;
use crate::{Result, ScanError};

/// Memory that prompts and their states may use when nothing is said: 2 GiB.
pub const DEFAULT_MEMORY_BYTES: u64 = 2 << 30;

/// What a question costs in memory, from the model and from the longest path of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Costs {
    /// Bytes that the trunk keeps for a token.
    trunk: u64,
    /// Bytes of keys and values of one token at one visit of the widest layer.
    visit: u64,
    /// Visits that the greediest path runs beyond the trunk, and all of the longest path.
    own_visits: u64,
    all_visits: u64,
    /// Bytes per token that the widest layer works in.
    work: u64,
    /// Most query heads of a layer.
    heads: u64,
}

impl Costs {
    pub(crate) fn new(config: &DecoderConfig, paths: &[LayerPath]) -> Self {
        let float = size_of::<f32>() as u64;
        let largest =
            |size: fn(&neuro_checkpoint::LayerConfig) -> u64| config.layers.iter().map(size).max().unwrap_or(0);
        let kv = largest(|layer| 2 * (layer.attention.kv_heads * layer.attention.head_dim) as u64);
        let q = largest(|layer| (layer.attention.heads * layer.attention.head_dim) as u64);
        let mlp = largest(|layer| layer.mlp.intermediate_size as u64);
        let own = |path: &LayerPath| own_visits(path) as u64;
        Self {
            trunk: trunk_bytes_per_token(config) as u64,
            visit: kv * float,
            own_visits: paths.iter().map(own).max().unwrap_or(0),
            all_visits: paths.iter().map(|path| path.len() as u64).max().unwrap_or(0),
            // Residual stream, its norm, both branches; query, keys, values and their rotated copies; gate, up, product.
            work: float.saturating_mul(4 * config.hidden_size as u64 + 3 * q + 2 * kv + 3 * mlp),
            heads: largest(|layer| layer.attention.heads as u64),
        }
    }

    /// Bytes that one question occupies while its chunk is measured.
    pub(crate) fn of(&self, asked: &Asked) -> u64 {
        let (rows, span) = (asked.rows() as u64, asked.span() as u64);
        // Decoding appends to the state of every visit, which copies what was shared with the trunk.
        let visits = if asked.limit > 0 { self.all_visits } else { self.own_visits };
        let state = visits.saturating_mul(self.visit).saturating_mul(span);
        // Scores, masked scores and their softmax.
        let attention =
            (3 * size_of::<f32>() as u64).saturating_mul(self.heads).saturating_mul(rows).saturating_mul(rows);
        let per_row = self.trunk.saturating_add(self.work).saturating_mul(rows);
        per_row.saturating_add(state).saturating_add(attention)
    }
}

/// Cuts the questions, in order, into half-open ranges `[start, end)` that each fit into the budget.
pub(crate) fn chunks(probe: &Probe, asked: &[Asked], costs: &Costs, budget: u64) -> Result<Vec<[usize; 2]>> {
    let mut chunks: Vec<[usize; 2]> = Vec::new();
    let mut used = 0_u64;
    for (index, asked) in asked.iter().enumerate() {
        let needed = costs.of(asked);
        if needed > budget {
            let question = probe.questions()[index].id.clone();
            return Err(ScanError::Memory { probe: probe.name().to_owned(), question, needed, budget });
        }
        match chunks.last_mut() {
            Some(chunk) if used.saturating_add(needed) <= budget => {
                chunk[1] = index + 1;
                used += needed;
            }
            _ => {
                chunks.push([index, index + 1]);
                used = needed;
            }
        }
    }
    Ok(chunks)
}
