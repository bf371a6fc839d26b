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
use neuro_scan::{OpenOptions, Paths, Plan, ScanRequest, Subject, WeightType, estimate, measure, plan, run};
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

/// Attention keeps in each thread what it has packed of one head of a long text: here four times what a usual one has.
fn wide_heads() -> Model {
    let model = Model::plain().with(&json!({
        "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1,
        "num_key_value_heads": 1, "head_dim": 512, "max_position_embeddings": 4096,
    }));
    model.store(|_, _| {});
    model
}

/// The process that is measured, as above.
#[test]
fn scan_on_many_threads() {
    let Ok(model) = std::env::var(SCAN[0]) else { return };
    let text: String = (0..4000).map(|word| format!("{} ", word * word % 9973)).collect();
    let asked = ScanRequest {
        files: [("own.txt".to_owned(), text.into_bytes().into())].into(),
        ..request(&["text=own.txt"], 12)
    };
    let ((budget, needed), peak) = peak(|| {
        let subject = open(Path::new(&model), WeightType::F32);
        let plan = plan(&subject, &tight(&subject, &asked)).unwrap();
        let data = measure(&subject, &plan, &mut (), &AtomicBool::new(false)).unwrap().data;
        assert_eq!(data.samples.len(), 4 * 12);
        (plan.info().plan.memory_bytes, plan.summary().memory_needed_bytes.unwrap())
    });
    println!("64 threads, {} MiB: said {}, peak {:?}", budget / MIB, needed / MIB, peak.map(|peak| peak / MIB));
    assert!(
        needed <= budget && peak.is_none_or(|peak| peak <= budget / 10 * 11),
        "{peak:?} of {budget}, said {needed}"
    );
}

#[test]
fn a_budget_is_kept_on_many_threads() {
    let model = wide_heads();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "scan_on_many_threads", "--nocapture"]).env(SCAN[0], model.dir.path());
    let output = child.env("RAYON_NUM_THREADS", "64").output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
