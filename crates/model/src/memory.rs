//! How much memory a device has.

use candle_core::Device;
use neuro_checkpoint::Memory;

/// Memory of a device: an NVIDIA GPU's own; that of the machine elsewhere, which Apple's GPUs share.
pub fn device_memory(device: &Device) -> Memory {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(cuda) => match cuda.cuda_stream().context().mem_get_info() {
            Ok((free, total)) => Memory { total: Some(total as u64), available: Some(free as u64) },
            // The next operation meets the same error and reports it.
            Err(_) => Memory::default(),
        },
        _ => Memory::of_this_machine(),
    }
}
