use candle_core::Tensor;

use crate::Result;
use crate::kernels::norm::rms_norm;
use crate::kernels::values::Values;
use crate::source::{Kernels, ParameterSource};

/// Root mean square normalisation over the last axis (arXiv 1910.07467): `x / sqrt(mean(x²) + eps) · weight`.
#[derive(Debug)]
pub(crate) struct RmsNorm {
    weight: Tensor,
    eps: f32,
    kernels: Kernels,
}

impl RmsNorm {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        width: usize,
        eps: f64,
        kernels: Kernels,
    ) -> Result<Self> {
        let weight = source.parameter(&format!("{name}.weight"), &[width])?;
        Ok(Self { weight, eps: eps as f32, kernels })
    }

    /// `(…, width)` → `(…, width)`; the input must be contiguous.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let (Kernels::Fused, Some(values), Some(weight)) = (self.kernels, Values::of(x), Values::of(&self.weight)) {
            let mut out = vec![0.0; x.elem_count()];
            rms_norm(values.get(), weight.get(), self.eps, &mut out);
            return Ok(Tensor::from_vec(out, x.shape(), x.device())?);
        }
        Ok(match self.kernels {
            Kernels::Fused => candle_nn::ops::rms_norm(x, &self.weight, self.eps)?,
            Kernels::Differentiable => candle_nn::ops::rms_norm_slow(x, &self.weight, self.eps)?,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.weight.elem_count() * self.weight.dtype().size_in_bytes()
    }
}
