//! Scans with quantised weights: what the type does to the scores is measured beside them.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::sync::atomic::AtomicBool;

use common::{Model, request};
use neuro_record::{RunData, reference_file};
use neuro_scan::{OpenOptions, ScanRequest, Subject, WeightType, plan, run};

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
