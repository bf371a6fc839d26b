//! Whether the files hold exactly the tensors that the config describes.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{DecoderConfig, renamed, stored_forms};
use crate::dtype::Dtype;
use crate::error::CheckpointError;
use crate::fp8::Blocks;
use crate::names;
use crate::stored::StoredWeights;

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// The number format under which a stored one is read; `None` when it is not.
pub(crate) fn readable(stored: safetensors::Dtype) -> Option<Dtype> {
    match stored {
        safetensors::Dtype::F32 => Some(Dtype::F32),
        safetensors::Dtype::F16 => Some(Dtype::F16),
        safetensors::Dtype::BF16 => Some(Dtype::BF16),
        _ => None,
    }
}

/// Drops what cannot change the computation, settles the head, and refuses every other difference between the stored
/// tensors and the config. `place` is named when no file can be.
pub(crate) fn fit(
    weights: &mut StoredWeights,
    config: &mut DecoderConfig,
    place: &Path,
) -> Result<(), CheckpointError> {
    // Beside a decoder that is marked as a part lie parts that see pictures or hear; text does not pass through them.
    let nested = weights.nested;
    for (name, place) in std::mem::take(&mut weights.places) {
        let Some(name) = renamed(config, &name) else { continue };
        if names::is_computed(&name) || (nested && !names::is_decoder(&name)) {
            continue;
        }
        if weights.places.insert(name.clone(), place).is_some() {
            return Err(CheckpointError::tensor(weights.file_of(&name), &name, "is stored twice, under two spellings"));
        }
    }
    take_scales(weights, config)?;
    settle_head(weights, config);
    let expected = config.expected_tensors();
    take_apart(weights, config, &expected)?;
    let known: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    drop_empty(weights, &known);
    if let Some(name) = weights.places.keys().find(|name| !known.contains(name.as_str())) {
        return Err(unexpected(weights, config, name));
    }
    for (name, shape) in &expected {
        check_tensor(weights, name, shape, place)?;
    }
    Ok(())
}

/// Drops tensors without a number, which transformers writes for parts of no width, such as no shared experts.
fn drop_empty(weights: &mut StoredWeights, known: &BTreeSet<&str>) {
    let is_empty = |name: &str| weights.entry(name).is_some_and(|entry| entry.shape.contains(&0));
    let is_superfluous = |name: &&String| !known.contains(name.as_str()) && is_empty(name);
    let empty: Vec<String> = weights.places.keys().filter(is_superfluous).cloned().collect();
    for name in empty {
        weights.places.remove(&name);
    }
}

/// What the scales of a matrix of eight-bit floats are called, behind its own name.
const SCALES: &str = "_scale_inv";

/// Puts matrices of eight-bit floats and their scales together, and forgets the latter.
fn take_scales(weights: &mut StoredWeights, config: &DecoderConfig) -> Result<(), CheckpointError> {
    let Some([rows, columns]) = config.weight_blocks else { return Ok(()) };
    let is_float8 = |name: &str| weights.entry(name).is_some_and(|entry| entry.dtype == safetensors::Dtype::F8_E4M3);
    let matrices: Vec<String> = weights.places.keys().filter(|name| is_float8(name)).cloned().collect();
    for name in matrices {
        let scales_name = format!("{name}{SCALES}");
        let refuse = |name: &str, problem: String| CheckpointError::tensor(weights.file_of(name), name, problem);
        let (Some(entry), Some(place)) = (weights.entry(&name), weights.places.get(&name)) else { continue };
        let &[height, width] = entry.shape.as_slice() else {
            return Err(refuse(&name, format!("has shape {:?} of F8_E4M3, expected a matrix", entry.shape)));
        };
        let blocks = Blocks { rows, columns, width };
        let (Some(scales), Some(scales_place)) = (weights.entry(&scales_name), weights.places.get(&scales_name)) else {
            let problem =
                "is stored as F8_E4M3, but its scales, `…_scale_inv`, are not there; the checkpoint is incomplete";
            return Err(refuse(&name, problem.to_owned()));
        };
        let expected = blocks.scales(height);
        if scales.shape != expected {
            let found = &scales.shape;
            let problem = format!(
                "has shape {found:?}, expected {expected:?}: one for each block of {rows} rows and {columns} columns"
            );
            return Err(refuse(&scales_name, problem));
        }
        if readable(scales.dtype).is_none() {
            return Err(refuse(&scales_name, format!("is stored as {}, expected F32, F16 or BF16", scales.dtype)));
        }
        let place = place.in_blocks(blocks, scales_place);
        weights.places.remove(&scales_name);
        weights.places.insert(name, place);
    }
    Ok(())
}

