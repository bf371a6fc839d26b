//! The gated delta net, a mixer with a recurrent state, described by data.

/// A gated delta net (arXiv 2412.06464, as Qwen3-Next has it) in the place of attention. What a text left behind is, for
/// each value head, one matrix `S`, `(key_dim, value_dim)`; a token with query q, key k and value v turns it into
///
/// ```text
/// S ← decay · S;  S ← S + beta · k (v − kᵀ S);  out = qᵀ S
/// ```
///
/// Queries, keys and values come out of a projection, a causal convolution over each channel by itself and SiLU; queries and
/// keys are then of length 1, queries times `1 / sqrt(key_dim)`. `beta = sigmoid(b)` and
/// `decay = exp(−exp(A_log) · softplus(a + dt_bias))` are numbers of each value head. What comes out is normed by head,
/// multiplied by `silu(z)` and projected back (`Qwen3NextGatedDeltaNet`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaNetConfig {
    /// Heads of queries and keys.
    pub key_heads: usize,
    /// Heads of values, each with a state of its own; a multiple of `key_heads`. Adjacent ones share a key head.
    pub value_heads: usize,
    /// Width of a query or key.
    pub key_dim: usize,
    /// Width of a value.
    pub value_dim: usize,
    /// Tokens that the convolution sees, the token itself included.
    pub taps: usize,
}

impl DeltaNetConfig {
    /// Added to the sum of squares of a query or key that is brought to length 1, whatever the config says (transformers'
    /// `l2norm`).
    pub const LENGTH_EPS: f64 = 1e-6;

    /// Width of all queries, or all keys, of a token.
    #[must_use]
    pub fn keys_width(&self) -> usize {
        self.key_heads.saturating_mul(self.key_dim)
    }

    /// Width of all values of a token.
    #[must_use]
    pub fn values_width(&self) -> usize {
        self.value_heads.saturating_mul(self.value_dim)
    }

    /// Channels of the convolution: queries, keys, values.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.keys_width().saturating_mul(2).saturating_add(self.values_width())
    }

    /// The tensors of the mixer.
    pub(super) fn each_tensor(&self, hidden: usize, emit: &mut dyn FnMut(&str, &str, &[usize])) {
        let (keys, values) = (self.keys_width(), self.values_width());
        for (module, rows) in [
            ("linear_attn.in_proj_q", keys),
            ("linear_attn.in_proj_k", keys),
            ("linear_attn.in_proj_v", values),
            ("linear_attn.in_proj_z", values),
            ("linear_attn.in_proj_b", self.value_heads),
            ("linear_attn.in_proj_a", self.value_heads),
        ] {
            emit(module, "weight", &[rows, hidden]);
        }
        emit("linear_attn.conv1d", "weight", &[self.channels(), 1, self.taps]);
        emit("linear_attn", "dt_bias", &[self.value_heads]);
        emit("linear_attn", "A_log", &[self.value_heads]);
        emit("linear_attn.norm", "weight", &[self.value_dim]);
        emit("linear_attn.out_proj", "weight", &[hidden, values]);
    }
}
