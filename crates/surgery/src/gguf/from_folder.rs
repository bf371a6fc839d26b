//! From a folder: the model in llama.cpp's words (its `convert_hf_to_gguf.py`, `gguf-py/gguf/constants.py`), its numbers
//! written anew.

use std::f64::consts::TAU;

use neuro_checkpoint::{
    Activation, BlockFormat, Checkpoint, DecoderConfig, Dtype, LayerConfig, RopeConfig, RopeScaling,
};
use neuro_path::Scale;

use super::meta::Meta;
use super::quantise::{self, BLOCK};
use super::{GgufExport, Numbers, Plan, Planned, Source, rules, tokenizer};
use crate::copying::{BUFFER, Counter, Output};
use crate::notation::unsayable;
use crate::{Result, SurgeryError};

/// Alignment of tensors.
const ALIGNMENT: u64 = 32;
/// YaRN's `beta_fast` and `beta_slow` where nothing else is said.
const YARN_BOUNDS: (f64, f64) = (32.0, 1.0);
/// Version of the block formats.
const QUANTIZATION_VERSION: u32 = 2;

/// A tensor of the source.
#[derive(Debug, Clone)]
pub(super) struct Place {
    canonical: String,
    /// Rows and columns; a vector is one row.
    rows: usize,
    columns: usize,
    /// Heads whose rows are written as rotated pairs.
    heads: Option<usize>,
    numbers: Numbers,
    scale: f64,
    /// Numbers that stand in no file.
    computed: Option<Vec<f32>>,
}

/// Canonical parts of a layer and what GGUF calls them.
const PARTS: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

pub(super) fn plan(export: &GgufExport<'_>) -> Result<Plan> {
    let GgufExport { checkpoint, path, source, .. } = *export;
    let config = &checkpoint.config;
    let writer = Writer { export, config };
    let architecture = writer.architecture()?;
    let first = writer.uniform()?;
    rules::check(architecture, path)?;
    let numbers = export.numbers.map_or_else(|| writer.stored_numbers(), Ok)?;
    let mut meta = Meta::default();
    meta.text("general.architecture", architecture);
    meta.text("general.name", &format!("{source}, layer path {path}"));
    meta.u32("general.file_type", file_type(numbers));
    meta.u32("general.quantization_version", QUANTIZATION_VERSION);
    writer.describe(&mut meta, architecture, first)?;
    let divisors = writer.rope(&mut meta, architecture, &first.attention.rope, first.attention.head_dim)?;
    let mut notes = Vec::new();
    tokenizer::write(&mut meta, export, &mut notes)?;
    meta.text("neuro.layer_path", &path.to_string());
    meta.text("neuro.source", source);
    meta.u32("neuro.source_block_count", path.depth() as u32);
    let tensors = writer.tensors(numbers, architecture == "llama", divisors)?;
    if numbers == Numbers::Q8_0 && tensors.iter().any(|tensor| tensor.format == BlockFormat::F16) {
        notes.push("matrices whose rows are no multiple of 32 numbers are stored as F16".to_owned());
    }
    Ok(Plan { meta, alignment: ALIGNMENT, tensors, notes, tolerance: writer.tolerance(numbers) })
}

struct Writer<'e> {
    export: &'e GgufExport<'e>,
    config: &'e DecoderConfig,
}

