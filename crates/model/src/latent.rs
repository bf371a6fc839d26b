use candle_core::Tensor;
use neuro_checkpoint::{AttentionConfig, LatentConfig, NormKind};

use crate::Result;
use crate::kernels::values::Values;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::source::{Kernels, ParameterSource};

/// Queries, keys and values out of latents (arXiv 2405.04434, section 2.1). What comes out is laid out as that of three
/// plain projections: the rotated part of a query or key first, values with zeros up to a key's width.
#[derive(Debug)]
pub(crate) struct Latent {
    q_down: Option<(Linear, Norm)>,
    q: Linear,
    kv_down: Linear,
    kv_norm: Norm,
    kv_up: Linear,
    heads: usize,
    config: LatentConfig,
}

impl Latent {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        hidden: usize,
        (attention, config): (&AttentionConfig, &LatentConfig),
        kernels: Kernels,
    ) -> Result<Self> {
        let LatentConfig { q_rank, kv_rank, nope_dim, rope_dim, v_dim, bias } = *config;
        let heads = attention.heads;
        let linear = |part: &str, shape, bias| Linear::load(source, &format!("{name}.{part}"), shape, bias);
        let norm = |part: &str, width| {
            let kind = (NormKind::Rms, LatentConfig::NORM_EPS);
            Norm::load(source, &format!("{name}.{part}"), width, kind, kernels)
        };
        let q_down = q_rank.map(|rank| {
            Ok::<_, crate::ModelError>((linear("q_a_proj", (hidden, rank), bias)?, norm("q_a_layernorm", rank)?))
        });
        let q_width = heads * (nope_dim + rope_dim);
        Ok(Self {
            q_down: q_down.transpose()?,
            q: match q_rank {
                Some(rank) => linear("q_b_proj", (rank, q_width), false)?,
                None => linear("q_proj", (hidden, q_width), false)?,
            },
            kv_down: linear("kv_a_proj_with_mqa", (hidden, kv_rank + rope_dim), bias)?,
            kv_norm: norm("kv_a_layernorm", kv_rank)?,
            kv_up: linear("kv_b_proj", (kv_rank, heads * (nope_dim + v_dim)), false)?,
            heads,
            config: *config,
        })
    }

    /// Queries `(rows, heads·head_dim)` of `(rows, hidden)`.
    pub(crate) fn queries(&self, x: &Tensor) -> Result<Tensor> {
        let q = match &self.q_down {
            Some((down, norm)) => self.q.forward(&norm.forward(&down.forward(x)?)?)?,
            None => self.q.forward(x)?,
        };
        let LatentConfig { nope_dim, rope_dim, .. } = self.config;
        let (rows, width) = q.dims2()?;
        let q = q.reshape((rows, self.heads, nope_dim + rope_dim))?;
        let parts = [q.narrow(2, nope_dim, rope_dim)?, q.narrow(2, 0, nope_dim)?];
        Ok(Tensor::cat(&parts, 2)?.reshape((rows, width))?)
    }

    /// Keys and values, each `(rows, heads·head_dim)`, of `(rows, hidden)`.
    pub(crate) fn keys_and_values(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let LatentConfig { kv_rank, nope_dim, rope_dim, v_dim, .. } = self.config;
        let (rows, heads) = (x.dim(0)?, self.heads);
        let down = self.kv_down.forward(x)?;
        let latent = self.kv_norm.forward(&down.narrow(1, 0, kv_rank)?.contiguous()?)?;
        let up = self.kv_up.forward(&latent)?.reshape((rows, heads, nope_dim + v_dim))?;
        let rotated = down.narrow(1, kv_rank, rope_dim)?.reshape((rows, 1, rope_dim))?;
        let rotated = rotated.broadcast_as((rows, heads, rope_dim))?.contiguous()?;
        let k = Tensor::cat(&[rotated, up.narrow(2, 0, nope_dim)?.contiguous()?], 2)?;
        let v = up.narrow(2, nope_dim, v_dim)?.pad_with_zeros(2, 0, nope_dim + rope_dim - v_dim)?;
        let flat = |x: Tensor| x.contiguous()?.reshape((rows, heads * (nope_dim + rope_dim)));
        Ok((flat(k)?, flat(v)?))
    }

    /// What the heads attended to, `(rows, heads·head_dim)`, without the zeros: `(rows, heads·v_dim)`.
    pub(crate) fn attended(&self, out: &Tensor) -> Result<Tensor> {
        let LatentConfig { nope_dim, rope_dim, v_dim, .. } = self.config;
        let rows = out.dim(0)?;
        if let (false, Some(values)) = (out.track_op(), Values::of(out)) {
            let heads = values.get().chunks_exact(nope_dim + rope_dim);
            let kept: Vec<f32> = heads.flat_map(|head| &head[..v_dim]).copied().collect();
            return Ok(Tensor::from_vec(kept, (rows, self.heads * v_dim), out.device())?);
        }
        let out = out.reshape((rows, self.heads, nope_dim + rope_dim))?.narrow(2, 0, v_dim)?;
        Ok(out.contiguous()?.reshape((rows, self.heads * v_dim))?)
    }

    pub(crate) fn bytes(&self) -> usize {
        let q_down = self.q_down.as_ref().map_or(0, |(linear, norm)| linear.bytes() + norm.bytes());
        q_down + self.q.bytes() + self.kv_down.bytes() + self.kv_norm.bytes() + self.kv_up.bytes()
    }
}
