//! Work that is done row by row: which of it pays for threads.

use rayon::prelude::*;

/// Values of one piece of work, and from twice as many the work is shared: about 10 µs of the cheapest of them, which
/// is what waking a thread may cost.
const PIECE: usize = 1 << 15;

/// Calls `work` with the index of the first row and the rows, `(some, width)`, of each piece of `out`.
pub(crate) fn for_rows(out: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = (PIECE / width.max(1)).max(1);
    if out.len() < 2 * PIECE {
        return work(0, out);
    }
    out.par_chunks_mut(rows * width).enumerate().for_each(|(piece, out)| work(piece * rows, out));
}
