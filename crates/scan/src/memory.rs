//! Which questions and which paths are run together: as many as the memory budget holds.

use neuro_engine::HEAD_ROWS;
use neuro_model::WeightBytes;
use neuro_path::LayerPath;
use neuro_probe::{Probe, Scoring};

use crate::prompt::Asked;
use crate::work::{Volume, own_visits, trunk_layers};
use crate::{Residence, Result, ScanError, Subject};

/// Rows that keep a device busy: a group of paths grows until it has as many in each step of decoding, or reads as many
/// logits. More would only lose more when a scan is killed.
const BUSY_ROWS: u64 = 512;
/// Rows that run through a layer at once, a long segment on top.
const TILE_ROWS: u64 = 1024;

/// What questions and paths cost in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Costs {
    /// Bytes of a row of the residual stream.
    resid: u64,
    /// Bytes of keys and values of one token at one visit of the widest layer.
    visit: u64,
    /// Bytes per row that the widest layer works in.
    work: u64,
    /// Most query heads of a layer.
    heads: u64,
    /// Bytes of the head's logits, which it needs whatever is asked.
    head: u64,
    /// Layers of the trunk.
    trunk: u64,
    /// Bytes of weights.
    weights: u64,
    /// Whether those are read layer by layer, which larger groups of paths then pay for together.
    is_streamed: bool,
}

impl Costs {
    pub(crate) fn new(subject: &Subject, paths: &[LayerPath], residence: Residence) -> Self {
        let config = subject.config();
        let bytes = WeightBytes::of(config, subject.weight_type());
        let float = size_of::<f32>() as u64;
        let largest =
            |size: fn(&neuro_checkpoint::LayerConfig) -> u64| config.layers.iter().map(size).max().unwrap_or(0);
        let kv = largest(|layer| 2 * (layer.attention.kv_heads * layer.attention.head_dim) as u64);
        let q = largest(|layer| (layer.attention.heads * layer.attention.head_dim) as u64);
        let mlp = largest(|layer| layer.mlp.intermediate_size as u64);
        let hidden = config.hidden_size as u64;
        Self {
            resid: float.saturating_mul(hidden),
            visit: kv.saturating_mul(float),
            // Residual stream, its norm, both branches; query, keys, values and their rotated copies; gate, up, product.
            work: float.saturating_mul(4 * hidden + 3 * q + 2 * kv + 3 * mlp),
            heads: largest(|layer| layer.attention.heads as u64),
            // Once as a tensor, and what the matmul packs.
            head: (2 * HEAD_ROWS as u64 * float).saturating_mul(config.vocab_size as u64),
            trunk: trunk_layers(paths) as u64,
            weights: match residence {
                Residence::Held => bytes.held + bytes.reading,
                // The layer that runs and the next one, or that and the head.
                Residence::Streamed => bytes.layer + bytes.layer.max(bytes.head) + bytes.reading,
            },
            is_streamed: residence == Residence::Streamed,
        }
    }

    /// Bytes that are needed once: the trunk of the prompts, the tile that is being run, the head.
    fn fixed(&self, volume: Volume, scoring: Scoring) -> u64 {
        let kept = if scoring == Scoring::Generation { self.trunk.saturating_mul(self.visit) } else { 0 };
        let trunk = (self.trunk + 1).saturating_mul(self.resid).saturating_add(kept).saturating_mul(volume.read);
        let tile = TILE_ROWS.min(volume.read.max(volume.new));
        // Scores, masked scores and their softmax.
        let attention = (3 * size_of::<f32>() as u64).saturating_mul(self.heads).saturating_mul(volume.longest);
        let tile = tile.saturating_mul(self.work.saturating_add(attention));
        trunk.saturating_add(tile).saturating_add(self.head).saturating_add(self.weights)
    }

    /// Bytes that a path holds while its group is run.
    fn of(&self, path: &LayerPath, volume: Volume, scoring: Scoring) -> u64 {
        // The stream before and behind a layer, and its pieces while they are joined.
        let streams = self.resid.saturating_mul(3).saturating_mul(volume.read);
        let states = match scoring {
            // A visit's keys and values are forgotten behind it.
            Scoring::Likelihood => self.visit.saturating_mul(volume.read),
            Scoring::Generation => {
                let prompts = (own_visits(path) as u64).saturating_mul(volume.read);
                let rows = prompts.saturating_add((path.len() as u64).saturating_mul(volume.new));
                // A growing slot has room for half as much again.
                self.visit.saturating_mul(rows).saturating_mul(3) / 2
            }
        };
        streams.saturating_add(states)
    }

