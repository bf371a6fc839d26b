//! What is taken only while something is computed.

use neuro_model::STATE_ROWS;
use neuro_probe::Scoring;

use super::{Costs, Weights};
use crate::work::Volume;

/// What a generated token takes as text: its node, its place among the nodes, and what came behind it.
const TEXT: u64 = 200;
/// Generated tokens that are remembered at most.
const REMEMBERED: u64 = 1 << 20;

impl Costs {
    /// Bytes that are taken while so many paths of at most so many visits run: a tile and the flow that it is cut from, a text
    /// that is read once more, or the head.
    pub(super) fn passing(&self, [paths, visits]: [u64; 2], volume: Volume, scoring: Scoring) -> u64 {
        let rows = paths.max(1).saturating_mul(volume.read.max(volume.new));
        let [asked, all] = self.tile.map(|tile| tile.min(rows));
        let tile = asked.saturating_mul(self.row(volume)).saturating_add(self.products);
        let tile = tile.max(all.saturating_mul(self.work[1]));
        // A flow's rows behind the layer; its slot before and after growing.
        let flow = volume.read.max(asked).min(rows).saturating_mul(self.resid + 3 * self.visit);
        let states = self.states_at_once(paths, volume, scoring);
        let sweep = tile.saturating_add(flow).saturating_add(states);
        let (layer, texts) = match scoring {
            Scoring::Likelihood => (sweep, 0),
            Scoring::Generation => {
                let texts = TEXT.saturating_mul(self.paths.saturating_mul(volume.new).min(REMEMBERED));
                (sweep.max(self.settling(visits, volume)), texts)
            }
        };
        // The state is what threads work on.
        let layer = layer.saturating_add(self.state);
        let (layer, head) = match self.weights {
            Weights::Held { .. } => (layer, self.logits),
            Weights::Streamed { layer: weights, head } => {
                (layer.saturating_add(weights), self.logits.saturating_add(head))
            }
        };
        layer.max(head).saturating_add(texts)
    }

    /// Bytes that a row which is asked for takes in the widest layer.
    fn row(&self, volume: Volume) -> u64 {
        self.work[0].saturating_add(self.scores.saturating_mul(volume.longest))
    }

    /// Bytes that the longest text takes when two tokens behind it are too close to call: it is read alone and in one pass,
    /// with states of its own along all of its path.
    fn settling(&self, visits: u64, volume: Volume) -> u64 {
        let rows = volume.longest;
        let products = self.products.saturating_mul(rows.div_ceil(self.tile[0].max(1)));
        let states = visits.saturating_mul(self.visit.saturating_mul(rows).saturating_add(self.state));
        rows.saturating_mul(self.row(volume)).saturating_add(products).saturating_add(states)
    }

    /// Bytes of the recurrent states that a tile has while its layer runs, beside those that slots keep.
    fn states_at_once(&self, paths: u64, volume: Volume, scoring: Scoring) -> u64 {
        let paths = paths.max(1);
        let count = match scoring {
            // Of each text that grows the next one, before it takes the place of the last; of prompts those from which
            // several go on, where a tile meets them again.
            Scoring::Generation => {
                let growing = paths.saturating_mul(volume.texts).min(self.tile[0]);
                growing.saturating_add(volume.branches.saturating_mul(2))
            }
            // Nothing is kept behind the layer: of each flow those from which several texts go on, and those of long
            // texts on the way.
            Scoring::Likelihood => {
                let flows = paths.min(self.tile[1] / volume.read.max(1) + 2);
                flows.saturating_mul(volume.branches.saturating_add(volume.read / STATE_ROWS as u64))
            }
        };
        self.state.saturating_mul(count)
    }
}
