//! Which rows a recurrent layer runs for a batch, from which states on, and which states it keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::batch::{Batch, Segment};
use crate::recurrent::{APART, Recurrent, nearest};
use crate::state::Slot;
use crate::{ModelError, Result};

/// Rows that follow one another in a text, up to the end of a segment.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// Index of the slot.
    pub(crate) slot: usize,
    /// Rows of what the slot stores, in order of position. The first `before` are in the state already; what comes behind
    /// them sees them.
    pub(crate) rows: Vec<usize>,
    pub(crate) before: usize,
    pub(crate) base: Base,
    /// How many of the last rows are asked for.
    pub(crate) asked: usize,
    /// In order of position.
    pub(crate) kept: Vec<Keep>,
}

/// The state with which a stretch begins.
#[derive(Debug)]
pub(crate) enum Base {
    /// That of an empty text.
    Empty,
    Known(Recurrent),
    /// One that an earlier stretch keeps, by its number.
    Kept(usize),
}

/// A state that is to be kept. They are numbered in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Index within the stretch's rows of the one that it stands behind, and that row.
    pub(crate) at: usize,
    pub(crate) row: usize,
    pub(crate) number: usize,
    /// The row behind which the state stands that it is computed from, and the rows between.
    pub(crate) from: Option<usize>,
    pub(crate) distance: usize,
}

/// The stretches of a batch whose rows have just been appended, in the order in which they can be run, those of segments of
/// which nothing is asked left out: should another go on from one of these, it runs its rows. And how many states they keep:
/// those from which a segment goes on, and those from which a later one probably will.
pub(crate) fn plan(batch: &Batch, slots: &[&mut Slot], taps: usize) -> Result<(Vec<Stretch>, usize)> {
    let (mut stretches, mut count) = (Vec::new(), 0);
    for part in batch.parts() {
        let slot = &slots[part.slot];
        let last = |segment: &Segment| segment.past.iter().rev().find(|rows| !rows.is_empty()).map(|rows| rows.end - 1);
        let gone_on_from: BTreeSet<usize> = part.segments.iter().filter_map(last).collect();
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        let mut own = slot.len() - part.rows()..slot.len() - part.rows();
        for segment in &part.segments {
            own = own.end..own.end + segment.len;
            let asked = segment.asked.min(segment.len);
            if asked == 0 {
                continue;
            }
            slot.rows(segment.past.iter())?;
            let known = slot.states().nearest(&segment.past);
            let kept = nearest(&numbers, &segment.past);
            let (from, read, base) = match (known, kept) {
                (known, Some((row, read, &number))) if known.is_none_or(|known| known.1 <= read) => {
                    (Some(row), read, Base::Kept(number))
                }
                (Some((row, read, state)), _) => (Some(row), read, Base::Known(state.clone())),
                (None, _) => (None, 0, Base::Empty),
            };
            let before = read.min(taps - 1);
            let rows = rows_from(read - before, segment.past.iter().chain([&own]));
            let probable = probable(segment, &own, slot);
            let (mut from, mut begin, mut kept) = (from, before, Vec::new());
            for (at, &row) in rows.iter().enumerate().skip(before) {
                if (gone_on_from.contains(&row) || probable == Some(row)) && !numbers.contains_key(&row) {
                    kept.push(Keep { at, row, number: count, from, distance: at + 1 - begin });
                    numbers.insert(row, count);
                    (from, begin, count) = (Some(row), at + 1, count + 1);
                }
            }
            let stored = |&row: &usize| row.checked_sub(slot.first_row());
            let rows: Option<Vec<usize>> = rows.iter().map(stored).collect();
            let rows = rows.ok_or(ModelError::ForgottenRows { first: slot.first_row() })?;
            stretches.push(Stretch { slot: part.slot, rows, before, base, asked, kept });
        }
    }
    Ok((stretches, count))
}

/// The row of a segment from which a later batch will probably go on: the end of a text or of a long piece of one; else the
/// first, because what stands behind it may be a draft. In a slot that is passed through once only long texts go on, in
/// pieces; in one that is never rewound it is the end.
fn probable(segment: &Segment, own: &Range<usize>, slot: &Slot) -> Option<usize> {
    let is_long = segment.len >= APART || slot.states().is_newest_only();
    match is_long || (segment.past_len() == 0 && !slot.is_passing()) {
        true => own.end.checked_sub(1),
        false if slot.is_passing() => None,
        false => Some(own.start),
    }
}

/// The rows from the given position on.
fn rows_from<'a>(position: usize, ranges: impl Iterator<Item = &'a Range<usize>>) -> Vec<usize> {
    let mut left = position;
    let mut rows = Vec::new();
    for range in ranges {
        let skipped = left.min(range.len());
        left -= skipped;
        rows.extend(range.start + skipped..range.end);
    }
    rows
}
