//! What a visit remembers. State belongs to a visit, never to a layer.

use candle_core::Tensor;
use neuro_checkpoint::{DecoderConfig, LayerConfig};

use crate::{ModelError, Result};

/// Keys and values of one sequence at one visit: a place in tensors that the sequences of its group share. Cloning
/// shares the storage.
#[derive(Debug, Clone)]
pub(crate) struct KeyValue {
    /// Keys, already rotated: `(batch, kv_heads, total, head_dim)`.
    pub(crate) k: Tensor,
    /// Values, as the keys.
    pub(crate) v: Tensor,
    /// The sequence's place on the batch axis.
    pub(crate) index: usize,
}

impl KeyValue {
    /// Tokens held.
    fn tokens(&self) -> Result<usize> {
        let (_batch, _kv_heads, total, _head_dim) = self.k.dims4()?;
        Ok(total)
    }
}

/// The state of one visit: an entry for each sequence. Cloning shares the tensors, so many paths can stand on one
/// slot read-only and each continue on its own.
#[derive(Debug, Clone, Default)]
pub struct Slot {
    sequences: Vec<Option<KeyValue>>,
}

impl Slot {
    /// The state of a sequence that must hold `past` tokens; `None` when that is none.
    pub(crate) fn get(&self, sequence: usize, past: usize) -> Result<Option<&KeyValue>> {
        let entry = self.sequences.get(sequence).and_then(Option::as_ref);
        let found = entry.map_or(Ok(0), KeyValue::tokens)?;
        if found != past {
            return Err(ModelError::PastMismatch { sequence, expected: past, found });
        }
        Ok(entry)
    }

    pub(crate) fn set(&mut self, sequence: usize, entry: KeyValue) {
        if self.sequences.len() <= sequence {
            self.sequences.resize(sequence + 1, None);
        }
        self.sequences[sequence] = Some(entry);
    }

    /// Forgets a finished sequence.
    pub fn clear(&mut self, sequence: usize) {
        if let Some(entry) = self.sequences.get_mut(sequence) {
            *entry = None;
        }
    }
}

/// Bytes that the states of a baseline pass take for each token, f32: the residual stream before, between and after the
/// layers, and every layer's keys and values.
pub fn state_bytes_per_token(config: &DecoderConfig) -> usize {
    let layer = |layer: &LayerConfig| config.hidden_size + 2 * layer.attention.kv_heads * layer.attention.head_dim;
    (config.layers.iter().map(layer).sum::<usize>() + config.hidden_size) * size_of::<f32>()
}

/// The state of a run: one slot per visit, in path order.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// One slot per visit.
    pub slots: Vec<Slot>,
}

impl State {
    /// Empty state for a path of the given number of visits.
    pub fn new(visits: usize) -> Self {
        Self { slots: vec![Slot::default(); visits] }
    }
}
