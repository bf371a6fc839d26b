//! The engine against the plain way: one path, one prompt, one full forward pass per token.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use neuro_checkpoint::{Checkpoint, RopeScaling};
use neuro_engine::{GenerateOptions, Generation, Likelihood, Scored, StopReason};
use neuro_model::{Batch, Decoder, Device, Segment, State};
use neuro_path::LayerPath;
use proptest::prelude::*;

const FIXTURES: [&str; 3] = ["llama-default", "qwen2-dynamic-below-window", "qwen3-yarn-layer-types"];
const NEW_TOKENS: usize = 5;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn decoder(name: &str) -> Arc<Decoder> {
    Arc::new(Decoder::load(&Checkpoint::open(&fixture(name)).unwrap(), &Device::Cpu).unwrap())
}

/// Logits behind every token of a text, the plain way.
fn logits(decoder: &Decoder, path: &LayerPath, tokens: &[u32]) -> Vec<Vec<f32>> {
    decoder.logits(tokens, &path.visits()).unwrap().to_vec2().unwrap()
}

fn plain_logprobs(decoder: &Decoder, path: &LayerPath, scored: &Scored) -> Vec<f64> {
    let tokens = [scored.prompt.as_slice(), &scored.continuation].concat();
    let logits = logits(decoder, path, &tokens);
    let row = |(k, &token): (usize, &u32)| {
        let row = &logits[scored.prompt.len() - 1 + k];
        let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
        f64::from(row[token as usize]) - sum.ln()
    };
    scored.continuation.iter().enumerate().map(row).collect()
}

/// Greedy text by recomputing everything for every token, and the smallest lead of a chosen token over the next.
fn plain_answer(decoder: &Decoder, path: &LayerPath, prompt: &[u32]) -> (Vec<u32>, f32) {
    let mut tokens = prompt.to_vec();
    let mut lead = f32::INFINITY;
    for _ in 0..NEW_TOKENS {
        let last = logits(decoder, path, &tokens).pop().unwrap();
        let mut order: Vec<usize> = (0..last.len()).collect();
        order.sort_by(|&a, &b| last[b].total_cmp(&last[a]));
        lead = lead.min(last[order[0]] - last[order[1]]);
        tokens.push(order[0] as u32);
    }
    (tokens.split_off(prompt.len()), lead)
}

fn layers(depth: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..depth, 1..=2 * depth)
}

fn path() -> impl Strategy<Value = Vec<usize>> {
    // Half of the paths begin like the baseline, so that the trunk is really used.
    (0..=4usize, layers(4)).prop_map(|(shared, rest)| (0..shared).chain(rest).collect())
}

