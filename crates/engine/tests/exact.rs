//! The engine against the plain way, and the plain way against full forward passes.

mod common;

use std::sync::Arc;

use common::{FIXTURES, decoder, fixtures, options, path, prompt, rounding};
use neuro_checkpoint::{LayerConfig, RopeScaling};
use neuro_engine::{
    EngineError, GenerateOptions, Generation, Likelihood, Plain, Prompt, Rule, Sampling, Scored, StopReason,
};
use neuro_model::{Batch, Decoder, State, recurrent_state_bytes, slot_bytes_per_token, slot_room};
use neuro_path::{Block, LayerPath};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

const NEW_TOKENS: usize = 6;
/// Cases on each fixture, and on those that differ in what the engine could get wrong.
const CASES: [u32; 2] = [2, 8];

/// Tries a property on every fixture; its cases follow from depth and vocabulary.
fn on_every_fixture<S: Strategy>(
    cases: impl Fn(usize, u32) -> S,
    property: impl Fn(&str, &Arc<Decoder>, S::Value) -> Result<(), TestCaseError>,
) {
    for name in fixtures() {
        let decoder = decoder(&name);
        let (depth, vocab) = (decoder.config().num_layers(), decoder.config().vocab_size as u32);
        let count = CASES[usize::from(FIXTURES.contains(&name.as_str()))];
        let config = ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() };
        let tried = TestRunner::new(config).run(&cases(depth, vocab), |case| property(&name, &decoder, case));
        tried.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
}

/// Prompts that share beginnings, one of them perhaps the beginning of another, with continuations.
fn prompts(vocab: u32) -> impl Strategy<Value = Vec<(Vec<u32>, Vec<u32>)>> {
    let tokens = |most: u32, lengths| prop::collection::vec(0..most, lengths);
    let common = tokens(vocab, 0..=6);
    // Few different tokens, so that texts often go on alike.
    let own = prop::collection::vec((0..=6usize, tokens(3, 1..=7), tokens(3, 0..=4)), 1..=5);
    (common, own).prop_map(|(common, own)| {
        let prompt = |(shared, rest, continuation): (usize, Vec<u32>, Vec<u32>)| {
            ([&common[..shared.min(common.len())], &rest].concat(), continuation)
        };
        own.into_iter().map(prompt).collect()
    })
}

/// Greedy, or sampling with any of its filters and none.
fn rule() -> impl Strategy<Value = Rule> {
    let top_k = prop::option::of(1..30usize);
    let sampling = (0.2..1.5f64, top_k, 0.3..1.3f64, 0.0..0.3f64, any::<u64>());
    let sampling = sampling.prop_map(|(temperature, top_k, top_p, min_p, seed)| {
        Rule::Sample(Sampling { temperature, top_k, top_p: top_p.min(1.0), min_p, seed })
    });
    prop_oneof![Just(Rule::Greedy), sampling]
}

/// Any set of paths, prompts and groups: log-probabilities within rounding, 1e-4 without delta nets; texts equal.
#[test]
fn engine_is_the_plain_way() {
    let cases =
        |depth: usize, vocab: u32| (prop::collection::vec(path(depth), 1..=6), prompts(vocab), 1..=6usize, rule());
    on_every_fixture(cases, |name, decoder, (paths, prompts, group, rule)| {
        let scored: Vec<Scored> =
            prompts.iter().cloned().map(|(prompt, continuation)| Scored { prompt, continuation }).collect();
        let mut likelihood = Likelihood::new(decoder.clone(), &scored).unwrap();
        for paths in paths.chunks(group) {
            for (path, found) in paths.iter().zip(likelihood.logprobs(paths, &mut |_| true).unwrap()) {
                for (scored, found) in scored.iter().zip(found) {
                    let expected = Plain::logprobs(decoder.clone(), path, scored).unwrap();
                    prop_assert_eq!(expected.len(), found.len());
                    for (expected, found) in expected.iter().zip(&found) {
                        prop_assert!(
                            (expected - found).abs() < rounding(decoder),
                            "{} {}: {} against {}",
                            name,
                            path,
                            found,
                            expected
                        );
                    }
                }
            }
        }

        let mut asked: Vec<Prompt> = prompts.into_iter().map(|(tokens, _)| prompt(&tokens, NEW_TOKENS)).collect();
        // A second draw of the first question, and one that may not say anything.
        asked.push(Prompt { draw: 1, ..asked[0].clone() });
        asked.push(Prompt { limit: 0, ..asked[0].clone() });
        let options = GenerateOptions { rule, eos: &[1], ..options() };
        let mut generation = Generation::new(decoder.clone(), asked.clone()).unwrap();
        for paths in paths.chunks(group) {
            for (path, found) in paths.iter().zip(generation.answers(paths, &options, &mut |_| true).unwrap()) {
                for (prompt, found) in asked.iter().zip(found) {
                    let expected = Plain::answer(decoder.clone(), path, prompt, &options).unwrap();
                    prop_assert_eq!(
                        (&found.tokens, found.stop),
                        (&expected.tokens, expected.stop),
                        "{} {}",
                        name,
                        path
                    );
                    prop_assert!(found.sweeps <= expected.sweeps);
                }
            }
        }
        Ok(())
    });
}

