//! A visit's scales as weights of the layer that is copied for it.
//!
//! A branch ends with a projection, `o_proj` or `down_proj` or what stands in their place, and what it gives is added to the
//! residual stream; so its weight and bias times the scale are the branch times the scale. Of experts that holds for each, for
//! the branch is a weighted sum of them. It does not where a norm stands behind the projection, nor where numbers times the
//! scale cannot be stored: f32 rounds them as any computation does, f16 and bf16 hold them for powers of two and 0 only.

use half::{bf16, f16};
use neuro_checkpoint::DecoderConfig;
use neuro_path::{BranchScales, LayerPath, Scale};

use crate::error::shorten;
use crate::notation::unsayable;
use crate::{Result, SurgeryError};

/// A format in which weights can be multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
}

impl Format {
    /// The format of that name, as safetensors and GGUF spell it; `None` for all others.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "F32" => Some(Self::F32),
            "F16" => Some(Self::F16),
            "BF16" => Some(Self::Bf16),
            _ => None,
        }
    }
}

/// The scale that a tensor of a visited layer takes; `rest` is its name behind the layer's number, a folder's or canonical.
pub(crate) fn scale_of(rest: &str, scales: BranchScales) -> Scale {
    let part = |part| rest.strip_suffix(part);
    match part(".weight").or_else(|| part(".bias")).unwrap_or(rest) {
        ".self_attn.o_proj" | ".attn.c_proj" | ".attention.dense" | ".linear_attn.out_proj" => scales.attn,
        ".mlp.down_proj" | ".mlp.c_proj" | ".mlp.dense_4h_to_h" => scales.mlp,
        module if [".experts.", ".shared_expert.", ".shared_experts."].iter().any(|part| module.contains(part)) => {
            match module.rsplit('.').next() {
                Some("down_proj" | "down_proj_bias" | "down_proj_blocks" | "w2") => scales.mlp,
                _ => Scale::ONE,
            }
        }
        _ => Scale::ONE,
    }
}

/// Refuses a fold that would not be exact because of what the layers are.
///
/// # Errors
/// When a norm stands behind a damped branch.
pub(crate) fn check_layers(form: &'static str, path: &LayerPath, config: &DecoderConfig) -> Result<()> {
    for visit in path.visits() {
        let Some(norms) = config.layers.get(visit.layer).map(|layer| layer.norms) else { continue };
        let branches = [(visit.scales.attn, norms.after_attention), (visit.scales.mlp, norms.after_mlp)];
        if let Some(norm) = branches.into_iter().find_map(|(scale, norm)| norm.filter(|_| scale != Scale::ONE)) {
            let reason = format!(
                "scales are folded into o_proj and down_proj, and this model's layers have norms behind their branches \
                 (`{norm}`), so that would not be exact; leave the scales out"
            );
            return Err(unsayable(form, path, reason));
        }
    }
    Ok(())
}

/// Refuses a scale that the format cannot be multiplied by without rounding.
///
/// # Errors
/// When the format is f16 or bf16 and the scale is neither 0 nor a power of two, or the format is another.
pub(crate) fn check_scale(
    form: &'static str,
    path: &LayerPath,
    name: &str,
    format: Option<Format>,
    scale: Scale,
) -> Result<()> {
    let Some(format) = format else {
        let reason =
            format!("`{}` is stored in a format that cannot be multiplied; leave the scales out", shorten(name));
        return Err(unsayable(form, path, reason));
    };
    let Some(nearest) = rounded(format, scale) else { return Ok(()) };
    let reason = format!(
        "`{}` is stored in 16 bits, and {scale} times its numbers would be rounded; use a power of two such as {nearest}, or \
         convert the checkpoint to f32",
        shorten(name)
    );
    Err(unsayable(form, path, reason))
}

/// Of a scale by which numbers of the format cannot be multiplied without rounding, the nearest one by which they can.
pub(crate) fn rounded(format: Format, scale: Scale) -> Option<f64> {
    let is_exact = format == Format::F32 || scale == Scale::ZERO || is_power_of_two(scale);
    (!is_exact).then(|| nearest_power(scale))
}

