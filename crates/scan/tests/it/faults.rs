//! What breaks while a scan runs: it ends with an error that says where, and the run goes on when it is mended.
#![allow(clippy::unwrap_used)]

use std::fs::{self, OpenOptions as FileOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use neuro_path::{Block, LayerPath};
use neuro_record::{Row, RunData};
use neuro_scan::{Observer, OpenOptions, Paths, ScanRequest, Subject, WeightType, measure, plan, run};
use serde_json::{Value, json};

use crate::common::{Model, request, rows, samples, tight};

static GO: AtomicBool = AtomicBool::new(false);

/// A fault's name, what causes it, and what the error must tell.
type Fault<'a> = (&'a str, Box<dyn FnOnce() + 'a>, &'a [&'a str]);

/// Breaks something when the first row is written.
struct Saboteur<'a> {
    act: Option<Box<dyn FnOnce() + 'a>>,
    notes: Vec<String>,
}

impl Observer for Saboteur<'_> {
    fn row(&mut self, _row: &Row) {
        if let Some(act) = self.act.take() {
            act();
        }
    }

    fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }
}

/// Deep enough that all layers take more than two of them, which is what streaming needs.
fn stored() -> Model {
    let model = Model::plain().with(&json!({"num_hidden_layers": 8, "intermediate_size": 256}));
    model.store(|_, _| {});
    model
}

fn open(model: &Model) -> Subject {
    Subject::open(model.dir.path(), &OpenOptions::default()).unwrap()
}

fn few_paths(probe: &str) -> ScanRequest {
    let blocks = [(0, 0), (1, 3), (2, 7), (4, 5), (0, 8)];
    let paths = blocks.map(|(i, j)| if j == 0 { Block::BASELINE } else { Block::new(i, j, 8).unwrap() });
    ScanRequest { paths: Paths::List(paths.map(|block| block.path(8).unwrap()).to_vec()), ..request(&[probe], 3) }
}

/// Where a tensor's numbers lie in the weight file.
fn place(file: &Path, tensor: &str) -> u64 {
    let bytes = fs::read(file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let header: Value = serde_json::from_slice(&bytes[8..8 + length as usize]).unwrap();
    8 + length + header[tensor]["data_offsets"][0].as_u64().unwrap()
}

#[test]
fn weights_that_break_while_they_are_streamed_end_the_run_and_leave_it_whole() {
    const TENSOR: &str = "model.layers.5.mlp.down_proj.weight";
    let model = stored();
    let file = model.weights();
    let (whole, start) = (fs::read(&file).unwrap(), place(&file, TENSOR));
    let request = tight(&open(&model), &few_paths("math:likelihood"));
    let folder = tempfile::tempdir().unwrap();
    let scan = |name: &str, act: Option<Box<dyn FnOnce() + '_>>| {
        let subject = open(&model);
        let plan = plan(&subject, &request).unwrap();
        let mut saboteur = Saboteur { act, notes: Vec::new() };
        let outcome = run(&subject, &plan, &folder.path().join(name), &mut saboteur, &GO);
        assert!(!saboteur.notes.iter().any(|note| note.contains("reading the weights")), "they are not streamed");
        outcome.map(|outcome| outcome.data)
    };
    let expected = scan("straight", None).unwrap();
    assert_eq!(expected.rows.len(), 5);

    let cut = |length: u64| FileOptions::new().write(true).open(&file).unwrap().set_len(length).unwrap();
    let spoil = || {
        let mut file = FileOptions::new().write(true).open(&file).unwrap();
        file.seek(SeekFrom::Start(start + 40)).unwrap();
        file.write_all(&f32::NAN.to_le_bytes()).unwrap();
    };
    let faults: [Fault<'_>; 3] = [
        ("cut", Box::new(|| cut(start + 40)), &["model.safetensors", "tensor `model.layers.", "the file ends at byte"]),
        ("emptied", Box::new(|| cut(0)), &["model.safetensors", "model.layers.", "the file ends at byte"]),
        ("spoilt", Box::new(spoil), &["model.safetensors", TENSOR, "NaN"]),
    ];
    for (name, act, parts) in faults {
        let error = scan(name, Some(act)).unwrap_err();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            text += &format!(": {inner}");
            source = inner.source();
        }
        for part in parts {
            assert!(text.contains(part), "{name}: no {part:?} in: {text}");
        }
        let left = RunData::read(&folder.path().join(name)).unwrap();
        assert!((1..5).contains(&left.rows.len()), "{name}: {} rows", left.rows.len());
        fs::write(&file, &whole).unwrap();
        let resumed = scan(name, None).unwrap();
        assert_eq!(rows(&resumed), rows(&expected), "{name}");
        assert_eq!(samples(&resumed), samples(&expected), "{name}");
    }
}

/// Layer 2 adds 2·10³⁸ to the residual stream whatever it reads: once is finite, twice is not. Only paths that run it
/// twice are spoilt, in the pass that makes it twice, and those that are run with them in one group are what they are alone.
/// That holds for every type, also where a product rounds what it reads to integers.
#[test]
fn a_path_that_overflows_in_its_second_pass_leaves_its_group_alone() {
    let model = Model::plain().with(&json!({"attention_bias": true}));
    model.store(|name, values| {
        if name == "model.layers.2.self_attn.o_proj.bias" {
            values.fill(2e38);
        }
    });
    for weight_type in WeightType::ALL {
        let options = OpenOptions { weight_type, ..OpenOptions::default() };
        let probes: &[&str] =
            if weight_type == WeightType::F32 { &["math:likelihood", "math"] } else { &["math:likelihood"] };
        overflows_alone(&Subject::open(model.dir.path(), &options).unwrap(), probes);
    }
}

fn overflows_alone(subject: &Subject, probes: &[&str]) {
    let plan_all = plan(subject, &request(probes, 2)).unwrap();
    assert!(plan_all.info().plan.groups.iter().all(|groups| groups.len() == 2), "all but the baseline in one group");
    let together = measure(subject, &plan_all, &mut (), &GO).unwrap().data;
    let mut spoilt = 0;
    for path in plan_all.paths() {
        let twice = path.layers().iter().filter(|&&layer| layer == 2).count() > 1;
        let alone =
            ScanRequest { paths: Paths::List(vec![path.clone()]), include_baseline: false, ..request(probes, 2) };
        let alone = measure(subject, &plan(subject, &alone).unwrap(), &mut (), &GO).unwrap().data;
        for sample in &alone.samples {
            let same = |other: &&neuro_record::Sample| {
                (&other.path, &other.probe, &other.question) == (&sample.path, &sample.probe, &sample.question)
            };
            let other = together.samples.iter().find(same).unwrap();
            assert_eq!((&other.answer, &other.stop), (&sample.answer, &sample.stop), "{path}");
            assert_eq!(other.stop.as_deref() == Some("not_finite"), twice, "{path}");
            let (own, others) = (sample.logprobs.iter().flatten(), other.logprobs.iter().flatten());
            assert_eq!(own.clone().count(), others.clone().count());
            assert!(own.zip(others).all(|(a, b)| (a - b).abs() < 1e-6), "{path}");
        }
        spoilt += usize::from(twice);
    }
    assert!(spoilt > 2 && spoilt < plan_all.paths().len() - 2);
    let baseline = LayerPath::baseline(4).unwrap().to_string();
    assert!(
        together
            .samples
            .iter()
            .filter(|sample| sample.path == baseline)
            .all(|sample| sample.stop.as_deref() != Some("not_finite"))
    );
}
