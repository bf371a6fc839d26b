//! A tensor's values where kernels can read them.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, StorageRef, Tensor};

/// The values of a contiguous f32 tensor in memory.
pub(crate) struct Values<'a> {
    storage: StorageRef<'a>,
    start: usize,
    len: usize,
}

impl<'a> Values<'a> {
    /// `None` when the tensor lies elsewhere, has another type or is not contiguous.
    pub(crate) fn of(tensor: &'a Tensor) -> Option<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let here = matches!(&*storage, Storage::Cpu(CpuStorage::F32(_))) && layout.is_contiguous();
        here.then(|| Self { start: layout.start_offset(), len: layout.shape().elem_count(), storage })
    }

    /// The values in row-major order.
    pub(crate) fn get(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.start..self.start + self.len],
            _ => &[],
        }
    }
}

/// Changes a tensor's values where they lie; `false` where kernels cannot read them. Whoever else holds the tensor sees the
/// change, so it must be one that was just made.
///
/// # Errors
/// When the tensor library refuses it.
pub(crate) fn change(tensor: &Tensor, work: impl Fn(&mut [f32])) -> Result<bool> {
    if tensor.track_op() || Values::of(tensor).is_none() {
        return Ok(false);
    }
    tensor.inplace_op1(&Change(work))?;
    Ok(true)
}

struct Change<F>(F);

impl<F: Fn(&mut [f32])> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(values), Some((start, end))) => {
                (self.0)(&mut values[start..end]);
                Ok(())
            }
            _ => Err(candle_core::Error::msg("only contiguous values of f32 are changed in place")),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn only_what_can_be_read_in_place() {
        let tensor = Tensor::from_vec(vec![0f32, 1., 2., 3., 4., 5.], (3, 2), &Device::Cpu).unwrap();
        assert_eq!(Values::of(&tensor).unwrap().get(), [0., 1., 2., 3., 4., 5.]);
        assert_eq!(Values::of(&tensor.narrow(0, 1, 2).unwrap()).unwrap().get(), [2., 3., 4., 5.]);
        assert!(Values::of(&tensor.t().unwrap()).is_none());
        assert!(Values::of(&tensor.to_dtype(DType::F64).unwrap()).is_none());
    }

    #[test]
    fn only_what_is_in_view_is_changed() {
        let tensor = Tensor::from_vec(vec![0f32, 1., 2., 3., 4., 5.], (3, 2), &Device::Cpu).unwrap();
        let double = |values: &mut [f32]| values.iter_mut().for_each(|value| *value *= 2.0);
        assert!(change(&tensor.narrow(0, 1, 1).unwrap(), double).unwrap());
        assert_eq!(tensor.to_vec2::<f32>().unwrap(), [[0., 1.], [4., 6.], [4., 5.]]);
        assert!(!change(&tensor.t().unwrap(), double).unwrap());
        assert!(!change(&tensor.to_dtype(DType::F64).unwrap(), double).unwrap());
    }
}
