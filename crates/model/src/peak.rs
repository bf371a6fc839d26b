//! How fast this machine multiplies matrices: what every other speed is measured against.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};

use crate::linear::Linear;
use crate::threads::start_threads;
use crate::{Result, WeightType};

/// Rate of one product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatmulPeak {
    /// Type of the weights.
    pub kind: WeightType,
    /// Inner and outer dimension of the weights: those of a small model's MLP, inner dimensions of quantised ones
    /// divisible by 256.
    pub shape: (usize, usize),
    /// Rows of the activations.
    pub rows: usize,
    /// Best rate seen, in 10⁹ floating point operations per second; a multiply-add counts as two.
    pub gflops: f64,
}

/// Measures `(rows, in) × (in, out)` as the decoder multiplies, for about `budget`, after one run to warm up, and gives
/// the best rate.
///
/// # Errors
/// When the device refuses the product, or the system the threads that compute it.
pub fn measure_matmul_peak(kind: WeightType, rows: usize, budget: Duration, device: &Device) -> Result<MatmulPeak> {
    start_threads()?;
    let (input, output) = match kind {
        WeightType::F32 => (896, 4864),
        WeightType::Q8_0 | WeightType::Q4K => (1024, 4096),
    };
    let linear = Linear::from_weight(Tensor::randn(0f32, 1., (output, input), device)?, kind)?;
    let x = Tensor::randn(0f32, 1., (rows, input), device)?;
    linear.forward(&x)?;
    device.synchronize()?;
    let mut best = f64::INFINITY;
    let begin = Instant::now();
    while best.is_infinite() || begin.elapsed() < budget {
        let start = Instant::now();
        linear.forward(&x)?;
        device.synchronize()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let operations = 2.0 * rows as f64 * input as f64 * output as f64;
    Ok(MatmulPeak { kind, shape: (input, output), rows, gflops: operations / best / 1e9 })
}
