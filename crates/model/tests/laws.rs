//! The laws of DESIGN: what must hold between ways to compute the same thing, on every fixture.

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use common::{
    Fixture, Golden, bits_equal, fixture, fixtures, max_difference, mean_difference, same_greedy_tokens, values,
};
use neuro_checkpoint::Checkpoint;
use neuro_model::{Batch, Decoder, Device, Kernels, Segment, Site, State, Tensor, WeightBytes, WeightType};
use neuro_path::{LayerPath, Visit};
use proptest::prelude::*;

fn assert_equal_logits(fixture: &Fixture, path: &LayerPath, what: &str, found: &Tensor, expected: &Tensor) {
    let (name, difference) = (&fixture.name, max_difference(found, expected));
    assert!(difference <= fixture.rounding(), "{name}, path {path}: {what} differs by {difference}");
    assert!(
        same_greedy_tokens(expected, found, fixture.rounding()),
        "{name}, path {path}: {what} chooses other tokens"
    );
}

#[test]
fn identity_path_is_the_baseline_bit_for_bit() {
    for fixture in fixtures() {
        let last = fixture.decoder.config().num_layers() - 1;
        let baseline = fixture.logits(&LayerPath::baseline(last + 1).unwrap());
        for spelling in ["(0,0)", "..", &format!("0..{last}"), &format!("0,1..{last}{{attn=1,mlp=1}}")] {
            let logits = fixture.logits(&fixture.path(spelling));
            assert!(bits_equal(&logits, &baseline), "{}: {spelling} is not the baseline", fixture.name);
        }
    }
}

#[test]
fn part_after_part_is_the_whole_bit_for_bit() {
    for fixture in fixtures() {
        let (decoder, path) = (&fixture.decoder, &fixture.golden[1].path);
        let (visits, batch) = (path.visits(), Batch::single(fixture.tokens.len()));
        let mut state = State::new(visits.len());
        let mut resid = decoder.embed(&fixture.tokens).unwrap();
        for (visits, slots) in visits.chunks(2).zip(state.slots.chunks_mut(2)) {
            resid = decoder.run(resid, &batch, visits, slots, &mut ()).unwrap();
        }
        assert!(bits_equal(&decoder.unembed(&resid).unwrap(), &fixture.logits(path)), "{}", fixture.name);
    }
}

#[test]
fn token_by_token_is_a_full_recompute() {
    for fixture in fixtures() {
        let Golden { path, .. } = &fixture.golden[1];
        let cached = fixture.cached_logits(path, &vec![1; fixture.tokens.len()]);
        assert_equal_logits(fixture, path, "cached decode", &cached, &fixture.logits(path));
    }
}

#[test]
fn golden_paths_are_their_unrolled_checkpoints() {
    for fixture in fixtures() {
        for Golden { path, .. } in &fixture.golden {
            let unrolled = fixture.unrolled(path);
            let baseline = LayerPath::baseline(path.len()).unwrap();
            let logits = unrolled.logits(&fixture.tokens, &baseline.visits()).unwrap();
            assert_equal_logits(fixture, path, "the unrolled checkpoint", &logits, &fixture.logits(path));
        }
    }
}

/// A branch times s is the branch of a copy whose last projection, weight and bias, is times s; 0 is a zeroed one.
#[test]
fn damped_visits_are_folded_weights() {
    for fixture in fixtures() {
        let plain = fixture.logits(&fixture.path("0..3,2..3"));
        for scales in ["attn=0", "mlp=0", "attn=0.5", "mlp=0.25", "attn=-1,mlp=1.75"] {
            let path = fixture.path(&format!("0..3,2{{{scales}}},3"));
            let (damped, unrolled) = (fixture.logits(&path), fixture.unrolled(&path));
            let folded = unrolled.logits(&fixture.tokens, &LayerPath::baseline(path.len()).unwrap().visits()).unwrap();
            assert_equal_logits(fixture, &path, "the folded checkpoint", &folded, &damped);
            assert!(max_difference(&damped, &plain) > 1e-2, "{}: {scales} changes nothing", fixture.name);
        }
    }
}