/// The plain way, token by token, is the full forward pass of everything.
#[test]
fn plain_way_is_the_full_forward_pass() {
    let cases = |depth: usize, vocab: u32| (path(depth), prop::collection::vec(0..vocab, 2..=12));
    on_every_fixture(cases, |name, decoder, (path, tokens)| {
        let logits: Vec<Vec<f32>> = decoder.logits(&tokens, &path.visits()).unwrap().to_vec2().unwrap();
        let mut text = Plain::new(decoder.clone(), &path, tokens.len()).unwrap();
        for (index, token) in tokens.iter().enumerate() {
            let found = text.read(&[*token]).unwrap();
            let difference = found.iter().zip(&logits[index]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(f64::from(difference) < rounding(decoder), "{} {}: {}", name, path, difference);
        }
        Ok(())
    });
}

/// A conversation keeps one state of each recurrent layer and little of what went into it, however long it grows, and reads
/// on as if it had kept all.
#[test]
fn a_long_conversation_keeps_few_recurrent_states() {
    const LENGTH: usize = 500;
    for name in ["qwen3_next-default", "qwen3_5-nested"] {
        let decoder = decoder(name);
        let config = decoder.config();
        let path = LayerPath::parse("(1,3)", config.num_layers()).unwrap();
        let tokens: Vec<u32> = (0..LENGTH as u32).map(|position| (position * 37 + 5) % 97).collect();
        let logits: Vec<Vec<f32>> = decoder.logits(&tokens, &path.visits()).unwrap().to_vec2().unwrap();
        // A recurrent layer: some rows more than its convolution sees, and one state.
        let most = |layer: &LayerConfig| match &layer.delta_net {
            Some(delta_net) => slot_room(delta_net.taps + slot_room(0)),
            None => slot_room(LENGTH),
        };
        let bytes = |layer: &LayerConfig| most(layer) * slot_bytes_per_token(layer) + recurrent_state_bytes(layer);
        let most: usize = path.layers().iter().map(|&layer| bytes(&config.layers[layer])).sum();
        let mut text = Plain::new(decoder.clone(), &path, LENGTH).unwrap();
        let mut ends: Vec<usize> = vec![3, 150, 151, 260];
        ends.extend(261..=LENGTH);
        let mut start = 0;
        for end in ends {
            let found = text.read(&tokens[start..end]).unwrap();
            let difference = found.iter().zip(&logits[end - 1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(f64::from(difference) < rounding(&decoder), "{name} at {end}: {difference}");
            start = end;
        }
        assert!(text.state_bytes() <= most, "{name}: {} of {most}", text.state_bytes());
    }
}

/// Turn by turn it says what it says when it reads everything again.
#[test]
fn a_conversation_goes_on_where_it_was() {
    for name in FIXTURES {
        let decoder = decoder(name);
        let depth = decoder.config().num_layers();
        let path = Block::new(0, depth - 1, depth).unwrap().path(depth).unwrap();
        let mut said: Vec<u32> = Vec::new();
        let mut text = Plain::new(decoder.clone(), &path, 0).unwrap();
        for (turn, tokens) in [&[3, 1, 4][..], &[1, 5], &[9, 2, 6, 5]].into_iter().enumerate() {
            said.extend(tokens);
            let whole = Plain::answer(decoder.clone(), &path, &prompt(&said, 6), &options()).unwrap();
            let answer = text.reply(&prompt(tokens, 6), &options()).unwrap();
            assert_eq!(answer, whole, "{name}, turn {turn}");
            said.extend(&answer.tokens);
            assert_eq!(text.len(), said.len() - 1, "{name}: the newest token waits for the next turn");
        }
        // A prompt that wants no answer is read with the next.
        text.reply(&prompt(&[7], 0), &options()).unwrap();
        said.extend([7, 8]);
        let whole = Plain::answer(decoder.clone(), &path, &prompt(&said, 2), &options()).unwrap();
        assert_eq!(text.reply(&prompt(&[8], 2), &options()).unwrap(), whole, "{name}");
    }
}

/// The whole triangle at once, one by one, and backwards.
#[test]
fn results_do_not_depend_on_grouping_or_order() {
    for name in FIXTURES {
        let decoder = decoder(name);
        let depth = decoder.config().num_layers();
        let blocks = neuro_path::triangle(depth);
        let mut paths: Vec<LayerPath> = blocks.map(|block: Block| block.path(depth).unwrap()).collect();
        let asked: Vec<Prompt> = (0..4).map(|shift| prompt(&[5, 9, 40 + shift, 3], NEW_TOKENS)).collect();
        let scored: Vec<Scored> =
            asked.iter().map(|prompt| Scored { prompt: prompt.tokens.clone(), continuation: vec![2, 7] }).collect();
        let all = |group: usize, paths: &[LayerPath]| {
            let mut generation = Generation::new(decoder.clone(), asked.clone()).unwrap();
            let mut likelihood = Likelihood::new(decoder.clone(), &scored).unwrap();
            let (mut texts, mut logprobs) = (Vec::new(), Vec::new());
            for paths in paths.chunks(group) {
                let answers = generation.answers(paths, &options(), &mut |_| true).unwrap();
                texts.extend(
                    answers.into_iter().map(|answers| answers.into_iter().map(|a| a.tokens).collect::<Vec<_>>()),
                );
                logprobs.extend(likelihood.logprobs(paths, &mut |_| true).unwrap());
            }
            (texts, logprobs)
        };
        let (texts, logprobs) = all(paths.len(), &paths);
        let (alone, alone_logprobs) = all(1, &paths);
        assert_eq!(texts, alone, "{name}");
        paths.reverse();
        let (mut reversed, mut reversed_logprobs) = all(3, &paths);
        reversed.reverse();
        reversed_logprobs.reverse();
        assert_eq!(texts, reversed, "{name}");
        for other in [&alone_logprobs, &reversed_logprobs] {
            let pairs = logprobs.iter().flatten().flatten().zip(other.iter().flatten().flatten());
            let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(difference < rounding(&decoder), "{name}: {difference}");
        }
    }
}

/// Where all paths say the same, drafts make one sweep of many; and what is shared is run once.
#[test]
fn drafts_save_sweeps_and_sharing_saves_layers() {
    let decoder = decoder("llama-default");
    // Second passes whose branches add nothing: every path answers like the baseline.
    let paths: Vec<LayerPath> = ["0..3", "0..1,1{attn=0,mlp=0},2..3", "0..2,2{attn=0,mlp=0},3"]
        .map(|text| LayerPath::parse(text, 4).unwrap())
        .to_vec();
    let asked = vec![prompt(&[5, 9, 44], 12)];
    let mut generation = Generation::new(decoder.clone(), asked.clone()).unwrap();
    let baseline = generation.answers(&paths[..1], &options(), &mut |_| true).unwrap();
    assert_eq!(baseline[0][0].sweeps, 12);
    let others = generation.answers(&paths[1..], &options(), &mut |_| true).unwrap();
    for answers in &others {
        assert_eq!(answers[0].tokens, baseline[0][0].tokens);
        assert!(answers[0].sweeps <= 4, "{}", answers[0].sweeps);
    }
    let stats = generation.stats();
    assert!(stats.accepted > 12 && stats.accepted <= stats.drafted, "{stats:?}");

    // Two prompts of 10 tokens with 8 in common: 12 nodes. Baseline: 4 layers; (2, 3) runs 2 and 3 again.
    let scored = |last: u32| Scored { prompt: vec![1, 2, 3, 4, 5, 6, 7, 8, 9, last], continuation: vec![3] };
    let mut likelihood =
        Likelihood::new(decoder, &[scored(10), Scored { prompt: vec![1, 2, 3, 4, 5, 6, 7, 8, 11, 12], ..scored(0) }])
            .unwrap();
    let path = |text: &str| LayerPath::parse(text, 4).unwrap();
    likelihood.logprobs(&[path("0..3"), path("(2,3)")], &mut |_| true).unwrap();
    assert_eq!(likelihood.stats().layer_tokens, 12 * (4 + 2));
    assert_eq!(likelihood.stats().sweeps, 2);
    // A path that goes on from the other's second pass is not shared across calls, the trunk is.
    likelihood.logprobs(&[path("(1,3)")], &mut |_| true).unwrap();
    assert_eq!(likelihood.stats().layer_tokens, 12 * (4 + 2 + 3));
}

/// Above the trained length the base of `dynamic` RoPE follows from prompt plus limit, and stays while tokens come.
#[test]
fn dynamic_rope_keeps_the_base_of_the_planned_length() {
    let decoder = decoder("llama-dynamic-above");
    let path = LayerPath::parse("(1,3)", decoder.config().num_layers()).unwrap();
    let tokens: Vec<u32> = (1..=30).collect();
    let span = tokens.len() + NEW_TOKENS;
    assert!(matches!(
        decoder.config().layers[0].attention.rope.scaling,
        RopeScaling::Dynamic { trained, .. } if trained < tokens.len()
    ));
    // Everything recomputed for every token, at the given span.
    let mut text = tokens.clone();
    for _ in 0..NEW_TOKENS {
        let visits = path.visits();
        let mut state = State::new(visits.len());
        let resid = decoder.embed(&text).unwrap();
        let resid = decoder.run(resid, &Batch::next(0, text.len(), span), &visits, &mut state.slots, &mut ()).unwrap();
        let last = decoder.unembed(&resid).unwrap().to_vec2::<f32>().unwrap().pop().unwrap();
        let best = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
        text.push(best as u32);
    }
    let mut generation = Generation::new(decoder.clone(), vec![prompt(&tokens, NEW_TOKENS)]).unwrap();
    let answers = generation.answers(std::slice::from_ref(&path), &options(), &mut |_| true).unwrap();
    assert_eq!(answers[0][0].tokens, text[tokens.len()..]);

    // The span reaches the result at all: the same prompt planned longer has other log-probabilities.
    let scored = |extra: usize| {
        let continuation = vec![7; 1 + extra];
        let mut likelihood =
            Likelihood::new(decoder.clone(), &[Scored { prompt: tokens.clone(), continuation }]).unwrap();
        likelihood.logprobs(std::slice::from_ref(&path), &mut |_| true).unwrap()[0][0][0]
    };
    assert!((scored(0) - scored(20)).abs() > 1e-3);
}

#[test]
fn an_answer_ends_where_it_must() {
    let decoder = decoder("llama-default");
    let path = LayerPath::baseline(decoder.config().num_layers()).unwrap();
    let asked = vec![prompt(&[1, 2, 3], 8), prompt(&[1, 2, 3], 0)];
    let mut generation = Generation::new(decoder.clone(), asked).unwrap();
    let mut answers = |eos: &[u32], suppress: &[u32], stop: &dyn Fn(usize, &[u32]) -> Option<StopReason>| {
        let options = GenerateOptions { eos, suppress, rule: Rule::Greedy, stop };
        generation.answers(std::slice::from_ref(&path), &options, &mut |_| true).unwrap().pop().unwrap()
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

/// What was interrupted starts again from nothing, with the same results.
#[test]
fn an_interrupted_sweep_leaves_nothing_wrong_behind() {
    let decoder = decoder("qwen2-default");
    let paths: Vec<LayerPath> = ["(0,2)", "(1,4)", "0..3"].map(|text| LayerPath::parse(text, 4).unwrap()).to_vec();
    let scored = [Scored { prompt: vec![4, 5, 6], continuation: vec![7, 8] }];
    let expected = Likelihood::new(decoder.clone(), &scored).unwrap().logprobs(&paths, &mut |_| true).unwrap();
    let mut likelihood = Likelihood::new(decoder, &scored).unwrap();
    for calls in 0..7 {
        let mut left = calls;
        let stopped = likelihood.logprobs(&paths, &mut |_| {
            left -= 1;
            left >= 0
        });
        assert!(matches!(stopped, Err(EngineError::Interrupted)), "{calls}");
    }
    assert_eq!(likelihood.logprobs(&paths, &mut |_| true).unwrap(), expected);
}

#[test]
fn an_empty_prompt_and_a_foreign_path_are_refused() {
    let decoder = decoder("llama-default");
    let scored = Scored { prompt: Vec::new(), continuation: vec![1] };
    let error = Likelihood::new(decoder.clone(), &[scored]).err().unwrap();
    assert!(error.to_string().contains("prompt 0 has no tokens"), "{error}");
    assert!(Generation::new(decoder.clone(), vec![prompt(&[], 3)]).is_err());
    let mut likelihood = Likelihood::new(decoder, &[Scored { prompt: vec![1], continuation: vec![2] }]).unwrap();
    let error = likelihood.logprobs(&[LayerPath::baseline(7).unwrap()], &mut |_| true).unwrap_err();
    assert!(error.to_string().contains("made for 7 layers"), "{error}");
}

#[test]
fn nothing_asked_is_nothing_run() {
    let decoder: std::sync::Arc<Decoder> = decoder("llama-default");
    let path = LayerPath::baseline(4).unwrap();
    let mut generation = Generation::new(decoder.clone(), Vec::new()).unwrap();
    assert_eq!(generation.answers(std::slice::from_ref(&path), &options(), &mut |_| true).unwrap(), [vec![]]);
    let mut likelihood = Likelihood::new(decoder, &[]).unwrap();
    assert_eq!(likelihood.logprobs(&[path], &mut |_| true).unwrap(), [Vec::<Vec<f64>>::new()]);
}
