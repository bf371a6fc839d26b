//! The keys of a file, rewritten for a path.

use std::path::Path;

use neuro_checkpoint::GgufArchitecture;
use neuro_path::LayerPath;

use super::{Kinds, listed_windows, recurrence};
use crate::gguf::meta::{Meta, Stored};
use crate::nearest::advice;
use crate::notation::unsayable;
use crate::{Result, SurgeryError};

/// Arrays that are of no blocks, whatever their length.
const OTHER_ARRAYS: [&str; 3] = ["rope.dimension_sections", "classifier.output_labels", "rope.scaling.long_factors"];

/// Arrays with an item for each block.
const PER_BLOCK: [&str; 8] = [
    "attention.head_count",
    "attention.head_count_kv",
    "feed_forward_length",
    PATTERN,
    recurrence::LIST,
    "swiglu_clamp_exp",
    "swiglu_clamp_shexp",
    "expert_feed_forward_length",
];

/// Which layers have a window: a list, or a period.
const PATTERN: &str = "attention.sliding_window_pattern";

/// Keys that name a period of layers.
const PERIODS: [&str; 4] = [recurrence::INTERVAL, "interleave_moe_layer_step", "moe_every_n_layers", PATTERN];

/// What the file's blocks are, and what the path makes of them.
pub(in crate::gguf) struct Rewriting<'a> {
    pub(in crate::gguf) architecture: &'a str,
    pub(in crate::gguf) path: &'a LayerPath,
    pub(in crate::gguf) kinds: &'a Kinds,
    /// Blocks at the end of the file that predict further tokens, which are left out.
    pub(in crate::gguf) predictors: usize,
    pub(in crate::gguf) file: &'a Path,
}

/// The keys of a file for a path.
pub(in crate::gguf) fn rewrite<'a>(
    keys: impl Iterator<Item = (&'a str, &'a [u8])>,
    rewriting: &Rewriting<'_>,
    notes: &mut Vec<String>,
) -> Result<Meta> {
    let mut meta = Meta::default();
    let prefix = format!("{}.", rewriting.architecture);
    let stays = rewriting.path.is_baseline() && rewriting.predictors == 0;
    for (key, value) in keys.filter(|(key, _)| !key.starts_with("split.")) {
        match key.strip_prefix(&prefix).filter(|_| !stays) {
            None => meta.raw(key, value.to_vec()),
            Some(name) => rewriting.key(&mut meta, key, name, value, notes)?,
        }
    }
    if !stays {
        rewriting.add(&mut meta, notes);
    }
    Ok(meta)
}

impl Rewriting<'_> {
    fn key(&self, meta: &mut Meta, key: &str, name: &str, value: &[u8], notes: &mut Vec<String>) -> Result<()> {
        let refuse = |problem: String| Err(SurgeryError::key(self.file, key, problem));
        let depth = self.path.depth();
        match (name, Stored::read(value)) {
            ("block_count", _) => meta.u32(key, self.path.len() as u32),
            // Written anew below.
            (recurrence::INTERVAL | recurrence::LIST, _) if self.kinds.recurrent.is_some() => {}
            (_, Stored::Items(kind, size, items)) if !OTHER_ARRAYS.contains(&name) && !self.is_pattern(name) => {
                let count = items.len() / size;
                if PER_BLOCK.contains(&name) && [depth, depth + self.predictors].contains(&count) {
                    meta.raw(key, Stored::picked(kind, size, items, &self.path.layers()));
                } else if PER_BLOCK.contains(&name) || count == depth {
                    return refuse(format!(
                        "has {count} items for {depth} layers, and what they mean is not known here; export the model's folder instead"
                    ));
                } else {
                    meta.raw(key, value.to_vec());
                }
            }
            ("nextn_predict_layers", Stored::Number(count)) if count > 0 => {
                notes.push(format!(
                    "the last {count} blocks, which predict further tokens and which a path does not run, are left out"
                ));
                meta.u32(key, 0);
            }
            ("attention.shared_kv_layers", Stored::Number(count)) if count > 0 => {
                return refuse(format!(
                    "is {count}: the last layers use the keys and values of earlier ones, chosen by number"
                ));
            }
            ("leading_dense_block_count", Stored::Number(_)) => meta.u32(key, self.kinds.dense as u32),
            // Written anew below, or what the architecture has by itself.
            ("attention.sliding_window_pattern", _) if self.has_windows() => {}
            (name, Stored::Number(period)) if PERIODS.contains(&name) && period > 1 => {
                keep_period(key, self.path, usize::try_from(period).unwrap_or(usize::MAX))?;
                notes.push(format!(
                    "`{key}` is kept: the path leaves every layer where its number has the same remainder by {period}"
                ));
                meta.raw(key, value.to_vec());
            }
            _ => meta.raw(key, value.to_vec()),
        }
        Ok(())
    }

    /// Whether the architecture has windowed layers, of which the path knows which they are.
    fn has_windows(&self) -> bool {
        GgufArchitecture::named(self.architecture).is_some_and(|known| known.window_period.is_some())
    }

    fn is_pattern(&self, name: &str) -> bool {
        name == PATTERN && self.has_windows()
    }

    /// Keys that the path needs and the file may lack.
    fn add(&self, meta: &mut Meta, notes: &mut Vec<String>) {
        let key = |name: &str| format!("{}.{name}", self.architecture);
        let pattern = key(PATTERN);
        if let Some(windowed) = &self.kinds.windowed
            && (meta.has(&key("attention.sliding_window")) || self.architecture == "gemma2")
        {
            meta.flags(&pattern, windowed);
            notes.push(listed_windows(&pattern));
        }
        if let Some(recurrent) = &self.kinds.recurrent {
            recurrence::write(meta, self.architecture, recurrent, notes);
        }
        let rank = key("attention.q_lora_rank");
        if self.kinds.names_no_query_latent && !meta.has(&rank) {
            meta.u32(&rank, 0);
        }
    }
}

