//! Where the numbers of a canonical tensor lie in the stored ones, and how they are read from there.

use super::blocks;
use super::header::GgufTensor;
use super::order::Order;
use super::pieces::{KeysAndValues, Piece};
use super::weights::GgufWeights;
use crate::convert;
use crate::disk::WeightFile;
use crate::error::CheckpointError;

/// Where a tensor is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) part: usize,
    pub(super) stored: String,
    /// Which of the stored numbers, where they are not all of the tensor and no others.
    pub(super) piece: Option<Piece>,
    pub(super) order: Order,
    /// Whether the numbers are logarithms of what the file holds with a minus.
    pub(super) decays: bool,
}

impl Place {
    /// The canonical shape.
    pub(super) fn shape<'a>(&'a self, tensor: &'a GgufTensor) -> &'a [usize] {
        self.piece.as_ref().map_or(&tensor.shape, Piece::shape)
    }

    /// The flat position in the stored tensor at which it begins; none where it does not lie together.
    pub(super) fn start(&self) -> Option<usize> {
        match &self.piece {
            None => Some(0),
            Some(Piece::Slice { start, .. }) => Some(*start),
            Some(Piece::KeysAndValues(_)) => None,
        }
    }

    /// Whether order and numbers are a folder's.
    pub(super) fn is_plain(&self) -> bool {
        self.order == Order::Straight && !self.decays
    }
}

/// Cuts a run of numbers of a tensor into runs that lie together in the file: where they begin there, and their place.
pub(super) struct Runs<'a, 'v> {
    pub(super) rest: &'v mut [f32],
    pub(super) place: &'a Place,
    pub(super) shape: &'a [usize],
    pub(super) at: usize,
}

impl<'v> Iterator for Runs<'_, 'v> {
    type Item = (usize, &'v mut [f32]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let shape = self.shape;
        let start = self.place.start().unwrap_or(0);
        let height = shape.first().copied().unwrap_or(1);
        let columns = shape.get(1..).unwrap_or_default().iter().product::<usize>().max(1);
        let (row, column) = (self.at / columns, self.at % columns);
        let order = self.place.order;
        let (start, count) = match order.together(column, columns) {
            None => (start + self.at, self.rest.len()),
            Some(count) => {
                let row = order.stored_row(row, height);
                (start + row * columns + order.stored_column(column), self.rest.len().min(count))
            }
        };
        let (run, rest) = std::mem::take(&mut self.rest).split_at_mut(count);
        self.rest = rest;
        self.at += count;
        Some((start, run))
    }
}

/// Reads numbers that lie together from the one at a flat position of the file's own order on. Gives the position of the
/// first that is not finite, and the bytes read.
pub(super) fn read_run(
    file: &WeightFile,
    tensor: &GgufTensor,
    start: usize,
    values: &mut [f32],
    buffer: &mut Vec<u8>,
) -> std::io::Result<(Option<usize>, usize)> {
    let (format, block) = (tensor.format, tensor.format.block_len());
    let (first, last) = (start / block, (start + values.len()).div_ceil(block));
    let from = tensor.range.start + first * format.block_bytes();
    let bytes = file.read(from..from + (last - first) * format.block_bytes(), buffer)?;
    let lead = start - first * block;
    if lead == 0 && values.len().is_multiple_of(block) {
        return Ok((blocks::to_f32(format, bytes, values), bytes.len()));
    }
    let mut whole = vec![0.0; (last - first) * block];
    blocks::to_f32(format, bytes, &mut whole);
    values.copy_from_slice(&whole[lead..lead + values.len()]);
    Ok((convert::first_not_finite(values), bytes.len()))
}

impl GgufWeights {
    /// As [`GgufWeights::read`], of DeepSeek's keys and values: head by head, the keys turned.
    pub(super) fn read_keys_and_values(
        &self,
        place: &Place,
        keys: &GgufTensor,
        piece: &KeysAndValues,
        first: usize,
        values: &mut [f32],
        buffer: &mut Vec<u8>,
    ) -> Result<u64, CheckpointError> {
        let KeysAndValues { values: (part, stored), rows: (of_keys, of_values), shape } = piece;
        let rank = shape.get(1).copied().unwrap_or(1).max(1);
        let of_head = (of_keys + of_values) * rank;
        let end = first + values.len();
        let mut bytes = 0;
        let mut whole = vec![0.0; of_head];
        for head in first / of_head..end.div_ceil(of_head) {
            let (turned, straight) = whole.split_at_mut(of_keys * rank);
            let mut columns = vec![0.0; turned.len()];
            let mut read = |part: usize, stored: &str, tensor: &GgufTensor, values: &mut [f32]| {
                let file = &self.parts()[part].file;
                let run = read_run(file, tensor, head * values.len(), values, buffer);
                let (wrong, read) = run.map_err(|error| CheckpointError::read(file.path(), stored, error))?;
                bytes += read as u64;
                match wrong {
                    None => Ok(()),
                    Some(at) => {
                        let problem = convert::not_finite(values[at], head * values.len() + at, &tensor.shape);
                        Err(CheckpointError::tensor(file.path(), stored, problem))
                    }
                }
            };
            read(place.part, &place.stored, keys, &mut columns)?;
            let values_tensor = self.parts()[*part].header.tensors.get(stored).ok_or_else(|| self.missing(stored))?;
            read(*part, stored, values_tensor, straight)?;
            for (row, numbers) in turned.chunks_exact_mut(rank).enumerate() {
                for (column, number) in numbers.iter_mut().enumerate() {
                    *number = columns[column * of_keys + row];
                }
            }
            let (from, to) = ((head * of_head).max(first), ((head + 1) * of_head).min(end));
            values[from - first..to - first].copy_from_slice(&whole[from - head * of_head..to - head * of_head]);
        }
        Ok(bytes)
    }
}