/// Multiplies stored numbers in place.
///
/// # Errors
/// When a product is infinite, or so small that a 16-bit number would lose some of its digits.
pub(crate) fn multiply(bytes: &mut [u8], format: Format, scale: Scale, name: &str) -> Result<()> {
    let factor = factor(scale);
    let mut lost = None;
    match format {
        Format::F32 => {
            for number in bytes.as_chunks_mut::<4>().0 {
                let found = f32::from_le_bytes(*number);
                // In double precision, so that it is rounded once.
                let product = (f64::from(found) * factor) as f32;
                if found.is_finite() && !product.is_finite() {
                    lost = Some(found);
                }
                *number = product.to_le_bytes();
            }
        }
        Format::F16 => each_half(
            bytes,
            factor,
            &mut lost,
            |bits| f64::from(f16::from_bits(bits).to_f32()),
            |value| f16::from_f64(value).to_bits(),
        ),
        Format::Bf16 => each_half(
            bytes,
            factor,
            &mut lost,
            |bits| f64::from(bf16::from_bits(bits).to_f32()),
            |value| bf16::from_f64(value).to_bits(),
        ),
    }
    match lost {
        None => Ok(()),
        Some(number) => Err(SurgeryError::Place {
            place: name.into(),
            problem: format!("{number} times {scale} cannot be stored in its format; use a scale closer to 1"),
        }),
    }
}

fn each_half(
    bytes: &mut [u8],
    factor: f64,
    lost: &mut Option<f32>,
    read: impl Fn(u16) -> f64,
    write: impl Fn(f64) -> u16,
) {
    for number in bytes.as_chunks_mut::<2>().0 {
        let found = read(u16::from_le_bytes(*number));
        let bits = write(found * factor);
        if found.is_finite() && read(bits) != found * factor {
            *lost = Some(found as f32);
        }
        *number = bits.to_le_bytes();
    }
}

fn factor(scale: Scale) -> f64 {
    scale.billionths() as f64 / 1e9
}

/// Whether multiplying by it changes an exponent only.
fn is_power_of_two(scale: Scale) -> bool {
    const FRACTION: u64 = (1 << 52) - 1;
    let factor = factor(scale).abs();
    factor > 0.0 && factor.to_bits() & FRACTION == 0
}

/// The power of two closest to a scale.
fn nearest_power(scale: Scale) -> f64 {
    let factor = factor(scale);
    let below = 2_f64.powf(factor.abs().log2().floor()).max(2_f64.powi(-9));
    let power = if factor.abs() - below <= 2.0 * below - factor.abs() { below } else { 2.0 * below };
    power.copysign(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(text: &str) -> Scale {
        text.parse().unwrap()
    }

    #[test]
    fn powers_of_two_and_zero_fold_in_every_format() {
        let path = LayerPath::baseline(2).unwrap();
        for (text, exact) in [("0.5", true), ("-2", true), ("0", true), ("0.25", true), ("0.3", false), ("0.75", false)]
        {
            for format in [Format::F16, Format::Bf16] {
                assert_eq!(check_scale("hf", &path, "w", Some(format), scale(text)).is_ok(), exact, "{text}");
            }
            check_scale("hf", &path, "w", Some(Format::F32), scale(text)).unwrap();
        }
        let error = check_scale("hf", &path, "w", Some(Format::Bf16), scale("0.3")).unwrap_err().to_string();
        assert!(error.contains("such as 0.25"), "{error}");
        assert_eq!(nearest_power(scale("-0.45")), -0.5);
    }

    #[test]
    fn numbers_are_multiplied_in_their_format() {
        let mut bytes: Vec<u8> = [1.5_f32, -3.0].into_iter().flat_map(f32::to_le_bytes).collect();
        multiply(&mut bytes, Format::F32, scale("0.5"), "w").unwrap();
        assert_eq!(bytes, [0.75_f32, -1.5].into_iter().flat_map(f32::to_le_bytes).collect::<Vec<_>>());
        let mut bytes = bf16::from_f32(-3.0).to_le_bytes();
        multiply(&mut bytes, Format::Bf16, scale("-0.5"), "w").unwrap();
        assert_eq!(bytes, bf16::from_f32(1.5).to_le_bytes());
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let mut largest = f16::MAX.to_le_bytes();
        assert!(multiply(&mut largest, Format::F16, scale("2"), "w").is_err());
        // Half of the smallest number there is.
        let mut smallest = f16::from_bits(1).to_le_bytes();
        assert!(multiply(&mut smallest, Format::F16, scale("0.5"), "w").is_err());
        let mut largest = f32::MAX.to_le_bytes();
        assert!(multiply(&mut largest, Format::F32, scale("2"), "w").is_err());
    }
}
