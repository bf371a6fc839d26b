//! Logits, a few rows at a time.

use candle_core::{Storage, Tensor};
use neuro_model::{Decoder, ModelError};
use rayon::prelude::*;

use crate::Result;

/// Rows of the head that are computed at once: a row of logits can be 600 kB.
pub const HEAD_ROWS: usize = 64;

/// Runs the head over a residual stream `(rows, hidden)`, a few rows at a time, and gives what `read` makes of each row
/// of logits, `(vocab)` f32, and its index.
pub(crate) fn read_logits<T: Send>(
    decoder: &Decoder,
    resid: &Tensor,
    read: impl Fn(usize, &[f32]) -> T + Sync,
) -> Result<Vec<T>> {
    let (rows, _hidden) = resid.dims2().map_err(ModelError::from)?;
    let mut results = Vec::with_capacity(rows);
    let head = decoder.head()?;
    for first in (0..rows).step_by(HEAD_ROWS) {
        let logits = head.logits(&resid.narrow(0, first, HEAD_ROWS.min(rows - first))?.contiguous()?)?.contiguous()?;
        let (_rows, vocab) = logits.dims2().map_err(ModelError::from)?;
        let mut each = |values: &[f32]| {
            let rows = values.par_chunks_exact(vocab).enumerate();
            results.par_extend(rows.map(|(row, logits)| read(first + row, logits)));
        };
        let (storage, layout) = logits.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(storage), Some((start, end))) => each(&storage.as_slice::<f32>()?[start..end]),
            _ => each(&logits.flatten_all()?.to_vec1::<f32>()?),
        }
    }
    Ok(results)
}
