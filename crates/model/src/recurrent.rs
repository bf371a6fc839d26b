//! What a recurrent layer knows behind some of the rows of a slot. A state cannot be rewound, so some are kept on the way;
//! whoever goes on from another row computes from the nearest one before it what lies between.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;

use crate::kernels::lanes::Line;

/// Rows between states that are kept for good: a state of usual shape takes as much memory as so many rows.
pub(crate) const APART: usize = 64;

/// A recurrent state.
#[derive(Debug, Clone)]
pub(crate) enum Recurrent {
    /// As the kernels of our own lay it out.
    Packed(Arc<Vec<Line>>),
    /// `(value heads, key_dim, value_dim)`.
    Plain(Tensor),
}

/// A state, and where it stands.
#[derive(Debug, Clone)]
struct Kept {
    state: Recurrent,
    /// Rows since the one before it that is kept for good, or since the beginning.
    rows: usize,
}

/// The states of a slot, by the row that each stands behind.
#[derive(Debug, Default)]
pub(crate) struct KeptStates {
    kept: BTreeMap<usize, Kept>,
    is_newest_only: bool,
}

impl KeptStates {
    /// From now on each state takes the place of the one before.
    pub(crate) fn keep_newest_only(&mut self) {
        self.is_newest_only = true;
    }

    pub(crate) fn is_newest_only(&self) -> bool {
        self.is_newest_only
    }

    /// Whether there is a state behind this row.
    pub(crate) fn stands_behind(&self, row: usize) -> bool {
        self.kept.contains_key(&row)
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let one = |kept: &Kept| match &kept.state {
            Recurrent::Packed(lines) => lines.len() * size_of::<Line>(),
            Recurrent::Plain(state) => state.elem_count() * state.dtype().size_in_bytes(),
        };
        self.kept.values().map(one).sum()
    }

    /// The nearest state behind one of these rows, which are in order of position: the row, how many of the rows come up to
    /// it, and the state.
    pub(crate) fn nearest(&self, past: &[Range<usize>]) -> Option<(usize, usize, &Recurrent)> {
        nearest(&self.kept, past).map(|(row, count, kept)| (row, count, &kept.state))
    }

    /// Keeps a state that was computed from the one behind row `from`, or from the beginning, `rows` rows before. The one
    /// that it came from is let go where it stood too near to be kept for good.
    pub(crate) fn keep(&mut self, row: usize, state: Recurrent, from: Option<usize>, rows: usize) {
        let mut rows = rows;
        if self.is_newest_only {
            self.kept.clear();
        } else if let Some(from) = from
            && let Some(kept) = self.kept.get(&from)
            && kept.rows < APART
        {
            rows += kept.rows;
            self.kept.remove(&from);
        }
        self.kept.insert(row, Kept { state, rows });
    }

    /// Forgets what stands behind any but the first `len` rows.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.kept.split_off(&len);
    }
}

/// The last of these rows, which are in order of position, for which something is known, and how many come up to it.
pub(crate) fn nearest<'a, T>(known: &'a BTreeMap<usize, T>, past: &[Range<usize>]) -> Option<(usize, usize, &'a T)> {
    let mut behind: usize = past.iter().map(ExactSizeIterator::len).sum();
    past.iter().rev().filter(|range| !range.is_empty()).find_map(|range| {
        behind -= range.len();
        let (&row, found) = known.range(range.clone()).next_back()?;
        Some((row, behind + row - range.start + 1, found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(states: &KeptStates) -> Vec<usize> {
        states.kept.keys().copied().collect()
    }

    fn state() -> Recurrent {
        Recurrent::Packed(Arc::default())
    }

    #[test]
    fn the_nearest_state_is_found_by_position() {
        let mut states = KeptStates::default();
        for row in [3, 11, 40] {
            states.keep(row, state(), None, APART);
        }
        let near = |past: &[Range<usize>]| states.nearest(past).map(|(row, count, _)| (row, count));
        assert_eq!(near(&[0..0, 0..10]), Some((3, 4)));
        assert_eq!(near(&[0..0, 0..3]), None);
        // Row 11 is the sixth of these.
        assert_eq!(near(&[0..2, 8..9, 9..13, 20..30]), Some((11, 6)));
        assert_eq!(near(&[]), None);
    }

    /// Token by token one state goes along, and one is left behind for every so many rows.
    #[test]
    fn few_states_are_kept_of_a_long_text() {
        let mut states = KeptStates::default();
        states.keep(99, state(), None, 100);
        for row in 100..300 {
            states.keep(row, state(), Some(row - 1), 1);
        }
        assert_eq!(rows(&states), [99, 163, 227, 291, 299]);
        states.truncate(200);
        assert_eq!(rows(&states), [99, 163]);
    }
}
