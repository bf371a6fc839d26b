use candle_core::Tensor;

use crate::Result;
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
        Ok(match self.kernels {
            Kernels::Fused => candle_nn::ops::rms_norm(x, &self.weight, self.eps)?,
            Kernels::Differentiable => candle_nn::ops::rms_norm_slow(x, &self.weight, self.eps)?,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.weight.elem_count() * self.weight.dtype().size_in_bytes()
    }
}
