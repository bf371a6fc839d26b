//! From a folder: the model in llama.cpp's words (its `convert_hf_to_gguf.py`, `gguf-py/gguf/constants.py`), its numbers
//! written anew.
//!
//! [`describe`] says in keys what the layers along the path are, or why no key says it; [`tensors`] names what is written
//! and finds its numbers; [`numbers`] writes them.

mod delta;
mod describe;
mod experts;
mod numbers;
mod rope;
mod tensors;

use neuro_checkpoint::{AttentionConfig, BlockFormat, DecoderConfig, Dtype, GgufArchitecture, LayerConfig};

use super::meta::Meta;
use super::{GgufExport, Numbers, Plan, rules, tokenizer};
use crate::notation::unsayable;
use crate::{Result, SurgeryError};

pub(super) use numbers::{Place, copy};

/// Alignment of tensors.
const ALIGNMENT: u64 = 32;
/// Version of the block formats.
const QUANTIZATION_VERSION: u32 = 2;

pub(super) fn plan(export: &GgufExport<'_>) -> Result<Plan> {
    let GgufExport { checkpoint, path, source, .. } = *export;
    let writer = Writer::new(export)?;
    let architecture = writer.architecture.name;
    let kinds = rules::check(architecture, &checkpoint.config, path)?;
    writer.check()?;
    let numbers = export.numbers.map_or_else(|| writer.stored_numbers(), Ok)?;
    let mut notes = Vec::new();
    let mut meta = Meta::default();
    meta.text("general.architecture", architecture);
    meta.text("general.name", &format!("{source}, layer path {path}"));
    meta.u32("general.file_type", file_type(numbers));
    meta.u32("general.quantization_version", QUANTIZATION_VERSION);
    writer.describe(&mut meta, &kinds, &mut notes)?;
    let factors = writer.rope(&mut meta)?;
    tokenizer::write(&mut meta, export, &mut notes)?;
    meta.text("neuro.layer_path", &path.to_string());
    meta.text("neuro.source", source);
    meta.u32("neuro.source_block_count", path.depth() as u32);
    let tensors = writer.tensors(numbers, factors)?;
    if let Some(block) = numbers.format().is_quantised().then(|| numbers.format().block_len()) {
        let others = [BlockFormat::Q8_0, BlockFormat::F16].into_iter().filter(|format| *format != numbers.format());
        for format in others.filter(|format| tensors.iter().any(|tensor| tensor.format == *format)) {
            notes.push(format!("matrices whose rows are no multiple of {block} numbers are stored as {format}"));
        }
    }
    let tolerance = writer.tolerance(numbers);
    Ok(Plan { meta, alignment: ALIGNMENT, tensors, notes, tolerance, rounding: numbers.rounding() })
}

/// A model, and what llama.cpp calls it.
struct Writer<'e> {
    export: &'e GgufExport<'e>,
    config: &'e DecoderConfig,
    architecture: &'static GgufArchitecture,
    /// The layers along the path.
    layers: Vec<&'e LayerConfig>,
}

impl<'e> Writer<'e> {
    fn new(export: &'e GgufExport<'e>) -> Result<Self> {
        let config = &export.checkpoint.config;
        let refuse = |reason: String| unsayable("gguf", export.path, reason);
        let Some(architecture) = GgufArchitecture::of_model_type(&config.model_type) else {
            let known: Vec<&str> =
                GgufArchitecture::ALL.iter().flat_map(|known| known.model_types.iter().copied()).collect();
            return Err(refuse(format!(
                "{} folders are not written as GGUF here ({} are); convert the model with llama.cpp first, then export \
                 that file",
                config.model_type,
                known.join(", ")
            )));
        };
        let layers = export.path.layers().iter().filter_map(|&layer| config.layers.get(layer)).collect();
        Ok(Self { export, config, architecture, layers })
    }

    fn refuse(&self, reason: impl Into<String>) -> SurgeryError {
        unsayable("gguf", self.export.path, reason)
    }

    fn is(&self, name: &str) -> bool {
        self.architecture.name == name
    }

    /// The first layer along the path for which something holds.
    fn first(&self, holds: impl Fn(&LayerConfig) -> bool) -> Option<&'e LayerConfig> {
        self.layers.iter().copied().find(|layer| holds(layer))
    }

    /// The first layer along the path, which every path has.
    fn any(&self) -> Result<&'e LayerConfig> {
        self.first(|_| true).ok_or_else(|| self.refuse("the path has no visits"))
    }

    /// The attention of the first layer along the path that has one, or of the model.
    fn attention(&self) -> Result<&'e AttentionConfig> {
        let of_path = self.first(|layer| layer.delta_net.is_none());
        let of_model = || self.config.layers.iter().find(|layer| layer.delta_net.is_none());
        let layer = of_path.or_else(of_model);
        layer.map(|layer| &layer.attention).ok_or_else(|| {
            self.refuse("none of its layers has attention, of which llama.cpp wants the sizes; export to hf")
        })
    }

    /// The numbers of the first projection, which are those of nearly all.
    fn stored_numbers(&self) -> Result<Numbers> {
        let recurs = self.config.layers.first().is_some_and(|layer| layer.delta_net.is_some());
        let module = if recurs { "linear_attn.out_proj" } else { "self_attn.o_proj" };
        let view = self.export.checkpoint.weights.view(&format!("model.layers.0.{module}.weight"))?;
        Ok(match view.dtype {
            Dtype::F32 => Numbers::F32,
            Dtype::F16 => Numbers::F16,
            Dtype::BF16 => Numbers::Bf16,
        })
    }

    /// Whether these numbers are the folder's.
    fn keeps(&self, numbers: Numbers) -> bool {
        self.stored_numbers().is_ok_and(|stored| stored == numbers)
    }

    /// A file with the numbers of the source computes the path exactly.
    fn tolerance(&self, numbers: Numbers) -> f32 {
        if numbers == Numbers::F32 || self.keeps(numbers) { crate::verify::EXACT } else { numbers.tolerance() }
    }
}

/// llama.cpp's number for the format of most tensors (`enum llama_ftype`).
fn file_type(numbers: Numbers) -> u32 {
    match numbers {
        Numbers::F32 => 0,
        Numbers::F16 => 1,
        Numbers::Q8_0 => 7,
        Numbers::Q4K => 14,
        Numbers::Q5K => 16,
        Numbers::Q6K => 18,
        Numbers::Bf16 => 32,
    }
}
