//! A GGUF file in which every visit of the path is a block of its own.
//!
//! From a GGUF file every tensor is copied byte for byte, whatever its format. From a folder the numbers are written anew,
//! in the order of rows and under the names that llama.cpp expects (its `convert_hf_to_gguf.py`). llama.cpp refuses files
//! in which tensors share bytes, so repeated layers are copies here too.

mod from_file;
mod from_folder;
mod meta;
mod otherwise;
mod quantise;
mod rounding;
mod rules;
mod tokenizer;

use std::path::Path;
use std::sync::Arc;

use neuro_checkpoint::{BlockFormat, Checkpoint};
use neuro_path::LayerPath;
use neuro_text::Text;

use self::meta::Meta;
pub use self::otherwise::as_run;
use crate::copying::{Counter, Output};
use crate::hf::Exported;
use crate::staging::Staging;
use crate::verify::{Comparison, Probe};
use crate::{Progress, Result, SurgeryError, space};

/// The magic number, and the version that is written.
const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;

/// Numbers of matrices in a file made from a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// 8 bits around 0, a scale for 32.
    Q8_0,
    /// 6 bits around 0, an 8-bit scale for 16; in 8 or 16 bits where rows are no multiple of 256 numbers.
    Q6K,
    /// 5 bits above a minimum, 6-bit scale and minimum for 32; as Q6_K where rows are no such multiple.
    Q5K,
    /// 4 bits above a minimum, 6-bit scale and minimum for 32; as Q6_K where rows are no such multiple.
    Q4K,
}

impl Numbers {
    fn format(self) -> BlockFormat {
        match self {
            Self::F32 => BlockFormat::F32,
            Self::F16 => BlockFormat::F16,
            Self::Bf16 => BlockFormat::BF16,
            Self::Q8_0 => BlockFormat::Q8_0,
            Self::Q6K => BlockFormat::Q6K,
            Self::Q5K => BlockFormat::Q5K,
            Self::Q4K => BlockFormat::Q4K,
        }
    }

    /// The same, or what comes closest, for rows of so many numbers.
    fn fitting(self, columns: usize) -> Self {
        match self {
            Self::Q4K | Self::Q5K | Self::Q6K if !columns.is_multiple_of(BlockFormat::Q4K.block_len()) => {
                Self::Q8_0.fitting(columns)
            }
            Self::Q8_0 if !columns.is_multiple_of(BlockFormat::Q8_0.block_len()) => Self::F16,
            fits => fits,
        }
    }

    /// Largest difference of a logit that rounding explains, in units of the largest logit; measured on the committed
    /// fixtures, times about four.
    fn tolerance(self) -> f32 {
        match self {
            Self::F32 => crate::verify::EXACT,
            Self::F16 => 0.01,
            Self::Bf16 => 0.1,
            Self::Q8_0 => 0.1,
            // Of random models; what is written wrongly shows in the numbers themselves.
            Self::Q4K | Self::Q5K | Self::Q6K => 1.0,
        }
    }

    /// Largest root mean square of what rounding takes from a matrix, relative to the matrix's own: several steps of 8 bits,
    /// and twice what 4, 5 and 6 bits take from normal numbers (0.075, 0.037, 0.018).
    fn rounding(self) -> Option<f64> {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => None,
            Self::Q8_0 => Some(0.02),
            Self::Q6K => Some(0.04),
            Self::Q5K => Some(0.075),
            Self::Q4K => Some(0.15),
        }
    }
}

/// What is to be exported, and how.
#[derive(Debug, Clone, Copy)]
pub struct GgufExport<'a> {
    /// The model, opened from a folder or a GGUF file.
    pub checkpoint: &'a Arc<Checkpoint>,
    /// Name of the model for people and in provenance.
    pub source: &'a str,
    /// The path.
    pub path: &'a LayerPath,
    /// Numbers of matrices; none for those of the source. A GGUF file's are never changed.
    pub numbers: Option<Numbers>,
    /// The tokenizer, where the model has one.
    pub text: Option<&'a Text>,
    /// What the result is compared on.
    pub probe: &'a Probe,
}

/// One tensor of an export.
struct Planned {
    name: String,
    format: BlockFormat,
    /// Size of each axis, slowest first.
    shape: Vec<usize>,
    source: Source,
}

/// Where a tensor's bytes come from.
enum Source {
    File(from_file::Place),
    Folder(from_folder::Place),
}

impl Planned {
    fn bytes(&self) -> u64 {
        let numbers = self.shape.iter().product();
        // Shapes are those of tensors that exist, so their bytes can be counted.
        self.format.bytes_of(numbers).unwrap_or(0) as u64
    }
}

