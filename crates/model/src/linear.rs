use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Module, Tensor};
use neuro_checkpoint::Checkpoint;

use crate::Result;
use crate::kernels::norm::add_to_rows;
use crate::kernels::values::Values;
use crate::kernels::{dense, q8};
use crate::source::{ParameterSource, WeightType};

// Named in full because an example builds this file in at another place.
#[path = "linear/stored.rs"]
mod stored;

/// Rows of a dense product: more at once are slower, because what they need leaves the caches; fewer are, because the
/// weights are brought into order anew each time.
const DENSE_TILE: usize = 512;

/// Rows of candle's quantised products, which have no such cost.
const QUANTISED_TILE: usize = 256;

/// Bytes of a weight, as f32, that are read at once where it need not be there whole.
const READ_BYTES: usize = 16 << 20;

/// Rows that are read at once are a multiple of this: whole panels of either kernel of our own.
const READ_ROWS: usize = dense::PANEL * q8::PANEL / 16;

/// candle's fast quantised kernels want the inner dimension in whole super-blocks.
pub(crate) const SUPER_BLOCK: usize = 256;

/// `y = x Wᵀ + b`, with `W` as the checkpoint stores it: `(out, in)`.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
    input: usize,
    output: usize,
}

#[derive(Debug)]
enum Weight {
    Dense(Tensor),
    /// f32 on a processor that our own kernel is written for.
    Panels(dense::Matrix),
    /// Q8_0 on such a processor.
    Packed(q8::Matrix),
    /// candle's. The inner dimension is padded with zeros to whole super-blocks.
    Quantised(QMatMul, WeightType),
}

