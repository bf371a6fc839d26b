#![allow(dead_code, reason = "each test binary uses a part")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_engine::{GenerateOptions, Prompt, Rule};
use neuro_model::{Decoder, Device};
use neuro_path::LayerPath;
use proptest::prelude::*;

/// Every fixture that is a checkpoint.
pub(crate) fn fixtures() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let checkpoints = entries.filter(|path| path.join("config.json").is_file());
    let mut names: Vec<String> =
        checkpoints.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(names.len() >= 40 && FIXTURES.iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
    names
}

/// Fixtures that differ in what the engine could get wrong: spans, windows, norms, recurrent states, rounds of a stack.
pub(crate) const FIXTURES: [&str; 8] = [
    "llama-default",
    "llama-dynamic-above",
    "qwen2-dynamic-below-window",
    "qwen3-default",
    "mistral-window",
    "qwen3_next-default",
    "qwen3_5-nested",
    "ouro-two-rounds",
];

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

pub(crate) fn decoder(name: &str) -> Arc<Decoder> {
    Arc::new(Decoder::load(&Checkpoint::open(&fixture(name)).unwrap(), &Device::Cpu).unwrap())
}

pub(crate) fn prompt(tokens: &[u32], limit: usize) -> Prompt {
    Prompt { tokens: tokens.to_vec(), limit, question: 3, draw: 0 }
}

/// Greedy, without any end but the limit.
pub(crate) fn options() -> GenerateOptions<'static> {
    GenerateOptions { eos: &[], suppress: &[], rule: Rule::Greedy, stop: &|_, _| None }
}

/// What two ways of our own may differ by, when they add in another order. A delta net divides by the norms of short vectors,
/// which takes rounding up: 1.9e-4 was seen on random paths with the tensor library's products on AVX2.
pub(crate) fn rounding(decoder: &Decoder) -> f64 {
    if decoder.config().layers.iter().any(|layer| layer.delta_net.is_some()) { 1e-3 } else { 1e-4 }
}

/// Blocks, several blocks, repeats, skips, reorders and damped visits of so many layers, at least four, in any mixture.
pub(crate) fn path(depth: usize) -> impl Strategy<Value = LayerPath> {
    let (last, before) = (depth - 1, depth - 2);
    let block = (0..depth, 1..=depth).prop_map(|(i, j)| format!("({},{})", i.min(j - 1), j));
    let layers = prop::collection::vec(0..depth, 1..=2 * depth);
    // Half of the paths begin like the baseline, so that the trunk is really used.
    let mixed = (0..=depth, layers).prop_map(|(shared, rest)| {
        let layers: Vec<String> = (0..shared).chain(rest).map(|layer| layer.to_string()).collect();
        format!("layers:{}", layers.join(","))
    });
    let other = prop::sample::select(vec![
        format!("blocks:0,2;1,{last}"),
        format!("0..{last},{before}..{last}x2"),
        format!("0..{before},1{{attn=0.5}},{last}"),
        format!("0..1,1x3{{mlp=0}},2..{last}"),
    ]);
    prop_oneof![3 => block, 3 => mixed, 1 => other].prop_map(move |text| LayerPath::parse(&text, depth).unwrap())
}
