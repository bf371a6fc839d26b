//! Which rows of a packed residual stream belong to which sequence.

use std::collections::BTreeMap;
use std::ops::Range;

/// The new tokens of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// Index of the sequence in every [`Slot`](crate::Slot).
    pub sequence: usize,
    /// Tokens that its slots already hold.
    pub past: usize,
    /// New tokens.
    pub len: usize,
    /// Length that the whole sequence is planned to reach. It fixes the base of `dynamic` RoPE, which would otherwise
    /// change under the cached keys; every other kind ignores it.
    pub span: usize,
}

/// Sequences of equal shape, whose rows are adjacent: what one attention product works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// First row of the group in the residual stream.
    pub first_row: usize,
    /// The sequences, in row order.
    pub sequences: Vec<usize>,
    /// Tokens that their slots already hold, the same for each.
    pub past: usize,
    /// New tokens of each.
    pub len: usize,
    /// Planned length of each, see [`Segment::span`].
    pub span: usize,
}

impl Group {
    /// Rows that the group occupies.
    pub fn rows(&self) -> usize {
        self.sequences.len() * self.len
    }

    /// Tokens that each sequence has after this batch.
    pub fn total(&self) -> usize {
        self.past + self.len
    }
}

/// A packed, ragged batch. Segments are brought into groups of equal shape, so row order is the batch's own:
/// ask [`Batch::rows_of`] where a segment went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    groups: Vec<Group>,
    /// First row of each segment, in the order in which segments were given.
    starts: Vec<usize>,
    segments: Vec<Segment>,
    rows: usize,
}

impl Batch {
    /// Packs the segments. Segments without new tokens are kept in the books but have no rows.
    pub fn new(segments: &[Segment]) -> Self {
        let mut by_shape: BTreeMap<(usize, usize, usize), Vec<usize>> = BTreeMap::new();
        for (index, segment) in segments.iter().enumerate() {
            by_shape.entry((segment.past, segment.len, segment.span)).or_default().push(index);
        }
        let mut groups = Vec::with_capacity(by_shape.len());
        let mut starts = vec![0; segments.len()];
        let mut rows = 0;
        for ((past, len, span), members) in by_shape {
            let group = Group {
                first_row: rows,
                sequences: members.iter().map(|&index| segments[index].sequence).collect(),
                past,
                len,
                span,
            };
            for index in members {
                starts[index] = rows;
                rows += len;
            }
            if len > 0 {
                groups.push(group);
            }
        }
        Self { groups, starts, segments: segments.to_vec(), rows }
    }

    /// One sequence from its beginning: `len` tokens, nothing in its state.
    pub fn single(len: usize) -> Self {
        Self::new(&[Segment { sequence: 0, past: 0, len, span: len }])
    }

    /// Groups of equal shape, in row order.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Rows of the residual stream.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Where the new tokens of the given segment (in the order in which they were given) lie.
    pub fn rows_of(&self, segment: usize) -> Range<usize> {
        let start = self.starts[segment];
        start..start + self.segments[segment].len
    }

    /// Brings per-segment tokens into row order.
    pub fn pack(&self, tokens: &[&[u32]]) -> Vec<u32> {
        let mut packed = vec![0; self.rows];
        for (segment, tokens) in tokens.iter().enumerate() {
            packed[self.rows_of(segment)].copy_from_slice(tokens);
        }
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(sequence: usize, past: usize, len: usize) -> Segment {
        Segment { sequence, past, len, span: 0 }
    }

    #[test]
    fn equal_shapes_become_one_group_of_adjacent_rows() {
        let batch = Batch::new(&[segment(0, 0, 3), segment(1, 0, 2), segment(2, 0, 3)]);
        assert_eq!(batch.rows(), 8);
        let shapes: Vec<_> = batch.groups().iter().map(|g| (g.first_row, g.sequences.clone(), g.len)).collect();
        assert_eq!(shapes, [(0, vec![1], 2), (2, vec![0, 2], 3)]);
        assert_eq!([batch.rows_of(0), batch.rows_of(1), batch.rows_of(2)], [2..5, 0..2, 5..8]);
        assert_eq!(batch.pack(&[&[1, 2, 3], &[4, 5], &[6, 7, 8]]), [4, 5, 1, 2, 3, 6, 7, 8]);
    }

    #[test]
    fn different_past_or_span_does_not_mix() {
        let mut other = segment(1, 0, 1);
        other.span = 9;
        assert_eq!(Batch::new(&[segment(0, 0, 1), other, segment(2, 4, 1)]).groups().len(), 3);
    }

    #[test]
    fn empty_segments_have_no_rows() {
        let batch = Batch::new(&[segment(0, 5, 0), segment(1, 5, 1)]);
        assert_eq!((batch.rows(), batch.groups().len()), (1, 1));
        assert!(batch.rows_of(0).is_empty());
    }
}
