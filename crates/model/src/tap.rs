//! Looking inside: named activations, handed out as they are computed.

use candle_core::Tensor;
use neuro_path::Visit;

use crate::Result;

/// A place in a layer, by TransformerLens's names. All are `(rows, hidden)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Site {
    /// The residual stream before the layer.
    ResidPre,
    /// What attention adds, scaled as the visit says.
    AttnOut,
    /// The residual stream between attention and MLP.
    ResidMid,
    /// What the MLP adds, scaled as the visit says.
    MlpOut,
    /// The residual stream after the layer.
    ResidPost,
}

/// Sees every activation of a run. Indexed by visit, since `layer 12` is ambiguous once it runs twice.
pub trait Tap {
    /// Called once per visit and site, in order of computation.
    ///
    /// # Errors
    /// An error ends the run and is passed on.
    fn tap(&mut self, visit: &Visit, site: Site, value: &Tensor) -> Result<()>;

    /// Whether nothing that is handed out is looked at: what only a tap would see need not be computed then.
    fn is_idle(&self) -> bool {
        false
    }
}

/// Looks at nothing and costs nothing.
impl Tap for () {
    fn tap(&mut self, _visit: &Visit, _site: Site, _value: &Tensor) -> Result<()> {
        Ok(())
    }

    fn is_idle(&self) -> bool {
        true
    }
}

impl<F: FnMut(&Visit, Site, &Tensor) -> Result<()>> Tap for F {
    fn tap(&mut self, visit: &Visit, site: Site, value: &Tensor) -> Result<()> {
        self(visit, site, value)
    }
}
