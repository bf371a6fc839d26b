//! The folder's numbers in the order and format of the file.

use std::ops::Range;

use neuro_checkpoint::Checkpoint;

use crate::copying::{BUFFER, Counter, Output};
use crate::gguf::{Planned, quantise};
use crate::{Result, SurgeryError};

/// The numbers of a tensor that is written: pieces one behind another.
#[derive(Debug, Clone)]
pub(in crate::gguf) struct Place {
    pub(super) pieces: Vec<Piece>,
    /// Added to every number; Gemma's norms.
    pub(super) add: f32,
    pub(super) scale: f64,
    /// Numbers that stand in no file.
    pub(super) computed: Option<Vec<f32>>,
}

impl Default for Place {
    fn default() -> Self {
        Self { pieces: Vec::new(), add: 0.0, scale: 1.0, computed: None }
    }
}

/// Rows of a tensor of the folder.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) canonical: String,
    /// The canonical shape.
    pub(super) shape: Vec<usize>,
    /// Of a vector, all of its numbers.
    pub(super) rows: Range<usize>,
    pub(super) order: Order,
}

/// In which order rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Straight,
    /// Those of heads, which rotate as halves, as rotated pairs: 0, half, 1, half + 1, … (`permute` in llama.cpp's
    /// conversion).
    Pairs {
        heads: usize,
    },
    /// As columns.
    Turned,
}

impl Piece {
    pub(super) fn whole(canonical: String, shape: &[usize]) -> Self {
        let rows = 0..shape.first().copied().unwrap_or(0);
        Self { canonical, shape: shape.to_vec(), rows, order: Order::Straight }
    }
}

/// Writes one tensor, a few rows at a time.
pub(in crate::gguf) fn copy(
    checkpoint: &Checkpoint,
    place: &Place,
    tensor: &Planned,
    output: &mut Output,
    counter: &mut Counter<'_>,
) -> Result<()> {
    let mut emit = |mut values: Vec<f32>| {
        if place.scale != 1.0 {
            values.iter_mut().for_each(|value| *value = (f64::from(*value) * place.scale) as f32);
        }
        if place.add != 0.0 {
            values.iter_mut().for_each(|value| *value += place.add);
        }
        if let Some(value) =
            values.iter().find(|value| !value.is_finite() || quantise::overflows(tensor.format, **value))
        {
            let problem = format!("holds {value}, which {} cannot; choose other numbers with --numbers", tensor.format);
            return Err(SurgeryError::key(&checkpoint.dir, &tensor.name, problem));
        }
        let mut bytes = Vec::new();
        quantise::push(&mut bytes, tensor.format, &values)?;
        output.write(&bytes)?;
        counter.add(bytes.len() as u64)
    };
    if let Some(values) = place.computed.clone() {
        return emit(values);
    }
    place.pieces.iter().try_for_each(|piece| each_part(checkpoint, piece, &mut emit))
}

/// Calls `emit` with the numbers of a piece, whole rows of the file at once.
fn each_part(checkpoint: &Checkpoint, piece: &Piece, emit: &mut impl FnMut(Vec<f32>) -> Result<()>) -> Result<()> {
    let weights = &checkpoint.weights;
    let Piece { canonical, shape, rows, order } = piece;
    let &[_, columns] = shape.as_slice() else {
        let values = weights.read_f32(canonical, shape)?;
        return emit(match order {
            Order::Pairs { heads } => paired(&values, *heads, 1),
            _ => values,
        });
    };
    // Whole heads, or the whole piece, so that rows can be put in order.
    let unit = match order {
        Order::Straight => 1,
        Order::Pairs { heads } => rows.len() / (*heads).max(1),
        Order::Turned => rows.len(),
    };
    let unit = unit.max(1);
    let row_bytes = (columns * size_of::<f32>()).max(1);
    let step = (BUFFER / row_bytes / unit).max(1) * unit;
    let mut start = rows.start;
    while start < rows.end {
        let end = (start + step).min(rows.end);
        let values = weights.read_row_range_f32(canonical, shape, start..end)?;
        emit(match order {
            Order::Straight => values,
            Order::Pairs { .. } => paired(&values, (end - start) / unit, columns),
            Order::Turned => turned(&values, columns),
        })?;
        start = end;
    }
    Ok(())
}

/// See [`Order::Pairs`].
fn paired(values: &[f32], heads: usize, columns: usize) -> Vec<f32> {
    let head_dim = values.len() / columns / heads.max(1);
    let half = head_dim / 2;
    let mut ordered = Vec::with_capacity(values.len());
    for head in 0..heads {
        for row in 0..head_dim {
            let from = head * head_dim + (row % 2) * half + row / 2;
            ordered.extend_from_slice(&values[from * columns..(from + 1) * columns]);
        }
    }
    ordered
}

/// Columns as rows.
fn turned(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_head_become_pairs() {
        // Two heads of four rows, two columns.
        let values: Vec<f32> = (0..16).map(|value| value as f32).collect();
        let ordered = paired(&values, 2, 2);
        assert_eq!(ordered, [0., 1., 4., 5., 2., 3., 6., 7., 8., 9., 12., 13., 10., 11., 14., 15.]);
        assert_eq!(turned(&values[..6], 2), [0., 2., 4., 1., 3., 5.]);
    }
}
