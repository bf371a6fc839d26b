//! One layer, described by data.

use super::delta_net::DeltaNetConfig;
use super::experts::ExpertsConfig;
use super::rope::{RopeConfig, RopeScaling};

/// One layer: two branches, attention and MLP, that add to the residual stream.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerConfig {
    /// The attention branch; without heads where a delta net stands in its place.
    pub attention: AttentionConfig,
    /// What stands in the place of attention, where that is recurrent.
    pub delta_net: Option<DeltaNetConfig>,
    /// The MLP branch.
    pub mlp: MlpConfig,
    /// The norms around the branches.
    pub norms: LayerNorms,
    /// Whether the MLP reads the residual stream before the layer, as attention does, instead of the one behind attention.
    pub parallel: bool,
    /// Multiplies what each branch adds; 1 in most models.
    pub branch_scale: f64,
    /// How many layers before this one stands the layer whose weights it runs with; `None` where it has weights of its own.
    pub repeats: Option<usize>,
    /// Whether the residual stream passes the model's norm before it enters the layer.
    pub enters_normed: bool,
}

/// The norms of a layer by the checkpoint's names; `None` where there is no such norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerNorms {
    /// What they compute, those of queries and keys too.
    pub kind: NormKind,
    /// Before attention.
    pub before_attention: Option<&'static str>,
    /// Behind attention, before its output is added.
    pub after_attention: Option<&'static str>,
    /// Before the MLP. In a parallel layer without it the MLP reads what attention reads.
    pub before_mlp: Option<&'static str>,
    /// Behind the MLP, before its output is added.
    pub after_mlp: Option<&'static str>,
}

impl LayerNorms {
    /// RMSNorms before both branches, under Llama's names.
    pub const BEFORE: Self = Self {
        kind: NormKind::Rms,
        before_attention: Some("input_layernorm"),
        after_attention: None,
        before_mlp: Some("post_attention_layernorm"),
        after_mlp: None,
    };

    /// The names that there are, in the order of the computation.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.before_attention, self.after_attention, self.before_mlp, self.after_mlp].into_iter().flatten()
    }
}

/// What a norm computes over its last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NormKind {
    /// `x / sqrt(mean(x²) + eps) · weight` (arXiv 1910.07467).
    Rms,
    /// The same with `1 + weight`, as Gemma's checkpoints store it.
    RmsAroundOne,
    /// `(x − mean(x)) / sqrt(var(x) + eps) · weight + bias` (arXiv 1607.06450).
    Layer,
}

impl NormKind {
    /// Its tensors.
    #[must_use]
    pub fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Rms | Self::RmsAroundOne => &["weight"],
            Self::Layer => &["weight", "bias"],
        }
    }
}

/// The attention branch of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionConfig {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Whether `q_proj` has a bias.
    pub q_bias: bool,
    /// Whether `k_proj` has a bias.
    pub k_bias: bool,
    /// Whether `v_proj` has a bias.
    pub v_bias: bool,
    /// Whether `o_proj` has a bias.
    pub o_bias: bool,
    /// Norms of queries and keys before RoPE.
    pub qk_norm: QkNorm,
    /// Sliding window W: position p sees the keys k with p − W < k ≤ p. `None`: all keys up to p.
    pub window: Option<usize>,
    /// Rotary positions; a `rotary_dim` of 0 where the layer has none.
    pub rope: RopeConfig,
    /// Multiplies queries · keys before the softmax.
    pub scale: f64,
    /// Cap c of the scaled scores: `c · tanh(score / c)`.
    pub softcap: Option<f64>,
    /// Whether each head has a learned score (`sinks`) that takes part in the softmax and attends to nothing.
    pub sinks: bool,
    /// How queries, keys and values come out of latents; `None` where `q_proj`, `k_proj` and `v_proj` give them.
    pub latent: Option<LatentConfig>,
    /// Whether `q_proj` gives, behind each head's query, as many gates, whose sigmoids multiply what the head attended to
    /// (`Qwen3NextAttention`). Not with latents.
    pub output_gate: bool,
}

/// Attention over latents (DeepSeek-V2, arXiv 2405.04434, section 2.1): keys and values of all heads come out of one short
/// vector, and a part of each key, which alone is rotated, is the same in all heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatentConfig {
    /// Width of the queries' latent; `None` where `q_proj` gives them.
    pub q_rank: Option<usize>,
    /// Width of the latent of keys and values.
    pub kv_rank: usize,
    /// Leading part of a query or key, which is not rotated.
    pub nope_dim: usize,
    /// The rest of it; with `nope_dim` it makes `head_dim`.
    pub rope_dim: usize,
    /// Width of a value; at most `head_dim`.
    pub v_dim: usize,
    /// Whether the projections to latents have biases.
    pub bias: bool,
}

