//! What a config says about weights that are stored in few bits, with scales in tensors of their own.

use serde_json::Value;

use super::architecture::Architecture;
use super::stored_form::Fused;
use crate::error::{CheckpointError, shorten};
use crate::fields::{Fields, LARGEST_SIZE};

const QUANTIZATION: &str = "quantization_config";

/// What stands where weights are stored in a way that is not read.
const UNSUPPORTED: [(&str, &str); 3] = [
    (
        QUANTIZATION,
        "quantised weights are read as block-wise fp8 and, of gpt-oss, as mxfp4; use such a checkpoint or the unquantised one \
         (f32, f16 or bf16)",
    ),
    ("compression_config", "compressed weights are not read; use the uncompressed checkpoint (f32, f16 or bf16)"),
    ("per_layer_config", "layers with settings of their own are not supported"),
];

/// Rows and columns of the blocks that share a scale, where matrices are stored as eight-bit floats (DeepSeek-V3's
/// `weight_scale_inv`, transformers' `FineGrainedFP8Config`).
///
/// # Errors
///
/// When weights are stored in a way that is not read.
pub(super) fn weight_blocks(
    fields: &Fields<'_>,
    architecture: &Architecture,
) -> Result<Option<[usize; 2]>, CheckpointError> {
    let settings = fields.object(QUANTIZATION).ok().flatten();
    let method = settings.as_ref().and_then(|settings| settings.text("quant_method").ok().flatten());
    let is_read = match method {
        Some("mxfp4") => architecture.fused.contains(&Fused::GptOssBlocks),
        Some("fp8") => true,
        _ => false,
    };
    let is_set = |(key, _): &&(&str, &str)| fields.value(key).is_some() && !(is_read && *key == QUANTIZATION);
    if let Some((key, advice)) = UNSUPPORTED.iter().find(is_set) {
        return Err(fields.refuse(key, format!("is set; {advice}")));
    }
    match settings {
        Some(settings) if method == Some("fp8") => fp8_blocks(&settings).map(Some),
        _ => Ok(None),
    }
}

/// How activations are rounded (`activation_scheme`) is not looked at: they stay as they are here.
fn fp8_blocks(settings: &Fields<'_>) -> Result<[usize; 2], CheckpointError> {
    match settings.text("fmt")? {
        None | Some("e4m3" | "float8_e4m3fn") => {}
        Some(other) => {
            return Err(settings.refuse("fmt", format!("is \"{}\", expected e4m3 or float8_e4m3fn", shorten(other))));
        }
    }
    let size = |value: &Value| {
        let size = value.as_u64().filter(|size| (1..=LARGEST_SIZE).contains(size));
        size.and_then(|size| usize::try_from(size).ok())
    };
    let sizes: Option<Vec<usize>> =
        settings.array("weight_block_size")?.and_then(|sizes| sizes.iter().map(size).collect());
    match sizes.as_deref() {
        Some(&[rows, columns]) => Ok([rows, columns]),
        _ => {
            let problem = "is not two sizes above 0: rows and columns of the blocks that share a scale, such as [128, 128]; \
                           other fp8 weights are not read";
            Err(settings.refuse("weight_block_size", problem))
        }
    }
}