#[test]
fn second_pass_without_branches_changes_nothing() {
    for fixture in fixtures() {
        let path = fixture.path("0..2,1..2{attn=0,mlp=0},3");
        let skipped = fixture.logits(&fixture.path("0..3"));
        assert_equal_logits(fixture, &path, "the skipped block", &fixture.logits(&path), &skipped);
    }
}

#[test]
fn ragged_batches_are_single_runs() {
    for fixture in fixtures() {
        let (decoder, path, all) = (&fixture.decoder, &fixture.golden[1].path, fixture.tokens.len());
        // Equal, unequal and single lengths; the sequences differ in content. Then each goes on, some by nothing.
        let (prompts, rests) = ([9, 1, 9, all - 3, 14, 9], [4, 2, 4, 3, 0, 1]);
        let sequences: Vec<Vec<u32>> = (0..prompts.len())
            .map(|shift| {
                fixture.tokens.iter().cycle().skip(shift).take(prompts[shift] + rests[shift]).copied().collect()
            })
            .collect();
        let visits = path.visits();
        let mut state = State::new(visits.len());
        let mut found: Vec<Vec<Tensor>> = vec![Vec::new(); prompts.len()];
        // Rows of the slots that hold each sequence so far.
        let mut held: Vec<Vec<std::ops::Range<usize>>> = vec![Vec::new(); prompts.len()];
        let mut row = 0;
        for (pasts, lens) in [([0; 6], prompts), (prompts, rests)] {
            let segment =
                |s: usize| Segment { past: held[s].clone(), len: lens[s], asked: lens[s], span: sequences[s].len() };
            let batch = Batch::of((0..prompts.len()).map(segment).collect());
            let new: Vec<&[u32]> = (0..prompts.len()).map(|s| &sequences[s][pasts[s]..pasts[s] + lens[s]]).collect();
            let positions = (0..prompts.len()).flat_map(|s| pasts[s]..pasts[s] + lens[s]);
            let resid = decoder.embed_at(&new.concat(), positions).unwrap();
            let resid = decoder.run(resid, &batch, &visits, &mut state.slots, &mut ()).unwrap();
            let logits = decoder.unembed(&resid).unwrap();
            let mut first = 0;
            for s in (0..prompts.len()).filter(|&s| lens[s] > 0) {
                found[s].push(logits.narrow(0, first, lens[s]).unwrap());
                held[s].push(row..row + lens[s]);
                (first, row) = (first + lens[s], row + lens[s]);
            }
        }
        for (sequence, rows) in sequences.iter().zip(found) {
            let alone = decoder.logits(sequence, &visits).unwrap();
            assert_equal_logits(fixture, path, "the batch", &Tensor::cat(&rows, 0).unwrap(), &alone);
        }
    }
}

