//! The token trie: what prompts and texts have in common is there once.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Tells answers from prompts; no text is planned to be that long.
const ANSWER: usize = usize::MAX;

/// A node of the trie: a token behind all that come before it.
#[derive(Debug, Clone, Copy)]
struct Node {
    token: u32,
    parent: Option<u32>,
    /// First node of the run of numbers in which each follows the one before.
    run: u32,
    /// Planned length that its RoPE depends on, or 0 where none does.
    span: usize,
    /// Tokens before it.
    position: u32,
}

/// Token sequences by what they begin with. Nodes are numbered in order of insertion, so a node's number is above its
/// parent's, and what one sequence adds is numbered in one run.
#[derive(Debug, Default)]
pub(crate) struct TokenTrie {
    nodes: Vec<Node>,
    children: HashMap<(Option<u32>, usize, u32), u32>,
}

impl TokenTrie {
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn token(&self, node: u32) -> u32 {
        self.nodes[node as usize].token
    }

    pub(crate) fn parent(&self, node: u32) -> Option<u32> {
        self.nodes[node as usize].parent
    }

    pub(crate) fn span(&self, node: u32) -> usize {
        self.nodes[node as usize].span
    }

    /// Tokens before a node's in its text.
    pub(crate) fn position(&self, node: u32) -> usize {
        self.nodes[node as usize].position as usize
    }

    /// The node of a token behind another, or at a beginning; made where it is new. `key` tells apart what must share
    /// nothing.
    fn child(&mut self, parent: Option<u32>, key: usize, token: u32, span: usize) -> u32 {
        let next = self.nodes.len() as u32;
        let node = *self.children.entry((parent, key, token)).or_insert(next);
        if node == next {
            let continues = parent.filter(|&parent| parent + 1 == next);
            let run = continues.map_or(next, |parent| self.nodes[parent as usize].run);
            let position = parent.map_or(0, |parent| self.nodes[parent as usize].position + 1);
            self.nodes.push(Node { token, parent, run, span, position });
        }
        node
    }

    /// The node of an answer's token behind another token. It is never one of a prompt, though a longer prompt may go on
    /// with the same token: what is asked for behind answers is not known of prompts.
    pub(crate) fn answer(&mut self, parent: u32, token: u32) -> u32 {
        self.child(Some(parent), ANSWER, token, self.span(parent))
    }

    /// The nodes of a sequence. Sequences of different spans share nothing.
    pub(crate) fn insert(&mut self, span: usize, tokens: &[u32]) -> Vec<u32> {
        let mut parent = None;
        let mut follow = |&token: &u32| {
            let node = self.child(parent, span, token, span);
            parent = Some(node);
            node
        };
        tokens.iter().map(&mut follow).collect()
    }

    /// Forgets every node from the given number on.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.nodes.truncate(len);
        self.children.retain(|_, node| (*node as usize) < len);
    }

    /// The runs of nodes that follow one another in these sorted numbers.
    pub(crate) fn runs<'a>(&'a self, nodes: &'a [u32]) -> impl Iterator<Item = &'a [u32]> {
        nodes.chunk_by(|&left, &right| self.parent(right) == Some(left))
    }

    /// Where the tokens before a node lie, in order of position, when `row` says where each one does.
    pub(crate) fn past(&self, node: u32, row: impl Fn(u32) -> Option<usize>) -> Option<Vec<Range<usize>>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut next = self.parent(node);
        while let Some(node) = next {
            let end = row(node)? + 1;
            // A long prompt is taken in one step where its rows lie as its nodes are numbered.
            let first = self.nodes[node as usize].run;
            let len = (node - first) as usize + 1;
            let (start, first) = match row(first) {
                Some(start) if start + len == end => (start, first),
                _ => (end - 1, node),
            };
            match ranges.last_mut() {
                Some(range) if range.start == end => range.start = start,
                _ => ranges.push(start..end),
            }
            next = self.parent(first);
        }
        ranges.reverse();
        Some(ranges)
    }
}

/// What a set of texts comes to when what they begin with alike is read once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DistinctTokens {
    /// Tokens.
    pub tokens: usize,
    /// Of those, the ones behind which texts go apart.
    pub branches: usize,
}

impl DistinctTokens {
    /// Of these texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut trie = TokenTrie::default();
        texts.into_iter().for_each(|text| drop(trie.insert(0, text)));
        let nodes: Vec<u32> = (0..trie.len() as u32).collect();
        let branches: HashSet<u32> = trie.runs(&nodes).filter_map(|run| trie.parent(run[0])).collect();
        Self { tokens: nodes.len(), branches: branches.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_beginnings_are_there_once() {
        let mut trie = TokenTrie::default();
        assert_eq!(trie.insert(0, &[7, 8, 9]), [0, 1, 2]);
        assert_eq!(trie.insert(0, &[7, 8, 5, 6]), [0, 1, 3, 4]);
        assert_eq!(trie.insert(3, &[7, 8]), [5, 6]);
        assert_eq!(trie.insert(0, &[7, 8, 9]), [0, 1, 2]);
        assert_eq!((trie.len(), trie.token(4), trie.span(6)), (7, 6, 3));
        assert_eq!([0, 2, 4, 6].map(|node| trie.position(node)), [0, 2, 3, 1]);
        let runs: Vec<&[u32]> = trie.runs(&[0, 1, 2, 3, 4, 5]).collect();
        assert_eq!(runs, [&[0, 1, 2][..], &[3, 4], &[5]]);
        assert_eq!(trie.past(4, |node| Some(node as usize)), Some(vec![0..2, 3..4]));
        assert_eq!(trie.past(0, |node| Some(node as usize)), Some(vec![]));
        assert_eq!(trie.past(4, |_| None), None);
        assert_eq!([trie.answer(1, 9), trie.answer(1, 9), trie.answer(2, 4)], [7, 7, 8]);
        trie.truncate(3);
        assert_eq!(trie.insert(0, &[7, 8, 5]), [0, 1, 3]);
    }

    #[test]
    fn branches_are_counted_once() {
        let count = |texts: &[&[u32]]| {
            let DistinctTokens { tokens, branches } = DistinctTokens::of(texts.iter().copied());
            (tokens, branches)
        };
        assert_eq!(count(&[]), (0, 0));
        assert_eq!(count(&[&[1, 2, 3], &[1, 2, 3], &[1, 2]]), (3, 0));
        // Three texts go apart behind 2, two behind 4, and one begins with another token.
        assert_eq!(count(&[&[1, 2, 3], &[1, 2, 4, 5], &[1, 2, 6], &[1, 2, 4, 7], &[8]]), (8, 2));
    }
}
