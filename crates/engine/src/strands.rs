//! The trie of paths, cut into strands: visits that are run by the same paths, with the states that they leave.

use std::collections::HashMap;

use neuro_model::Slot;
use neuro_path::{LayerPath, Step, Visit};

/// Visits that follow one another with no path beginning or ending between them, and so hold the same tokens.
#[derive(Debug, Default)]
pub(crate) struct Strand {
    pub(crate) visits: Vec<Visit>,
    /// What runs before; `None` at the embedding.
    pub(crate) parent: Option<usize>,
    /// One slot per visit.
    pub(crate) slots: Vec<Slot>,
    /// Whether the prompts' states are there; they then lie in the rows of their nodes' numbers.
    pub(crate) prefilled: bool,
    /// Rows of the tokens behind the prompts.
    pub(crate) rows: HashMap<u32, usize>,
    /// Rows that every slot of the strand holds.
    pub(crate) len: usize,
}

impl Strand {
    pub(crate) fn new(visits: Vec<Visit>, parent: Option<usize>) -> Self {
        let slots = std::iter::repeat_with(Slot::default).take(visits.len()).collect();
        Self { visits, parent, slots, ..Self::default() }
    }

    /// Where a token's state lies, the first `prompts` nodes being the prompts'.
    pub(crate) fn row(&self, node: u32, prompts: usize) -> Option<usize> {
        match (node as usize) < prompts {
            true => self.prefilled.then_some(node as usize),
            false => self.rows.get(&node).copied(),
        }
    }

    /// Forgets every token but the prompts'.
    pub(crate) fn keep_prompts(&mut self, prompts: usize) {
        self.slots.iter_mut().for_each(|slot| slot.truncate(prompts));
        self.rows.clear();
        self.len = self.len.min(prompts);
    }
}

/// Cuts paths into strands, of which the first `trunk` are the baseline's layers, one each. Gives the new strands, which
/// are numbered from `trunk` on, and for each path the strand that it ends with.
pub(crate) fn cut(paths: &[LayerPath], baseline: &LayerPath, trunk: usize) -> (Vec<Strand>, Vec<usize>) {
    // A trie of single visits first. Node 0 … trunk − 1 are the trunk's.
    struct Node {
        visit: Visit,
        parent: Option<usize>,
        children: usize,
        is_end: bool,
    }
    let mut nodes: Vec<Node> = Vec::new();
    let mut known: HashMap<(Option<usize>, Step), usize> = HashMap::new();
    let mut ends = Vec::with_capacity(paths.len());
    for path in paths {
        let shared = path.shared_prefix(baseline).min(trunk);
        let mut at = shared.checked_sub(1);
        for (step, visit) in path.steps().iter().zip(path.visits()).skip(shared) {
            let next = trunk + nodes.len();
            let node = *known.entry((at, *step)).or_insert(next);
            if node == next {
                if let Some(parent) = at.and_then(|at| at.checked_sub(trunk)) {
                    nodes[parent].children += 1;
                }
                nodes.push(Node { visit, parent: at, children: 0, is_end: false });
            }
            at = Some(node);
        }
        if let Some(node) = at.and_then(|at| at.checked_sub(trunk)) {
            nodes[node].is_end = true;
        }
        ends.push(at.unwrap_or_default());
    }
    // A node goes on its parent's strand when nothing else does and no path ends there.
    let mut strands: Vec<Strand> = Vec::new();
    let mut strand_of: Vec<usize> = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let own_parent = node.parent.and_then(|parent| parent.checked_sub(trunk));
        let strand = match own_parent {
            Some(parent) if nodes[parent].children == 1 && !nodes[parent].is_end => strand_of[parent],
            _ => {
                let parent = own_parent.map(|parent| strand_of[parent]).or(node.parent);
                strands.push(Strand::new(Vec::new(), parent));
                trunk + strands.len() - 1
            }
        };
        strands[strand - trunk].visits.push(node.visit);
        strands[strand - trunk].slots.push(Slot::default());
        strand_of.push(strand);
    }
    let ends = ends.into_iter().map(|end| end.checked_sub(trunk).map_or(end, |own| strand_of[own])).collect();
    (strands, ends)
}

/// Visits that a set of paths comes to when what they begin with alike is run once.
pub fn distinct_visits(paths: &[LayerPath]) -> usize {
    let mut known: HashMap<(Option<usize>, Step), usize> = HashMap::new();
    for path in paths {
        let mut at = None;
        for step in path.steps() {
            let next = known.len();
            at = Some(*known.entry((at, *step)).or_insert(next));
        }
    }
    known.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(strand: &Strand) -> Vec<usize> {
        strand.visits.iter().map(|visit| visit.layer).collect()
    }

    #[test]
    fn what_paths_share_is_one_strand() {
        let baseline = LayerPath::baseline(4).unwrap();
        let path = |text: &str| LayerPath::parse(text, 4).unwrap();
        let paths = [path("(1,2)"), path("0,1,1,2,2,3"), path("0,1,1,2"), path("0..3"), path("2,3"), path("(1,2)")];
        let (strands, ends) = cut(&paths, &baseline, 4);
        let found: Vec<_> = strands.iter().map(|strand| (layers(strand), strand.parent)).collect();
        // 0,1 is the trunk's; then 1,2 is shared until a path ends there; then they go apart.
        let expected = [(vec![1, 2], Some(1)), (vec![3], Some(4)), (vec![2, 3], Some(4)), (vec![2, 3], None)];
        assert_eq!(found, expected);
        assert_eq!(ends, [5, 6, 4, 3, 7, 5]);
        assert_eq!(strands[0].slots.len(), 2);
        assert_eq!(distinct_visits(&paths), 4 + 3 + 2 + 2);
    }

    #[test]
    fn a_short_trunk_leaves_the_rest_to_the_path() {
        let baseline = LayerPath::baseline(3).unwrap();
        let (strands, ends) = cut(std::slice::from_ref(&baseline), &baseline, 1);
        assert_eq!((layers(&strands[0]), strands[0].parent, ends), (vec![1, 2], Some(0), vec![1]));
    }

    #[test]
    fn scales_are_part_of_a_step() {
        let baseline = LayerPath::baseline(2).unwrap();
        let paths = [LayerPath::parse("0,1{mlp=0.5}", 2).unwrap(), LayerPath::parse("0,1{mlp=0}", 2).unwrap()];
        assert_eq!(cut(&paths, &baseline, 2).0.len(), 2);
    }
}
