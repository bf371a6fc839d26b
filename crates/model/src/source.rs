//! Where a decoder's parameters come from: a checkpoint, or tensors that are being trained.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use neuro_checkpoint::Checkpoint;

use crate::{ModelError, Result};

/// Which implementations of the same formulas run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// Fused kernels, without a backward pass.
    Fused,
    /// Composed of elementary operations that can be differentiated.
    Differentiable,
}

/// How the weights of projections are held and multiplied. Norms, biases and embeddings are f32 in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightType {
    /// 32-bit floats.
    F32,
    /// 8-bit integers in blocks of 32 with a scale each.
    Q8_0,
    /// 4-bit k-quants: super-blocks of 256.
    Q4K,
}

impl WeightType {
    /// The types in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::F32, Self::Q8_0, Self::Q4K];

    /// The type's usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
        }
    }

    /// What suits the files: [`WeightType::F32`] where numbers are whole. For quantised ones [`WeightType::Q8_0`], which
    /// takes over stored blocks of Q8_0 as they are; what was rounded to fewer bits is rounded a second time, by a far
    /// smaller step than the first. Holding Q4_K as it is would save nothing: candle keeps such a weight in two forms, 1.31
    /// bytes for each number, where Q8_0 takes 1.06 and is multiplied faster.
    pub fn for_stored(checkpoint: &Checkpoint) -> Self {
        if checkpoint.weights.is_quantised() { Self::Q8_0 } else { Self::F32 }
    }

    /// The type of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// Gives parameters by canonical name.
pub trait ParameterSource {
    /// How projections hold the weights that they take from here.
    fn weight_type(&self) -> WeightType {
        WeightType::F32
    }

    /// Whether parameters come into the processor's memory.
    fn on_cpu(&self) -> bool {
        true
    }

    /// Where parameters lie, when they can be read from there into the processor's memory in parts.
    fn on_disk(&self) -> Option<&Checkpoint> {
        None
    }

    /// The parameter, f32, of exactly the given shape.
    ///
    /// # Errors
    /// When it is missing, has another shape, or holds a value that is not finite.
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Tensor>;
}

/// Reads from disk to a device.
pub(crate) struct CheckpointSource<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) device: &'a Device,
    pub(crate) weight_type: WeightType,
}

impl ParameterSource for CheckpointSource<'_> {
    fn weight_type(&self) -> WeightType {
        self.weight_type
    }

    fn on_cpu(&self) -> bool {
        self.device.is_cpu()
    }

    fn on_disk(&self) -> Option<&Checkpoint> {
        self.device.is_cpu().then_some(self.checkpoint)
    }

    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let values = self.checkpoint.weights.read_f32(name, shape)?;
        Ok(Tensor::from_vec(values, shape, self.device)?)
    }
}

impl ParameterSource for HashMap<String, Tensor> {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.get(name) {
            Some(tensor) if tensor.dims() == shape => Ok(tensor.clone()),
            _ => Err(ModelError::MissingParameter { name: name.to_owned(), shape: shape.to_vec() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        for kind in WeightType::ALL {
            assert_eq!(WeightType::parse(&kind.name().to_lowercase()), Some(kind));
        }
        assert_eq!(WeightType::parse("q8"), None);
    }
}