impl LatentConfig {
    /// Added to the mean square in the norms of latents, whatever the config says (`DeepseekV3RMSNorm`).
    pub const NORM_EPS: f64 = 1e-6;

    /// The tensors between the residual stream and queries, keys and values.
    fn each_tensor(&self, heads: usize, hidden: usize, emit: &mut dyn FnMut(&str, &str, &[usize])) {
        let q_rows = heads.saturating_mul(self.nope_dim.saturating_add(self.rope_dim));
        match self.q_rank {
            None => linear(emit, "self_attn.q_proj", q_rows, hidden, false),
            Some(rank) => {
                linear(emit, "self_attn.q_a_proj", rank, hidden, self.bias);
                emit("self_attn.q_a_layernorm", "weight", &[rank]);
                linear(emit, "self_attn.q_b_proj", q_rows, rank, false);
            }
        }
        let down = self.kv_rank.saturating_add(self.rope_dim);
        linear(emit, "self_attn.kv_a_proj_with_mqa", down, hidden, self.bias);
        emit("self_attn.kv_a_layernorm", "weight", &[self.kv_rank]);
        let up = heads.saturating_mul(self.nope_dim.saturating_add(self.v_dim));
        linear(emit, "self_attn.kv_b_proj", up, self.kv_rank, false);
    }
}

impl AttentionConfig {
    /// Attention without biases, norms, window and caps, scaled by `1 / sqrt(head_dim)`.
    #[must_use]
    pub fn new(heads: usize, kv_heads: usize, head_dim: usize, rope: RopeConfig) -> Self {
        Self {
            heads,
            kv_heads,
            head_dim,
            q_bias: false,
            k_bias: false,
            v_bias: false,
            o_bias: false,
            qk_norm: QkNorm::None,
            window: None,
            rope,
            scale: (head_dim as f64).powf(-0.5),
            softcap: None,
            sinks: false,
            latent: None,
            output_gate: false,
        }
    }

    /// What a layer has in whose attention's place something else stands.
    #[must_use]
    pub fn none() -> Self {
        let rope = RopeConfig { theta: 1.0, rotary_dim: 0, interleaved: false, scaling: RopeScaling::Default };
        Self { scale: 1.0, ..Self::new(0, 0, 0, rope) }
    }

    /// Rows of `q_proj`.
    #[must_use]
    pub fn q_rows(&self) -> usize {
        let rows = self.heads.saturating_mul(self.head_dim);
        if self.output_gate { rows.saturating_mul(2) } else { rows }
    }
}

/// Norms of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QkNorm {
    /// None.
    None,
    /// Each head by itself, with one weight of `head_dim` for all.
    Head,
    /// All heads of a row together.
    Row,
    /// Each head by itself: a LayerNorm without a bias, with a weight of its own (`q_layernorm.norms.0`, …).
    EachHead,
}

/// The MLP branch of a layer: `down_proj(activation(gate_proj(x)) · up_proj(x))`, or with experts a weighted sum of some
/// such.
#[derive(Clone, Debug, PartialEq)]
pub struct MlpConfig {
    /// Rows of `gate_proj` and `up_proj`; with experts, of each expert's.
    pub intermediate_size: usize,
    /// Whether `gate_proj`, `up_proj` and `down_proj` have biases.
    pub bias: bool,
    /// Applied to the output of `gate_proj`.
    pub activation: Activation,
    /// Whether there is a `gate_proj`; without it `down_proj(activation(up_proj(x)))`.
    pub gated: bool,
    /// A choice among several such MLPs for each row; `None` where there is one.
    pub experts: Option<ExpertsConfig>,
}

impl MlpConfig {
    /// One gated MLP without biases.
    #[must_use]
    pub fn new(intermediate_size: usize, activation: Activation) -> Self {
        Self { intermediate_size, bias: false, activation, gated: true, experts: None }
    }
}

/// An activation function; the names are those of transformers' `ACT2FN`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// x · sigmoid(x): `silu`, `swish`.
    Silu,
    /// x · Φ(x) with the error function: `gelu`, `gelu_python`.
    Gelu,
    /// The tanh approximation of GELU: `gelu_new`, `gelu_pytorch_tanh`, `gelu_python_tanh`, `gelu_fast`.
    GeluTanh,
    /// max(x, 0): `relu`.
    Relu,
    /// `g · sigmoid(alpha · g) · (u + 1)` with `g = min(gate, limit)` and `u = clamp(up, −limit, limit)`
    /// (transformers' `GptOssExperts`). Only where there is a `gate_proj`.
    ClampedSwiglu {
        /// Sharpness of the sigmoid.
        alpha: f32,
        /// The bound of gate and up.
        limit: f32,
    },
}

