//! What the memory prediction of a plan is worth: carries one scan out in memory and prints what was predicted beside
//! the process's peak of anonymous memory. One scan per process, because an allocator keeps what it was given:
//! `cargo run --release -p neuro-scan --example memory -- MODEL TYPE PROBE QUESTIONS PATHS MIB`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints, and its failure is a panic")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use neuro_checkpoint::Memory;
use neuro_model::WeightType;
use neuro_path::triangle;
use neuro_probe::Count;
use neuro_scan::{OpenOptions, Paths, ScanRequest, Subject, measure, plan};

const MIB: u64 = 1 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, kind, probe, questions, paths, budget] = arguments.as_slice() else {
        println!("usage: memory MODEL TYPE PROBE QUESTIONS PATHS MIB");
        return;
    };
    let number = |text: &str| text.parse::<usize>().unwrap();
    let options = OpenOptions { weight_type: WeightType::parse(kind).unwrap(), ..OpenOptions::default() };
    let subject = Subject::open(Path::new(model), &options).unwrap();
    let depth = subject.depth();
    // Evenly from the triangle: short and long second passes.
    let all: Vec<_> = triangle(depth).map(|block| block.path(depth).unwrap()).collect();
    let step = all.len().div_ceil(number(paths)).max(1);
    let request = ScanRequest {
        paths: Paths::List(all.into_iter().step_by(step).collect()),
        probes: vec![probe.clone()],
        questions: Some(Count::Some(number(questions))),
        memory_bytes: Some(number(budget) as u64 * MIB),
        ..ScanRequest::default()
    };
    let base = anonymous();
    let plan = plan(&subject, &request).unwrap();
    let summary = plan.summary();
    let needed = summary.memory_needed_bytes.unwrap();
    let (peak, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let (begin, [faults, ticks, system]) = (Instant::now(), counters());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        measure(&subject, &plan, &mut (), &AtomicBool::new(false)).unwrap();
        done.store(true, Ordering::Relaxed);
    });
    let peak = peak.into_inner();
    let (now, probe) = (counters(), &summary.probes[0]);
    println!(
        "{kind:5} {:15} budget {budget:>5} MiB: base {:>3}, predicted {:>5}, peak {:>5} ({:.2} of the budget, {:.2} of the prediction), \
         {} × {} portions, {:.1} s, {} minor faults, system {:.3} of the processor time",
        probe.name,
        base / MIB,
        needed / MIB,
        peak / MIB,
        peak as f64 / summary.memory_bytes as f64,
        peak as f64 / needed as f64,
        probe.chunks.unwrap(),
        probe.groups.unwrap(),
        begin.elapsed().as_secs_f64(),
        now[0] - faults,
        (now[2] - system) / (now[1] - ticks + now[2] - system).max(1.0),
    );
}

fn anonymous() -> u64 {
    Memory::anonymous_of_this_process().unwrap_or(0)
}

/// Pages touched for the first time, and processor time of the program and of the system for it, where the system
/// says (Linux: fields 10, 14 and 15 of `/proc/self/stat`).
fn counters() -> [f64; 3] {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [7, 11, 12].map(|field| fields.get(field).and_then(|field| field.parse().ok()).unwrap_or(0.0))
}