impl Linear {
    /// Loads `{name}.weight` and, where the description has one, `{name}.bias`.
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        (input, output): (usize, usize),
        bias: bool,
    ) -> Result<Self> {
        Self::load_joined(source, &[(name, output)], input, bias)
    }

    /// Loads projections of the same input as one: their outputs lie behind one another in each row.
    pub(crate) fn load_joined(
        source: &dyn ParameterSource,
        parts: &[(&str, usize)],
        input: usize,
        bias: bool,
    ) -> Result<Self> {
        let biases = parts.iter().map(|(name, output)| source.parameter(&format!("{name}.bias"), &[*output]));
        let bias = bias.then(|| join(biases.collect::<Result<_>>()?)).transpose()?;
        let output = parts.iter().map(|(_, output)| output).sum();
        if let Some(checkpoint) = source.on_disk()
            && let Some(weight) = Weight::as_stored(checkpoint, parts, input, source.weight_type())?
        {
            return Ok(Self { weight, bias, input, output });
        }
        let packed = Weight::begin(source.weight_type(), (input, output));
        if let (Some(checkpoint), Some(mut weight)) = (source.on_disk(), packed) {
            read_rows(checkpoint, parts, input, |rows| weight.push(rows))?;
            return Ok(Self { weight, bias, input, output });
        }
        let weights = parts.iter().map(|(name, output)| source.parameter(&format!("{name}.weight"), &[*output, input]));
        let weight = join(weights.collect::<Result<_>>()?)?;
        Ok(Self { bias, ..Self::from_weight(weight, source.weight_type())? })
    }

    /// As [`Linear::from_weight`], but a weight that stays f32 stays the tensor that it is, because others hold it too.
    pub(crate) fn sharing(weight: Tensor, kind: WeightType) -> Result<Self> {
        if kind != WeightType::F32 {
            return Self::from_weight(weight, kind);
        }
        let (output, input) = weight.dims2()?;
        Ok(Self { weight: Weight::Dense(weight), bias: None, input, output })
    }

    /// Takes a weight `(out, in)`, f32, and quantises it where that is asked for.
    pub(crate) fn from_weight(weight: Tensor, kind: WeightType) -> Result<Self> {
        let (output, input) = weight.dims2()?;
        if let (false, Some(values)) = (weight.track_op(), Values::of(&weight))
            && let Some(mut packed) = Weight::begin(kind, (input, output))
        {
            packed.push(values.get());
            return Ok(Self { weight: packed, bias: None, input, output });
        }
        let kind_of_block = match kind {
            WeightType::F32 => None,
            WeightType::Q8_0 => Some(GgmlDType::Q8_0),
            WeightType::Q4K => Some(GgmlDType::Q4K),
        };
        let weight = match kind_of_block {
            None => Weight::Dense(weight),
            Some(block) => {
                let padded = weight.pad_with_zeros(1, 0, padded(input) - input)?;
                Weight::Quantised(QMatMul::from_qtensor(QTensor::quantize(&padded, block)?)?, kind)
            }
        };
        Ok(Self { weight, bias: None, input, output })
    }

    /// `(rows, in)` → `(rows, out)`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let in_memory = x.device().is_cpu() && !x.track_op();
        match &self.weight {
            Weight::Dense(weight) => {
                let tile = if in_memory && !weight.track_op() { DENSE_TILE } else { usize::MAX };
                let weight = weight.t()?;
                self.tiled(x, tile, |x| Ok(x.matmul(&weight)?))
            }
            Weight::Panels(matrix) => self.packed(x, |x, bias| matrix.multiply(x, bias)),
            Weight::Packed(matrix) => self.packed(x, |x, bias| matrix.multiply(x, bias)),
            Weight::Quantised(matmul, _) => {
                let tile = if in_memory { QUANTISED_TILE } else { usize::MAX };
                self.tiled(x, tile, |x| Ok(matmul.forward(&pad(x, padded(self.input))?)?))
            }
        }
    }

    /// Multiplies with a kernel of our own.
    fn packed(&self, x: &Tensor, multiply: impl Fn(&[f32], Option<&[f32]>) -> Vec<f32>) -> Result<Tensor> {
        let (rows, input) = x.dims2()?;
        let x = x.contiguous()?;
        let can = input == self.input && !x.track_op();
        let values = Values::of(&x).filter(|_| can).ok_or_else(|| refused(&x))?;
        let bias = self.bias.as_ref().map(|bias| Values::of(bias).ok_or_else(|| refused(bias))).transpose()?;
        let out = multiply(values.get(), bias.as_ref().map(Values::get));
        Ok(Tensor::from_vec(out, (rows, self.output), x.device())?)
    }

    /// Multiplies so many rows at once as the processor likes, and adds the bias; a graphics card likes all rows, and a
    /// gradient needs them.
    fn tiled(&self, x: &Tensor, tile: usize, multiply: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let (rows, _input) = x.dims2()?;
        let bias = self.bias.as_ref().map(|bias| (bias, Values::of(bias)));
        if rows <= tile {
            match bias {
                None => return multiply(x),
                Some((bias, values)) if tile == usize::MAX || values.is_none() => {
                    return Ok(multiply(x)?.broadcast_add(bias)?);
                }
                Some(_) => {}
            }
        }
        let mut out = Vec::with_capacity(rows * self.output);
        for start in (0..rows).step_by(tile) {
            let y = multiply(&x.narrow(0, start, tile.min(rows - start))?)?;
            match Values::of(&y) {
                Some(y) => out.extend_from_slice(y.get()),
                None => return self.tiled(x, usize::MAX, multiply),
            }
        }
        if let Some((_, Some(bias))) = bias {
            add_to_rows(&mut out, bias.get());
        }
        Ok(Tensor::from_vec(out, (rows, self.output), x.device())?)
    }

    /// Whether the weight is held as the tensor that it was made of.
    pub(crate) fn is_tensor(&self) -> bool {
        matches!(self.weight, Weight::Dense(_))
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let bias = self.bias.as_ref().map_or(0, Tensor::elem_count) * size_of::<f32>();
        let kind = match &self.weight {
            Weight::Dense(tensor) => return bias + tensor.elem_count() * size_of::<f32>(),
            Weight::Panels(_) => WeightType::F32,
            Weight::Packed(_) => WeightType::Q8_0,
            Weight::Quantised(_, kind) => *kind,
        };
        bias + Self::bytes_of(self.input, self.output, kind) as usize
    }

    /// Bytes that joined weights of the given `(in, out)` take on top while they are read from disk.
    pub(crate) fn reading_bytes(parts: &[(usize, usize)], kind: WeightType) -> u64 {
        let input = parts.iter().map(|(input, _)| *input).max().unwrap_or(0);
        let output: usize = parts.iter().map(|(_, output)| output).sum();
        let whole = |columns: usize| (columns * output * size_of::<f32>()) as u64;
        let is_padded = !input.is_multiple_of(SUPER_BLOCK);
        match kind {
            WeightType::F32 | WeightType::Q8_0 if Weight::is_packed(kind) => {
                whole(input).min(2 * rows_at_once(input) as u64 * (input * size_of::<f32>()) as u64)
            }
            // It is read to where it stays, unless it is joined.
            WeightType::F32 => {
                if parts.len() > 1 {
                    whole(input)
                } else {
                    0
                }
            }
            // Joined, then padded, while the quantised one grows beside it; parts are gone by then.
            _ if parts.len() > 1 => whole(2 * input).max(whole(input + if is_padded { padded(input) } else { 0 })),
            _ => whole(input + if is_padded { padded(input) } else { 0 }),
        }
    }

    /// Bytes that a weight takes without its bias. candle keeps a quantised weight twice, as it was made and in the
    /// order that its kernel reads; our own kernel once.
    pub(crate) fn bytes_of(input: usize, output: usize, kind: WeightType) -> u64 {
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
}

