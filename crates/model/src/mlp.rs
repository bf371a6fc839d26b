use candle_core::Tensor;
use neuro_checkpoint::{Activation, MlpConfig};

use crate::Result;
use crate::linear::Linear;
use crate::source::ParameterSource;

/// The gated MLP: `down(act(gate(x)) · up(x))` (arXiv 2002.05202).
#[derive(Debug)]
pub(crate) struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    activation: Activation,
}

impl Mlp {
    pub(crate) fn load(source: &dyn ParameterSource, name: &str, hidden: usize, config: &MlpConfig) -> Result<Self> {
        let MlpConfig { intermediate_size, bias, activation } = *config;
        let load = |part: &str, shape| Linear::load(source, &format!("{name}.{part}"), shape, bias);
        Ok(Self {
            gate_proj: load("gate_proj", (hidden, intermediate_size))?,
            up_proj: load("up_proj", (hidden, intermediate_size))?,
            down_proj: load("down_proj", (intermediate_size, hidden))?,
            activation,
        })
    }

    /// `(rows, hidden)` → `(rows, hidden)`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let gate = self.gate_proj.forward(x)?;
        let gate = match self.activation {
            Activation::Silu => gate.silu()?,
            Activation::Gelu => gate.gelu_erf()?,
            Activation::GeluTanh => gate.gelu()?,
            Activation::Relu => gate.relu()?,
        };
        self.down_proj.forward(&(gate * self.up_proj.forward(x)?)?)
    }

    pub(crate) fn bytes(&self) -> usize {
        [&self.gate_proj, &self.up_proj, &self.down_proj].map(Linear::bytes).iter().sum()
    }
}
