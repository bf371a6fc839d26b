//! From a GGUF file: keys as they are but for those that count blocks, tensors byte for byte.

use std::ops::Range;

use neuro_checkpoint::{BlockFormat, Checkpoint, GgufArchitecture, GgufLayout};
use neuro_path::{BranchScales, Scale};

use super::meta::Stored;
use super::rules::{self, Kinds, Rewriting};
use super::{GgufExport, Plan, Planned, Source};
use crate::copying::{Counter, Inputs, Output};
use crate::fold::{self, Format};
use crate::notation::unsayable;
use crate::{Result, SurgeryError};

/// Alignment where the file names none.
const ALIGNMENT: u64 = 32;

/// Bytes of one of the source's files.
pub(super) struct Place {
    file: usize,
    range: Range<u64>,
    fold: Option<(Format, Scale)>,
}

pub(super) fn plan(export: &GgufExport<'_>) -> Result<Plan> {
    let GgufExport { checkpoint, path, .. } = *export;
    if export.numbers.is_some() {
        let problem = "is a GGUF file, whose tensors are copied as they are; leave --numbers out";
        return Err(SurgeryError::place(&checkpoint.dir, problem));
    }
    let layouts = checkpoint.weights.gguf_layout();
    let Some(first) = layouts.first() else {
        return Err(SurgeryError::place(&checkpoint.dir, "is no GGUF file"));
    };
    let find = |key: &str| first.keys.iter().find(|entry| entry.name == key).map(|entry| Stored::read(entry.value));
    let Some(Stored::Text(architecture)) = find("general.architecture") else {
        return Err(SurgeryError::key(first.path, "general.architecture", "is missing"));
    };
    let alignment = match find("general.alignment") {
        Some(Stored::Number(alignment)) => u64::try_from(alignment).unwrap_or(ALIGNMENT).max(1),
        _ => ALIGNMENT,
    };
    let predicts = GgufArchitecture::named(architecture).is_some_and(|known| known.predictors);
    let predictors = match find(&format!("{architecture}.nextn_predict_layers")) {
        Some(Stored::Number(count)) if predicts => usize::try_from(count).unwrap_or(0),
        _ => 0,
    };
    let stays = path.is_baseline() && predictors == 0;
    let kinds = if stays { Kinds::default() } else { rules::check(architecture, &checkpoint.config, path)? };
    let mut notes = Vec::new();
    let keys = first.keys.iter().map(|entry| (entry.name, entry.value));
    let rewriting = Rewriting { architecture, path, kinds: &kinds, predictors, file: first.path };
    let mut meta = rules::rewrite(keys, &rewriting, &mut notes)?;
    meta.text("neuro.layer_path", &path.to_string());
    meta.text("neuro.source", export.source);
    meta.u32("neuro.source_block_count", path.depth() as u32);
    Ok(Plan {
        meta,
        alignment,
        tensors: tensors(export, &layouts, predictors)?,
        notes,
        tolerance: crate::verify::EXACT,
        rounding: None,
    })
}

/// Tensors of no block in the order of the files, then those of each visit.
fn tensors(export: &GgufExport<'_>, layouts: &[GgufLayout<'_>], predictors: usize) -> Result<Vec<Planned>> {
    let path = export.path;
    fold::check_layers("gguf", path, &export.checkpoint.config)?;
    let mut planned = Vec::new();
    let mut of_layers = vec![Vec::new(); path.depth()];
    for (file, layout) in layouts.iter().enumerate() {
        for tensor in &layout.tensors {
            match block_of(tensor.name) {
                None => planned.push(Planned {
                    name: tensor.name.to_owned(),
                    format: tensor.format,
                    shape: tensor.shape.to_vec(),
                    source: Source::File(Place { file, range: range(&tensor.range), fold: None }),
                }),
                Some((layer, rest)) => match of_layers.get_mut(layer) {
                    Some(tensors) => tensors.push((file, tensor.clone(), rest)),
                    None if layer < path.depth() + predictors => {}
                    None => {
                        let problem = format!("belongs to a block beyond the {} of the model", path.depth());
                        return Err(SurgeryError::key(layout.path, tensor.name, problem));
                    }
                },
            }
        }
    }
    for (place, visit) in path.visits().into_iter().enumerate() {
        for (file, tensor, rest) in &of_layers[visit.layer] {
            let scale = scale_of(rest, visit.scales);
            let fold = if scale == Scale::ONE {
                None
            } else {
                Some((foldable(export, tensor.format, tensor.name, scale)?, scale))
            };
            planned.push(Planned {
                name: format!("blk.{place}.{rest}"),
                format: tensor.format,
                shape: tensor.shape.to_vec(),
                source: Source::File(Place { file: *file, range: range(&tensor.range), fold }),
            });
        }
    }
    Ok(planned)
}

fn foldable(export: &GgufExport<'_>, format: BlockFormat, name: &str, scale: Scale) -> Result<Format> {
    if format.is_quantised() {
        let reason = format!(
            "`{name}` is stored as {format}, and a scale cannot be folded into blocks without rounding them anew; export from \
             the model's folder"
        );
        return Err(unsayable("gguf", export.path, reason));
    }
    let found = Format::named(format.name());
    fold::check_scale("gguf", export.path, name, found, scale)?;
    found.ok_or_else(|| unsayable("gguf", export.path, "a scale cannot be folded into this format"))
}

/// As [`fold::scale_of`], by GGUF's names: `ffn_down`, of experts `ffn_down_exps`, `ffn_down_shexp` or `ffn_down.7`.
fn scale_of(rest: &str, scales: BranchScales) -> Scale {
    match rest.split('.').next() {
        Some("attn_output" | "ssm_out") => scales.attn,
        Some("ffn_down" | "ffn_down_exps" | "ffn_down_shexp") => scales.mlp,
        _ => Scale::ONE,
    }
}

/// `blk.LAYER.REST`.
fn block_of(name: &str) -> Option<(usize, &str)> {
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((layer.parse().ok()?, rest))
}

fn range(range: &Range<usize>) -> Range<u64> {
    range.start as u64..range.end as u64
}

/// The source's GGUF files; none where it is a folder.
pub(super) fn inputs(checkpoint: &Checkpoint) -> Result<Inputs> {
    let layouts = checkpoint.weights.gguf_layout();
    Inputs::open(layouts.iter().map(|layout| layout.path))
}

pub(super) fn copy(
    place: &Place,
    tensor: &Planned,
    inputs: &mut Inputs,
    output: &mut Output,
    counter: &mut Counter<'_>,
) -> Result<()> {
    inputs.copy(place.file, place.range.clone(), output, counter, |piece| match place.fold {
        Some((format, scale)) => fold::multiply(piece, format, scale, &tensor.name),
        None => Ok(()),
    })
}
