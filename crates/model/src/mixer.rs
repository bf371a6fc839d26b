use std::sync::Arc;

use candle_core::Tensor;
use neuro_checkpoint::{LayerConfig, NormKind};

use crate::Result;
use crate::attention::Attention;
use crate::batch::Batch;
use crate::delta_net::DeltaNet;
use crate::rope::Rope;
use crate::source::{Kernels, ParameterSource};
use crate::state::Slot;

/// What a layer's first branch computes: the one place where a row sees others.
#[derive(Debug)]
pub(crate) enum Mixer {
    Attention(Box<Attention>),
    DeltaNet(Box<DeltaNet>),
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
                Self::DeltaNet(Box::new(DeltaNet::load(source, &name, (hidden, norm_kind.1), config, kernels)?))
            }
        })
    }

    /// Input `(rows, hidden)` → `(asked rows, hidden)`, and what every row leaves behind to the slots; `None` when nothing is
    /// asked for.
    pub(crate) fn forward(&self, x: &Tensor, batch: &Batch, slots: &mut [&mut Slot]) -> Result<Option<Tensor>> {
        let is_asked = batch.asked_rows() > 0;
        match self {
            Self::Attention(attention) => {
                let angles = attention.remember(x, batch, slots)?;
                is_asked.then(|| attention.forward(x, angles, batch, slots)).transpose()
            }
            Self::DeltaNet(delta_net) => {
                delta_net.remember(x, batch, slots)?;
                is_asked.then(|| delta_net.forward(x, batch, slots)).transpose()
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Attention(attention) => attention.bytes(),
            Self::DeltaNet(delta_net) => delta_net.bytes(),
        }
    }
}
