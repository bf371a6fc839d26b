//! Weights in the forms in which they are multiplied, and how they are read.

use candle_core::Tensor;
use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use neuro_checkpoint::Checkpoint;

use super::{join, padded};
use crate::Result;
use crate::kernels::panels::Order;
use crate::kernels::values::Values;
use crate::kernels::{dense, q8};
use crate::source::{ParameterSource, WeightType};

/// Bytes of a weight, as f32, that are read at once where it need not be there whole.
const READ_BYTES: usize = 16 << 20;

/// Rows that are read at once are a multiple of this: whole panels of either kernel of our own.
pub(super) const READ_ROWS: usize = dense::PANEL * q8::PANEL / 16;

#[derive(Debug)]
pub(super) enum Weight {
    Dense(Tensor),
    /// f32 on a processor that our own kernel is written for.
    Panels(dense::Matrix),
    /// Q8_0 on such a processor.
    Packed(q8::Matrix),
    /// candle's. The inner dimension is padded with zeros to whole super-blocks.
    Quantised(QMatMul, WeightType),
}

impl Weight {
    /// Projections `{name}.weight` of the same input, `(out, in)` each, as one; f32 where no form is better.
    pub(super) fn load(source: &dyn ParameterSource, parts: &[(&str, usize)], input: usize) -> Result<Self> {
        let kind = source.weight_type();
        if let Some(weight) = Self::load_packed(source, parts, input, Order::Behind)? {
            return Ok(weight);
        }
        if let Some(checkpoint) = source.on_disk() {
            if let Some(weight) = Self::as_stored(checkpoint, parts, input, kind)? {
                return Ok(weight);
            }
            if let Some(weight) = Self::in_blocks(checkpoint, parts, input, kind)? {
                return Ok(weight);
            }
        }
        let weights = parts.iter().map(|(name, output)| source.parameter(&format!("{name}.weight"), &[*output, input]));
        Self::of(join(weights.collect::<Result<_>>()?)?, kind)
    }

    /// The same for kernels of our own; `None` where they do not multiply with this type here, or the parameters are
    /// being trained or lie elsewhere.
    pub(super) fn load_packed(
        source: &dyn ParameterSource,
        parts: &[(&str, usize)],
        input: usize,
        order: Order,
    ) -> Result<Option<Self>> {
        if !source.on_cpu() {
            return Ok(None);
        }
        let kind = source.weight_type();
        // Two that take turns have the same number of outputs.
        let output = match order {
            Order::Behind => parts.iter().map(|(_, output)| output).sum(),
            Order::InTurn => parts.first().map_or(0, |(_, output)| *output),
        };
        let Some(mut weight) = Self::begin(kind, (input, output), order) else { return Ok(None) };
        // A panel has outputs of one weight alone where they take turns.
        let runs = parts.chunks(if order == Order::InTurn { 1 } else { parts.len().max(1) });
        let Some(checkpoint) = source.on_disk() else {
            let parameter =
                |&(name, output): &(&str, usize)| source.parameter(&format!("{name}.weight"), &[output, input]);
            for run in runs {
                let values = join(run.iter().map(parameter).collect::<Result<_>>()?)?;
                match Values::of(&values).filter(|_| !values.track_op()) {
                    Some(values) => weight.push(values.get()),
                    None => return Ok(None),
                }
            }
            return Ok(Some(weight));
        };
        for run in runs {
            if !weight.push_stored(checkpoint, run, input)? {
                read_rows(checkpoint, run, input, |rows| {
                    weight.push(rows);
                    Ok(())
                })?;
            }
        }
        Ok(Some(weight))
    }

    /// A weight `(out, in)`, f32, quantised where that is asked for.
    pub(super) fn of(weight: Tensor, kind: WeightType) -> Result<Self> {
        let (output, input) = weight.dims2()?;
        if let (false, Some(values)) = (weight.track_op(), Values::of(&weight))
            && let Some(mut packed) = Self::begin(kind, (input, output), Order::Behind)
        {
            packed.push(values.get());
            return Ok(packed);
        }
        Ok(match block_of(kind) {
            None => Self::Dense(weight),
            Some(block) => Self::Quantised(QMatMul::from_qtensor(quantised(&weight, block)?)?, kind),
        })
    }

    /// Whether kernels of our own multiply with this type here.
    pub(super) fn is_packed(kind: WeightType) -> bool {
        match kind {
            WeightType::F32 => dense::Matrix::available(),
            WeightType::Q8_0 => q8::Matrix::available(),
            WeightType::Q4K => false,
        }
    }

    /// f32 for our own kernel.
    pub(super) fn panels(&self) -> Option<&dense::Matrix> {
        if let Self::Panels(matrix) = self { Some(matrix) } else { None }
    }

    /// Q8_0 for our own kernel.
    pub(super) fn packed(&self) -> Option<&q8::Matrix> {
        if let Self::Packed(matrix) = self { Some(matrix) } else { None }
    }