/// Every visit must stand where the layer's number has the same remainder.
fn keep_period(what: &str, path: &LayerPath, period: usize) -> Result<()> {
    let keeps =
        |path: &LayerPath| path.layers().iter().enumerate().all(|(place, layer)| place % period == layer % period);
    if period < 2 || keeps(path) {
        return Ok(());
    }
    let reason = format!(
        "in {what} llama.cpp makes every {period}th layer another kind by its number; repeat a multiple of {period} layers, or \
         export to hf{}",
        advice(path, keeps)
    );
    Err(unsayable("gguf", path, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_by_block_follow_the_path() {
        let path = LayerPath::parse("0..2,1..3", 4).unwrap();
        let mut source = Meta::default();
        source.text("general.architecture", "llama");
        source.u32("llama.block_count", 5);
        source.i32s("llama.attention.head_count_kv", &[1, 2, 3, 4]);
        source.u32("llama.nextn_predict_layers", 1);
        source.u32("llama.leading_dense_block_count", 3);
        source.u32("split.count", 3);
        let kinds = Kinds { dense: 1, ..Kinds::default() };
        let run = |source: &Meta| {
            let keys: Vec<_> = source.pairs().collect();
            let rewriting = Rewriting {
                architecture: "llama",
                path: &path,
                kinds: &kinds,
                predictors: 1,
                file: Path::new("m.gguf"),
            };
            rewrite(keys.into_iter(), &rewriting, &mut Vec::new())
        };
        let mut expected = Meta::default();
        expected.text("general.architecture", "llama");
        expected.u32("llama.block_count", 6);
        expected.i32s("llama.attention.head_count_kv", &[1, 2, 3, 2, 3, 4]);
        expected.u32("llama.nextn_predict_layers", 0);
        expected.u32("llama.leading_dense_block_count", 1);
        assert_eq!(run(&source).unwrap(), expected);
        for (key, value) in [("llama.attention.shared_kv_layers", 2), ("llama.full_attention_interval", 4)] {
            let mut source = source.clone();
            source.u32(key, value);
            assert!(run(&source).unwrap_err().to_string().contains(key));
        }
        let mut unknown = source.clone();
        unknown.i32s("llama.strange", &[1, 2, 3, 4]);
        assert!(run(&unknown).unwrap_err().to_string().contains("not known here"));
    }

    #[test]
    fn recurrent_layers_are_counted_where_they_can_be_and_else_listed() {
        let mut source = Meta::default();
        source.u32("qwen35.block_count", 4);
        source.u32("qwen35.full_attention_interval", 2);
        // Not of the four blocks.
        source.i32s("qwen35.rope.dimension_sections", &[1, 1, 0, 0]);
        let run = |path: &str, notes: &mut Vec<String>| {
            let path = LayerPath::parse(path, 4).unwrap();
            let recurrent = path.layers().iter().map(|layer| layer % 2 == 0).collect();
            let kinds = Kinds { recurrent: Some(recurrent), ..Kinds::default() };
            let keys: Vec<_> = source.pairs().collect();
            let rewriting = Rewriting {
                architecture: "qwen35",
                path: &path,
                kinds: &kinds,
                predictors: 0,
                file: Path::new("m.gguf"),
            };
            rewrite(keys.into_iter(), &rewriting, notes).unwrap()
        };
        let expected = |blocks: u32| {
            let mut expected = Meta::default();
            expected.u32("qwen35.block_count", blocks);
            expected.i32s("qwen35.rope.dimension_sections", &[1, 1, 0, 0]);
            expected
        };
        let mut notes = Vec::new();
        let mut counted = expected(6);
        counted.u32("qwen35.full_attention_interval", 2);
        assert_eq!(run("(1,3)", &mut notes), counted);
        assert!(notes.is_empty(), "{notes:?}");
        let mut listed = expected(5);
        listed.flags("qwen35.attention.recurrent_layers", &[true, false, false, true, false]);
        assert_eq!(run("(1,2)", &mut notes), listed);
        assert!(notes[0].contains("`qwen35.attention.recurrent_layers` lists"), "{notes:?}");
    }
}
