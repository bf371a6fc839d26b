//! A whole scan of a tiny model: what is in its rows, where it lies, and what is refused.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::AtomicBool;

use neuro_path::LayerPath;
use neuro_record::RunData;
use neuro_scan::{Observer, Paths, Progress, ScanError, ScanRequest, estimate, measure, plan, run};
use serde_json::json;

use crate::common::{Model, needs, request, rows, samples};

static GO: AtomicBool = AtomicBool::new(false);

#[derive(Default)]
struct Heard {
    rows: Vec<String>,
    progress: Vec<Progress>,
}

impl Observer for Heard {
    fn progress(&mut self, progress: &Progress) {
        self.progress.push(progress.clone());
    }

    fn row(&mut self, row: &neuro_record::Row) {
        self.rows.push(format!("{} {}", row.probe, row.path));
    }
}

#[test]
fn the_triangle_with_two_probes_is_complete() {
    let (model, out) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    let plan = plan(&subject, &request(&["math:likelihood", "math"], 3)).unwrap();
    let mut heard = Heard::default();
    let outcome = run(&subject, &plan, out.path(), &mut heard, &GO).unwrap();
    assert!(!outcome.interrupted);

    let data = RunData::read(out.path()).unwrap();
    assert_eq!(data, outcome.data);
    assert_eq!((data.rows.len(), data.samples.len()), (2 * 11, 2 * 11 * 3));
    assert_eq!(heard.rows.len(), 22);
    assert_eq!(heard.rows[0], "math:likelihood 0..3");
    assert_eq!(data.rows[11].block, Some([0, 0]));
    for row in &data.rows {
        assert_eq!((row.n, row.random_weights), (3, Some(7)));
        assert!((0.0..=1.0).contains(&row.score) && row.seconds.unwrap() > 0.0, "{row:?}");
        assert_eq!(row.seconds_kind.as_deref(), Some("share"));
    }
    let scores: std::collections::HashSet<u64> =
        data.rows_of("math:likelihood").map(|row| row.score.to_bits()).collect();
    assert!(scores.len() > 8, "paths differ, so their scores should");
    let first = &heard.progress[0];
    let last = heard.progress.last().unwrap();
    assert_eq!((first.work_done, first.rows_done), (0, 0));
    assert_eq!((last.work_done, last.rows_done, last.rows_total), (last.work_total, 22, 22));
    assert!(heard.progress.is_sorted_by_key(|progress| progress.work_done));
    // Nothing is left to do, so nothing is done.
    let mut heard = Heard::default();
    let again = run(&subject, &plan, out.path(), &mut heard, &GO).unwrap();
    assert_eq!((again.data.rows.len(), heard.rows.len(), heard.progress.len()), (22, 0, 1));
    assert_eq!(heard.progress[0].fraction(), 1.0);
}

#[test]
fn memory_and_disk_measure_the_same() {
    let (model, out) = (Model::chat(), tempfile::tempdir().unwrap());
    let subject = model.open();
    let plan = plan(&subject, &request(&["math", "math:likelihood"], 2)).unwrap();
    let on_disk = run(&subject, &plan, out.path(), &mut (), &GO).unwrap().data;
    let in_memory = measure(&subject, &plan, &mut (), &GO).unwrap().data;
    assert_eq!(rows(&on_disk), rows(&in_memory));
    assert_eq!(samples(&on_disk), samples(&in_memory));
}

