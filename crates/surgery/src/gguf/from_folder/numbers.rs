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
    /// Added to every number; norms of Gemma and Qwen3-Next.
    pub(super) add: f32,
    /// Whether the numbers are written as what they are logarithms of, with a minus.
    pub(super) decays: bool,
    pub(super) scale: f64,
    /// Numbers that stand in no file.
    pub(super) computed: Option<Vec<f32>>,
}

impl Default for Place {
    fn default() -> Self {
        Self { pieces: Vec::new(), add: 0.0, decays: false, scale: 1.0, computed: None }
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
    /// Those of value heads as tiles.
    Tiled(Tiles),
    /// Columns of value heads as tiles.
    TiledColumns(Tiles),
}

/// Value heads of a delta net, from a row or column on, as the file has them: the first of each key head, then the second of
/// each, … (`_LinearAttentionVReorderBase` in llama.cpp's conversion). In a folder all of a key head stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tiles {
    pub(super) from: usize,
    pub(super) key_heads: usize,
    /// Value heads of a key head.
    pub(super) group: usize,
    /// Rows or columns of a value head.
    pub(super) width: usize,
}

impl Tiles {
    /// What comes before the value heads, then each of these in the order of the file.
    fn parts(self) -> impl Iterator<Item = Range<usize>> {
        let Self { from, key_heads, group, width } = self;
        let start = move |head: usize| from + (head % key_heads * group + head / key_heads) * width;
        std::iter::once(0..from).chain((0..key_heads * group).map(move |head| start(head)..start(head) + width))
    }

    /// Rows of so many numbers, all of them from the first on, in the order of the file.
    fn reorder(self, values: &[f32], columns: usize) -> Vec<f32> {
        let part = |part: Range<usize>| &values[part.start * columns..part.end * columns];
        self.parts().flat_map(|rows| part(rows).iter().copied()).collect()
    }
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
        if place.decays {
            values.iter_mut().for_each(|value| *value = -f64::from(*value).exp() as f32);
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
            Order::Tiled(tiles) => tiles.reorder(&values, shape.get(1..).unwrap_or_default().iter().product()),
            _ => values,
        });
    };
    if let Order::Tiled(tiles) = order {
        for rows in tiles.parts().filter(|rows| !rows.is_empty()) {
            emit(weights.read_row_range_f32(canonical, shape, rows)?)?;
        }
        return Ok(());
    }
    // Whole heads, or the whole piece, so that rows can be put in order.
    let unit = match order {
        Order::Straight | Order::Tiled(_) | Order::TiledColumns(_) => 1,
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
            Order::Straight | Order::Tiled(_) => values,
            Order::TiledColumns(tiles) => values.chunks_exact(columns).flat_map(|row| tiles.reorder(row, 1)).collect(),
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

    #[test]
    fn value_heads_become_tiles() {
        // One row, then two key heads with three value heads of one row, two columns.
        let values: Vec<f32> = (0..14).map(|value| value as f32).collect();
        let tiles = Tiles { from: 1, key_heads: 2, group: 3, width: 1 };
        let ordered = tiles.reorder(&values, 2);
        assert_eq!(ordered, [0., 1., 2., 3., 8., 9., 4., 5., 10., 11., 6., 7., 12., 13.]);
        let parts: Vec<_> = Tiles { from: 0, width: 2, ..tiles }.parts().filter(|part| !part.is_empty()).collect();
        assert_eq!(parts, [0..2, 6..8, 2..4, 8..10, 4..6, 10..12]);
    }
}
