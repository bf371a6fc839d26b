//! What `--memory` promises: the process stays below its budget, whatever that is, and the results are the same. Alone
//! in its binary, because it measures the process.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/peak.rs"]
mod meter;

use std::sync::atomic::AtomicBool;

use common::{Model, request, samples, tight, with_phantom};

use meter::peak;
use neuro_path::Block;
use neuro_record::{RunData, Sample};
use neuro_scan::{Observer, OpenOptions, Paths, ScanRequest, Subject, measure, plan};
use serde_json::json;

const MIB: u64 = 1 << 20;
const DEPTH: usize = 6;

#[derive(Default)]
struct Notes(Vec<String>);

impl Observer for Notes {
    fn note(&mut self, note: &str) {
        self.0.push(note.to_owned());
    }
}

/// What one budget gives: the data, whether the weights were streamed, and chunks and groups of each probe.
struct Found {
    data: RunData,
    streamed: bool,
    portions: Vec<(usize, usize)>,
}

fn asked() -> ScanRequest {
    let blocks = [(0, 6), (0, 2), (1, 5), (2, 3), (3, 6), (4, 5)].map(|(i, j)| Block::new(i, j, DEPTH).unwrap());
    let paths = Paths::List(blocks.map(|block| block.path(DEPTH).unwrap()).to_vec());
    ScanRequest { paths, ..with_phantom(request(&["math:likelihood", "phantom"], 4)) }
}

fn scan(model: &Model, budget: u64) -> Found {
    let subject = Subject::open(model.dir.path(), &OpenOptions::default()).unwrap();
    let request = ScanRequest { memory_bytes: Some(budget), ..asked() };
    let plan = plan(&subject, &request).unwrap();
    let mut notes = Notes::default();
    let data = measure(&subject, &plan, &mut notes, &AtomicBool::new(false)).unwrap().data;
    let stored = &plan.info().plan;
    let portions = stored.chunks.iter().zip(&stored.groups).map(|(chunks, groups)| (chunks.len(), groups.len()));
    let streamed = !notes.0.iter().any(|note| note.contains("reading the weights"));
    Found { data, streamed, portions: portions.collect() }
}

fn assert_same(found: &[Sample], expected: &[Sample], budget: u64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((&found.answer, &found.stop), (&expected.answer, &expected.stop), "{budget}: {}", found.path);
        let pairs = found.logprobs.iter().flatten().zip(expected.logprobs.iter().flatten());
        let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(difference < 1e-6, "{budget}: {}: {difference}", found.path);
    }
}

#[test]
fn any_budget_is_kept_and_gives_the_same_results() {
    // About 57 MiB of weights, 9 MiB in each layer.
    let config = json!({
        "hidden_size": 256, "intermediate_size": 2816, "num_hidden_layers": DEPTH, "num_attention_heads": 4,
        "num_key_value_heads": 1, "vocab_size": 512, "initializer_range": 0.05,
    });
    let model = Model::plain().with(&config);
    model.store(|_, _| {});
    // From tight to roomy, because an allocator keeps what it was given.
    let mut all = Vec::new();
    let subject = Subject::open(model.dir.path(), &OpenOptions::default()).unwrap();
    let least = tight(&subject, &asked()).memory_bytes.unwrap();
    drop(subject);
    for budget in [least, 140 * MIB, 1024 * MIB] {
        let (found, peak) = peak(|| scan(&model, budget));
        println!(
            "{} MiB: peak {:?} MiB, streamed {}, {:?}",
            budget / MIB,
            peak.map(|peak| peak / MIB),
            found.streamed,
            found.portions
        );
        assert!(peak.is_none_or(|peak| peak <= budget / 10 * 11), "{peak:?} of {budget}");
        all.push((budget, found));
    }
    assert_eq!([0, 1, 2].map(|index: usize| all[index].1.streamed), [true, false, false]);
    let (_, unlimited) = all.pop().unwrap();
    assert_ne!(all[0].1.portions, unlimited.portions, "the tightest budget is cut like no budget");
    let expected = samples(&unlimited.data);
    for (budget, found) in all {
        assert_same(&samples(&found.data), &expected, budget);
    }
}