fn prompts() -> impl Strategy<Value = Vec<(Vec<u32>, Vec<u32>)>> {
    let tokens = |lengths| prop::collection::vec(0..90u32, lengths);
    prop::collection::vec((tokens(1..=9), tokens(0..=4)), 1..=5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engine_equals_the_plain_way(name in prop::sample::select(&FIXTURES[..]), path in path(), prompts in prompts()) {
        let decoder = decoder(name);
        let path = LayerPath::from_layers(&path, decoder.config().num_layers()).unwrap();

        let scored: Vec<Scored> =
            prompts.iter().cloned().map(|(prompt, continuation)| Scored { prompt, continuation }).collect();
        let found = Likelihood::new(decoder.clone(), &scored).unwrap().logprobs(&path).unwrap();
        for (scored, found) in scored.iter().zip(found) {
            let expected = plain_logprobs(&decoder, &path, scored);
            prop_assert_eq!(expected.len(), found.len());
            for (expected, found) in expected.iter().zip(&found) {
                prop_assert!((expected - found).abs() < 1e-4, "{} {}: {} against {}", name, path, found, expected);
            }
        }

        let limited: Vec<(&[u32], usize)> = prompts.iter().map(|(prompt, _)| (prompt.as_slice(), NEW_TOKENS)).collect();
        let generation = Generation::new(decoder.clone(), &limited).unwrap();
        let options = GenerateOptions { eos: &[], suppress: &[], watch: &|_, _| None };
        for ((prompt, _), answer) in prompts.iter().zip(generation.answers(&path, &options).unwrap()) {
            let (expected, lead) = plain_answer(&decoder, &path, prompt);
            prop_assert_eq!(answer.stop, StopReason::Length);
            // Where two tokens are closer than floating-point order, either may come first.
            prop_assert!(answer.tokens == expected || lead < 1e-4, "{} {}: {:?}", name, path, answer.tokens);
        }
    }
}

/// Above the trained length the base of `dynamic` RoPE follows from prompt plus limit, and stays while tokens come.
#[test]
fn dynamic_rope_keeps_the_base_of_the_planned_length() {
    let decoder = decoder("llama-dynamic-above");
    let path = LayerPath::parse("(1,3)", decoder.config().num_layers()).unwrap();
    let prompt: Vec<u32> = (1..=30).collect();
    let span = prompt.len() + NEW_TOKENS;
    assert!(matches!(
        decoder.config().layers[0].attention.rope.scaling,
        RopeScaling::Dynamic { trained, .. } if trained < prompt.len()
    ));
    // The plain way at a given span: everything recomputed for every token, without a cache.
    let recomputed = |span: usize| {
        let mut tokens = prompt.clone();
        for _ in 0..NEW_TOKENS {
            let batch = Batch::new(&[Segment { sequence: 0, past: 0, len: tokens.len(), span }]);
            let visits = path.visits();
            let mut state = State::new(visits.len());
            let resid = decoder.embed(&tokens).unwrap();
            let resid = decoder.run(resid, &batch, &visits, &mut state.slots, &mut ()).unwrap();
            let last = decoder.unembed(&resid).unwrap().to_vec2::<f32>().unwrap().pop().unwrap();
            let best = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
            tokens.push(best as u32);
        }
        tokens.split_off(prompt.len())
    };
    let generation = Generation::new(decoder.clone(), &[(&prompt, NEW_TOKENS)]).unwrap();
    let options = GenerateOptions { eos: &[], suppress: &[], watch: &|_, _| None };
    let answers = generation.answers(&path, &options).unwrap();
    assert_eq!(answers[0].tokens, recomputed(span));

    // The span reaches the result at all: the same prompt planned longer has other log-probabilities.
    let scored = |extra: usize| {
        let continuation = vec![7; 1 + extra];
        let likelihood = Likelihood::new(decoder.clone(), &[Scored { prompt: prompt.clone(), continuation }]).unwrap();
        likelihood.logprobs(&path).unwrap()[0][0]
    };
    assert!((scored(0) - scored(20)).abs() > 1e-3);
}

#[test]
fn an_answer_ends_where_it_must() {
    let decoder = decoder("llama-default");
    let path = LayerPath::baseline(decoder.config().num_layers()).unwrap();
    let prompt: &[u32] = &[1, 2, 3];
    let generation = Generation::new(decoder.clone(), &[(prompt, 8), (prompt, 0)]).unwrap();
    let answers = |eos: &[u32], suppress: &[u32], watch: &dyn Fn(usize, &[u32]) -> Option<StopReason>| {
        generation.answers(&path, &GenerateOptions { eos, suppress, watch }).unwrap()
    };
    let free = answers(&[], &[], &|_, _| None);
    assert_eq!((free[0].tokens.len(), free[0].stop), (8, StopReason::Length));
    assert_eq!((free[1].tokens.len(), free[1].stop), (0, StopReason::Length));

    let first = free[0].tokens[0];
    let ended = answers(&[first], &[], &|_, _| None);
    assert_eq!((ended[0].tokens.as_slice(), ended[0].stop), (&[][..], StopReason::EndOfText));
    let suppressed = answers(&[], &[first], &|_, _| None);
    assert!(!suppressed[0].tokens.contains(&first));
    let ruled = answers(&[], &[], &|_, tokens| (tokens.len() == 2).then_some(StopReason::StopRule));
    assert_eq!((ruled[0].tokens.as_slice(), ruled[0].stop), (&free[0].tokens[..2], StopReason::StopRule));
}

#[test]
fn an_empty_prompt_and_a_foreign_path_are_refused() {
    let decoder = decoder("llama-default");
    let scored = Scored { prompt: Vec::new(), continuation: vec![1] };
    let error = Likelihood::new(decoder.clone(), &[scored]).err().unwrap();
    assert!(error.to_string().contains("prompt 0 has no tokens"), "{error}");
    let likelihood = Likelihood::new(decoder, &[Scored { prompt: vec![1], continuation: vec![2] }]).unwrap();
    let error = likelihood.logprobs(&LayerPath::baseline(7).unwrap()).unwrap_err();
    assert!(error.to_string().contains("made for 7 layers"), "{error}");
}
