//! What a visit remembers. State belongs to a visit, never to a layer.

use std::ops::Range;

use candle_core::Tensor;
use neuro_checkpoint::{DecoderConfig, LayerConfig};

use crate::{ModelError, Result};

/// Fewest rows that a growing slot makes room for.
const ROOM: usize = 64;

/// Rows that a slot has room for when it has grown to `len`. An eighth more is little memory, and little copying where
/// attention reads all rows for every few that come.
pub fn slot_room(len: usize) -> usize {
    len.saturating_add((len / 8).max(ROOM))
}

/// The state of one visit: keys and values of every token that was met there, in order of arrival. Which of them belong
/// to a sequence is known by who fills it, see [`Segment::past`](crate::Segment::past).
#[derive(Debug, Default)]
pub struct Slot {
    /// Keys, already rotated, and values, each `(room, kv_heads·head_dim)`; only the first `len` rows are filled.
    stored: Option<(Tensor, Tensor)>,
    len: usize,
}

impl Slot {
    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all tokens but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        if self.len == 0 {
            self.stored = None;
        }
    }

    /// Adds keys and values `(rows, kv_heads·head_dim)`. What an empty slot gets is kept without a copy.
    pub(crate) fn append(&mut self, k: Tensor, v: Tensor) -> Result<()> {
        let (new, width) = k.dims2()?;
        let len = self.len + new;
        match &self.stored {
            None => self.stored = Some((k, v)),
            Some((keys, values)) => {
                let (room, _width) = keys.dims2()?;
                let grown = |old: &Tensor| -> Result<Tensor> {
                    let larger = Tensor::zeros((slot_room(len), width), old.dtype(), old.device())?;
                    larger.slice_set(&old.narrow(0, 0, self.len)?, 0, 0)?;
                    Ok(larger)
                };
                let (keys, values) = match len <= room {
                    true => (keys.clone(), values.clone()),
                    false => (grown(keys)?, grown(values)?),
                };
                keys.slice_set(&k.contiguous()?, 0, self.len)?;
                values.slice_set(&v.contiguous()?, 0, self.len)?;
                self.stored = Some((keys, values));
            }
        }
        self.len = len;
        Ok(())
    }

    /// Keys and values, `(room, kv_heads·head_dim)`, when every given row is filled.
    pub(crate) fn rows<'a>(&self, rows: impl Iterator<Item = &'a Range<usize>>) -> Result<(&Tensor, &Tensor)> {
        let end = rows.map(|range| range.end).max().unwrap_or(0);
        match &self.stored {
            Some((k, v)) if end <= self.len => Ok((k, v)),
            _ => Err(ModelError::SlotRows { expected: end, found: self.len }),
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
#[derive(Debug, Default)]
pub struct State {
    /// One slot per visit.
    pub slots: Vec<Slot>,
}

impl State {
    /// Empty state for a path of the given number of visits.
    pub fn new(visits: usize) -> Self {
        Self { slots: std::iter::repeat_with(Slot::default).take(visits).collect() }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn rows(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (values.len(), 1), &Device::Cpu).unwrap()
    }

    fn held(slot: &Slot) -> Vec<f32> {
        let (k, _v) = slot.rows(std::iter::once(&(0..slot.len()))).unwrap();
        k.narrow(0, 0, slot.len()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn grows_keeps_and_forgets() {
        let mut slot = Slot::default();
        let first = rows(&[1.0, 2.0]);
        slot.append(first.clone(), first.clone()).unwrap();
        for value in 3..200 {
            slot.append(rows(&[value as f32]), rows(&[value as f32])).unwrap();
        }
        assert_eq!(held(&slot), (1..200).map(|value| value as f32).collect::<Vec<_>>());
        // What was handed in is not written to.
        assert_eq!(first.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [1.0, 2.0]);
        slot.truncate(2);
        slot.append(rows(&[9.0]), rows(&[9.0])).unwrap();
        assert_eq!(held(&slot), [1.0, 2.0, 9.0]);
        assert!(slot.rows(std::iter::once(&(0..4))).is_err());
    }
}
