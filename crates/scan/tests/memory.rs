//! What `--memory` promises: a scan stays below its budget, whatever that is and whatever its weights are held as, and the
//! results are the same. Each is measured in a process of its own, because an allocator keeps what it was given.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;
#[path = "common/peak.rs"]
mod meter;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use common::{Model, binding, request, samples, tight, with_phantom};
use meter::peak;
use neuro_path::Block;
use neuro_record::{RunData, Sample};
use neuro_scan::{OpenOptions, Paths, Plan, ScanRequest, Subject, WeightType, estimate, plan, run};
use serde_json::json;

/// Model, type and budget of a scan, and where it goes.
const SCAN: [&str; 4] =
    ["NEURO_MEMORY_TEST_MODEL", "NEURO_MEMORY_TEST_TYPE", "NEURO_MEMORY_TEST_BYTES", "NEURO_MEMORY_TEST_OUT"];
const MIB: u64 = 1 << 20;
const DEPTH: usize = 12;

fn asked() -> ScanRequest {
    let blocks = [(2, 10), (8, 10)].map(|(i, j)| Block::new(i, j, DEPTH).unwrap());
    let paths = Paths::List(blocks.map(|block| block.path(DEPTH).unwrap()).to_vec());
    ScanRequest { paths, ..with_phantom(request(&["math:likelihood", "phantom"], 2)) }
}

fn open(model: &Path, weight_type: WeightType) -> Subject {
    Subject::open(model, &OpenOptions { weight_type, ..OpenOptions::default() }).unwrap()
}

fn planned(subject: &Subject, bytes: u64) -> Plan {
    plan(subject, &ScanRequest { memory_bytes: Some(bytes), ..asked() }).unwrap()
}

/// The process that is measured: this test alone, started by the one below. Does nothing in an ordinary test run.
#[test]
fn scan_in_a_process_of_its_own() {
    let [Ok(model), Ok(kind), Ok(bytes), Ok(out)] = SCAN.map(std::env::var) else { return };
    let work = || {
        let subject = open(Path::new(&model), WeightType::parse(&kind).unwrap());
        let plan = planned(&subject, bytes.parse().unwrap());
        // As `--dry-run` does: that keeps the budget too.
        estimate(&subject, &plan).unwrap();
        run(&subject, &plan, Path::new(&out), &mut (), &AtomicBool::new(false)).unwrap();
    };
    let ((), peak) = peak(work);
    std::fs::write(Path::new(&out).join("peak"), peak.unwrap_or(0).to_string()).unwrap();
}

/// What a scan measured, whether it streams its weights, and its chunks and groups.
fn measured(model: &Path, kind: WeightType, bytes: u64) -> (Vec<Sample>, bool, neuro_record::Plan) {
    let out = tempfile::tempdir().unwrap();
    let values = [model.to_str().unwrap(), kind.name(), &bytes.to_string(), out.path().to_str().unwrap()];
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "scan_in_a_process_of_its_own"]).envs(SCAN.into_iter().zip(values)).stdout(Stdio::null());
    assert!(child.status().unwrap().success());
    let peak: u64 = std::fs::read_to_string(out.path().join("peak")).unwrap().parse().unwrap();
    let (data, is_streamed) =
        (RunData::read(out.path()).unwrap(), planned(&open(model, kind), bytes).summary().streamed);
    println!("{}, {} MiB: peak {}, streamed {is_streamed}", kind.name(), bytes / MIB, peak / MIB);
    assert!(peak <= bytes / 10 * 11, "{}: {peak} of {bytes}", kind.name());
    (samples(&data), is_streamed, data.info.plan)
}

#[test]
fn any_budget_is_kept_and_gives_the_same_results() {
    // About 58 MiB of weights in f32, 5 MiB in each layer.
    let model = Model::plain().with(&json!({
        "hidden_size": 256, "intermediate_size": 1408, "num_hidden_layers": DEPTH, "num_attention_heads": 4,
        "num_key_value_heads": 1, "vocab_size": 512, "initializer_range": 0.05,
    }));
    model.store(|_, _| {});
    for kind in WeightType::ALL {
        let subject = open(model.dir.path(), kind);
        let [tight, roomy] = [tight(&subject, &asked()), binding(&subject, &asked())]
            .map(|request| measured(model.dir.path(), kind, request.memory_bytes.unwrap()));
        assert!(tight.1 && !roomy.1, "{}", kind.name());
        assert_ne!((&tight.2.chunks, &tight.2.groups), (&roomy.2.chunks, &roomy.2.groups), "{}", kind.name());
        assert_eq!(tight.0.len(), roomy.0.len());
        for (a, b) in tight.0.iter().zip(&roomy.0) {
            assert_eq!((&a.answer, &a.stop), (&b.answer, &b.stop), "{}: {}", kind.name(), a.path);
            let pairs = a.logprobs.iter().flatten().zip(b.logprobs.iter().flatten());
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6), "{}: {}", kind.name(), a.path);
        }
    }
}
