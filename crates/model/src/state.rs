//! What a visit remembers. State belongs to a visit, never to a layer.

use std::ops::Range;

use candle_core::Tensor;
use neuro_checkpoint::{DecoderConfig, LayerConfig};

use crate::kernels::delta::state_lines;
use crate::kernels::lanes::Line;
use crate::recurrent::{APART, KeptStates};
use crate::{ModelError, Result};

/// Fewest rows that a growing slot makes room for.
const ROOM: usize = 64;

/// Rows between the states that a slot of a recurrent layer keeps of a growing text.
pub const STATE_ROWS: usize = APART;

/// Rows that a slot has room for when it has grown to `len`. An eighth more is little memory, and little copying where
/// attention reads all rows for every few that come.
pub fn slot_room(len: usize) -> usize {
    len.saturating_add((len / 8).max(ROOM))
}

/// The state of one visit: what every token that was met there left behind, in order of arrival. Which of them belong to a
/// sequence is known by who fills it, see [`Segment::past`](crate::Segment::past). Attention leaves keys and values. A
/// recurrent layer leaves what goes into its recurrence, and behind some tokens the state that it has come to, so that any
/// token can be gone on from.
#[derive(Debug, Default)]
pub struct Slot {
    /// Keys, already rotated, and values, each `(room, kv_heads·head_dim)`; or channels and gates, `(room, channels)` and
    /// `(room, 2·value heads)`. Row `gone` lies first, and only those up to `len` are filled.
    stored: Option<(Tensor, Tensor)>,
    len: usize,
    /// Rows from the first on that are not stored any more.
    gone: usize,
    states: KeptStates,
    is_passing: bool,
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
        self.states.truncate(len);
        if self.len <= self.gone {
            (self.stored, self.gone) = (None, self.len);
        }
    }

    /// Says that nothing will ever go on from another token than the newest: a recurrent layer then keeps one state, and of
    /// what went into it no more than its convolution will see again.
    pub fn never_rewound(&mut self) {
        self.states.keep_newest_only();
    }

    /// Bytes held: rows, room for more, and states.
    pub fn bytes(&self) -> usize {
        let bytes = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        self.stored.as_ref().map_or(0, |(k, v)| bytes(k) + bytes(v)) + self.states.bytes()
    }

    /// Lets go of rows that the recurrence has taken in and a convolution over `taps` tokens will not see again, where
    /// nothing goes on but from the end.
    pub(crate) fn forget_taken_in(&mut self, taps: usize) -> Result<()> {
        let (held, needed) = (self.len - self.gone, taps.saturating_sub(1).max(1));
        // Not row by row: what stays is copied.
        if held < needed + ROOM || !self.states.is_newest_only() || !self.states.stands_behind(self.len - 1) {
            return Ok(());
        }
        if let Some((x, gates)) = &self.stored {
            let last = |tensor: &Tensor| tensor.narrow(0, held - needed, needed)?.force_contiguous();
            self.stored = Some((last(x)?, last(gates)?));
            self.gone = self.len - needed;
        }
        Ok(())
    }

    /// The first row that is stored.
    pub(crate) fn first_row(&self) -> usize {
        self.gone
    }

    /// Says that the slot will be let go once what waits for it now has run: a recurrent layer then keeps fewer states.
    pub fn pass_through(&mut self) {
        self.is_passing = true;
    }

    pub(crate) fn is_passing(&self) -> bool {
        self.is_passing
    }

    pub(crate) fn states(&self) -> &KeptStates {
        &self.states
    }

    pub(crate) fn states_mut(&mut self) -> &mut KeptStates {
        &mut self.states
    }

    /// Adds rows of keys and values, or of whatever else the layer keeps. What an empty slot gets is kept without a copy.
    pub(crate) fn append(&mut self, k: Tensor, v: Tensor) -> Result<()> {
        let (new, _width) = k.dims2()?;
        let held = self.len - self.gone;
        let len = held + new;
        match &self.stored {
            None => self.stored = Some((k, v)),
            Some((keys, values)) => {
                let (room, _width) = keys.dims2()?;
                let grown = |old: &Tensor| -> Result<Tensor> {
                    let (_room, width) = old.dims2()?;
                    let larger = Tensor::zeros((slot_room(len), width), old.dtype(), old.device())?;
                    larger.slice_set(&old.narrow(0, 0, held)?, 0, 0)?;
                    Ok(larger)
                };
                let (keys, values) = match len <= room {
                    true => (keys.clone(), values.clone()),
                    false => (grown(keys)?, grown(values)?),
                };
                keys.slice_set(&k.contiguous()?, 0, held)?;
                values.slice_set(&v.contiguous()?, 0, held)?;
                self.stored = Some((keys, values));
            }
        }
        self.len += new;
        Ok(())
    }

    /// What is stored, from [`Slot::first_row`] on and rows without content included; `None` when there is nothing.
    pub(crate) fn held(&self) -> Option<(&Tensor, &Tensor)> {
        self.stored.as_ref().map(|(k, v)| (k, v))
    }

    /// What is stored, when every given row is filled.
    pub(crate) fn rows<'a>(&self, rows: impl Iterator<Item = &'a Range<usize>>) -> Result<(&Tensor, &Tensor)> {
        let end = rows.map(|range| range.end).max().unwrap_or(0);
        match &self.stored {
            Some((k, v)) if end <= self.len => Ok((k, v)),
            _ => Err(ModelError::SlotRows { expected: end, found: self.len }),
        }
    }
}

/// Bytes that the states of a baseline pass take for each token, f32: the residual stream before, between and after the
/// layers, and what every layer's slot holds.
pub fn state_bytes_per_token(config: &DecoderConfig) -> usize {
    let layer = |layer: &LayerConfig| config.hidden_size * size_of::<f32>() + slot_bytes_per_token(layer);
    config.layers.iter().map(layer).sum::<usize>() + config.hidden_size * size_of::<f32>()
}

/// Bytes that a token takes in the slot of a visit of this layer: keys and values, or what goes into the recurrence.
pub fn slot_bytes_per_token(layer: &LayerConfig) -> usize {
    let numbers = match &layer.delta_net {
        Some(delta_net) => delta_net.channels() + 2 * delta_net.value_heads,
        None => 2 * layer.attention.kv_heads * layer.attention.head_dim,
    };
    numbers * size_of::<f32>()
}

/// Bytes of one state of a recurrent layer; 0 where a layer has none. A slot keeps at most one for each row that was gone on
/// from, and of a text that grows token by token one at its end and one for each [`STATE_ROWS`] rows; one that is
/// [never rewound](Slot::never_rewound) keeps one.
pub fn recurrent_state_bytes(layer: &LayerConfig) -> usize {
    layer.delta_net.as_ref().map_or(0, |delta_net| state_lines(delta_net) * size_of::<Line>())
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