    /// Bytes that a group of paths over some questions needs.
    pub(crate) fn needed(&self, paths: &[LayerPath], volume: Volume, scoring: Scoring) -> u64 {
        let paths = paths.iter().fold(0_u64, |sum, path| sum.saturating_add(self.of(path, volume, scoring)));
        self.fixed(volume, scoring).saturating_add(paths)
    }
}

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
    let greediest = paths
        .iter()
        .max_by_key(|path| (costs.of(path, Volume { read: 1, new: 1, asked: 1, longest: 1 }, scoring), path.len()));
    let Some(greediest) = greediest else { return Ok(Cut { chunks: Vec::new(), groups: Vec::new() }) };
    let needed = |range: std::ops::Range<usize>| {
        costs.needed(std::slice::from_ref(greediest), Volume::of(&asked[range]), scoring)
    };
    let mut chunks: Vec<[usize; 2]> = Vec::new();
    let mut start = 0;
    while start < asked.len() {
        let alone = needed(start..start + 1);
        if alone > budget {
            let question = probe.questions()[start].id.clone();
            return Err(ScanError::Memory { probe: probe.name().to_owned(), question, needed: alone, budget });
        }
        // The largest end that fits: what is needed only grows with the questions.
        let mut end = asked.len();
        if needed(start..end) > budget {
            let (mut fits, mut exceeds) = (start + 1, end);
            while fits + 1 < exceeds {
                let middle = fits + (exceeds - fits) / 2;
                if needed(start..middle) > budget { exceeds = middle } else { fits = middle }
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
    let most = if costs.is_streamed { usize::MAX } else { BUSY_ROWS.div_ceil(busy) as usize };
    let mut groups: Vec<[usize; 2]> = Vec::new();
    let mut open = false;
    for (index, path) in paths.iter().enumerate() {
        if let Some(group) = groups.last_mut().filter(|_| open)
            && group[1] - group[0] < most
            && volumes.iter().all(|&volume| costs.needed(&paths[group[0]..=index], volume, scoring) <= budget)
        {
            group[1] = index + 1;
            continue;
        }
        groups.push([index, index + 1]);
        open = !path.is_baseline();
    }
    Ok(Cut { chunks, groups })
}

#[cfg(test)]
mod tests {
    use neuro_probe::{Count, ProbeRequest, Role};

    use super::*;

    /// Four rows of resid and one of keys and values per token; nothing else costs.
    const COSTS: Costs =
        Costs { resid: 10, visit: 1, work: 0, heads: 0, head: 1000, trunk: 2, weights: 0, is_streamed: false };

    fn probe(questions: usize) -> Probe {
        let request = ProbeRequest { count: Count::Some(questions), seed: 0, role: Role::Search, phantom: None };
        Probe::build("math:likelihood", &request).unwrap()
    }

    fn asked(questions: usize) -> Vec<Asked> {
        let one = |index: usize| Asked { prompt: vec![index as u32; 4], continuation: vec![1], limit: 0 };
        (0..questions).map(one).collect()
    }

    #[test]
    fn questions_fill_a_chunk_and_paths_a_group() {
        let paths: Vec<LayerPath> = neuro_path::triangle(2).map(|block| block.path(2).unwrap()).collect();
        let (probe, asked) = (probe(5), asked(5));
        // A question: 4 tokens × (3 of trunk + 3 of streams) × 10 bytes, and 4 of keys and values.
        let question = 4 * 6 * 10 + 4;
        let volume = Volume::of(&asked[..1]);
        assert_eq!(COSTS.needed(&paths[..1], volume, Scoring::Likelihood), 1000 + question);
        let cut = |budget| cut(&probe, &asked, &paths, &COSTS, budget);
        assert_eq!(cut(1000 + 2 * question).unwrap().chunks, [[0, 2], [2, 4], [4, 5]]);
        let error = cut(1000 + question - 1).unwrap_err();
        assert!(matches!(error, ScanError::Memory { needed: 1244, budget: 1243, .. }), "{error}");
        // Room for a second path over all questions, 5 × 4 tokens × 31 bytes.
        let roomy = cut(1000 + 5 * question + 620).unwrap();
        assert_eq!((roomy.chunks, roomy.groups), (vec![[0, 5]], vec![[0, 1], [1, 3], [3, 4]]));
        assert_eq!(cut(u64::MAX).unwrap().groups, [[0, 1], [1, 4]]);
    }
}
