//! Two projections of which one gates the other.

use candle_core::Tensor;
use neuro_checkpoint::Activation;

use super::input::Input;
use super::weight::Weight;
use super::{bias_of, joined_bias};
use crate::Result;
use crate::kernels::panels::Order;
use crate::kernels::product;
use crate::kernels::values::Values;
use crate::source::{ParameterSource, WeightType};

/// `act(x Gᵀ + b) · (x Uᵀ + c)` with kernels of our own, which never hold gates or what they gate as a whole. `G` and `U` are
/// `(out, in)`.
#[derive(Debug)]
pub(crate) struct Gated {
    weight: Weight,
    /// `(2·out)`
    bias: Option<Tensor>,
    input: usize,
    output: usize,
    activation: Activation,
}

impl Gated {
    /// Loads the gate and what it gates, named in this order. `None` where no kernel of our own multiplies with such weights.
    pub(crate) fn load(
        source: &dyn ParameterSource,
        names: &[String; 2],
        (input, output): (usize, usize),
        bias: bool,
        activation: Activation,
    ) -> Result<Option<Self>> {
        let parts = names.each_ref().map(|name| (name.as_str(), output));
        let Some(weight) = Weight::load_packed(source, &parts, input, Order::InTurn)? else { return Ok(None) };
        let bias = joined_bias(source, &parts, bias)?;
        Ok(Some(Self { weight, bias, input, output, activation }))
    }

    /// `(rows, in)` → `(rows, out)`, for products with weights of the same type.
    pub(crate) fn forward(&self, x: &Input<'_>) -> Result<Input<'static>> {
        let bias = bias_of(&self.bias)?;
        let bias = bias.as_ref().map(Values::get);
        match &self.weight {
            Weight::Panels(matrix) => {
                let gated = product::gated(matrix, x.groups(matrix, self.input)?, bias, self.activation);
                Ok(Input::of_groups(gated))
            }
            Weight::Packed(matrix) => {
                let gated = product::gated(matrix, x.rounded(matrix, self.input)?, bias, self.activation);
                Ok(Input::of_rounded(gated))
            }
            Weight::Dense(_) | Weight::Quantised(..) => {
                Err(candle_core::Error::msg("weights that gate one another are packed").into())
            }
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let bias = self.bias.as_ref().map_or(0, Tensor::elem_count) * size_of::<f32>();
        bias + 2 * Weight::bytes_of(self.input, self.output, self.weight.kind()) as usize
    }

    /// Bytes that both weights take, without their bias.
    pub(crate) fn bytes_of(input: usize, output: usize, kind: WeightType) -> u64 {
        // Where they are not in turn they are joined.
        match Weight::is_packed(kind) {
            true => 2 * Weight::bytes_of(input, output, kind),
            false => Weight::bytes_of(input, 2 * output, kind),
        }
    }
}
