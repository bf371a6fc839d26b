//! Rows of the residual stream in the pieces in which layers gave them: they are joined only where someone needs them side
//! by side, because that is a copy of all of them.

use std::ops::Range;

use candle_core::Tensor;

use crate::{EngineError, Result};

/// `(rows, hidden)`, in order, in one tensor or several.
#[derive(Debug, Clone, Default)]
pub(super) struct Resid {
    /// None is empty.
    pieces: Vec<Tensor>,
    /// Rows up to and with each piece.
    ends: Vec<usize>,
}

impl Resid {
    pub(super) fn of(rows: Tensor) -> Result<Self> {
        let mut resid = Self::default();
        resid.push(rows)?;
        Ok(resid)
    }

    pub(super) fn rows(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Takes the next rows.
    pub(super) fn push(&mut self, rows: Tensor) -> Result<()> {
        let count = rows.dim(0)?;
        if count > 0 {
            self.ends.push(self.rows() + count);
            self.pieces.push(rows);
        }
        Ok(())
    }

    /// Takes the rows of another behind its own.
    pub(super) fn extend(&mut self, other: &Self) -> Result<()> {
        other.pieces.iter().try_for_each(|piece| self.push(piece.clone()))
    }

    /// The first rows.
    pub(super) fn first(&self, rows: usize) -> Result<Self> {
        let mut first = Self::default();
        for (piece, part) in self.parts(0..rows) {
            first.push(piece.narrow(0, part.start, part.len())?)?;
        }
        Ok(first)
    }

    /// Adjacent rows, at least one: a view where they lie in one piece.
    pub(super) fn range(&self, rows: Range<usize>) -> Result<Tensor> {
        if rows.end > self.rows() {
            return Err(EngineError::MissingState);
        }
        joined(
            self.parts(rows)
                .map(|(piece, part)| Ok(piece.narrow(0, part.start, part.len())?))
                .collect::<Result<_>>()?,
        )
    }

    /// Some rows, at least one, in ascending order.
    pub(super) fn select(&self, rows: impl IntoIterator<Item = u32>) -> Result<Tensor> {
        let rows: Vec<u32> = rows.into_iter().collect();
        let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else { return Err(EngineError::MissingState) };
        if last as usize >= self.rows() {
            return Err(EngineError::MissingState);
        }
        if rows.windows(2).all(|pair| pair[0] + 1 == pair[1]) {
            return self.range(first as usize..last as usize + 1);
        }
        let mut chosen = Vec::new();
        let mut rest = rows.as_slice();
        for (piece, end) in self.pieces.iter().zip(&self.ends) {
            let (here, behind) = rest.split_at(rest.partition_point(|&row| (row as usize) < *end));
            rest = behind;
            if !here.is_empty() {
                let begin = (end - piece.dim(0)?) as u32;
                let here: Vec<u32> = here.iter().map(|row| row - begin).collect();
                chosen.push(piece.index_select(&Tensor::new(here, piece.device())?, 0)?);
            }
        }
        joined(chosen)
    }

    /// The pieces that have some of these rows, and which of their own those are.
    fn parts(&self, rows: Range<usize>) -> impl Iterator<Item = (&Tensor, Range<usize>)> {
        let begins = std::iter::once(&0).chain(&self.ends);
        let all = self.pieces.iter().zip(begins.zip(&self.ends));
        all.filter_map(move |(piece, (&begin, &end))| {
            let part = rows.start.clamp(begin, end) - begin..rows.end.clamp(begin, end) - begin;
            (!part.is_empty()).then_some((piece, part))
        })
    }
}

/// Tensors under one another; nothing is copied where there is one.
pub(super) fn joined(pieces: Vec<Tensor>) -> Result<Tensor> {
    Ok(match pieces.as_slice() {
        [] => return Err(EngineError::MissingState),
        [one] => one.clone(),
        several => Tensor::cat(several, 0)?,
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn rows(values: Range<u32>) -> Tensor {
        let values: Vec<f32> = values.map(|value| value as f32).collect();
        Tensor::from_slice(&values, (values.len(), 1), &Device::Cpu).unwrap()
    }

    fn found(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn rows_are_found_whatever_piece_they_lie_in() {
        let mut resid = Resid::of(rows(0..3)).unwrap();
        for piece in [3..3, 3..4, 4..9] {
            resid.push(rows(piece)).unwrap();
        }
        assert_eq!((resid.rows(), resid.pieces.len()), (9, 3));
        for range in [0..9, 0..3, 1..2, 2..5, 3..4, 8..9] {
            let expected: Vec<f32> = range.clone().map(|value| value as f32).collect();
            assert_eq!(found(&resid.range(range).unwrap()), expected);
        }
        for chosen in [vec![0, 2, 3, 8], vec![1, 2, 3, 4], vec![5], vec![0, 5, 6]] {
            let expected: Vec<f32> = chosen.iter().map(|&row| row as f32).collect();
            assert_eq!(found(&resid.select(chosen).unwrap()), expected);
        }
        let mut first = resid.first(4).unwrap();
        assert_eq!((first.rows(), first.pieces.len()), (4, 2));
        first.extend(&resid).unwrap();
        assert_eq!(found(&first.range(3..6).unwrap()), [3.0, 0.0, 1.0]);
    }

    #[test]
    fn rows_that_are_not_there_are_an_error() {
        let resid = Resid::of(rows(0..3)).unwrap();
        assert!(resid.range(2..4).is_err() && resid.select([1, 3]).is_err() && resid.select([]).is_err());
        assert!(Resid::default().range(0..0).is_err());
    }
}
