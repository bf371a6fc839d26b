//! What llama.cpp makes of a block by its number, and which keys of a file say so.
//!
//! Facts: llama.cpp's `llama-model.cpp` (`load_hparams`). An architecture of which nobody here has read that code is
//! refused: a file that loads and computes something else is worse than none.

use std::path::Path;

use neuro_path::LayerPath;

use super::meta::{Meta, Stored};
use crate::nearest::advice;
use crate::notation::unsayable;
use crate::{Result, SurgeryError};

/// Most layers that llama.cpp opens (`LLAMA_MAX_LAYERS`).
const MOST_LAYERS: usize = 512;

/// Architectures in which no block's kind follows from its number.
const PLAIN: [&str; 7] = ["llama", "qwen2", "qwen3", "qwen2moe", "qwen3moe", "gemma", "granite"];

/// Architectures in which every so-many-th block is of another kind: by a window, by positions, by a recurrent mixer.
const PERIODS: [(&str, usize); 11] = [
    ("gemma2", 2),
    ("gemma3", 6),
    ("gemma3n", 5),
    ("cohere2", 4),
    ("llama4", 4),
    ("gpt-oss", 2),
    ("exaone4", 4),
    ("smollm3", 4),
    ("qwen3next", 4),
    ("qwen35", 4),
    ("qwen35moe", 4),
];

/// Numbers of blocks by which llama.cpp tells the 27B models, whose attention has another scale.
const SCALE_BY_DEPTH: [(&str, usize); 2] = [("gemma2", 46), ("gemma3", 62)];

/// Arrays that are of no blocks, whatever their length.
const OTHER_ARRAYS: [&str; 3] = ["rope.dimension_sections", "classifier.output_labels", "rope.scaling.long_factors"];

/// Arrays with an item for each block.
const PER_BLOCK: [&str; 8] = [
    "attention.head_count",
    "attention.head_count_kv",
    "feed_forward_length",
    "attention.sliding_window_pattern",
    "attention.recurrent_layers",
    "swiglu_clamp_exp",
    "swiglu_clamp_shexp",
    "expert_feed_forward_length",
];

/// Refuses a path of which llama.cpp would make another model.
pub(super) fn check(architecture: &str, path: &LayerPath) -> Result<()> {
    if path.is_baseline() {
        return Ok(());
    }
    let (depth, len) = (path.depth(), path.len());
    let refuse = |reason: String| Err(unsayable("gguf", path, reason));
    if len > MOST_LAYERS {
        return refuse(format!("llama.cpp opens at most {MOST_LAYERS} layers, and the path has {len} visits"));
    }
    if let Some((_, special)) = SCALE_BY_DEPTH.iter().find(|(name, _)| *name == architecture)
        && depth != len
        && (depth == *special || len == *special)
    {
        return refuse(format!(
            "llama.cpp tells the 27B model of {architecture} by its {special} layers and scales its attention otherwise; with \
             {len} instead of {depth} layers the file would load and compute something else; export to hf"
        ));
    }
    if let Some((_, period)) = PERIODS.iter().find(|(name, _)| *name == architecture) {
        return keep_period(architecture, path, *period);
    }
    if !PLAIN.contains(&architecture) {
        return refuse(format!(
            "it is not known here what llama.cpp derives from a layer's number in {architecture}; export to hf"
        ));
    }
    Ok(())
}

/// Every visit must stand where the layer's number has the same remainder.
fn keep_period(what: &str, path: &LayerPath, period: usize) -> Result<()> {
    let keeps =
        |path: &LayerPath| path.layers().iter().enumerate().all(|(place, layer)| place % period == layer % period);
    if period < 2 || keeps(path) {
        return Ok(());
    }
    let reason = format!(
        "in {what} llama.cpp makes every {period}th layer another kind by its number, and no key of the file says otherwise; \
         repeat a multiple of {period} layers, or export to hf{}",
        advice(path, keeps)
    );
    Err(unsayable("gguf", path, reason))
}

/// The keys of a file for a path.
pub(super) fn rewrite<'a>(
    keys: impl Iterator<Item = (&'a str, &'a [u8])>,
    architecture: &str,
    path: &LayerPath,
    file: &Path,
    notes: &mut Vec<String>,
) -> Result<Meta> {
    let mut meta = Meta::default();
    let prefix = format!("{architecture}.");
    for (key, value) in keys {
        if key.starts_with("split.") {
            continue;
        }
        let name = key.strip_prefix(&prefix);
        match name.filter(|_| !path.is_baseline()) {
            None => meta.raw(key, value.to_vec()),
            Some(name) => rewrite_key(&mut meta, key, name, value, path, file, notes)?,
        }
    }
    Ok(meta)
}