/// A file before it is written.
struct Plan {
    meta: Meta,
    alignment: u64,
    tensors: Vec<Planned>,
    notes: Vec<String>,
    /// How close the result must come to the path.
    tolerance: f32,
    /// How much rounding may take from a matrix, where it takes so much that logits alone prove little.
    rounding: Option<f64>,
}

impl Plan {
    fn bytes(&self) -> u64 {
        self.tensors.iter().map(Planned::bytes).sum()
    }
}

/// Bytes of weights that an export writes and that it links (none), and remarks, with nothing written.
///
/// # Errors
/// When the path cannot be exported.
pub fn dry_run(export: &GgufExport<'_>) -> Result<(u64, u64, Vec<String>)> {
    let plan = prepare(export)?;
    Ok((plan.bytes(), 0, plan.notes))
}

/// Writes the file `out`.
///
/// # Errors
/// When the path cannot be exported, `out` is not free, the disk is too small or fails, or the watcher stops it. A file that
/// computes something else is written, marked, and no error.
pub fn export(export: &GgufExport<'_>, out: &Path, progress: &mut dyn Progress) -> Result<Exported> {
    if out.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("gguf")) {
        return Err(SurgeryError::place(out, "does not end in .gguf, by which such files are known; name it so"));
    }
    let mut plan = prepare(export)?;
    let staging = Staging::file(out)?;
    space::require(
        out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        plan.bytes(),
    )?;
    write(export, &plan, staging.path(), progress)?;
    let comparison = {
        let written = Arc::new(Checkpoint::open(staging.path())?);
        let probe = Probe { tolerance: plan.tolerance.max(export.probe.tolerance), ..export.probe.within(&written) };
        let mut comparison = match as_run(export.checkpoint)? {
            None => probe.compare(export.checkpoint, export.path, &written, progress)?,
            Some(run) => {
                let own = probe.compare(export.checkpoint, export.path, &written, progress)?;
                plan.notes.push(otherwise::measured(&own));
                Comparison { as_llama_cpp: true, ..probe.compare(&run, export.path, &written, progress)? }
            }
        };
        if let Some(most) = plan.rounding
            && rounding::largest(export.checkpoint, export.path, &written)? > most
        {
            // No logits are close enough then.
            comparison.limit = 0.0;
        }
        comparison
    };
    if comparison.passed() {
        staging.finish()?;
    } else {
        staging.finish_marked(&comparison)?;
    }
    let (bytes, notes) = (plan.bytes(), plan.notes);
    Ok(Exported { bytes, linked_bytes: 0, reflinked_bytes: 0, kept_bytes: 0, files: 1, notes, comparison })
}

fn prepare(export: &GgufExport<'_>) -> Result<Plan> {
    let weights = &export.checkpoint.weights;
    if weights.random_seed().is_some() {
        let problem = "has weights drawn from a seed; export a model with weights of its own";
        return Err(SurgeryError::place(&export.checkpoint.dir, problem));
    }
    let mut plan = if weights.gguf_layout().is_empty() { from_folder::plan(export)? } else { from_file::plan(export)? };
    plan.notes.extend(otherwise::notes(&export.checkpoint.config));
    Ok(plan)
}

fn write(export: &GgufExport<'_>, plan: &Plan, place: &Path, progress: &mut dyn Progress) -> Result<()> {
    let mut output = Output::create(place)?;
    let mut counter = Counter::new(plan.bytes(), progress);
    output.write(MAGIC)?;
    output.write(&VERSION.to_le_bytes())?;
    output.write(&(plan.tensors.len() as u64).to_le_bytes())?;
    output.write(&(plan.meta.len() as u64).to_le_bytes())?;
    output.write(&plan.meta.bytes())?;
    let mut offset = 0_u64;
    for tensor in &plan.tensors {
        let mut entry = Vec::new();
        meta::push_text(&mut entry, &tensor.name);
        entry.extend((tensor.shape.len() as u32).to_le_bytes());
        // Fastest first in the file.
        tensor.shape.iter().rev().for_each(|&size| entry.extend((size as u64).to_le_bytes()));
        entry.extend(tensor.format.id().to_le_bytes());
        entry.extend(offset.to_le_bytes());
        output.write(&entry)?;
        offset = (offset + tensor.bytes()).next_multiple_of(plan.alignment);
    }
    let mut inputs = from_file::inputs(export.checkpoint)?;
    for tensor in &plan.tensors {
        output.pad(plan.alignment)?;
        let start = output.position();
        match &tensor.source {
            Source::File(place) => from_file::copy(place, tensor, &mut inputs, &mut output, &mut counter)?,
            Source::Folder(place) => from_folder::copy(export.checkpoint, place, tensor, &mut output, &mut counter)?,
        }
        debug_assert_eq!(output.position() - start, tensor.bytes());
    }
    output.pad(plan.alignment)?;
    output.finish()?;
    Ok(())
}
