//! Where a decoder says that rows are alike in any company, the engine is the plain way bit for bit; elsewhere what is too
//! close to call is read once more.

mod common;

use std::sync::Arc;

use common::{fixture, fixtures, options, prompt};
use neuro_checkpoint::Checkpoint;
use neuro_engine::{EngineError, Generation, Likelihood, Plain, Scored};
use neuro_model::{Decoder, Device, Kernels, ParameterSource, Result, Tensor, WeightType};
use neuro_path::{Block, LayerPath};

/// Tokens of a text that differs with its seed, from its beginning on.
fn tokens(count: u32, seed: u32, vocab: u32) -> Vec<u32> {
    (0..count).map(|index| (index * 37 + seed * 11 + index * index % 13) % vocab).collect()
}

#[test]
fn what_runs_together_does_not_change_a_bit() {
    let mut alike = 0;
    for name in fixtures() {
        let checkpoint = Arc::new(Checkpoint::open(&fixture(&name)).unwrap());
        for weight_type in [WeightType::F32, WeightType::Q8_0] {
            let decoder = Arc::new(Decoder::load_as(&checkpoint, &Device::Cpu, weight_type).unwrap());
            if !decoder.rows_are_alike() {
                continue;
            }
            alike += 1;
            let (depth, vocab) = (decoder.config().num_layers(), decoder.config().vocab_size as u32);
            // Texts that begin alike and go on otherwise, one of them longer than a piece of attention's keys.
            let longest = decoder.config().learned_positions.map_or(400, |known| known as u32 - 24);
            let scored = [(0, 3), (5, 30), (19, longest - 19), (19, 14)].map(|(shared, own)| Scored {
                prompt: [tokens(shared, 0, vocab), tokens(own, own, vocab)].concat(),
                continuation: tokens(4, own + 1, vocab),
            });
            let block = |(start, end)| Block::new(start, end, depth).unwrap().path(depth).unwrap();
            let paths: Vec<LayerPath> = [(0, 2), (1, depth), (1, 3)].map(block).into();
            let found = Likelihood::new(decoder.clone(), &scored).unwrap().logprobs(&paths, &mut |_| true).unwrap();
            for (path, found) in paths.iter().zip(found) {
                for (scored, found) in scored.iter().zip(found) {
                    let expected = Plain::logprobs(decoder.clone(), path, scored).unwrap();
                    assert_eq!(found, expected, "{name} {} {path}", weight_type.name());
                }
            }
        }
    }
    if alike == 0 {
        eprintln!("skipped: this processor has no kernels of ours");
    }
}

/// A head in which every second row is the one before: whatever is said, two tokens are exactly as likely.
struct Ties<'a>(&'a Checkpoint);

impl ParameterSource for Ties<'_> {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let mut values = self.0.weights.read_f32(name, shape)?;
        if name == "lm_head.weight" {
            let hidden = shape[1];
            values.chunks_exact_mut(2 * hidden).for_each(|rows| rows.copy_within(..hidden, hidden));
        }
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }
}

#[test]
fn a_tie_is_read_once_more_by_both_ways_and_can_be_interrupted() {
    let checkpoint = Checkpoint::open(&fixture("llama-default")).unwrap();
    assert!(!checkpoint.config.tie_word_embeddings);
    let decoder = Decoder::from_source(&checkpoint.config, &Ties(&checkpoint), &Device::Cpu, Kernels::Fused)
        .map(Arc::new)
        .unwrap();
    let depth = decoder.config().num_layers();
    let paths = [(0, 2), (1, 3)].map(|(start, end)| Block::new(start, end, depth).unwrap().path(depth).unwrap());
    let prompts: Vec<_> = [&[3, 1, 4][..], &[3, 1, 5, 9]].iter().map(|tokens| prompt(tokens, 5)).collect();
    let mut generation = Generation::new(decoder.clone(), prompts.clone()).unwrap();
    let answers = generation.answers(&paths, &options(), &mut |_| true).unwrap();
    assert_eq!(generation.stats().near_ties, 2 * 2 * 5);
    for (path, answers) in paths.iter().zip(answers) {
        for (prompt, answer) in prompts.iter().zip(answers) {
            let plain = Plain::answer(decoder.clone(), path, prompt, &options()).unwrap();
            assert_eq!((&answer.tokens, answer.stop), (&plain.tokens, plain.stop));
            assert!(answer.tokens.iter().all(|token| token % 2 == 0), "of two alike the first: {:?}", answer.tokens);
        }
    }
    // Asked between two of them, with no layer-tokens to count.
    let mut generation = Generation::new(decoder, prompts).unwrap();
    let ended = generation.answers(&paths, &options(), &mut |layer_tokens| layer_tokens > 0);
    assert!(matches!(ended, Err(EngineError::Interrupted)));
}