/// Finds expected tensors that are not stored by themselves among those that are stored in another form, and forgets the
/// latter.
fn take_apart(
    weights: &mut StoredWeights,
    config: &DecoderConfig,
    expected: &[(String, Vec<usize>)],
) -> Result<(), CheckpointError> {
    let mut parts = Vec::new();
    let mut used = BTreeSet::new();
    for (name, shape) in expected.iter().filter(|(name, _)| !weights.places.contains_key(name)) {
        let mut forms = stored_forms(config, name, shape).into_iter();
        let Some(form) = forms.find(|form| weights.places.contains_key(&form.name)) else { continue };
        let scales = form.scales.as_ref().map(|(name, shape)| (name.as_str(), shape));
        for (name, shape) in std::iter::once((form.name.as_str(), &form.shape)).chain(scales) {
            let refuse = |problem: String| Err(CheckpointError::tensor(weights.file_of(name), name, problem));
            match weights.entry(name) {
                Some(entry) if entry.shape != *shape => {
                    return refuse(format!("has shape {:?}, expected {shape:?} by config.json", entry.shape));
                }
                Some(entry) if form.scales.is_some() && entry.dtype != safetensors::Dtype::U8 => {
                    return refuse(format!("is stored as {}, expected U8: blocks of four-bit numbers", entry.dtype));
                }
                Some(_) => used.insert(name.to_owned()),
                None => return refuse("is missing; blocks of four-bit numbers need their scales".to_owned()),
            };
        }
        let scales = form.scales.as_ref().and_then(|(name, _)| weights.places.get(name));
        if let Some(place) = weights.places.get(&form.name) {
            parts.push((name.clone(), place.part(shape, form.view, scales)));
        }
    }
    weights.places.retain(|name, _| !used.contains(name));
    weights.places.extend(parts);
    Ok(())
}

/// Which matrix is the head when the config ties it: as in transformers, a stored head that differs from the embedding
/// goes before the config, and a lone head serves as the embedding too.
fn settle_head(weights: &mut StoredWeights, config: &mut DecoderConfig) {
    if !config.tie_word_embeddings {
        return;
    }
    if !weights.places.contains_key(EMBEDDING) {
        if let Some(head) = weights.places.remove(HEAD) {
            weights.places.insert(EMBEDDING.to_owned(), head);
        }
        return;
    }
    let (Some(embedding), Some(head)) = (weights.entry(EMBEDDING), weights.entry(HEAD)) else { return };
    let same_form = embedding.dtype == head.dtype && embedding.shape == head.shape;
    if same_form && weights.bytes(EMBEDDING) == weights.bytes(HEAD) {
        weights.places.remove(HEAD);
    } else {
        config.tie_word_embeddings = false;
    }
}

fn check_tensor(weights: &StoredWeights, name: &str, shape: &[usize], place: &Path) -> Result<(), CheckpointError> {
    let Some(entry) = weights.entry(name) else {
        let advice = if name == HEAD {
            "; if the head is the embedding, set `tie_word_embeddings` to true in config.json"
        } else {
            "; the checkpoint is incomplete or config.json belongs to another one"
        };
        return Err(CheckpointError::tensor(place, name, format!("is missing, expected shape {shape:?}{advice}")));
    };
    let refuse = |problem: String| Err(CheckpointError::tensor(weights.file_of(name), name, problem));
    let found = weights.shape_of(name, entry);
    if found != shape {
        return refuse(format!("has shape {found:?}, expected {shape:?} by config.json"));
    }
    if readable(entry.dtype).is_none() && !weights.is_packed(name) {
        return refuse(format!(
            "is stored as {}, expected F32, F16 or BF16, or F8_E4M3 with `quantization_config`; use an unquantised checkpoint",
            entry.dtype
        ));
    }
    Ok(())
}

/// A tensor that no layer would read changes what the model computes when it is left out, so it is refused.
fn unexpected(weights: &StoredWeights, config: &DecoderConfig, name: &str) -> CheckpointError {
    let layer = name
        .strip_prefix("model.layers.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|number| number.parse::<usize>().ok());
    let layers = config.num_layers();
    let reason = if layer.is_some_and(|layer| layer >= layers) {
        format!(
            "belongs to a layer beyond the {layers} of `num_hidden_layers`; config.json belongs to another checkpoint"
        )
    } else if name.ends_with(".bias") {
        "is a bias that config.json does not ask for; look at `attention_bias` and `mlp_bias`, or at `model_type`"
            .to_owned()
    } else if name.contains("lora_") {
        "belongs to an adapter; merge the adapter into its base model first".to_owned()
    } else if ["qweight", "qzeros", "scales", "weight_scale", "weight_scale_inv", "absmax", "quant_map"]
        .iter()
        .any(|ending| name.ends_with(ending))
    {
        "belongs to quantised weights, which are not read; use the unquantised checkpoint".to_owned()
    } else {
        let model_type = &config.model_type;
        format!("has no place in a {model_type} model as config.json describes it; is `model_type` right?")
    };
    CheckpointError::tensor(weights.file_of(name), name, reason)
}