impl Weight {
    /// Whether kernels of our own multiply with this type here.
    fn is_packed(kind: WeightType) -> bool {
        match kind {
            WeightType::F32 => dense::Matrix::available(),
            WeightType::Q8_0 => q8::Matrix::available(),
            WeightType::Q4K => false,
        }
    }

    /// A weight for kernels of our own, which has no rows yet.
    fn begin(kind: WeightType, shape: (usize, usize)) -> Option<Self> {
        match kind {
            WeightType::F32 => dense::Matrix::begin(shape).map(Self::Panels),
            WeightType::Q8_0 => q8::Matrix::begin(shape).map(Self::Packed),
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
}

/// Reads joined weights and gives their rows, some at a time.
fn read_rows(
    checkpoint: &Checkpoint,
    parts: &[(&str, usize)],
    input: usize,
    mut take: impl FnMut(&[f32]),
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
            take(&rows[..whole]);
            rows.drain(..whole);
        }
    }
    if !rows.is_empty() {
        take(&rows);
    }
    Ok(())
}

/// Rows that are read at once.
fn rows_at_once(input: usize) -> usize {
    (READ_BYTES / (READ_ROWS * input.max(1) * size_of::<f32>())).max(1) * READ_ROWS
}

/// A product with packed weights was given something else than rows of f32 in memory, or rows of another width, or ones
/// that a gradient must flow back to.
fn refused(tensor: &Tensor) -> candle_core::Error {
    let (device, dtype, shape) = (tensor.device().location(), tensor.dtype(), tensor.shape());
    candle_core::Error::msg(format!("packed weights cannot be multiplied with {shape:?} {dtype:?} on {device:?}"))
}

fn join(parts: Vec<Tensor>) -> Result<Tensor> {
    Ok(if let [part] = parts.as_slice() { part.clone() } else { Tensor::cat(&parts, 0)? })
}

/// Rows padded with zeros to the given width.
fn pad(x: &Tensor, width: usize) -> Result<Tensor> {
    let (rows, input) = x.dims2()?;
    match Values::of(x) {
        _ if input == width => Ok(x.clone()),
        None => Ok(x.pad_with_zeros(1, 0, width - input)?),
        Some(values) => {
            let mut out = vec![0.0; rows * width];
            for (out, x) in out.chunks_exact_mut(width).zip(values.get().chunks_exact(input)) {
                out[..input].copy_from_slice(x);
            }
            Ok(Tensor::from_vec(out, (rows, width), x.device())?)
        }
    }
}

