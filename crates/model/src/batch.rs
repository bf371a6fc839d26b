//! Which rows a packed residual stream has, and which earlier tokens each of them sees.

use std::ops::Range;

use candle_core::Tensor;

use crate::{ModelError, Result};

/// New tokens that follow one another: a sequence, or a branch of a token trie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Rows of the slot that hold the tokens before these, in order of position. They may lie in this very batch, in an
    /// earlier segment of the same part.
    pub past: Vec<Range<usize>>,
    /// New tokens.
    pub len: usize,
    /// How many of them, counted from the last, are asked for. The others leave keys and values behind and end there.
    pub asked: usize,
    /// Length that the whole sequence is planned to reach. It fixes the base of `dynamic` RoPE, which would otherwise
    /// change under the cached keys; every other kind ignores it.
    pub span: usize,
}

impl Segment {
    /// A whole sequence from its beginning, every token asked for.
    pub fn sequence(len: usize) -> Self {
        Self { past: Vec::new(), len, asked: len, span: len }
    }

    /// Tokens before these, and so the position of the first.
    pub fn past_len(&self) -> usize {
        self.past.iter().map(ExactSizeIterator::len).sum()
    }

    /// Tokens up to and including these.
    pub fn total(&self) -> usize {
        self.past_len() + self.len
    }
}

/// Adjacent rows whose keys and values go into one slot, in row order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Index of the slot among those that are given with the batch. No two parts name the same.
    pub slot: usize,
    /// The segments, in row order.
    pub segments: Vec<Segment>,
}

impl Part {
    /// Rows that the part adds to its slot.
    pub fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.len).sum()
    }
}

/// A packed, ragged batch: no row is padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    parts: Vec<Part>,
    rows: usize,
    /// The rows that go on, where not all do.
    asked: Option<Vec<u32>>,
}

impl Batch {
    /// Packs the parts in the given order.
    pub fn new(parts: Vec<Part>) -> Self {
        let (mut rows, mut asked, mut all) = (0, Vec::new(), true);
        for segment in parts.iter().flat_map(|part| &part.segments) {
            let first = rows + segment.len.saturating_sub(segment.asked);
            rows += segment.len;
            all &= segment.asked >= segment.len;
            asked.extend(first as u32..rows as u32);
        }
        Self { parts, rows, asked: (!all).then_some(asked) }
    }

    /// The first slot's next rows.
    pub fn of(segments: Vec<Segment>) -> Self {
        Self::new(vec![Part { slot: 0, segments }])
    }

    /// One sequence from its beginning: `len` tokens, nothing in its state.
    pub fn single(len: usize) -> Self {
        Self::of(vec![Segment::sequence(len)])
    }

    /// One sequence, alone in its slot: `len` tokens behind `past` others.
    pub fn next(past: usize, len: usize, span: usize) -> Self {
        let before = std::iter::once(0..past).filter(|range| !range.is_empty()).collect();
        Self::of(vec![Segment { past: before, len, asked: len, span }])
    }

    /// What goes to which slot, in row order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Every segment, in row order.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.parts.iter().flat_map(|part| &part.segments)
    }

    /// Rows of the residual stream before the layer.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows that go on, in order; `None` when all do.
    pub fn asked(&self) -> Option<&[u32]> {
        self.asked.as_deref()
    }

    /// Whether the residual stream and the number of slots fit.
    pub(crate) fn check(&self, resid: &Tensor, slots: usize) -> Result<()> {
        let (found, _hidden) = resid.dims2()?;
        if found != self.rows {
            return Err(ModelError::RowCount { expected: self.rows, found });
        }
        match self.parts.iter().find(|part| part.slot >= slots) {
            Some(part) => Err(ModelError::SlotIndex { slot: part.slot, slots }),
            None => Ok(()),
        }
    }

    /// Rows of the residual stream behind the layer.
    pub fn asked_rows(&self) -> usize {
        self.asked.as_ref().map_or(self.rows, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_rows_of_a_segment_go_on() {
        let segment = |len, asked| Segment { asked, ..Segment::sequence(len) };
        let batch = Batch::of(vec![segment(3, 1), segment(2, 0), segment(2, 2)]);
        assert_eq!((batch.rows(), batch.asked_rows()), (7, 3));
        assert_eq!(batch.asked(), Some(&[2, 5, 6][..]));
        assert_eq!(Batch::single(4).asked(), None);
    }

    #[test]
    fn position_is_what_came_before() {
        let batch = Batch::next(5, 2, 9);
        let segment = batch.segments().next().unwrap();
        assert_eq!((segment.past_len(), segment.total()), (5, 7));
        assert!(Batch::next(0, 1, 1).segments().next().unwrap().past.is_empty());
    }
}
