//! How long a choice takes over a real vocabulary:
//! `cargo test --release -p neuro-engine --test sampling -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::Instant;

use neuro_engine::{ChoiceKey, Rule, Sampling, choose};

/// That of Qwen2.5.
const VOCAB: usize = 151_936;
const ROWS: usize = 16;

/// Sums of twelve uniform numbers, near normal, with a standard deviation; and some likely tokens.
fn row(seed: u32, deviation: f32, peaks: usize) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let mut row: Vec<f32> = (0..VOCAB).map(|_| ((0..12).map(|_| uniform()).sum::<f32>() - 6.0) * deviation).collect();
    for peak in 0..peaks {
        row[(uniform() * VOCAB as f32) as usize] = 5.0 * deviation + 10.0 / (peak + 1) as f32;
    }
    row
}

#[test]
#[ignore = "measures time"]
fn time_per_row() {
    let sampling = Sampling { temperature: 1.0, top_k: None, top_p: 1.0, min_p: 0.0, seed: 1 };
    let rules = [
        ("greedy", Rule::Greedy),
        ("top-k 20, top-p 0.8", Rule::Sample(Sampling { top_k: Some(20), top_p: 0.8, temperature: 0.7, ..sampling })),
        ("top-k 50", Rule::Sample(Sampling { top_k: Some(50), ..sampling })),
        ("top-p 0.95", Rule::Sample(Sampling { top_p: 0.95, ..sampling })),
        ("min-p 0.05", Rule::Sample(Sampling { min_p: 0.05, ..sampling })),
        ("no filter", Rule::Sample(sampling)),
    ];
    for (kind, deviation, peaks) in [("peaked", 2.0, 8), ("flat", 0.3, 0)] {
        let rows: Vec<Vec<f32>> = (0..ROWS).map(|seed| row(seed as u32, deviation, peaks)).collect();
        let report = |name: &str, run: &dyn Fn(usize, &[f32])| {
            let fastest = (0..12).map(|_| {
                let start = Instant::now();
                rows.iter().enumerate().for_each(|(position, row)| run(position, black_box(row)));
                start.elapsed().as_nanos() / ROWS as u128
            });
            println!("{kind:7} {name:20} {:>9} ns per row", fastest.min().unwrap());
        };
        for (name, rule) in &rules {
            report(name, &|position, row| {
                let key = ChoiceKey { question: 1, draw: 0, position: position as u32 };
                black_box(choose(row, &[], rule, key).unwrap());
            });
        }
        // Nothing but a look at every number, for comparison.
        report("a pass over the row", &|_, row| {
            black_box(row.iter().fold(0, |all, number| all ^ number.to_bits()));
        });
    }
}