impl Writer<'_> {
    fn refuse(&self, reason: impl Into<String>) -> SurgeryError {
        unsayable("gguf", self.export.path, reason)
    }

    /// What llama.cpp calls the architecture.
    fn architecture(&self) -> Result<&'static str> {
        match self.config.model_type.as_str() {
            "llama" | "mistral" => Ok("llama"),
            "qwen2" => Ok("qwen2"),
            "qwen3" => Ok("qwen3"),
            other => Err(self.refuse(format!(
                "{other} folders are not written as GGUF here (llama, mistral, qwen2 and qwen3 are); convert the model with \
                 llama.cpp first, then export that file"
            ))),
        }
    }

    /// The description that all layers share.
    fn uniform(&self) -> Result<&LayerConfig> {
        let Some(first) = self.config.layers.first() else { return Err(self.refuse("the model has no layers")) };
        if self.config.layers.iter().any(|layer| layer != first) {
            return Err(self.refuse(
                "its layers are of different kinds (windows or rotary positions), which llama.cpp has no key for in this \
                 architecture; export to hf",
            ));
        }
        let attention = &first.attention;
        if let Some(window) = attention.window.filter(|&window| window < self.config.max_position_embeddings) {
            return Err(self.refuse(format!(
                "its layers see {window} tokens back, and llama.cpp runs this architecture without a window; export to hf"
            )));
        }
        if first.mlp.activation != Activation::Silu {
            return Err(self.refuse("llama.cpp runs this architecture with SiLU, and the model has another activation"));
        }
        if attention.rope.rotary_dim != attention.head_dim {
            return Err(self.refuse("llama.cpp rotates whole heads in this architecture, and the model rotates a part"));
        }
        Ok(first)
    }

    /// The numbers of the first projection, which are those of nearly all.
    fn stored_numbers(&self) -> Result<Numbers> {
        let view = self.export.checkpoint.weights.view("model.layers.0.self_attn.o_proj.weight")?;
        Ok(match view.dtype {
            Dtype::F32 => Numbers::F32,
            Dtype::F16 => Numbers::F16,
            Dtype::BF16 => Numbers::Bf16,
        })
    }

    /// A file with the numbers of the source computes the path exactly.
    fn tolerance(&self, numbers: Numbers) -> f32 {
        if self.stored_numbers().is_ok_and(|stored| stored == numbers) {
            crate::verify::EXACT
        } else {
            numbers.tolerance()
        }
    }

    fn describe(&self, meta: &mut Meta, architecture: &str, layer: &LayerConfig) -> Result<()> {
        let LayerConfig { attention, mlp, .. } = layer;
        let size = |size: usize| u32::try_from(size).map_err(|_| self.refuse("a size is too large for GGUF"));
        for (key, value) in [
            ("context_length", self.config.max_position_embeddings),
            ("embedding_length", self.config.hidden_size),
            ("block_count", self.export.path.len()),
            ("feed_forward_length", mlp.intermediate_size),
            ("attention.head_count", attention.heads),
            ("attention.head_count_kv", attention.kv_heads),
            ("attention.key_length", attention.head_dim),
            ("attention.value_length", attention.head_dim),
            ("rope.dimension_count", attention.rope.rotary_dim),
            ("vocab_size", self.config.vocab_size),
        ] {
            meta.u32(&format!("{architecture}.{key}"), size(value)?);
        }
        meta.f32(&format!("{architecture}.attention.layer_norm_rms_epsilon"), self.config.norm_eps as f32);
        let usual = (attention.head_dim as f64).powf(-0.5);
        if (attention.scale - usual).abs() > 1e-9 {
            meta.f32(&format!("{architecture}.attention.scale"), attention.scale as f32);
        }
        Ok(())
    }

    /// Rotary positions as keys, or as divisors of the frequencies.
    fn rope(
        &self,
        meta: &mut Meta,
        architecture: &str,
        rope: &RopeConfig,
        head_dim: usize,
    ) -> Result<Option<Vec<f32>>> {
        let key = |name: &str| format!("{architecture}.rope.{name}");
        meta.f32(&key("freq_base"), rope.theta as f32);
        match &rope.scaling {
            RopeScaling::Default => {}
            RopeScaling::Linear { factor } => {
                meta.text(&key("scaling.type"), "linear");
                meta.f32(&key("scaling.factor"), *factor as f32);
            }
            RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original, truncate } => {
                if !truncate {
                    return Err(
                        self.refuse("llama.cpp rounds the ends of YaRN's ramp, and this model does not (`truncate`)")
                    );
                }
                // It has keys for other bounds, and does not read them in these architectures (tried with llama-cpp-python
                // 0.3.36).
                if (*beta_fast, *beta_slow) != YARN_BOUNDS {
                    return Err(self.refuse(format!(
                        "llama.cpp runs this architecture with YaRN's usual bounds, 32 and 1, and the model has {beta_fast} and \
                         {beta_slow}; export to hf"
                    )));
                }
                meta.text(&key("scaling.type"), "yarn");
                meta.f32(&key("scaling.factor"), *factor as f32);
                meta.u32(&key("scaling.original_context_length"), *original as u32);
                let usual = if *factor > 1.0 { 0.1 * factor.ln() + 1.0 } else { 1.0 };
                meta.f32(&key("scaling.attn_factor"), (attention_factor / usual) as f32);
            }
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original } => {
                let bounds = (*factor, *low_freq_factor, *high_freq_factor, *original as f64);
                return Ok(Some(llama3_divisors(rope.theta, head_dim, bounds)));
            }
            RopeScaling::Factors { divisors } => return Ok(Some(divisors.clone())),
            _ => {
                return Err(self.refuse(
                    "its rotary positions are scaled in a way that llama.cpp does not know (dynamic); export to hf",
                ));
            }
        }
        Ok(None)
    }

    fn tensors(&self, numbers: Numbers, rotates_pairs: bool, divisors: Option<Vec<f32>>) -> Result<Vec<Planned>> {
        let (config, path) = (self.config, self.export.path);
        let mut tensors = Vec::new();
        let mut by_layer: Vec<Vec<(String, Vec<usize>)>> = vec![Vec::new(); config.num_layers()];
        for (name, shape) in config.expected_tensors() {
            match name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) {
                Some((layer, rest)) => {
                    if let Some(parts) = layer.parse::<usize>().ok().and_then(|layer| by_layer.get_mut(layer)) {
                        parts.push((rest.to_owned(), shape));
                    }
                }
                None => {
                    let written = match name.as_str() {
                        "model.embed_tokens.weight" => "token_embd.weight",
                        "model.norm.weight" => "output_norm.weight",
                        "lm_head.weight" => "output.weight",
                        other => return Err(self.refuse(format!("`{other}` has no name in GGUF"))),
                    };
                    tensors.push(planned(written.to_owned(), name.clone(), &shape, numbers, None, 1.0));
                }
            }
        }
        if let Some(divisors) = divisors {
            let shape = vec![divisors.len()];
            let mut tensor = planned("rope_freqs.weight".to_owned(), String::new(), &shape, numbers, None, 1.0);
            if let Source::Folder(place) = &mut tensor.source {
                place.computed = Some(divisors);
            }
            tensors.push(tensor);
        }
        for (place, visit) in path.visits().into_iter().enumerate() {
            let attention = &config.layers[visit.layer].attention;
            for (rest, shape) in &by_layer[visit.layer] {
                let Some((module, part)) = rest.rsplit_once('.') else { continue };
                let Some((_, written)) = PARTS.iter().find(|(known, _)| *known == module) else {
                    return Err(self.refuse(format!("`{rest}` has no name in GGUF")));
                };
                let heads = match module {
                    "self_attn.q_proj" if rotates_pairs => Some(attention.heads),
                    "self_attn.k_proj" if rotates_pairs => Some(attention.kv_heads),
                    _ => None,
                };
                let scale = match module {
                    "self_attn.o_proj" => visit.scales.attn,
                    "mlp.down_proj" => visit.scales.mlp,
                    _ => Scale::ONE,
                };
                let canonical = format!("model.layers.{}.{rest}", visit.layer);
                let factor = scale.billionths() as f64 / 1e9;
                tensors.push(planned(
                    format!("blk.{place}.{written}.{part}"),
                    canonical,
                    shape,
                    numbers,
                    heads,
                    factor,
                ));
            }
        }
        Ok(tensors)
    }
}

