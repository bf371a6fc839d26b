//! The baseline pass over a set of token sequences, whose states every path that starts like it shares.

use candle_core::Tensor;
use neuro_model::{Batch, Decoder, ModelError, Segment, Slot, State};
use neuro_path::LayerPath;

use crate::{EngineError, Result};

/// Rows of the head that are computed at once: a row of logits can be 600 kB.
pub const HEAD_ROWS: usize = 64;

/// States of the baseline after each layer.
pub(crate) struct Trunk {
    pub(crate) batch: Batch,
    baseline: LayerPath,
    /// The residual stream before layer 0, 1, …, N: `N + 1` tensors `(rows, hidden)`.
    resid: Vec<Tensor>,
    slots: Vec<Slot>,
}

impl Trunk {
    /// Runs the baseline over the sequences. `spans` are the lengths that they are planned to reach.
    pub(crate) fn new(decoder: &Decoder, sequences: &[&[u32]], spans: &[usize]) -> Result<Self> {
        if let Some(index) = sequences.iter().position(|tokens| tokens.is_empty()) {
            return Err(EngineError::EmptyPrompt { index });
        }
        let segment = |(sequence, (tokens, &span)): (usize, (&&[u32], &usize))| Segment {
            sequence,
            past: 0,
            len: tokens.len(),
            span,
        };
        let segments: Vec<_> = sequences.iter().zip(spans).enumerate().map(segment).collect();
        let batch = Batch::new(&segments);
        let baseline = LayerPath::baseline(decoder.config().num_layers())?;
        let visits = baseline.visits();
        let mut slots = State::new(visits.len()).slots;
        let mut resid = Vec::with_capacity(visits.len() + 1);
        if !sequences.is_empty() {
            resid.push(decoder.embed(&batch.pack(sequences))?);
            for (index, visit) in visits.iter().enumerate() {
                let one = std::slice::from_ref(visit);
                resid.push(decoder.run(resid[index].clone(), &batch, one, &mut slots[index..=index], &mut ())?);
            }
        }
        Ok(Self { batch, baseline, resid, slots })
    }

    /// Runs what the path does not share with the baseline. Gives the residual stream `(rows, hidden)` at its end and
    /// the state of every visit; shared slots are the trunk's own tensors.
    pub(crate) fn run(&self, decoder: &Decoder, path: &LayerPath) -> Result<(Tensor, State)> {
        let depth = self.baseline.depth();
        if path.depth() != depth {
            return Err(EngineError::DepthMismatch { expected: depth, found: path.depth() });
        }
        let shared = path.shared_prefix(&self.baseline);
        let visits = path.visits();
        let mut state = State::new(visits.len());
        state.slots[..shared].clone_from_slice(&self.slots[..shared]);
        let resid = self.resid[shared].clone();
        let resid = decoder.run(resid, &self.batch, &visits[shared..], &mut state.slots[shared..], &mut ())?;
        Ok((resid, state))
    }
}

/// Runs the head over the given rows of a residual stream, a few at a time, and hands each row of logits, `(vocab)`
/// f32, to `visit` with its index among `rows`.
pub(crate) fn for_each_logits(
    decoder: &Decoder,
    resid: &Tensor,
    rows: &[u32],
    mut visit: impl FnMut(usize, &[f32]),
) -> Result<()> {
    for (tile, rows) in rows.chunks(HEAD_ROWS).enumerate() {
        let rows = Tensor::new(rows, resid.device()).map_err(ModelError::from)?;
        let logits = decoder.unembed(&resid.index_select(&rows, 0)?)?.to_vec2::<f32>()?;
        for (index, logits) in logits.iter().enumerate() {
            visit(tile * HEAD_ROWS + index, logits);
        }
    }
    Ok(())
}
