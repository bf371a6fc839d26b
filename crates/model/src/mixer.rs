use std::sync::Arc;

use candle_core::Tensor;
use neuro_checkpoint::{LayerConfig, NormKind};

use crate::Result;
use crate::attention::Attention;
use crate::batch::Batch;
use crate::delta_net::DeltaNet;
use crate::layer::sum;
use crate::linear::Input;
use crate::rope::Rope;
use crate::source::{Kernels, ParameterSource};
use crate::state::Slot;

/// What a layer's first branch computes: the one place where a row sees others.
#[derive(Debug)]
pub(crate) enum Mixer {
    Attention(Box<Attention>),
    DeltaNet {
        delta_net: Box<DeltaNet>,
        /// Tokens that its convolution sees.
        taps: usize,
    },
}

impl Mixer {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        layer_name: &str,
        (hidden, norm_kind): (usize, (NormKind, f64)),
        layer: &LayerConfig,
        rope: Arc<Rope>,
        kernels: Kernels,
    ) -> Result<Self> {
        let LayerConfig { attention, delta_net, .. } = layer;
        Ok(match delta_net {
            None => {
                let name = format!("{layer_name}.self_attn");
                let attention = Attention::load(source, &name, (hidden, norm_kind), attention, rope, kernels)?;
                Self::Attention(Box::new(attention))
            }
            Some(config) => {
                let name = format!("{layer_name}.linear_attn");
                let delta_net = Box::new(DeltaNet::load(source, &name, (hidden, norm_kind.1), config, kernels)?);
                Self::DeltaNet { delta_net, taps: config.taps }
            }
        })
    }

    /// Input `(rows, hidden)` → `(asked rows, hidden)`, and what every row leaves behind to the slots; `None` when nothing is
    /// asked for.
    pub(crate) fn forward(&self, x: &Input<'_>, batch: &Batch, slots: &mut [&mut Slot]) -> Result<Option<Tensor>> {
        self.run(x, None, batch, slots)
    }

    /// The same, added to `onto`, `(asked rows, hidden)`.
    pub(crate) fn forward_onto(
        &self,
        x: &Input<'_>,
        onto: &Tensor,
        batch: &Batch,
        slots: &mut [&mut Slot],
    ) -> Result<Option<Tensor>> {
        self.run(x, Some(onto), batch, slots)
    }

    fn run(
        &self,
        x: &Input<'_>,
        onto: Option<&Tensor>,
        batch: &Batch,
        slots: &mut [&mut Slot],
    ) -> Result<Option<Tensor>> {
        let is_asked = batch.asked_rows() > 0;
        match self {
            Self::Attention(attention) => {
                let remembered = attention.remember(x, batch, slots)?;
                is_asked.then(|| attention.forward(x, onto, remembered, batch, slots)).transpose()
            }
            Self::DeltaNet { delta_net, taps } => {
                let x = x.tensor()?;
                delta_net.remember(x, batch, slots)?;
                if !is_asked {
                    return Ok(None);
                }
                let out = delta_net.forward(x, batch, slots)?;
                for slot in slots {
                    slot.forget_taken_in(*taps)?;
                }
                match onto {
                    None => Ok(Some(out)),
                    Some(onto) => sum(onto, &out).map(Some),
                }
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Attention(attention) => attention.bytes(),
            Self::DeltaNet { delta_net, .. } => delta_net.bytes(),
        }
    }
}
