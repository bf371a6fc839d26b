use candle_core::Tensor;
use neuro_checkpoint::{Activation, MlpConfig};

use crate::Result;
use crate::kernels::gated::gated_joined;
use crate::kernels::values::Values;
use crate::linear::Linear;
use crate::source::{Kernels, ParameterSource};

/// Rows that go through the whole MLP at once: what lies between the projections then stays near the processor, and
/// the memory for it is used again instead of being asked for.
const TILE: usize = 512;

/// The gated MLP: `down(act(gate(x)) · up(x))` (arXiv 2002.05202).
#[derive(Debug)]
pub(crate) struct Mlp {
    gate_up_proj: Linear,
    down_proj: Linear,
    activation: Activation,
    intermediate_size: usize,
    kernels: Kernels,
}

impl Mlp {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        hidden: usize,
        config: &MlpConfig,
        kernels: Kernels,
    ) -> Result<Self> {
        let MlpConfig { intermediate_size, bias, activation } = *config;
        let gate_up = [format!("{name}.gate_proj"), format!("{name}.up_proj")];
        let parts = gate_up.each_ref().map(|part| (part.as_str(), intermediate_size));
        Ok(Self {
            gate_up_proj: Linear::load_joined(source, &parts, hidden, bias)?,
            down_proj: Linear::load(source, &format!("{name}.down_proj"), (intermediate_size, hidden), bias)?,
            activation,
            intermediate_size,
            kernels,
        })
    }

    /// `(rows, hidden)` → `(rows, hidden)`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, hidden) = x.dims2()?;
        let tiled = self.kernels == Kernels::Fused && x.device().is_cpu();
        if !tiled || rows <= TILE {
            return self.tile(x);
        }
        let mut out = Vec::with_capacity(rows * hidden);
        for start in (0..rows).step_by(TILE) {
            let y = self.tile(&x.narrow(0, start, TILE.min(rows - start))?)?;
            match Values::of(&y) {
                Some(y) => out.extend_from_slice(y.get()),
                None => return self.tile(x),
            }
        }
        Ok(Tensor::from_vec(out, (rows, hidden), x.device())?)
    }

    fn tile(&self, x: &Tensor) -> Result<Tensor> {
        let gate_up = self.gate_up_proj.forward(x)?;
        self.down_proj.forward(&self.gated(&gate_up)?)
    }

    /// `(rows, 2·intermediate)` → `(rows, intermediate)`.
    fn gated(&self, gate_up: &Tensor) -> Result<Tensor> {
        let (rows, _both) = gate_up.dims2()?;
        if let (Kernels::Fused, Some(values)) = (self.kernels, Values::of(gate_up)) {
            let mut out = vec![0.0; rows * self.intermediate_size];
            gated_joined(values.get(), self.intermediate_size, self.activation, &mut out);
            return Ok(Tensor::from_vec(out, (rows, self.intermediate_size), gate_up.device())?);
        }
        let part = |part: usize| gate_up.narrow(1, part * self.intermediate_size, self.intermediate_size);
        let gate = part(0)?;
        let gate = match self.activation {
            Activation::Silu => gate.silu()?,
            Activation::Gelu => gate.gelu_erf()?,
            Activation::GeluTanh => gate.gelu()?,
            Activation::Relu => gate.relu()?,
        };
        Ok((gate * part(1)?)?)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.gate_up_proj.bytes() + self.down_proj.bytes()
    }
}