fn rewrite_key(
    meta: &mut Meta,
    key: &str,
    name: &str,
    value: &[u8],
    path: &LayerPath,
    file: &Path,
    notes: &mut Vec<String>,
) -> Result<()> {
    let refuse = |problem: String| Err(SurgeryError::key(file, key, problem));
    let depth = path.depth();
    match (name, Stored::read(value)) {
        ("block_count", _) => meta.u32(key, path.len() as u32),
        (_, Stored::Items(kind, size, items)) if !OTHER_ARRAYS.contains(&name) => {
            let count = items.len() / size;
            if PER_BLOCK.contains(&name) && count == depth {
                meta.raw(key, Stored::picked(kind, size, items, &path.layers()));
            } else if PER_BLOCK.contains(&name) || count == depth {
                return refuse(format!(
                    "has {count} items for {depth} layers, and what they mean is not known here; export the model's folder instead"
                ));
            } else {
                meta.raw(key, value.to_vec());
            }
        }
        ("nextn_predict_layers", Stored::Number(count)) if count > 0 => {
            return refuse(format!(
                "is {count}: the last blocks draft tokens ahead and count as layers, which a path does not run; use a file \
                 without them"
            ));
        }
        ("attention.shared_kv_layers", Stored::Number(count)) if count > 0 => {
            return refuse(format!(
                "is {count}: the last layers use the keys and values of earlier ones, chosen by number"
            ));
        }
        ("leading_dense_block_count", Stored::Number(count)) if count > 0 => {
            let layers = path.layers();
            let dense = |layer: &usize| (*layer as i64) < count;
            let leading = layers.iter().take_while(|layer| dense(layer)).count();
            if layers.iter().skip(leading).any(dense) {
                return refuse(format!(
                    "says that the first {count} layers are dense, and along this path dense layers come back"
                ));
            }
            meta.u32(key, leading as u32);
        }
        (
            "full_attention_interval"
            | "interleave_moe_layer_step"
            | "moe_every_n_layers"
            | "attention.sliding_window_pattern",
            Stored::Number(period),
        ) if period > 1 => {
            keep_period(key, path, usize::try_from(period).unwrap_or(usize::MAX))?;
            notes.push(format!(
                "`{key}` is kept: the path leaves every layer where its number has the same remainder by {period}"
            ));
            meta.raw(key, value.to_vec());
        }
        _ => meta.raw(key, value.to_vec()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(architecture: &str, path: &str, depth: usize) -> String {
        check(architecture, &LayerPath::parse(path, depth).unwrap())
            .map_or_else(|error| error.to_string(), |()| "fine".into())
    }

    #[test]
    fn paths_that_llama_cpp_would_misread_are_refused() {
        assert_eq!(message("llama", "(3,6)", 12), "fine");
        assert_eq!(message("qwen3next", "(4,8)", 12), "fine");
        assert!(message("qwen3next", "(4,7)", 12).contains("the nearest block that works is (3, 7)"));
        assert_eq!(message("gemma3", "(6,12)", 26), "fine");
        assert!(message("gemma3", "(6,11)", 26).contains("every 6th layer"));
        // A factor on every logit of attention, and no warning.
        assert!(message("gemma3", "(0,6)", 62).contains("27B"));
        assert!(message("gemma2", "(0,2)", 44).contains("27B"));
        assert!(message("unheard-of", "(3,6)", 12).contains("not known here"));
        assert_eq!(message("unheard-of", "..", 12), "fine");
        assert!(message("llama", "..,..x50", 12).contains("at most 512"));
    }

    #[test]
    fn keys_by_block_follow_the_path() {
        let path = LayerPath::parse("0..2,1..3", 4).unwrap();
        let mut source = Meta::default();
        source.text("general.architecture", "llama");
        source.u32("llama.block_count", 4);
        source.i32s("llama.attention.head_count_kv", &[1, 2, 3, 4]);
        source.u32("llama.leading_dense_block_count", 1);
        source.u32("split.count", 3);
        let run = |source: &Meta| {
            let keys: Vec<_> = source.pairs().collect();
            rewrite(keys.into_iter(), "llama", &path, Path::new("m.gguf"), &mut Vec::new())
        };
        let mut expected = Meta::default();
        expected.text("general.architecture", "llama");
        expected.u32("llama.block_count", 6);
        expected.i32s("llama.attention.head_count_kv", &[1, 2, 3, 2, 3, 4]);
        expected.u32("llama.leading_dense_block_count", 1);
        assert_eq!(run(&source).unwrap(), expected);
        for (key, value) in [
            ("llama.nextn_predict_layers", 1),
            ("llama.attention.shared_kv_layers", 2),
            ("llama.leading_dense_block_count", 2),
        ] {
            let mut source = source.clone();
            source.u32(key, value);
            assert!(run(&source).unwrap_err().to_string().contains(key));
        }
        let mut unknown = source.clone();
        unknown.i32s("llama.strange", &[1, 2, 3, 4]);
        assert!(run(&unknown).unwrap_err().to_string().contains("not known here"));
    }
}