impl LayerConfig {
    /// A layer of two branches with RMSNorms before them.
    #[must_use]
    pub fn new(attention: AttentionConfig, mlp: MlpConfig) -> Self {
        Self {
            attention,
            delta_net: None,
            mlp,
            norms: LayerNorms::BEFORE,
            parallel: false,
            branch_scale: 1.0,
            repeats: None,
            enters_normed: false,
        }
    }

    /// Calls `emit` with module, part (`weight` or `bias`) and shape of every tensor of the layer.
    pub(super) fn each_tensor(&self, hidden: usize, mut emit: impl FnMut(&str, &str, &[usize])) {
        let (attention, mlp, norms) = (&self.attention, &self.mlp, &self.norms);
        // Neither product overflows: that was checked when the config was read.
        let q_rows = attention.heads.saturating_mul(attention.head_dim);
        let kv_rows = attention.kv_heads.saturating_mul(attention.head_dim);
        let norm = |name: Option<&str>, emit: &mut dyn FnMut(&str, &str, &[usize])| {
            if let Some(name) = name {
                norms.kind.parts().iter().for_each(|part| emit(name, part, &[hidden]));
            }
        };
        norm(norms.before_attention, &mut emit);
        match (&self.delta_net, &attention.latent) {
            (Some(delta_net), _) => delta_net.each_tensor(hidden, &mut emit),
            (None, None) => {
                linear(&mut emit, "self_attn.q_proj", attention.q_rows(), hidden, attention.q_bias);
                linear(&mut emit, "self_attn.k_proj", kv_rows, hidden, attention.k_bias);
                linear(&mut emit, "self_attn.v_proj", kv_rows, hidden, attention.v_bias);
                linear(&mut emit, "self_attn.o_proj", hidden, q_rows, attention.o_bias);
            }
            (None, Some(latent)) => {
                latent.each_tensor(attention.heads, hidden, &mut emit);
                let columns = attention.heads.saturating_mul(latent.v_dim);
                linear(&mut emit, "self_attn.o_proj", hidden, columns, attention.o_bias);
            }
        }
        let widths = match attention.qk_norm {
            QkNorm::None => None,
            QkNorm::EachHead => {
                for (module, heads) in [("q_layernorm", attention.heads), ("k_layernorm", attention.kv_heads)] {
                    for head in 0..heads {
                        emit(&format!("self_attn.{module}.norms.{head}"), "weight", &[attention.head_dim]);
                    }
                }
                None
            }
            QkNorm::Head => Some((attention.head_dim, attention.head_dim)),
            QkNorm::Row => Some((q_rows, kv_rows)),
        };
        if let Some((q, k)) = widths {
            for (module, width) in [("self_attn.q_norm", q), ("self_attn.k_norm", k)] {
                norms.kind.parts().iter().for_each(|part| emit(module, part, &[width]));
            }
        }
        if attention.sinks {
            emit("self_attn", "sinks", &[attention.heads]);
        }
        norm(norms.after_attention, &mut emit);
        norm(norms.before_mlp, &mut emit);
        match &mlp.experts {
            None => mlp.each_tensor("mlp", hidden, mlp.intermediate_size, &mut emit),
            Some(experts) => experts.each_tensor(mlp, hidden, &mut emit),
        }
        norm(norms.after_mlp, &mut emit);
    }
}

impl MlpConfig {
    /// The tensors of one MLP of this kind.
    pub(super) fn each_tensor(
        &self,
        name: &str,
        hidden: usize,
        intermediate: usize,
        emit: &mut dyn FnMut(&str, &str, &[usize]),
    ) {
        if self.gated {
            linear(emit, &format!("{name}.gate_proj"), intermediate, hidden, self.bias);
        }
        linear(emit, &format!("{name}.up_proj"), intermediate, hidden, self.bias);
        linear(emit, &format!("{name}.down_proj"), hidden, intermediate, self.bias);
    }
}

fn linear(emit: &mut dyn FnMut(&str, &str, &[usize]), module: &str, rows: usize, columns: usize, bias: bool) {
    emit(module, "weight", &[rows, columns]);
    if bias {
        emit(module, "bias", &[rows]);
    }
}
