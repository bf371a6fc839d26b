//! The block closest to one that a program cannot be told of.

use neuro_path::{Block, LayerPath, triangle};

/// More layers than any released model; beyond, no advice is worth the search.
const DEEPEST: usize = 256;

/// The block that differs least in its ends from the path's, among those that are allowed; none where the path is no block
/// or no block is allowed.
pub(crate) fn nearest(path: &LayerPath, allowed: impl Fn(&LayerPath) -> bool) -> Option<Block> {
    let depth = path.depth();
    let block = path.block().filter(|block| !block.is_baseline() && depth <= DEEPEST)?;
    let distance = |other: &Block| other.start.abs_diff(block.start) + other.end.abs_diff(block.end);
    let mut others: Vec<Block> = triangle(depth).filter(|other| !other.is_baseline()).collect();
    others.sort_by_key(|other| (distance(other), other.start));
    others.into_iter().find(|other| other.path(depth).is_ok_and(|path| allowed(&path)))
}

/// The same as advice behind a reason.
pub(crate) fn advice(path: &LayerPath, allowed: impl Fn(&LayerPath) -> bool) -> String {
    nearest(path, allowed).map_or_else(String::new, |block| format!("; the nearest block that works is {block}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_block_keeps_its_place_where_it_can() {
        let path = LayerPath::parse("(3,6)", 16).unwrap();
        let of_four = |path: &LayerPath| path.extra_visits() % 4 == 0;
        assert_eq!(nearest(&path, of_four).unwrap(), Block { start: 2, end: 6 });
        assert_eq!(nearest(&path, |_| false), None);
        assert_eq!(nearest(&LayerPath::parse("0,2,1,3..15", 16).unwrap(), of_four), None);
    }
}
