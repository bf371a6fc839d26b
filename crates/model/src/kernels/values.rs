//! A tensor's values where kernels can read them.

use candle_core::{CpuStorage, Storage, StorageRef, Tensor};

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
}