/// Two sequences that begin alike may stand on the same rows: what one continuation leaves, the other does not see.
/// And where only the last rows are asked for, they are what they are among all.
#[test]
fn branches_of_a_token_trie_are_single_runs() {
    for fixture in fixtures() {
        let (decoder, tokens, half) = (&fixture.decoder, &fixture.tokens, fixture.tokens.len() / 2);
        let visits = fixture.golden[1].path.visits();
        let (trunk, straight) = tokens.split_at(half);
        let reversed: Vec<u32> = straight.iter().rev().copied().collect();
        let rest = straight.len();
        let branch = |asked| Segment { past: std::iter::once(0..half).collect(), len: rest, asked, span: tokens.len() };
        let run = |asked: usize| {
            let trunk_segment = Segment { asked: if asked < rest { 0 } else { half }, ..Segment::sequence(half) };
            let trunk_segment = Segment { span: tokens.len(), ..trunk_segment };
            let last = Batch::of(vec![trunk_segment.clone(), branch(asked), branch(asked)]);
            let all = Batch::of(vec![Segment { asked: half, ..trunk_segment }, branch(rest), branch(rest)]);
            let mut state = State::new(visits.len());
            let positions = (0..half).chain(half..half + rest).chain(half..half + rest);
            let resid = decoder.embed_at(&[trunk, straight, &reversed].concat(), positions).unwrap();
            let (before, end) = visits.split_at(visits.len() - 1);
            let (slots, end_slots) = state.slots.split_at_mut(before.len());
            let resid = decoder.run(resid, &all, before, slots, &mut ()).unwrap();
            decoder.unembed(&decoder.run(resid, &last, end, end_slots, &mut ()).unwrap()).unwrap()
        };
        let whole = run(rest);
        for (at, continued) in [(half, straight), (half + rest, &reversed)] {
            let alone = decoder.logits(&[trunk, continued].concat(), &visits).unwrap().narrow(0, half, rest).unwrap();
            let found = whole.narrow(0, at, rest).unwrap();
            assert_equal_logits(fixture, &fixture.golden[1].path, "the branch", &found, &alone);
        }
        let (last, few) = (run(2), whole.dim(0).unwrap());
        let expected = [half + rest - 2, few - 2].map(|row| whole.narrow(0, row, 2).unwrap());
        let expected = Tensor::cat(&expected, 0).unwrap();
        assert_equal_logits(fixture, &fixture.golden[1].path, "the asked rows", &last, &expected);
    }
}

/// Whatever a layer's kind (window, RoPE, dense or with experts, attention or recurrent), it goes with the layer, not with
/// the place: each layer in turn is run twice and is what it is where it stands twice.
#[test]
fn each_layer_run_twice_is_its_unrolled_checkpoint() {
    for fixture in fixtures() {
        let last = fixture.decoder.config().num_layers() - 1;
        for layer in 0..=last {
            let path = fixture.path(&format!("0..{layer},{layer}..{last}"));
            let baseline = LayerPath::baseline(path.len()).unwrap();
            let logits = fixture.unrolled(&path).logits(&fixture.tokens, &baseline.visits()).unwrap();
            assert_equal_logits(fixture, &path, "the unrolled checkpoint", &logits, &fixture.logits(&path));
        }
    }
}

/// A text can be gone on from any of its tokens, also when others have been gone on from before, in one batch and in later
/// ones: what a draft leaves behind when it is refused.
#[test]
fn any_row_can_be_gone_on_from() {
    for fixture in fixtures() {
        let (decoder, path, tokens) = (&fixture.decoder, &fixture.golden[1].path, &fixture.tokens);
        let (visits, len) = (path.visits(), fixture.tokens.len());
        let mut state = State::new(visits.len());
        let mut run = |segments: Vec<Segment>, tokens: &[u32]| {
            let positions: Vec<usize> =
                segments.iter().flat_map(|segment| segment.past_len()..segment.total()).collect();
            let resid = decoder.embed_at(tokens, positions).unwrap();
            let resid = decoder.run(resid, &Batch::of(segments), &visits, &mut state.slots, &mut ()).unwrap();
            decoder.unembed(&resid).unwrap()
        };
        let segment = |past: Vec<std::ops::Range<usize>>, new: usize| Segment { past, len: new, asked: new, span: len };
        run(vec![segment(Vec::new(), len - 4)], &tokens[..len - 4]);
        let mut rows = len - 4;
        // Some twice, backwards and forwards, alone and together, one token and several.
        for (starts, new) in [(vec![len - 4], 1), (vec![5, 1], 3), (vec![len - 7, 5], 4), (vec![len - 4, 2], 2)] {
            let text = |start: usize| [&tokens[..start], &tokens[len - new..]].concat();
            let segments = starts.iter().map(|&start| segment(std::iter::once(0..start).collect(), new)).collect();
            let found = run(segments, &tokens[len - new..].repeat(starts.len()));
            for (index, &start) in starts.iter().enumerate() {
                let alone = decoder.run(
                    decoder.embed(&text(start)).unwrap(),
                    &Batch::next(0, start + new, len),
                    &visits,
                    &mut State::new(visits.len()).slots,
                    &mut (),
                );
                let alone = decoder.unembed(&alone.unwrap()).unwrap().narrow(0, start, new).unwrap();
                let found = found.narrow(0, index * new, new).unwrap();
                assert_equal_logits(fixture, path, "what goes on", &found, &alone);
            }
            // And behind the new rows.
            let behind = vec![0..starts[0], rows..rows + new];
            let found = run(vec![segment(behind, 1)], &tokens[..1]);
            let whole = [text(starts[0]).as_slice(), &tokens[..1]].concat();
            let alone = decoder.run(
                decoder.embed(&whole).unwrap(),
                &Batch::next(0, whole.len(), len),
                &visits,
                &mut State::new(visits.len()).slots,
                &mut (),
            );
            let alone = decoder.unembed(&alone.unwrap()).unwrap().narrow(0, whole.len() - 1, 1).unwrap();
            assert_equal_logits(fixture, path, "what goes on behind it", &found, &alone);
            rows += starts.len() * new + 1;
        }
    }
}

