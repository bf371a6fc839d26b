//! Which questions share a trunk: as many as the memory budget holds.

use neuro_checkpoint::DecoderConfig;
use neuro_engine::HEAD_ROWS;
use neuro_model::state_bytes_per_token;
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
    /// Bytes of the head's logits, which it needs whatever is asked.
    head: u64,
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
            trunk: state_bytes_per_token(config) as u64,
            visit: kv * float,
            own_visits: paths.iter().map(own).max().unwrap_or(0),
            all_visits: paths.iter().map(|path| path.len() as u64).max().unwrap_or(0),
            // Residual stream, its norm, both branches; query, keys, values and their rotated copies; gate, up, product.
            work: float.saturating_mul(4 * config.hidden_size as u64 + 3 * q + 2 * kv + 3 * mlp),
            heads: largest(|layer| layer.attention.heads as u64),
            // Once as a tensor and once as numbers to read.
            head: (2 * HEAD_ROWS as u64 * float).saturating_mul(config.vocab_size as u64),
        }
    }

    /// Bytes that a chunk of these questions occupies once, however many they are: the head's logits, and the mask of
    /// the longest prompt.
    pub(crate) fn fixed(&self, asked: &[Asked]) -> u64 {
        let rows = asked.iter().map(|asked| asked.rows() as u64).max().unwrap_or(0);
        self.head.saturating_add((size_of::<f32>() as u64).saturating_mul(rows).saturating_mul(rows))
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
    // Taken for the whole probe, so that one number holds for all of its chunks.
    let fixed = costs.fixed(asked);
    let mut used = 0_u64;
    for (index, asked) in asked.iter().enumerate() {
        let own = costs.of(asked);
        let needed = fixed.saturating_add(own);
        if needed > budget {
            let question = probe.questions()[index].id.clone();
            return Err(ScanError::Memory { probe: probe.name().to_owned(), question, needed, budget });
        }
        match chunks.last_mut() {
            Some(chunk) if used.saturating_add(own) <= budget => {
                chunk[1] = index + 1;
                used += own;
            }
            _ => {
                chunks.push([index, index + 1]);
                used = needed;
            }
        }
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use neuro_probe::{Count, ProbeRequest, Role};

    use super::*;

    #[test]
    fn what_is_needed_once_is_paid_in_every_chunk() {
        // A row costs its attention alone: 12 bytes for each pair of rows. Four rows: 192, and 64 for the mask.
        let costs = Costs { trunk: 0, visit: 0, own_visits: 0, all_visits: 0, work: 0, heads: 1, head: 1000 };
        let request = ProbeRequest { count: Count::Some(5), seed: 0, role: Role::Search, phantom: None };
        let probe = Probe::build("math", &request).unwrap();
        let asked = vec![Asked { prompt: vec![0; 4], continuation: Vec::new(), limit: 0 }; 5];
        assert_eq!((costs.fixed(&asked), costs.of(&asked[0])), (1064, 192));
        let cut = |budget| chunks(&probe, &asked, &costs, budget);
        assert_eq!(cut(1064 + 2 * 192).unwrap(), [[0, 2], [2, 4], [4, 5]]);
        assert_eq!(cut(1064 + 192).unwrap().len(), 5);
        let error = cut(1064 + 191).unwrap_err();
        assert!(matches!(error, ScanError::Memory { needed: 1256, budget: 1255, .. }), "{error}");
    }
}
