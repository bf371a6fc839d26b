//! Scans with quantised weights: what the type does to the scores is measured beside them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use neuro_record::{RunData, reference_file};
use neuro_scan::{Observer, OpenOptions, Progress, ScanRequest, Subject, WeightType, measure, plan, run};
use serde_json::json;

use crate::common::{Model, request, with_phantom};

static GO: AtomicBool = AtomicBool::new(false);

fn open(model: &Model, weight_type: WeightType) -> Subject {
    let options = OpenOptions { random_weights: Some(7), weight_type, ..OpenOptions::default() };
    Subject::open(model.dir.path(), &options).unwrap()
}

fn scan(subject: &Subject, request: &ScanRequest, dir: &std::path::Path) -> RunData {
    run(subject, &plan(subject, request).unwrap(), dir, &mut (), &GO).unwrap().data
}

#[test]
fn the_effect_of_the_type_is_the_difference_of_two_scans() {
    let model = Model::plain();
    let request = request(&["math:likelihood", "math"], 4);
    let folder = tempfile::tempdir().unwrap();
    let whole = scan(&open(&model, WeightType::F32), &request, &folder.path().join("f32"));
    assert!(whole.reference.is_empty() && neuro_stats::type_effect(&whole, "math").is_none());
    let baseline = |data: &RunData, probe: &str| data.rows_of(probe).next().unwrap().score;
    for weight_type in [WeightType::Q8_0, WeightType::Q4K] {
        let subject = open(&model, weight_type);
        let dir = folder.path().join(weight_type.name());
        let data = scan(&subject, &request, &dir);
        assert_eq!(data.info.compute, weight_type.name());
        for probe in ["math:likelihood", "math"] {
            let effect = neuro_stats::type_effect(&data, probe).unwrap();
            assert!((effect.reference - baseline(&whole, probe)).abs() < 1e-6, "{weight_type:?} {probe}");
            assert!((effect.score - baseline(&data, probe)).abs() < 1e-12, "{weight_type:?} {probe}");
            assert_eq!(effect.delta.n, 4);
        }
        assert!(neuro_stats::type_effect(&data, "math:likelihood").unwrap().delta.mean != 0.0, "{weight_type:?}");
        assert_eq!(RunData::read(&dir).unwrap().reference, data.reference);

        // A reference that was cut off is completed, and nothing else is measured again.
        let file = dir.join(reference_file("math"));
        let written = fs::read(&file).unwrap();
        fs::write(&file, &written[..written.len() / 2]).unwrap();
        let again = scan(&subject, &request, &dir);
        assert_eq!((again.reference.len(), again.rows.len()), (8, data.rows.len()));
        assert_eq!(neuro_stats::type_effect(&again, "math"), neuro_stats::type_effect(&data, "math"));
    }
}

/// Presses Ctrl-C when the first part of the reference is recorded.
struct Presses<'a> {
    ctrl_c: &'a AtomicBool,
    in_reference: bool,
    last: Progress,
}

impl Observer for Presses<'_> {
    fn note(&mut self, note: &str) {
        self.in_reference |= note.contains("the baseline once more in f32, on 40 questions");
    }

    fn progress(&mut self, progress: &Progress) {
        self.last = progress.clone();
        if self.in_reference && !progress.path.is_empty() {
            self.ctrl_c.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_interrupted_reference_keeps_its_parts_and_goes_on() {
    let subject = open(&Model::plain(), WeightType::Q8_0);
    let request = with_phantom(request(&["phantom"], 40));
    let plan = plan(&subject, &request).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ctrl_c = AtomicBool::new(false);
    let mut presses = Presses { ctrl_c: &ctrl_c, in_reference: false, last: Progress::default() };
    let cut = run(&subject, &plan, folder.path(), &mut presses, &ctrl_c).unwrap();
    // All rows are there, and of three parts the first.
    assert_eq!((cut.interrupted, cut.data.rows.len(), cut.data.reference.len()), (true, plan.paths().len(), 16));
    assert!(presses.last.fraction() < 1.0 && presses.last.rows_done == presses.last.rows_total);
    let mut presses = Presses { ctrl_c: &AtomicBool::new(false), in_reference: false, last: Progress::default() };
    let whole = run(&subject, &plan, folder.path(), &mut presses, &GO).unwrap();
    assert!(!whole.interrupted && presses.last.fraction() == 1.0);
    let straight = measure(&subject, &plan, &mut (), &GO).unwrap().data;
    assert_eq!(whole.data.reference, straight.reference);
}

/// The largest tensor is the head, so that a budget can hold the run and not its reference.
#[test]
fn weights_in_f32_are_held_streamed_or_left_out_as_the_budget_allows() {
    let model = Model::plain().with(&json!({"vocab_size": 60_000, "hidden_size": 64}));
    let subject = open(&model, WeightType::Q8_0);
    let request = with_phantom(request(&["phantom:likelihood"], 2));
    let with = |mebibytes: u64| plan(&subject, &ScanRequest { memory_bytes: Some(mebibytes << 20), ..request.clone() });
    let tight = (16..1024).step_by(4).find_map(|mebibytes| with(mebibytes).ok()).unwrap();
    let [left_out] = &tight.summary().reference.unwrap().left_out[..] else { panic!("one probe is left out") };
    assert!(left_out.needed_bytes > left_out.memory_bytes);
    assert_eq!(tight.info().plan.reference_needs, [(left_out.probe.clone(), left_out.needed_bytes)].into());
    let said = tight.summary().to_string();
    assert!(said.contains("reference     not measured on phantom:likelihood: the baseline in f32 needs "), "{said}");
    let data = measure(&subject, &tight, &mut (), &GO).unwrap().data;
    assert!(data.reference.is_empty());

    let deep =
        open(&Model::plain().with(&json!({"intermediate_size": 20_000, "num_hidden_layers": 12})), WeightType::Q8_0);
    let with =
        |mebibytes: u64| plan(&deep, &ScanRequest { memory_bytes: Some(mebibytes << 20), ..request.clone() }).ok();
    let reference = |mebibytes: u64| with(mebibytes)?.summary().reference.filter(|it| it.left_out.is_empty());
    let streamed = |mebibytes: u64| Some(reference(mebibytes)?.streamed);
    let budgets: Vec<u64> = (16..1024).step_by(8).collect();
    let first = |wanted: bool| budgets.iter().copied().find(|&budget| streamed(budget) == Some(wanted)).unwrap();
    let (tight, roomy) = (with(first(true)).unwrap(), with(first(false)).unwrap());
    assert!(tight.info().plan.memory_bytes < roomy.info().plan.memory_bytes);
    assert!(neuro_scan::estimate(&deep, &tight).unwrap().as_secs_f64() > 0.0);
    let [tight, roomy] = [tight, roomy].map(|plan| measure(&deep, &plan, &mut (), &GO).unwrap().data.reference);
    let scores = |samples: &[neuro_record::Sample]| samples.iter().map(|sample| sample.score).collect::<Vec<_>>();
    assert_eq!(scores(&tight).len(), 2);
    for (a, b) in scores(&tight).into_iter().zip(scores(&roomy)) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}
