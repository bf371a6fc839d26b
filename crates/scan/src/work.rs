//! How much there is to do, in layer-tokens: the plan's unit of cost, of progress and of sharing time.

use neuro_engine::{distinct_tokens, distinct_visits};
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
}

impl Volume {
    pub(crate) fn of<'a>(asked: impl IntoIterator<Item = &'a Asked>) -> Self {
        let asked: Vec<&Asked> = asked.into_iter().collect();
        let texts: Vec<Vec<u32>> = asked.iter().flat_map(|asked| asked.reads()).collect();
        let sum = |part: fn(&Asked) -> usize| asked.iter().map(|asked| part(asked) as u64).sum();
        Self {
            read: distinct_tokens(texts.iter().map(Vec::as_slice)) as u64,
            new: sum(|asked| asked.limit),
            asked: sum(|asked| asked.scored().max(asked.limit)),
            longest: asked.iter().map(|asked| asked.span() as u64).max().unwrap_or(0),
            texts: texts.len() as u64,
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

/// Walks over the layer stack that a group of paths takes behind the trunk: one, and one more for each step back.
pub(crate) fn group_sweeps(paths: &[LayerPath]) -> u64 {
    let sweeps = |path: &LayerPath| {
        let shared = shared_visits(path);
        let own = &path.layers()[shared..];
        let steps_back = own.windows(2).filter(|pair| pair[1] <= pair[0]).count() as u64;
        if own.is_empty() { 0 } else { 1 + steps_back }
    };
    paths.iter().map(sweeps).max().unwrap_or(0)
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
        assert_eq!((group_sweeps(&paths), group_sweeps(&paths[..1])), (1, 0));
        assert_eq!(group_sweeps(&[LayerPath::parse("0..5,2..3x2", depth).unwrap()]), 2);
        let volume = Volume::of(&[asked(&[1, 2, 3], 4), asked(&[1, 2, 5, 6], 1)]);
        assert_eq!(volume, Volume { read: 5, new: 5, asked: 5, longest: 7, texts: 2 });
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