fn planned(
    name: String,
    canonical: String,
    shape: &[usize],
    numbers: Numbers,
    heads: Option<usize>,
    scale: f64,
) -> Planned {
    // Vectors (norms, biases) are single precision in every file that llama.cpp writes.
    let numbers = match shape {
        &[_, columns] if numbers == Numbers::Q8_0 && columns % BLOCK != 0 => Numbers::F16,
        [_, _] => numbers,
        _ => Numbers::F32,
    };
    let (rows, columns) = match shape {
        [rows, columns] => (*rows, *columns),
        // The rows of a bias are its numbers, so that they can be put in order as those of a matrix are.
        [count] => (*count, 1),
        _ => (1, shape.iter().product()),
    };
    let place = Place { canonical, rows, columns, heads, numbers, scale, computed: None };
    Planned { name, format: numbers.format(), shape: shape.to_vec(), source: Source::Folder(place) }
}

/// Writes one tensor, a few rows at a time.
pub(super) fn copy(
    checkpoint: &Checkpoint,
    place: &Place,
    tensor: &Planned,
    output: &mut Output,
    counter: &mut Counter<'_>,
) -> Result<()> {
    let mut emit = |mut values: Vec<f32>| {
        if place.scale != 1.0 {
            values.iter_mut().for_each(|value| *value = (f64::from(*value) * place.scale) as f32);
        }
        if let Some(value) =
            values.iter().find(|value| !value.is_finite() || quantise::overflows(place.numbers, **value))
        {
            let problem = format!("holds {value}, which {} cannot; choose other numbers with --numbers", tensor.format);
            return Err(SurgeryError::key(&checkpoint.dir, &tensor.name, problem));
        }
        let mut bytes = Vec::new();
        quantise::push(&mut bytes, place.numbers, &values);
        output.write(&bytes)?;
        counter.add(bytes.len() as u64)
    };
    if let Some(values) = place.computed.clone() {
        return emit(values);
    }
    let weights = &checkpoint.weights;
    let (rows, columns) = (place.rows, place.columns);
    if tensor.shape.len() < 2 {
        let values = weights.read_f32(&place.canonical, &tensor.shape)?;
        return emit(match place.heads {
            Some(heads) => paired(&values, heads, 1),
            None => values,
        });
    }
    // Whole heads, so that their rows can be put in order.
    let unit = place.heads.map_or(1, |heads| rows / heads.max(1)).max(1);
    let row_bytes = (columns * size_of::<f32>()).max(1);
    let step = (BUFFER / row_bytes / unit).max(1) * unit;
    let mut start = 0;
    while start < rows {
        let end = (start + step).min(rows);
        let values = weights.read_row_range_f32(&place.canonical, &tensor.shape, start..end)?;
        emit(match place.heads {
            Some(_) => paired(&values, (end - start) / unit, columns),
            None => values,
        })?;
        start = end;
    }
    Ok(())
}

