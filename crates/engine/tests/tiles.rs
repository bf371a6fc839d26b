//! Sets of more rows than run through a layer at once, in f32 and in every type whose rows are alike.

mod common;

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use common::{fixture, options, path, prompt, rounding};
use neuro_checkpoint::Checkpoint;
use neuro_engine::{Generation, Likelihood, Plain, Scored, tile_rows};
use neuro_model::{Decoder, Device, WeightType};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const CASES: u32 = 2;
/// Full attention, windows, recurrent states.
const FIXTURES: [&str; 3] = ["llama-default", "mistral-window", "qwen3_next-default"];
const NEW_TOKENS: usize = 3;
const PATHS: RangeInclusive<usize> = 2..=3;
const PROMPTS: RangeInclusive<usize> = 3..=4;
/// Tokens of a prompt behind what it shares.
const OWN: Range<usize> = 150..300;

/// Long prompts that share a beginning as long.
fn prompts(vocab: u32) -> impl Strategy<Value = Vec<Vec<u32>>> {
    let common = prop::collection::vec(0..vocab, 150);
    let own = prop::collection::vec((0..=150usize, prop::collection::vec(0..vocab, OWN)), PROMPTS);
    (common, own)
        .prop_map(|(common, own)| own.into_iter().map(|(shared, rest)| [&common[..shared], &rest].concat()).collect())
}

#[test]
fn engine_is_the_plain_way_over_several_tiles() {
    assert!(PATHS.start() * PROMPTS.start() * OWN.start > tile_rows(&Device::Cpu).0, "one tile is enough");
    for name in FIXTURES {
        let checkpoint = Arc::new(Checkpoint::open(&fixture(name)).unwrap());
        for weight_type in WeightType::ALL {
            let decoder = Arc::new(Decoder::load_as(&checkpoint, &Device::Cpu, weight_type).unwrap());
            let (depth, vocab) = (decoder.config().num_layers(), decoder.config().vocab_size as u32);
            // Rounded activations differ where a sum's order does, so such types are held to their own bits or not at all.
            let is_exact = decoder.rows_are_alike();
            if weight_type != WeightType::F32 && !is_exact {
                continue;
            }
            let cases = (prop::collection::vec(path(depth), PATHS), prompts(vocab));
            let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
            let tried = TestRunner::new(config).run(&cases, |(paths, prompts)| {
                let scored = |tokens: &Vec<u32>| Scored { prompt: tokens.clone(), continuation: vec![5, 6] };
                let scored: Vec<Scored> = prompts.iter().map(scored).collect();
                let mut likelihood = Likelihood::new(decoder.clone(), &scored).unwrap();
                let asked: Vec<_> = prompts.iter().map(|tokens| prompt(tokens, NEW_TOKENS)).collect();
                let mut generation = Generation::new(decoder.clone(), asked.clone()).unwrap();
                let logprobs = likelihood.logprobs(&paths, &mut |_| true).unwrap();
                let answers = generation.answers(&paths, &options(), &mut |_| true).unwrap();
                for ((path, logprobs), answers) in paths.iter().zip(logprobs).zip(answers) {
                    for (scored, found) in scored.iter().zip(logprobs) {
                        let expected = Plain::logprobs(decoder.clone(), path, scored).unwrap();
                        let near =
                            |(a, b): (&f64, &f64)| if is_exact { a == b } else { (a - b).abs() < rounding(&decoder) };
                        prop_assert!(found.iter().zip(&expected).all(near), "{} {:?} {:?}", path, found, expected);
                    }
                    for (prompt, found) in asked.iter().zip(answers) {
                        let expected = Plain::answer(decoder.clone(), path, prompt, &options()).unwrap();
                        prop_assert_eq!(&found.tokens, &expected.tokens, "{}", path);
                    }
                }
                Ok(())
            });
            tried.unwrap_or_else(|failure| panic!("{name} {}: {failure}", weight_type.name()));
        }
    }
}
