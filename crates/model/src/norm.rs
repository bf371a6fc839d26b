use candle_core::Tensor;
use neuro_checkpoint::NormKind;

use crate::Result;
use crate::kernels::norm::{RowNorm, layer_norm, rms_norm};
use crate::kernels::values::Values;
use crate::source::{Kernels, ParameterSource};

/// Normalisation over the last axis, of one of the kinds that [`NormKind`] names.
#[derive(Debug)]
pub(crate) struct Norm {
    weight: Tensor,
    /// Where the mean is taken away first.
    bias: Option<Tensor>,
    /// Multiplies what comes out, where each head has a weight of its own: `(heads, width)`.
    of_heads: Option<Tensor>,
    eps: f32,
    kernels: Kernels,
}

impl Norm {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        width: usize,
        (kind, eps): (NormKind, f64),
        kernels: Kernels,
    ) -> Result<Self> {
        let weight = source.parameter(&format!("{name}.weight"), &[width])?;
        let bias = || source.parameter(&format!("{name}.bias"), &[width]);
        let (weight, bias) = match kind {
            NormKind::Rms => (weight, None),
            NormKind::RmsAroundOne => ((weight + 1.0)?, None),
            NormKind::Layer => (weight, Some(bias()?)),
        };
        Ok(Self { weight, bias, of_heads: None, eps: eps as f32, kernels })
    }

    /// A LayerNorm of each head with a weight of its own and no bias (transformers' `StableLmLayerNormPerHead`).
    pub(crate) fn load_of_heads(
        source: &dyn ParameterSource,
        name: &str,
        (heads, width): (usize, usize),
        eps: f64,
        kernels: Kernels,
    ) -> Result<Self> {
        let weight = |head: usize| source.parameter(&format!("{name}.norms.{head}.weight"), &[width]);
        let weights = (0..heads).map(weight).collect::<Result<Vec<_>>>()?;
        let of_heads = Tensor::stack(&weights, 0)?;
        let one = Tensor::ones(width, of_heads.dtype(), of_heads.device())?;
        Ok(Self { bias: Some(one.zeros_like()?), weight: one, of_heads: Some(of_heads), eps: eps as f32, kernels })
    }

    /// `(…, width)` → `(…, width)`; the input must be contiguous. With a weight for each head `(…, heads, width)`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let normed = self.normed(x)?;
        match &self.of_heads {
            None => Ok(normed),
            Some(weights) => Ok(normed.broadcast_mul(weights)?),
        }
    }

    fn normed(&self, x: &Tensor) -> Result<Tensor> {
        if let (Kernels::Fused, Some(values), Some(weight)) = (self.kernels, Values::of(x), Values::of(&self.weight)) {
            let mut out = vec![0.0; x.elem_count()];
            match self.bias.as_ref().map(Values::of) {
                None => rms_norm(values.get(), weight.get(), self.eps, &mut out),
                Some(Some(bias)) => layer_norm(values.get(), (weight.get(), bias.get()), self.eps, &mut out),
                Some(None) => return self.composed(x),
            }
            return Ok(Tensor::from_vec(out, x.shape(), x.device())?);
        }
        self.composed(x)
    }

    /// What the norm does to a row, handed to `work`; `None` where that is not done by kernels of our own.
    pub(crate) fn by_row<T>(&self, work: impl FnOnce(RowNorm<'_>) -> T) -> Option<T> {
        if self.kernels != Kernels::Fused || self.of_heads.is_some() || self.weight.track_op() {
            return None;
        }
        let weight = Values::of(&self.weight)?;
        let bias = self.bias.as_ref().map(Values::of);
        let bias = match &bias {
            None => None,
            Some(bias) => Some(bias.as_ref()?.get()),
        };
        Some(work(RowNorm { weight: weight.get(), bias, eps: self.eps }))
    }

    fn composed(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match (self.kernels, &self.bias) {
            (Kernels::Fused, None) => candle_nn::ops::rms_norm(x, &self.weight, self.eps)?,
            (Kernels::Fused, Some(bias)) => candle_nn::ops::layer_norm(x, &self.weight, bias, self.eps)?,
            (Kernels::Differentiable, None) => candle_nn::ops::rms_norm_slow(x, &self.weight, self.eps)?,
            (Kernels::Differentiable, Some(bias)) => candle_nn::ops::layer_norm_slow(x, &self.weight, bias, self.eps)?,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        let bytes = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        bytes(&self.weight) + [&self.bias, &self.of_heads].into_iter().flatten().map(bytes).sum::<usize>()
    }
}
