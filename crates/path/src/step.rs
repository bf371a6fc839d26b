use std::fmt;

use crate::Scale;

/// What a visit multiplies its two branches by before each residual addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BranchScales {
    /// Scale of the attention branch.
    pub attn: Scale,
    /// Scale of the MLP branch.
    pub mlp: Scale,
}

impl BranchScales {
    /// Whether both branches are added as the model was trained to.
    #[must_use]
    pub fn is_plain(self) -> bool {
        self == Self::default()
    }
}

impl Default for BranchScales {
    fn default() -> Self {
        Self { attn: Scale::ONE, mlp: Scale::ONE }
    }
}

/// Nothing when plain, otherwise the scales that differ from 1: `{attn=0.5,mlp=0}`.
impl fmt::Display for BranchScales {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scales = [("attn", self.attn), ("mlp", self.mlp)];
        let mut separator = '{';
        for (branch, scale) in scales {
            if scale != Scale::ONE {
                write!(formatter, "{separator}{branch}={scale}")?;
                separator = ',';
            }
        }
        if self.is_plain() { Ok(()) } else { formatter.write_str("}") }
    }
}

/// One step of a layer path. Two steps may share a state only when they are equal in every attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Run one decoder layer.
    Layer {
        /// Which layer, counted from 0.
        layer: usize,
        /// How strongly its branches are added.
        scales: BranchScales,
    },
}

impl Step {
    /// The plain step through a layer.
    #[must_use]
    pub fn layer(layer: usize) -> Self {
        Self::Layer { layer, scales: BranchScales::default() }
    }
}

/// One layer visit of a path, with the number of earlier visits to the same layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Visit {
    /// Which layer, counted from 0.
    pub layer: usize,
    /// The how-manyeth time this path meets the layer; 0 is the first.
    pub pass: usize,
    /// How strongly its branches are added.
    pub scales: BranchScales,
}
