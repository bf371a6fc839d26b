//! Logits, a few rows at a time.

use candle_core::Tensor;
use neuro_model::{Decoder, ModelError};
use rayon::prelude::*;

use crate::Result;

/// Rows of the head that are computed at once: a row of logits can be 600 kB.
pub const HEAD_ROWS: usize = 64;

/// Runs the head over a residual stream `(rows, hidden)`, a few rows at a time, and gives what `read` makes of each row
/// of logits, `(vocab)` f32, and its index. The logits lie in `buffer` where they can, which the next call may use again.
pub(crate) fn read_logits<T: Send>(
    decoder: &Decoder,
    resid: &Tensor,
    buffer: &mut Vec<f32>,
    read: impl Fn(usize, &[f32]) -> T + Sync,
) -> Result<Vec<T>> {
    let (rows, _hidden) = resid.dims2().map_err(ModelError::from)?;
    let mut results = Vec::with_capacity(rows);
    let (head, vocab) = (decoder.head()?, decoder.config().vocab_size);
    for first in (0..rows).step_by(HEAD_ROWS) {
        let resid = resid.narrow(0, first, HEAD_ROWS.min(rows - first)).map_err(ModelError::from)?;
        head.read_logits(&resid, buffer, |logits| {
            let rows = logits.par_chunks_exact(vocab).enumerate();
            results.par_extend(rows.map(|(row, logits)| read(first + row, logits)));
        })?;
    }
    Ok(results)
}
