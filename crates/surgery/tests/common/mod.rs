//! What tests of exports share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses a part of it, and a helper that fails is a test that fails"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use neuro_checkpoint::Checkpoint;
use neuro_model::Decoder;
use neuro_path::LayerPath;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

pub(crate) fn checkpoint(name: &str) -> Arc<Checkpoint> {
    Arc::new(Checkpoint::open(&fixture(name)).unwrap())
}

/// Every committed checkpoint folder.
pub(crate) fn fixtures() -> Vec<String> {
    let folders = fixture("").read_dir().unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = folders
        .filter(|entry| entry.path().join("config.json").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 17, "{names:?}");
    names
}

/// Logits of every position, with all weights in memory.
pub(crate) fn logits(checkpoint: &Checkpoint, path: &LayerPath, tokens: &[u32]) -> Vec<Vec<f32>> {
    let decoder = Decoder::load(checkpoint, &Device::Cpu).unwrap();
    decoder.logits(tokens, &path.visits()).unwrap().to_vec2::<f32>().unwrap()
}
