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

/// Gives parameters by canonical name.
pub trait ParameterSource {
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
}

impl ParameterSource for CheckpointSource<'_> {
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
