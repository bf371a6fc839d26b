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

impl Costs {
    /// Those of so many panels that are never parted.
    pub(crate) fn of_sets(self, panels: usize) -> Self {
        let Self { read, multiplied, strip, groups } = self;
        Self { read: read * panels, multiplied: multiplied * panels, strip: strip / panels, groups }
    }
}

/// How a product is cut into pieces.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    /// Groups of rows of a piece.
    pub(crate) groups: usize,
    /// Panels of a piece.
    pub(crate) panels: usize,
    /// Nanoseconds that all of it takes one thread.
    pub(crate) time: usize,
}

impl Plan {
    pub(crate) fn of(groups: usize, panels: usize, costs: Costs, threads: usize) -> Self {
        let Costs { read, multiplied, .. } = costs;
        let strip = costs.strip.clamp(1, panels.max(1));
        let time = panels * read.max(groups * multiplied);
        if is_serial(time, threads) {
            return Self { groups: groups.max(1), panels: even(panels, strip), time };
        }
        let [least, most] = PIECE_TIMES;
        let piece = (time / (PIECES * threads)).clamp(least, most);
        let groups = even(groups, (piece / (strip * multiplied).max(1)).max(costs.groups));
        let panels = even(panels, (piece / read.max(groups * multiplied).max(1)).clamp(1, strip));
        Self { groups, panels, time }
    }
}

/// Whether work of so many nanoseconds is so little that the caller does it alone.
pub(crate) fn is_serial(time: usize, threads: usize) -> bool {
    threads == 1 || time < 2 * PIECE_TIMES[0]
}

/// At most `most` of `all`, so that parts are as equal as can be.
fn even(all: usize, most: usize) -> usize {
    all.div_ceil(all.div_ceil(most).max(1)).max(1)
}
