use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Module, Tensor};

use crate::Result;
use crate::kernels::values::Values;
use crate::source::{ParameterSource, WeightType};

/// Rows of a dense product: more at once are slower, because what they need leaves the caches.
const DENSE_TILE: usize = 512;

/// Rows of a quantised product.
const QUANTISED_TILE: usize = 64;

/// candle's fast quantised kernels want the inner dimension in whole super-blocks.
const SUPER_BLOCK: usize = 256;

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
    /// The inner dimension is padded with zeros to whole super-blocks.
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
        let weights = parts.iter().map(|(name, output)| source.parameter(&format!("{name}.weight"), &[*output, input]));
        let weight = join(weights.collect::<Result<_>>()?)?;
        let biases = parts.iter().map(|(name, output)| source.parameter(&format!("{name}.bias"), &[*output]));
        let bias = bias.then(|| join(biases.collect::<Result<_>>()?)).transpose()?;
        Ok(Self { bias, ..Self::from_weight(weight, source.weight_type())? })
    }

    /// Takes a weight `(out, in)`, f32, and quantises it where that is asked for.
    pub(crate) fn from_weight(weight: Tensor, kind: WeightType) -> Result<Self> {
        let (output, input) = weight.dims2()?;
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
        let (rows, _input) = x.dims2()?;
        let y = match &self.weight {
            Weight::Dense(weight) => {
                let weight = weight.t()?;
                let tile = if x.track_op() || weight.track_op() { rows } else { DENSE_TILE };
                self.tiled(x, rows, tile, |x| Ok(x.matmul(&weight)?))?
            }
            Weight::Quantised(matmul, _) => {
                let x = x.pad_with_zeros(1, 0, padded(self.input) - self.input)?;
                self.tiled(&x, rows, QUANTISED_TILE, |x| Ok(matmul.forward(x)?))?
            }
        };
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }

    /// Multiplies so many rows at once as the processor likes; a graphics card likes all of them.
    fn tiled(
        &self,
        x: &Tensor,
        rows: usize,
        tile: usize,
        multiply: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if rows <= tile || !x.device().is_cpu() {
            return multiply(x);
        }
        let mut values = Vec::with_capacity(rows * self.output);
        for start in (0..rows).step_by(tile) {
            let y = multiply(&x.narrow(0, start, tile.min(rows - start))?)?;
            match Values::of(&y) {
                Some(y) => values.extend_from_slice(y.get()),
                None => return multiply(x),
            }
        }
        Ok(Tensor::from_vec(values, (rows, self.output), x.device())?)
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let bias = self.bias.as_ref().map_or(0, Tensor::elem_count) * size_of::<f32>();
        let kind = match &self.weight {
            Weight::Dense(_) => WeightType::F32,
            Weight::Quantised(_, kind) => *kind,
        };
        bias + Self::bytes_of(self.input, self.output, kind) as usize
    }

    /// Bytes that a weight takes without its bias. candle keeps a quantised weight twice: as it was made, and in the
    /// order that its kernel reads.
    pub(crate) fn bytes_of(input: usize, output: usize, kind: WeightType) -> u64 {
        let padded = (padded(input) * output) as u64;
        match kind {
            WeightType::F32 => (input * output * size_of::<f32>()) as u64,
            WeightType::Q8_0 => 2 * padded / 32 * 34,
            // 144 bytes for 256 weights; then 6-bit scales become f32: 3 bytes for 4 weights.
            WeightType::Q4K => padded / 256 * 144 + padded * 3 / 4,
        }
    }
}

fn join(parts: Vec<Tensor>) -> Result<Tensor> {
    Ok(if let [part] = parts.as_slice() { part.clone() } else { Tensor::cat(&parts, 0)? })
}

fn padded(input: usize) -> usize {
    input.next_multiple_of(SUPER_BLOCK)
}