/// Rows of heads that rotate as halves, in the order of rotated pairs: 0, half, 1, half + 1, … (`permute` in llama.cpp's
/// conversion).
fn paired(values: &[f32], heads: usize, columns: usize) -> Vec<f32> {
    let head_dim = values.len() / columns / heads.max(1);
    let half = head_dim / 2;
    let mut ordered = Vec::with_capacity(values.len());
    for head in 0..heads {
        for row in 0..head_dim {
            let from = head * head_dim + (row % 2) * half + row / 2;
            ordered.extend_from_slice(&values[from * columns..(from + 1) * columns]);
        }
    }
    ordered
}

/// Llama 3's scaling as a divisor of each frequency (transformers' `_compute_llama3_parameters`).
fn llama3_divisors(theta: f64, head_dim: usize, bounds: (f64, f64, f64, f64)) -> Vec<f32> {
    let (factor, low, high, original) = bounds;
    let divisor = |pair: usize| {
        let wavelength = TAU * theta.powf(2.0 * pair as f64 / head_dim as f64);
        if wavelength < original / high {
            1.0
        } else if wavelength > original / low {
            factor
        } else {
            let smooth = (original / wavelength - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    (0..head_dim / 2).map(|pair| divisor(pair) as f32).collect()
}

/// llama.cpp's number for the format of most tensors (`enum llama_ftype`).
fn file_type(numbers: Numbers) -> u32 {
    match numbers {
        Numbers::F32 => 0,
        Numbers::F16 => 1,
        Numbers::Q8_0 => 7,
        Numbers::Bf16 => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_head_become_pairs() {
        // Two heads of four rows, two columns.
        let values: Vec<f32> = (0..16).map(|value| value as f32).collect();
        let ordered = paired(&values, 2, 2);
        assert_eq!(ordered, [0., 1., 4., 5., 2., 3., 6., 7., 8., 9., 12., 13., 10., 11., 14., 15.]);
    }

    #[test]
    fn divisors_grow_from_one_to_the_factor() {
        let divisors = llama3_divisors(500.0, 20, (4.0, 1.0, 4.0, 40.0));
        assert_eq!((divisors[0], divisors[9]), (1.0, 4.0));
        assert!(divisors.is_sorted());
    }
}
