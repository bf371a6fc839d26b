use candle_core::Tensor;

use crate::Result;
use crate::source::ParameterSource;

/// `y = x Wᵀ + b`, with `W` as the checkpoint stores it: `(out, in)`.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Loads `{name}.weight` and, where the description has one, `{name}.bias`.
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        (input, output): (usize, usize),
        bias: bool,
    ) -> Result<Self> {
        let weight = source.parameter(&format!("{name}.weight"), &[output, input])?;
        let bias = bias.then(|| source.parameter(&format!("{name}.bias"), &[output])).transpose()?;
        Ok(Self { weight, bias })
    }

    pub(crate) fn from_weight(weight: Tensor) -> Self {
        Self { weight, bias: None }
    }

    /// `(rows, in)` → `(rows, out)`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?;
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        let bias = self.bias.as_ref().map_or(0, Tensor::elem_count);
        (self.weight.elem_count() + bias) * self.weight.dtype().size_in_bytes()
    }
}