#[test]
fn the_baseline_comes_first_and_no_path_twice() {
    let model = Model::plain();
    let subject = model.open();
    let list = ["2,3", "(1,3)", "0..2,1..3"].map(|text| subject.parse_path(text).unwrap());
    let of = |paths: &[LayerPath], include_baseline| {
        let paths = Paths::List(paths.to_vec());
        let request = ScanRequest { paths, include_baseline, ..request(&["math:likelihood"], 1) };
        let plan = plan(&subject, &request).unwrap();
        plan.paths().iter().map(LayerPath::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of(&list, true), ["0..3", "2..3", "0..2,1..3"]);
    assert_eq!(of(&list, false), ["2..3", "0..2,1..3"]);
    let with_baseline = [list[0].clone(), LayerPath::baseline(4).unwrap()];
    assert_eq!(of(&with_baseline, false), ["0..3", "2..3"]);
}

#[test]
fn the_name_follows_from_what_changes_results() {
    let model = Model::plain();
    let subject = model.open();
    let name = |request: &ScanRequest| plan(&subject, request).unwrap().default_dir();
    let base = request(&["math:likelihood"], 2);
    let dir = name(&base);
    assert!(dir.starts_with("runs"));
    assert_eq!(dir, name(&base));
    let less_memory = ScanRequest { memory_bytes: Some(1 << 28), ..base.clone() };
    assert_eq!(dir, name(&less_memory));
    let one_path = Paths::List(vec![subject.parse_path("(1,2)").unwrap()]);
    for other in [
        ScanRequest { seed: 1, ..base.clone() },
        ScanRequest { paths: one_path, ..base.clone() },
        ScanRequest { role: neuro_probe::Role::Confirm, ..base.clone() },
        request(&["math:likelihood"], 3),
        request(&["math"], 2),
    ] {
        assert_ne!(dir, name(&other), "{other:?}");
    }
    let other_end = Model::plain().with(&json!({"eos_token_id": [2, 5]}));
    assert_ne!(dir.file_name(), plan(&other_end.open(), &base).unwrap().default_dir().file_name());
}

#[test]
fn other_settings_under_the_same_folder_are_refused() {
    let (model, out) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    let planned = |questions| plan(&subject, &request(&["math:likelihood"], questions)).unwrap();
    run(&subject, &planned(1), out.path(), &mut (), &GO).unwrap();
    let error = run(&subject, &planned(2), out.path(), &mut (), &GO).unwrap_err().to_string();
    assert!(error.contains("probes.0.questions: found 1, expected 2"), "{error}");
}

#[test]
fn what_cannot_be_measured_is_refused_with_advice() {
    let model = Model::plain();
    let subject = model.open();
    let refused = |request: &ScanRequest| plan(&subject, request).unwrap_err().to_string();
    let base = request(&["math:likelihood"], 2);
    let error = refused(&ScanRequest { memory_bytes: Some(1000), ..base.clone() });
    assert!(error.contains("question `") && error.contains("than the budget of 1000 bytes: "), "{error}");
    let error = refused(&request(&["math", "math"], 1));
    assert!(error.contains("`math` is asked for twice"), "{error}");
    let foreign = Paths::List(vec![LayerPath::baseline(5).unwrap()]);
    let error = refused(&ScanRequest { paths: foreign, ..base.clone() });
    assert!(error.contains("made for 5 layers") && error.contains("has 4"), "{error}");
    assert!(matches!(
        plan(&subject, &ScanRequest { paths: Paths::List(vec![]), ..base.clone() }),
        Err(ScanError::NoPaths)
    ));

    for (block, problem) in [([4, 9], "the model has 4 layers"), ([3, 3], "it holds no layer")] {
        let planted = Some(neuro_record::Planted { block, group: "2".to_owned() });
        let error = refused(&ScanRequest { planted, ..base.clone() });
        assert!(error.contains("phantom.json") && error.contains("planted.block"), "{error}");
        assert!(error.contains(problem), "{error}");
    }

    std::fs::remove_file(model.dir.path().join("tokenizer.json")).unwrap();
    let error = plan(&model.open(), &base).unwrap_err().to_string();
    assert!(error.contains("no tokenizer") && error.contains("tokenizer.json"), "{error}");

    let foreign = Model::plain().with(&json!({"vocab_size": 50}));
    let error = plan(&foreign.open(), &base).unwrap_err().to_string();
    assert!(error.contains("question `") && error.contains("the model knows 50"), "{error}");
}

/// Of several probes the one that needs most decides, and the dry run says what the refusal says.
#[test]
fn the_budget_that_a_refusal_names_is_enough_and_a_byte_less_is_not() {
    let model = Model::plain();
    let subject = model.open();
    let base = request(&["math:likelihood", "math"], 3);
    let with = |bytes| plan(&subject, &ScanRequest { memory_bytes: Some(bytes), ..base.clone() });
    let least = needs(&subject, &base).least;
    assert!(with(least).unwrap().summary().memory_needed_bytes.unwrap() <= least);
    let error = with(least - 1).unwrap_err();
    assert!(matches!(error, ScanError::Memory { needs, .. } if needs.least == least), "{error}");
}

#[test]
fn a_model_too_deep_for_a_map_gets_single_paths_only() {
    let model = Model::plain().with(&json!({"num_hidden_layers": 257}));
    let subject = model.open();
    let base = request(&["math:likelihood"], 1);
    let error = plan(&subject, &base).unwrap_err().to_string();
    assert!(error.contains("257 layers") && error.contains("at most 256"), "{error}");
    assert!(error.ends_with("; give paths with `neuro probe`"), "{error}");
    let paths = Paths::List(vec![subject.parse_path("(3,5)").unwrap()]);
    assert_eq!(plan(&subject, &ScanRequest { paths, ..base }).unwrap().paths().len(), 2);
}

#[test]
fn a_dry_run_says_what_will_be_done() {
    let model = Model::plain();
    let subject = model.open();
    let plan = plan(&subject, &request(&["math:likelihood", "math"], 5)).unwrap();
    let mut summary = plan.summary();
    assert_eq!((summary.paths, summary.layers, summary.probes[0].questions), (11, 4, 5));
    // Trunk 4 layers, blocks 4·5·9/6 = 30. The last token of each key is predicted, never read, and all begin alike.
    assert_eq!(summary.probes[0].layer_tokens, 34 * summary.probes[0].distinct_tokens);
    assert!(summary.probes[0].distinct_tokens < summary.probes[0].tokens as u64 - 5);
    assert_eq!(
        (summary.probes[0].chunks, summary.probes[0].groups, summary.probes[0].sweeps),
        (Some(1), Some(2), Some(2))
    );
    assert!(summary.decoded_layer_tokens_at_most > 0 && summary.memory_needed_bytes > Some(0));
    assert!(!subject.is_loaded());
    summary.estimated_seconds = Some(estimate(&subject, &plan).unwrap().as_secs_f64());
    assert!(summary.estimated_seconds.unwrap() > 0.0);
    let text = summary.to_string();
    assert!(text.contains("math:likelihood: 5 questions") && text.contains("time          about"), "{text}");
}
