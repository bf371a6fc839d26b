//! `y = x Wᵀ + b`, whatever form the weight is held in.

use candle_core::{Device, Module, Tensor};

use crate::Result;
use crate::kernels::norm::add_to_rows;
use crate::kernels::product::{self, Added};
use crate::kernels::values::Values;
use crate::kernels::{dense, q8};
use crate::source::{ParameterSource, WeightType};

// Named in full because an example builds this file in at another place.
#[path = "linear/gated.rs"]
mod gated;
#[path = "linear/input.rs"]
mod input;
#[path = "linear/stored.rs"]
mod stored;
#[cfg(test)]
#[path = "linear/tests.rs"]
mod tests;
#[path = "linear/weight.rs"]
mod weight;

pub(crate) use gated::Gated;
pub(crate) use input::Input;
use weight::Weight;

/// Rows of a dense product: more at once are slower, because what they need leaves the caches; fewer are, because the
/// weights are brought into order anew each time.
const DENSE_TILE: usize = 576;

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

impl Linear {
    /// Rows of candle's quantised products, which need not be so many.
    pub(crate) const QUANTISED_TILE: usize = 256;

    /// Whether kernels of our own multiply with this type here.
    pub(crate) fn is_packed_as(kind: WeightType) -> bool {
        Weight::is_packed(kind)
    }

    /// Bytes of rows in the order in which products of our own read them; none where there are no such products.
    pub(crate) fn prepared_bytes(kind: WeightType, rows: usize, width: usize) -> u64 {
        match kind {
            WeightType::F32 | WeightType::Q8_0 if !Weight::is_packed(kind) => 0,
            WeightType::F32 => product::rows_bytes::<dense::Matrix>(rows, width) as u64,
            WeightType::Q8_0 => product::rows_bytes::<q8::Matrix>(rows, width) as u64,
            WeightType::Q4K => 0,
        }
    }

    /// Values of a row as candle's products take it.
    pub(crate) fn padded_width(kind: WeightType, width: usize) -> usize {
        if kind == WeightType::F32 { width } else { padded(width) }
    }

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
        let bias = joined_bias(source, parts, bias)?;
        let output = parts.iter().map(|(_, output)| output).sum();
        Ok(Self { weight: Weight::load(source, parts, input)?, bias, input, output })
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
        Ok(Self { weight: Weight::of(weight, kind)?, bias: None, input, output })
    }

    /// `(rows, in)` → `(rows, out)`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.apply(&Input::new(x))
    }

    /// `(rows, in)` → `(rows, out)`; what was made of the rows for one product serves the next.
    pub(crate) fn apply(&self, x: &Input<'_>) -> Result<Tensor> {
        match &self.weight {
            Weight::Dense(weight) => {
                let x = x.tensor()?;
                let in_memory = x.device().is_cpu() && !x.track_op();
                let tile = if in_memory && !weight.track_op() { DENSE_TILE } else { usize::MAX };
                let weight = weight.t()?;
                self.tiled(x, tile, |x| Ok(x.matmul(&weight)?))
            }
            Weight::Quantised(matmul, _) => {
                let x = x.tensor()?;
                let tile = if x.device().is_cpu() && !x.track_op() { Self::QUANTISED_TILE } else { usize::MAX };
                self.tiled(x, tile, |x| spoilt(x, matmul.forward(&pad(x, padded(self.input))?)?))
            }
            Weight::Panels(_) | Weight::Packed(_) => {
                let mut out = Vec::new();
                self.write(x, None, &mut out)?;
                self.tensor(out)
            }
        }
    }

    /// `(rows, in)` → `onto + (rows, out)`, of the shape of `onto`.
    pub(crate) fn apply_onto(&self, x: &Input<'_>, onto: &Tensor) -> Result<Tensor> {
        let (mut out, values) = (Vec::new(), Values::of(onto));
        match &values {
            Some(values) if self.write(x, Some(values.get()), &mut out)? => self.tensor(out),
            _ => Ok((onto + self.apply(x)?)?),
        }
    }

    /// Several products of the same rows: with kernels of our own in one go, so that small ones need no turn of their own.
    pub(crate) fn apply_all<const N: usize>(all: [&Self; N], x: &Input<'_>) -> Result<[Tensor; N]> {
        if !all.iter().all(|linear| linear.is_packed()) {
            return as_many(all.iter().map(|linear| linear.apply(x)).collect::<Result<Vec<_>>>()?);
        }
        let biases = all.iter().map(|linear| bias_of(&linear.bias)).collect::<Result<Vec<_>>>()?;
        let panels = || all.iter().map(|linear| linear.weight.panels()).collect::<Option<Vec<_>>>();
        let packed = || all.iter().map(|linear| linear.weight.packed()).collect::<Option<Vec<_>>>();
        let added = biases.iter().map(|bias| Added { bias: bias.as_ref().map(Values::get), rows: None });
        let input = all.first().map_or(0, |linear| linear.input);
        let outs = if let Some(matrices) = panels()
            && let Some(first) = matrices.first()
        {
            let rows = x.groups(first, input)?;
            product::multiply(rows, &matrices.into_iter().zip(added).collect::<Vec<_>>())
        } else if let Some(matrices) = packed()
            && let Some(first) = matrices.first()
        {
            let rows = x.rounded(first, input)?;
            product::multiply(rows, &matrices.into_iter().zip(added).collect::<Vec<_>>())
        } else {
            let alone = all.iter().map(|linear| linear.apply(x)).collect::<Result<Vec<_>>>()?;
            return as_many(alone);
        };
        as_many(outs.into_iter().zip(all).map(|(out, linear)| linear.tensor(out)).collect::<Result<Vec<_>>>()?)
    }

    /// `(rows, in)` → `onto + (rows, out)` over what is in `out`, with a kernel of our own; `false`, and nothing done, without.
    pub(crate) fn write(&self, x: &Input<'_>, onto: Option<&[f32]>, out: &mut Vec<f32>) -> Result<bool> {
        let bias = bias_of(&self.bias)?;
        let added = Added { bias: bias.as_ref().map(Values::get), rows: onto };
        match &self.weight {
            Weight::Panels(matrix) => product::write(x.groups(matrix, self.input)?, &[(matrix, added)], &mut [out]),
            Weight::Packed(matrix) => product::write(x.rounded(matrix, self.input)?, &[(matrix, added)], &mut [out]),
            Weight::Dense(_) | Weight::Quantised(..) => return Ok(false),
        }
        Ok(true)
    }

    /// `(rows, out)` in memory.
    fn tensor(&self, values: Vec<f32>) -> Result<Tensor> {
        let rows = values.len() / self.output.max(1);
        Ok(Tensor::from_vec(values, (rows, self.output), &Device::Cpu)?)
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

    /// Whether a kernel of our own multiplies with it.
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self.weight, Weight::Panels(_) | Weight::Packed(_))
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let bias = self.bias.as_ref().map_or(0, Tensor::elem_count) * size_of::<f32>();
        bias + match &self.weight {
            Weight::Dense(tensor) => tensor.elem_count() * size_of::<f32>(),
            weight => Weight::bytes_of(self.input, self.output, weight.kind()) as usize,
        }
    }

    /// Bytes that joined weights of the given `(in, out)` take on top while they are read from disk.
    pub(crate) fn reading_bytes(parts: &[(usize, usize)], kind: WeightType) -> u64 {
        Weight::reading_bytes(parts, kind)
    }

    /// Bytes that a weight takes without its bias.
    pub(crate) fn bytes_of(input: usize, output: usize, kind: WeightType) -> u64 {
        Weight::bytes_of(input, output, kind)
    }
}

