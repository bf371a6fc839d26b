//! Weights that stay on disk: the same results, and each layer read once per sweep.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;

use common::{fixture, fixtures, options, prompt};
use neuro_checkpoint::Checkpoint;
use neuro_engine::{Generation, Likelihood, Scored};
use neuro_model::{Decoder, Device, WeightType};
use neuro_path::LayerPath;

/// Stored bytes of all tensors whose name begins so.
fn stored(checkpoint: &Checkpoint, prefix: &str) -> u64 {
    let names = checkpoint.weights.names().into_iter().filter(|name| name.starts_with(prefix));
    names.map(|name| checkpoint.weights.view(name).unwrap().bytes.len() as u64).sum()
}

fn paths(decoder: &Decoder) -> Vec<LayerPath> {
    let depth = decoder.config().num_layers();
    neuro_path::triangle(depth).map(|block| block.path(depth).unwrap()).collect()
}

#[test]
fn streamed_weights_give_what_held_ones_do() {
    for name in fixtures() {
        let checkpoint = Arc::new(Checkpoint::open(&fixture(&name)).unwrap());
        let held = Arc::new(Decoder::load(&checkpoint, &Device::Cpu).unwrap());
        let streamed = Arc::new(Decoder::stream(&checkpoint, &Device::Cpu, WeightType::F32));
        let results = [held, streamed].map(|decoder| {
            let scored = [Scored { prompt: vec![5, 9, 40, 3], continuation: vec![2, 7] }];
            let paths = paths(&decoder);
            let mut likelihood = Likelihood::new(decoder.clone(), &scored).unwrap();
            let logprobs = likelihood.logprobs(&paths, &mut |_| true).unwrap();
            let mut generation = Generation::new(decoder, vec![prompt(&[5, 9, 40, 3], 4)]).unwrap();
            (logprobs, generation.answers(&paths, &options(), &mut |_| true).unwrap())
        });
        assert_eq!(results[0], results[1], "{name}");
    }
}

#[test]
fn each_layer_is_read_once_per_sweep_and_the_head_once() {
    let checkpoint = Arc::new(Checkpoint::open(&fixture("llama-default")).unwrap());
    let decoder = Arc::new(Decoder::stream(&checkpoint, &Device::Cpu, WeightType::F32));
    let depth = decoder.config().num_layers() as u64;
    let layers = stored(&checkpoint, "model.layers.");
    let tied = decoder.config().tie_word_embeddings;
    let embedding = stored(&checkpoint, "model.embed_tokens.");
    let head = if tied { embedding } else { stored(&checkpoint, "lm_head.") } + stored(&checkpoint, "model.norm.");
    let row = embedding / decoder.config().vocab_size as u64;

    // More logits than the head computes at once: 22 paths × 40 tokens.
    let tokens: Vec<u32> = (1..=40).collect();
    let scored = [Scored { prompt: vec![50], continuation: tokens.clone() }];
    let mut likelihood = Likelihood::new(decoder.clone(), &scored).unwrap();
    likelihood.logprobs(&paths(&decoder), &mut |_| true).unwrap();
    let sweeps = likelihood.stats().sweeps;
    assert_eq!(sweeps, 2);
    // The trunk reads every layer, and so do the second passes; behind the last one the first is read ahead in vain. The
    // embedding gives the 40 rows of the text.
    assert_eq!(decoder.streamed_bytes(), sweeps * layers + layers / depth + head + 40 * row);
}
