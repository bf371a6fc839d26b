//! How a product with packed weights is cut into pieces for threads.

/// Nanoseconds of a piece of work: what is worth waking a thread for, and what others may have to wait for at the end.
const PIECE_TIMES: [usize; 2] = [20_000, 250_000];
/// Pieces that each thread gets at least: one that something else interrupts leaves its share to others.
const PIECES: usize = 4;

/// What a product costs; its weights lie in panels of outputs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    /// Nanoseconds in which a panel comes from memory.
    pub(crate) read: usize,
    /// Nanoseconds in which it is multiplied with a group of rows.
    pub(crate) multiplied: usize,
    /// Panels that a core's own cache keeps.
    pub(crate) strip: usize,
    /// Groups of rows that a piece has before its outputs become fewer: weights are read anew for each piece.
    pub(crate) groups: usize,
}

/// How a product is cut into pieces.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    /// Groups of rows of a piece.
    pub(crate) groups: usize,
    /// Panels of a piece.
    pub(crate) panels: usize,
    /// Whether it is so little that the caller does it alone.
    pub(crate) serial: bool,
}

impl Plan {
    pub(crate) fn of(groups: usize, panels: usize, costs: Costs, threads: usize) -> Self {
        let Costs { read, multiplied, .. } = costs;
        let strip = costs.strip.clamp(1, panels.max(1));
        let time = panels * read.max(groups * multiplied);
        let [least, most] = PIECE_TIMES;
        if threads == 1 || time < 2 * least {
            return Self { groups: groups.max(1), panels: even(panels, strip), serial: true };
        }
        let time = (time / (PIECES * threads)).clamp(least, most);
        let groups = even(groups, (time / (strip * multiplied)).max(costs.groups));
        let panels = even(panels, (time / read.max(groups * multiplied)).clamp(1, strip));
        Self { groups, panels, serial: false }
    }
}

/// At most `most` of `all`, so that parts are as equal as can be.
fn even(all: usize, most: usize) -> usize {
    all.div_ceil(all.div_ceil(most).max(1)).max(1)
}