/// A product with packed weights was given something else than rows of f32 in memory, or rows of another width, or ones
/// that a gradient must flow back to.
fn refused(tensor: &Tensor) -> candle_core::Error {
    let (device, dtype, shape) = (tensor.device().location(), tensor.dtype(), tensor.shape());
    candle_core::Error::msg(format!("packed weights cannot be multiplied with {shape:?} {dtype:?} on {device:?}"))
}

/// The product `y` of `x`, nothing of which is a number in rows where something of `x` is not finite. candle's quantised
/// products round rows to integers first, and what is not a number comes out of that as zero.
fn spoilt(x: &Tensor, y: Tensor) -> Result<Tensor> {
    let (rows, output) = y.dims2()?;
    let (Some(values), Some(found)) = (Values::of(x), Values::of(&y)) else {
        // A finite value times zero is zero, any other is not a number.
        return Ok(y.broadcast_add(&(x * 0.0)?.sum_keepdim(1)?)?);
    };
    let width = values.get().len() / rows.max(1);
    let is_bad: Vec<bool> =
        values.get().chunks(width.max(1)).map(|row| !row.iter().all(|value| value.is_finite())).collect();
    if !is_bad.contains(&true) {
        drop(found);
        return Ok(y);
    }
    let mut out = found.get().to_vec();
    for (row, _) in out.chunks_mut(output.max(1)).zip(is_bad).filter(|(_, is_bad)| *is_bad) {
        row.fill(f32::NAN);
    }
    Ok(Tensor::from_vec(out, (rows, output), y.device())?)
}

/// Exactly so many.
fn as_many<T, const N: usize>(all: Vec<T>) -> Result<[T; N]> {
    let found = all.len();
    let all = all.try_into();
    Ok(all.map_err(|_| candle_core::Error::msg(format!("{N} products were asked for, {found} were made")))?)
}

/// The biases of joined projections, where the description has them.
fn joined_bias(source: &dyn ParameterSource, parts: &[(&str, usize)], has: bool) -> Result<Option<Tensor>> {
    let biases = parts.iter().map(|(name, output)| source.parameter(&format!("{name}.bias"), &[*output]));
    has.then(|| join(biases.collect::<Result<_>>()?)).transpose()
}

/// The values of a bias, where there is one.
fn bias_of(bias: &Option<Tensor>) -> Result<Option<Values<'_>>> {
    bias.as_ref().map(|bias| Ok(Values::of(bias).ok_or_else(|| refused(bias))?)).transpose()
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