#[test]
fn kernels_with_gradients_compute_the_same() {
    for fixture in fixtures() {
        let config = fixture.decoder.config();
        let mut parameters = HashMap::new();
        for (name, shape) in config.expected_tensors() {
            let values = fixture.checkpoint.weights.read_f32(&name, &shape).unwrap();
            parameters.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
        }
        let decoder = Decoder::from_source(config, &parameters, &Device::Cpu, Kernels::Differentiable).unwrap();
        for Golden { path, logits } in &fixture.golden {
            let found = decoder.logits(&fixture.tokens, &path.visits()).unwrap();
            assert_equal_logits(fixture, path, "the differentiable decoder", &found, logits);
        }
    }
}

/// Weights read layer by layer are those that are held, bit for bit, and take what the description says they take.
#[test]
fn streamed_weights_are_held_ones_and_counted_right() {
    for fixture in fixtures() {
        let checkpoint = Arc::new(Checkpoint::open(&fixture.dir).unwrap());
        let (name, config) = (&fixture.name, &checkpoint.config);
        let listed: usize = config.expected_tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(listed as u64, config.parameters(), "{name}");
        let visits = fixture.golden[1].path.visits();
        for kind in [WeightType::F32, WeightType::Q8_0] {
            let held = Decoder::load_as(&checkpoint, &Device::Cpu, kind).unwrap();
            assert_eq!(held.weight_bytes() as u64, WeightBytes::of(config, kind).held, "{name} {}", kind.name());
            let streamed = Decoder::stream(&checkpoint, &Device::Cpu, kind);
            let logits = held.logits(&fixture.tokens, &visits).unwrap();
            assert!(bits_equal(&streamed.logits(&fixture.tokens, &visits).unwrap(), &logits), "{name}, streamed");
            let difference = max_difference(&logits, &fixture.golden[1].logits);
            match kind {
                WeightType::F32 => assert!(difference <= fixture.tolerance, "{name}: {difference}"),
                // Another expert, where two are close, moves a row by more than eight bits do.
                _ if config.layers.iter().any(|layer| layer.mlp.experts.is_some()) => {}
                _ => {
                    let mean = mean_difference(&logits, &fixture.golden[1].logits);
                    assert!((1e-6..0.2).contains(&mean), "{name}: {mean} as {}", kind.name());
                }
            }
        }
    }
}