    /// The type of its numbers.
    pub(super) fn kind(&self) -> WeightType {
        match self {
            Self::Dense(_) | Self::Panels(_) => WeightType::F32,
            Self::Packed(_) => WeightType::Q8_0,
            Self::Quantised(_, kind) => *kind,
        }
    }

    /// A weight for kernels of our own, which has no rows yet.
    fn begin(kind: WeightType, shape: (usize, usize), order: Order) -> Option<Self> {
        match kind {
            WeightType::F32 => dense::Matrix::begin(shape, order).map(Self::Panels),
            WeightType::Q8_0 => q8::Matrix::begin(shape, order).map(Self::Packed),
            WeightType::Q4K => None,
        }
    }

    /// Takes the next rows of a weight that was begun: a multiple of [`READ_ROWS`], or the last.
    fn push(&mut self, rows: &[f32]) {
        match self {
            Self::Panels(matrix) => matrix.push(rows),
            Self::Packed(matrix) => matrix.push(rows),
            Self::Dense(_) | Self::Quantised(..) => {}
        }
    }

    /// Bytes that a weight takes without its bias. candle keeps a quantised weight twice, as it was made and in the
    /// order that its kernel reads; our own kernel once.
    pub(super) fn bytes_of(input: usize, output: usize, kind: WeightType) -> u64 {
        let padded = (padded(input) * output) as u64;
        match kind {
            WeightType::F32 if dense::Matrix::available() => dense::Matrix::bytes_of(input, output) as u64,
            WeightType::F32 => (input * output * size_of::<f32>()) as u64,
            WeightType::Q8_0 if q8::Matrix::available() => q8::Matrix::bytes_of(input, output) as u64,
            WeightType::Q8_0 => 2 * padded / 32 * 34,
            // 144 bytes for 256 weights; then 6-bit scales become f32: 3 bytes for 4 weights.
            WeightType::Q4K => padded / 256 * 144 + padded * 3 / 4,
        }
    }

    /// Bytes that joined weights of the given `(in, out)` take on top while they are read from disk.
    pub(super) fn reading_bytes(parts: &[(usize, usize)], kind: WeightType) -> u64 {
        let input = parts.iter().map(|(input, _)| *input).max().unwrap_or(0);
        let output: usize = parts.iter().map(|(_, output)| output).sum();
        let whole = |columns: usize| (columns * output * size_of::<f32>()) as u64;
        let at_once = |columns: usize| rows_at_once(input) as u64 * (columns * size_of::<f32>()) as u64;
        match kind {
            WeightType::F32 | WeightType::Q8_0 if Self::is_packed(kind) => whole(input).min(2 * at_once(input)),
            // It is read to where it stays, unless it is joined.
            WeightType::F32 => {
                if parts.len() > 1 {
                    whole(input)
                } else {
                    0
                }
            }
            // Rows as they are and padded, and the blocks before they are taken over.
            WeightType::Q8_0 | WeightType::Q4K => {
                let block = block_of(kind).map_or(0, |block| block.type_size() * padded(input) / block.block_size());
                let rows = whole(input).min(2 * at_once(input)) + whole(padded(input)).min(at_once(padded(input)));
                rows + (block * output) as u64
            }
        }
    }
}

/// candle's blocks of a type.
pub(super) fn block_of(kind: WeightType) -> Option<GgmlDType> {
    match kind {
        WeightType::F32 => None,
        WeightType::Q8_0 => Some(GgmlDType::Q8_0),
        WeightType::Q4K => Some(GgmlDType::Q4K),
    }
}

/// `(out, in)` in blocks, padded with zeros to whole super-blocks.
pub(super) fn quantised(weight: &Tensor, block: GgmlDType) -> Result<QTensor> {
    let (_output, input) = weight.dims2()?;
    Ok(QTensor::quantize(&weight.pad_with_zeros(1, 0, padded(input) - input)?, block)?)
}

/// Reads joined weights and gives their rows, some at a time.
pub(super) fn read_rows(
    checkpoint: &Checkpoint,
    parts: &[(&str, usize)],
    input: usize,
    mut take: impl FnMut(&[f32]) -> Result<()>,
) -> Result<()> {
    let mut rows: Vec<f32> = Vec::new();
    let at_once = rows_at_once(input);
    for &(name, output) in parts {
        let name = format!("{name}.weight");
        for start in (0..output).step_by(at_once) {
            let read = start..output.min(start + at_once);
            let read = checkpoint.weights.read_row_range_f32(&name, &[output, input], read)?;
            // What one part leaves over comes before the next.
            match rows.is_empty() {
                true => rows = read,
                false => rows.extend(read),
            }
            let whole = rows.len() / (READ_ROWS * input) * READ_ROWS * input;
            take(&rows[..whole])?;
            rows.drain(..whole);
        }
    }
    if !rows.is_empty() {
        take(&rows)?;
    }
    Ok(())
}

/// Rows that are read at once.
pub(super) fn rows_at_once(input: usize) -> usize {
    (READ_BYTES / (READ_ROWS * input.max(1) * size_of::<f32>())).max(1) * READ_ROWS
}
