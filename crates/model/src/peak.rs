//! How fast this machine multiplies matrices: what every other speed is measured against.

use std::time::{Duration, Instant};

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};

use crate::Result;

/// A weight type whose matmul can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeakType {
    /// 32-bit floats.
    F32,
    /// 8-bit blocks of 32.
    Q8_0,
    /// 4-bit k-quants.
    Q4K,
}

impl PeakType {
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

    /// Inner and outer dimension of the weights that are measured: those of a small model's MLP, inner dimensions
    /// of quantised ones divisible by 256.
    pub fn shape(self) -> (usize, usize) {
        match self {
            Self::F32 => (896, 4864),
            Self::Q8_0 | Self::Q4K => (1024, 4096),
        }
    }
}

/// Rate of one product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatmulPeak {
    /// Type of the weights.
    pub kind: PeakType,
    /// Rows of the activations.
    pub rows: usize,
    /// Best rate seen, in 10⁹ floating point operations per second; a multiply-add counts as two.
    pub gflops: f64,
}

/// Measures `(rows, in) × (in, out)` for about `budget`, after one run to warm up, and gives the best rate.
///
/// # Errors
/// When the device refuses the product.
pub fn measure_matmul_peak(kind: PeakType, rows: usize, budget: Duration, device: &Device) -> Result<MatmulPeak> {
    let (input, output) = kind.shape();
    let weight = Tensor::randn(0f32, 1., (output, input), device)?;
    let x = Tensor::randn(0f32, 1., (rows, input), device)?;
    let multiply: Box<dyn Fn() -> Result<Tensor>> = match kind {
        PeakType::F32 => {
            let transposed = weight.t()?;
            Box::new(move || Ok(x.matmul(&transposed)?))
        }
        PeakType::Q8_0 | PeakType::Q4K => {
            let kind = if kind == PeakType::Q8_0 { GgmlDType::Q8_0 } else { GgmlDType::Q4K };
            let matmul = QMatMul::from_qtensor(QTensor::quantize(&weight, kind)?)?;
            Box::new(move || Ok(matmul.forward(&x)?))
        }
    };
    multiply()?;
    let mut best = f64::INFINITY;
    let begin = Instant::now();
    while best.is_infinite() || begin.elapsed() < budget {
        let start = Instant::now();
        multiply()?;
        device.synchronize()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let operations = 2.0 * rows as f64 * input as f64 * output as f64;
    Ok(MatmulPeak { kind, rows, gflops: operations / best / 1e9 })
}
