//! How much there is to do, in layer-tokens: the plan's unit of cost, of progress and of sharing time.

use std::collections::BTreeSet;

use neuro_engine::{DistinctTokens, distinct_visits};
use neuro_path::LayerPath;

use crate::prompt::Asked;

/// Questions that are asked together, by what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Tokens that each visit runs for them: what prompts begin with alike counts once.
    pub(crate) read: u64,
    /// Tokens that may be generated.
    pub(crate) new: u64,
    /// Rows that reach the head, if every answer runs to its limit.
    pub(crate) asked: u64,
    /// Tokens of the longest text.
    pub(crate) longest: u64,
    /// Texts.
    pub(crate) texts: u64,
    /// Tokens behind which texts go apart.
    pub(crate) branches: u64,
}

impl Volume {
    pub(crate) fn of<'a>(asked: impl IntoIterator<Item = &'a Asked>) -> Self {
        let asked: Vec<&Asked> = asked.into_iter().collect();
        let texts: Vec<Vec<u32>> = asked.iter().flat_map(|asked| asked.reads()).collect();
        let sum = |part: fn(&Asked) -> usize| asked.iter().map(|asked| part(asked) as u64).sum();
        let DistinctTokens { tokens, branches } = DistinctTokens::of(texts.iter().map(Vec::as_slice));
        Self {
            read: tokens as u64,
            new: sum(|asked| asked.limit),
            asked: sum(|asked| asked.scored().max(asked.limit)),
            longest: asked.iter().map(|asked| asked.span() as u64).max().unwrap_or(0),
            texts: texts.len() as u64,
            branches: branches as u64,
        }
    }
}

/// Leading visits that are the baseline's: what the trunk has done for the path.
pub(crate) fn shared_visits(path: &LayerPath) -> usize {
    // Where there is a path of some depth there is a baseline of it.
    LayerPath::baseline(path.depth()).map_or(0, |baseline| path.shared_prefix(&baseline))
}

/// Visits that the path runs itself.
pub(crate) fn own_visits(path: &LayerPath) -> usize {
    path.len() - shared_visits(path)
}

/// Layers of the baseline that some path begins with.
pub(crate) fn trunk_layers<'a>(paths: impl IntoIterator<Item = &'a LayerPath>) -> usize {
    paths.into_iter().map(shared_visits).max().unwrap_or(0)
}

/// Visits that paths of one group run behind the trunk: what they go on with alike is run once.
pub(crate) fn group_visits(paths: &[LayerPath]) -> u64 {
    (distinct_visits(paths) - trunk_layers(paths)) as u64
}

/// Walks over the layer stack that a group of paths takes behind the trunk, one and one more for each step back: the layers
/// of each, whose weights are read once for all paths that wait there.
pub(crate) fn group_walks(paths: &[LayerPath]) -> Vec<BTreeSet<usize>> {
    walks_from(paths, shared_visits)
}

/// Those that one more token of each path takes, which runs through the trunk's layers as well.
pub(crate) fn decoding_walks(paths: &[LayerPath]) -> Vec<BTreeSet<usize>> {
    walks_from(paths, |_| 0)
}

fn walks_from(paths: &[LayerPath], first_visit: impl Fn(&LayerPath) -> usize) -> Vec<BTreeSet<usize>> {
    let mut walks: Vec<BTreeSet<usize>> = Vec::new();
    for path in paths {
        let (mut walk, mut last) = (0, None);
        for &layer in &path.layers()[first_visit(path)..] {
            walk += usize::from(last.is_none_or(|last| layer <= last));
            last = Some(layer);
            walks.resize(walks.len().max(walk), BTreeSet::new());
            walks[walk - 1].insert(layer);
        }
    }
    walks
}

/// Layer-tokens of decoding if every answer runs to its limit.
pub(crate) fn decoding_work(path: &LayerPath, volume: Volume) -> u64 {
    path.len() as u64 * volume.new
}

/// What a path counts in progress and in the sharing of time: prompts behind the trunk, decoding at its limit, and the
/// head as if it were one layer more, so that a baseline, which has no layers of its own to run, counts as well.
pub(crate) fn unit_work(path: &LayerPath, volume: Volume) -> u64 {
    own_visits(path) as u64 * volume.read + decoding_work(path, volume) + volume.read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::Part;

    fn asked(prompt: &[u32], limit: usize) -> Asked {
        Asked { parts: vec![Part { prompt: prompt.to_vec(), continuation: Vec::new() }], limit }
    }

    #[test]
    fn a_trunk_halves_the_triangle() {
        let depth = 6;
        let paths: Vec<_> = neuro_path::triangle(depth).map(|block| block.path(depth).unwrap()).collect();
        let own: u64 = paths.iter().map(|path| own_visits(path) as u64).sum();
        // N(N+1)(2N+1)/6 layer-tokens per prompt token, DESIGN.md section 6.
        assert_eq!(own, 6 * 7 * 13 / 6);
        assert_eq!((group_visits(&paths), trunk_layers(&paths)), (own, 6));
        // Behind the trunk one walk over all layers, and none for the baseline.
        let layers = |walks: Vec<BTreeSet<usize>>| walks.into_iter().map(Vec::from_iter).collect::<Vec<_>>();
        assert_eq!(layers(group_walks(&paths)), [Vec::from_iter(0..depth)]);
        assert!(group_walks(&paths[..1]).is_empty());
        assert_eq!(layers(decoding_walks(&paths[..1])), [Vec::from_iter(0..depth)]);
        let path = |text: &str| LayerPath::parse(text, depth).unwrap();
        assert_eq!(layers(group_walks(&[path("0..5,2..3x2")])), [[2, 3], [2, 3]]);
        assert_eq!(layers(group_walks(&[path("0..5,3..5"), path("0..4,1,1,5")])), [vec![1, 3, 4, 5], vec![1, 5]]);
        let volume = Volume::of(&[asked(&[1, 2, 3], 4), asked(&[1, 2, 5, 6], 1)]);
        assert_eq!(volume, Volume { read: 5, new: 5, asked: 5, longest: 7, texts: 2, branches: 1 });
        assert_eq!(unit_work(&paths[0], volume), 6 * 5 + 5);
    }

    #[test]
    fn a_damped_visit_is_not_the_trunks() {
        let path = LayerPath::parse("0,1,2{mlp=0.5},3", 4).unwrap();
        assert_eq!((shared_visits(&path), own_visits(&path)), (2, 2));
        assert_eq!(own_visits(&LayerPath::parse("2,3", 4).unwrap()), 2);
        assert_eq!(own_visits(&LayerPath::baseline(4).unwrap()), 0);
    }
}