fn padded(input: usize) -> usize {
    input.next_multiple_of(SUPER_BLOCK)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::Device;

    use super::*;

    fn noise(rows: usize, columns: usize, seed: usize) -> Tensor {
        // The finaliser of splitmix64.
        let mix = |i: usize| {
            let x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed as u64);
            let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40
        };
        let values = (0..rows * columns).map(|i| mix(i) as f32 / (1 << 23) as f32 - 1.0).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
        tensor.to_vec2().unwrap()
    }

    /// Whether a row comes out the same, bit for bit, among others and with fewer: what ties of greedy decoding rest on.
    /// Dense products of one row and sometimes of two go another way in the tensor library and are only close.
    #[test]
    fn a_row_does_not_depend_on_how_many_there_are() {
        for kind in WeightType::ALL {
            for (input, output) in [(896, 300), (300, 96), (64, 48)] {
                let linear = Linear::from_weight(noise(output, input, 7919), kind).unwrap();
                let x = noise(700, input, 5381);
                let whole = rows(&linear.forward(&x).unwrap());
                for count in [1, 2, 7, 64, 65, 512] {
                    let some = rows(&linear.forward(&x.narrow(0, 0, count).unwrap()).unwrap());
                    if Weight::is_packed(kind) || kind == WeightType::Q4K || count > 2 {
                        assert_eq!(some, whole[..count], "{kind:?}, {input} x {output}, {count} rows");
                    }
                    let both = some.iter().flatten().zip(whole.iter().flatten());
                    let worst = both.map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
                    assert!(worst < 1e-4, "{kind:?}, {input} x {output}, {count} rows: {worst}");
                }
            }
        }
    }

    /// Quantised products are those of the weights that the blocks stand for, but for the rounding of activations.
    #[test]
    fn products_agree_with_the_formula() {
        for (kind, bound) in [(WeightType::F32, 1e-6), (WeightType::Q8_0, 0.01), (WeightType::Q4K, 0.1)] {
            for (input, output) in [(896, 128), (100, 33)] {
                let (weight, x) = (noise(output, input, 7919), noise(5, input, 5381));
                let found = rows(&Linear::from_weight(weight.clone(), kind).unwrap().forward(&x).unwrap());
                let (mut difference, mut size) = (0.0, 0.0);
                for (x, found) in rows(&x).iter().zip(found) {
                    for (weight, found) in rows(&weight).iter().zip(found) {
                        let pairs = x.iter().zip(weight);
                        let exact: f64 = pairs.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                        difference += (f64::from(found) - exact).powi(2);
                        size += exact.powi(2);
                    }
                }
                let relative = (difference / size).sqrt();
                assert!(relative < bound, "{kind:?}, {input} x {output}: {relative}");
                assert!(kind == WeightType::F32 || relative > bound / 30.0, "{kind:?} was not quantised: {relative}");
            }
        }
    }

    #[test]
    fn joined_projections_lie_behind_one_another() {
        let mut source = HashMap::new();
        for (name, output) in [("a", 48), ("b", 16)] {
            source.insert(format!("{name}.weight"), noise(output, 40, 7919 + output));
            source.insert(format!("{name}.bias"), noise(1, output, 31).squeeze(0).unwrap());
        }
        let x = noise(9, 40, 5381);
        let one = |name, output| Linear::load(&source, name, (40, output), true).unwrap().forward(&x).unwrap();
        let joined = Linear::load_joined(&source, &[("a", 48), ("b", 16)], 40, true).unwrap();
        let both = Tensor::cat(&[one("a", 48), one("b", 16)], 1).unwrap();
        for (found, expected) in rows(&joined.forward(&x).unwrap()).iter().zip(rows(&both)) {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
        }
        let weight = Linear::bytes_of(40, 48 + 16, WeightType::F32) as usize;
        assert_eq!(joined.bytes(), weight + (48 + 16) * 4);
    }
}
