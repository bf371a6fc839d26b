use candle_core::Tensor;
use neuro_checkpoint::{Activation, MlpConfig};

use crate::Result;
use crate::kernels::gated::{activate, gated_joined};
use crate::kernels::values::{Values, change};
use crate::linear::{Gated, Input, Linear};
use crate::source::{Kernels, ParameterSource, WeightType};

/// Rows that go through the whole MLP at once: what lies between the projections then stays near the processor, and
/// the memory for it is used again instead of being asked for.
const TILE: usize = 576;
/// The same for candle's quantised products, which take no more rows at once.
const QUANTISED_TILE: usize = Linear::QUANTISED_TILE;

/// The gated MLP: `down(act(gate(x)) · up(x))` (arXiv 2002.05202); without a gate `down(act(up(x)))`.
#[derive(Debug)]
pub(crate) struct Mlp {
    up: Up,
    down_proj: Linear,
    activation: Activation,
    intermediate_size: usize,
    /// Rows that it takes at once.
    tile: usize,
    kernels: Kernels,
}

/// Rows that an MLP with weights of this type takes at once.
fn tile_of(kind: WeightType) -> usize {
    if kind == WeightType::F32 || Linear::is_packed_as(kind) { TILE } else { QUANTISED_TILE }
}

/// What comes before `down_proj`.
#[derive(Debug)]
enum Up {
    /// `gate_proj` and `up_proj` for kernels of our own, activation included.
    Gated(Box<Gated>),
    /// `gate_proj` and `up_proj`, one behind the other.
    Joined(Box<Linear>),
    /// `up_proj` alone.
    Alone(Box<Linear>),
}

impl Mlp {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        (hidden, intermediate_size): (usize, usize),
        config: &MlpConfig,
        kernels: Kernels,
    ) -> Result<Self> {
        let MlpConfig { bias, activation, gated, .. } = *config;
        let gate_up = [format!("{name}.gate_proj"), format!("{name}.up_proj")];
        let down_proj = Linear::load(source, &format!("{name}.down_proj"), (intermediate_size, hidden), bias)?;
        let sizes = (hidden, intermediate_size);
        // What is gated inside a product only a product of the same kind can read.
        let packed = match gated && kernels == Kernels::Fused && down_proj.is_packed() {
            true => Gated::load(source, &gate_up, sizes, bias, activation)?,
            false => None,
        };
        let parts = gate_up.each_ref().map(|part| (part.as_str(), intermediate_size));
        let up = match packed {
            Some(packed) => Up::Gated(Box::new(packed)),
            None if gated => Up::Joined(Box::new(Linear::load_joined(source, &parts, hidden, bias)?)),
            None => Up::Alone(Box::new(Linear::load_joined(source, &parts[1..], hidden, bias)?)),
        };
        let tile = tile_of(source.weight_type());
        Ok(Self { up, down_proj, activation, intermediate_size, tile, kernels })
    }

    /// `(rows, hidden)` → `onto + (rows, hidden)`.
    pub(crate) fn forward_onto(&self, x: &Input<'_>, onto: &Tensor) -> Result<Tensor> {
        match &self.up {
            Up::Gated(up) if x.shape()?[0] <= self.tile => self.down_proj.apply_onto(&up.forward(x)?, onto),
            _ => Ok((onto + self.forward(x)?)?),
        }
    }

    /// `(rows, hidden)` → `(rows, hidden)`.
    pub(crate) fn forward(&self, x: &Input<'_>) -> Result<Tensor> {
        let [rows, hidden] = x.shape()?;
        if self.kernels != Kernels::Fused || rows <= self.tile {
            return self.all(x);
        }
        let whole = x.tensor()?;
        if !whole.device().is_cpu() {
            return self.all(x);
        }
        let mut out = Vec::with_capacity(rows * hidden);
        for start in (0..rows).step_by(self.tile) {
            let y = self.all(&Input::new(&whole.narrow(0, start, self.tile.min(rows - start))?))?;
            match Values::of(&y) {
                Some(y) => out.extend_from_slice(y.get()),
                None => return self.all(x),
            }
        }
        Ok(Tensor::from_vec(out, (rows, hidden), whole.device())?)
    }

    fn all(&self, x: &Input<'_>) -> Result<Tensor> {
        match &self.up {
            Up::Gated(up) => self.down_proj.apply(&up.forward(x)?),
            Up::Joined(up) => self.down_proj.forward(&self.gated(&up.apply(x)?)?),
            Up::Alone(up) => self.down_proj.forward(&self.activated(up.apply(x)?)?),
        }
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
        let (gate, up) = (part(0)?, part(1)?);
        if let Activation::ClampedSwiglu { alpha, limit } = self.activation {
            let gate = gate.minimum(limit)?;
            let swish = (&gate * candle_nn::ops::sigmoid(&(&gate * f64::from(alpha))?)?)?;
            return Ok((swish * (up.clamp(-limit, limit)? + 1.0)?)?);
        }
        Ok((self.composed(&gate)? * up)?)
    }

    /// `(rows, intermediate)` → the same, where it lies if kernels of our own can do that.
    fn activated(&self, up: Tensor) -> Result<Tensor> {
        if self.kernels == Kernels::Fused && change(&up, |values| activate(values, self.activation))? {
            return Ok(up);
        }
        self.composed(&up)
    }

    fn composed(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match self.activation {
            Activation::Silu => x.silu()?,
            Activation::Gelu => x.gelu_erf()?,
            Activation::GeluTanh => x.gelu()?,
            Activation::Relu => x.relu()?,
            // Without a gate there is no such MLP; the swish is what is left of it.
            Activation::ClampedSwiglu { alpha, .. } => (x * candle_nn::ops::sigmoid(&(x * f64::from(alpha))?)?)?,
        })
    }

    /// Bytes that so many rows take between the projections of an MLP of this width, beside what goes in and comes out.
    pub(crate) fn scratch_bytes(
        config: &MlpConfig,
        (hidden, width): (usize, usize),
        kind: WeightType,
        on_cpu: bool,
        rows: usize,
    ) -> u64 {
        let floats = |rows: usize, width: usize| (rows * width * size_of::<f32>()) as u64;
        if !on_cpu {
            // Gates and ups joined, gates once more, activated, and gated.
            return floats(rows, if config.gated { 5 * width } else { 2 * width });
        }
        if Linear::is_packed_as(kind) {
            let rows = rows.min(TILE);
            let read = Linear::prepared_bytes(kind, rows, width);
            return if config.gated { read } else { floats(rows, width) + read };
        }
        let rows = rows.min(tile_of(kind));
        // What comes out of the first projection, once more where a bias is added; what is activated, as it is and padded.
        let up = if config.gated { 2 * width } else { width };
        let gated = if config.gated { width } else { 0 };
        let widths = up * if config.bias { 2 } else { 1 } + gated + Linear::padded_width(kind, width);
        floats(rows, widths + 2 * Linear::padded_width(kind, hidden))
    }

    pub(crate) fn bytes(&self) -> usize {
        let up = match &self.up {
            Up::Gated(up) => up.bytes(),
            Up::Joined(up) | Up::Alone(up) => up.bytes(),
        };
        up + self.down_proj.bytes()
    }
}
