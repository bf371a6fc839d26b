//! How much there is to do, in layer-tokens: the plan's unit of cost, of progress and of sharing time.

use neuro_path::LayerPath;

use crate::prompt::Asked;

/// Leading visits that are the baseline's: what the trunk has done for the path.
pub(crate) fn shared_visits(path: &LayerPath) -> usize {
    // Where there is a path of some depth there is a baseline of it.
    LayerPath::baseline(path.depth()).map_or(0, |baseline| path.shared_prefix(&baseline))
}

/// Visits that the path runs itself.
pub(crate) fn own_visits(path: &LayerPath) -> usize {
    path.len() - shared_visits(path)
}

/// Layer-tokens of a trunk over the questions.
pub(crate) fn trunk_work(depth: usize, asked: &[Asked]) -> u64 {
    depth as u64 * rows(asked)
}

/// Layer-tokens that a path runs over the questions' prompts behind the trunk.
pub(crate) fn prompt_work(path: &LayerPath, asked: &[Asked]) -> u64 {
    own_visits(path) as u64 * rows(asked)
}

/// Layer-tokens of decoding if every answer runs to its limit.
pub(crate) fn decoding_work(path: &LayerPath, asked: &[Asked]) -> u64 {
    path.len() as u64 * asked.iter().map(|asked| asked.limit as u64).sum::<u64>()
}

/// What a unit counts in progress: prompts, decoding at its limit, and the head as if it were one layer more, so that
/// a baseline, which has no layers of its own to run, counts as well.
pub(crate) fn unit_work(path: &LayerPath, asked: &[Asked]) -> u64 {
    prompt_work(path, asked) + decoding_work(path, asked) + rows(asked)
}

fn rows(asked: &[Asked]) -> u64 {
    asked.iter().map(|asked| asked.rows() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_halves_the_triangle() {
        let asked = [Asked { prompt: vec![0; 3], continuation: Vec::new(), limit: 0 }];
        let depth = 6;
        let paths: Vec<_> = neuro_path::triangle(depth).map(|block| block.path(depth).unwrap()).collect();
        let shared: u64 = paths.iter().map(|path| prompt_work(path, &asked)).sum();
        // N(N+1)(2N+1)/6 layer-tokens per prompt token, DESIGN.md section 6.
        assert_eq!(shared, 3 * (6 * 7 * 13 / 6));
        assert_eq!(trunk_work(depth, &asked), 18);
    }

    #[test]
    fn a_damped_visit_is_not_the_trunks() {
        let path = LayerPath::parse("0,1,2{mlp=0.5},3", 4).unwrap();
        assert_eq!((shared_visits(&path), own_visits(&path)), (2, 2));
        assert_eq!(own_visits(&LayerPath::parse("2,3", 4).unwrap()), 2);
        assert_eq!(own_visits(&LayerPath::baseline(4).unwrap()), 0);
    }
}