/// A row's result must not hang on what is computed beside it, or texts would change with the batch: bit for bit where
/// the products are our own, which they are where one row alone gives what it gives among others.
#[test]
fn experts_see_rows_alone_and_together_alike() {
    for fixture in fixtures()
        .iter()
        .filter(|fixture| fixture.decoder.config().layers.iter().any(|layer| layer.mlp.experts.is_some()))
    {
        let path = &fixture.golden[1].path;
        let whole = fixture.logits(path);
        for lens in [vec![1; fixture.tokens.len()], vec![7, 1, fixture.tokens.len() - 8]] {
            let parts = fixture.cached_logits(path, &lens);
            assert_equal_logits(fixture, path, "the rows in parts", &parts, &whole);
        }
    }
}

#[test]
fn taps_see_every_visit_in_order_and_their_sums_hold() {
    let fixture = fixture("qwen3-yarn-layer-types");
    let path = fixture.path("0..1,1{attn=0.5},3{mlp=0}");
    let visits = path.visits();
    let mut seen: Vec<(Visit, Site, Tensor)> = Vec::new();
    let mut tap = |visit: &Visit, site: Site, value: &Tensor| {
        seen.push((*visit, site, value.clone()));
        Ok(())
    };
    let (decoder, mut state) = (&fixture.decoder, State::new(visits.len()));
    let embedded = decoder.embed(&fixture.tokens).unwrap();
    let batch = Batch::single(fixture.tokens.len());
    let resid = decoder.run(embedded.clone(), &batch, &visits, &mut state.slots, &mut tap).unwrap();

    let sites = [Site::ResidPre, Site::AttnOut, Site::ResidMid, Site::MlpOut, Site::ResidPost];
    let order: Vec<(Visit, Site)> = visits.iter().flat_map(|visit| sites.map(|site| (*visit, site))).collect();
    assert_eq!(seen.iter().map(|(visit, site, _)| (*visit, *site)).collect::<Vec<_>>(), order);
    let mut before = embedded;
    for visit in seen.chunks(sites.len()) {
        let [pre, attn_out, mid, mlp_out, post] = [0, 1, 2, 3, 4].map(|site: usize| &visit[site].2);
        assert!(bits_equal(pre, &before));
        assert!(bits_equal(mid, &(pre + attn_out).unwrap()));
        assert!(bits_equal(post, &(mid + mlp_out).unwrap()));
        before = post.clone();
    }
    assert!(bits_equal(&resid, &before));
    assert!(values(&seen[3 * sites.len() + 3].2).iter().all(|value| *value == 0.0), "mlp=0 must be seen by the tap");
}

/// A path of up to seven visits over four layers, some of them damped.
fn any_path() -> impl Strategy<Value = String> {
    let damped = ["{attn=0}", "{mlp=0.3}", "{attn=-0.5,mlp=1.25}"];
    let item = (0..4, prop_oneof![Just(""), prop::sample::select(damped.to_vec())]);
    prop::collection::vec(item.prop_map(|(layer, scales)| format!("{layer}{scales}")), 1..8)
        .prop_map(|items| items.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chunks_are_a_full_recompute(index in 0..fixtures().len(), text in any_path(), cuts in prop::collection::vec(1usize..9, 48)) {
        let fixture = &fixtures()[index];
        let path = fixture.path(&text);
        let mut left = fixture.tokens.len();
        let mut chunks = Vec::new();
        for cut in cuts {
            chunks.push(cut.min(left));
            left -= cut.min(left);
        }
        chunks.retain(|len| *len > 0);
        let cached = fixture.cached_logits(&path, &chunks);
        assert_equal_logits(fixture, &path, "chunked decode", &cached, &fixture.logits(&path));
    }

    #[test]
    fn any_path_is_its_unrolled_checkpoint(index in 0..fixtures().len(), text in any_path()) {
        let fixture = &fixtures()[index];
        let path = fixture.path(&text);
        let baseline = LayerPath::baseline(path.len()).unwrap();
        let logits = fixture.unrolled(&path).logits(&fixture.tokens, &baseline.visits()).unwrap();
        assert_equal_logits(fixture, &path, "the unrolled checkpoint", &logits, &fixture.logits(&path));
    }
}
