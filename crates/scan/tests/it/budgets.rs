//! Memory decides how questions and paths are cut, and nothing else.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use neuro_record::{ASKED_FILE, Plan, RunData};
use neuro_scan::{
    ConfirmRequest, MemoryNeeds, OpenOptions, ScanError, ScanRequest, Subject, WeightType, confirm, measure, plan, run,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::common::{Model, copy_run, needs, request, samples};

/// Random models, as many budgets for each.
const MODELS: u32 = 6;
const BUDGETS: usize = 3;

/// What is cut, and the budgets as parts of what the greediest question needs above the least.
#[derive(Debug)]
struct Case {
    layers: usize,
    is_chat: bool,
    window: Option<usize>,
    weight_type: WeightType,
    probe: &'static str,
    questions: usize,
    budgets: Vec<f64>,
}

fn case() -> impl Strategy<Value = Case> {
    let model = (3..=5usize, any::<bool>(), prop::option::of(4..40usize));
    let types = prop::sample::select(vec![WeightType::F32, WeightType::F32, WeightType::Q8_0]);
    let probes = prop::sample::select(vec!["math", "math:likelihood"]);
    let budgets = prop::collection::vec(0.0..2.0, BUDGETS - 1);
    (model, types, probes, 3..=6usize, budgets).prop_map(
        |((layers, is_chat, window), weight_type, probe, questions, budgets)| Case {
            layers,
            is_chat,
            window,
            weight_type,
            probe,
            questions,
            // The least is always among them.
            budgets: std::iter::once(0.0).chain(budgets).collect(),
        },
    )
}

fn open(case: &Case) -> (Model, Subject) {
    let model = if case.is_chat { Model::chat() } else { Model::plain() };
    let model = model.with(&json!({"num_hidden_layers": case.layers}));
    let model = match case.window {
        None => model,
        Some(window) => model.with(&json!({
            "architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": window,
        })),
    };
    let options = OpenOptions { random_weights: Some(7), weight_type: case.weight_type, ..OpenOptions::default() };
    let subject = Subject::open(model.dir.path(), &options).unwrap();
    (model, subject)
}

fn measured(subject: &Subject, request: &ScanRequest) -> (Plan, RunData) {
    let plan = plan(subject, request).unwrap();
    let info = plan.info().plan.clone();
    (info, measure(subject, &plan, &mut (), &AtomicBool::new(false)).unwrap().data)
}

/// Any model, probe and budget from the least on: however questions and paths are cut, scores and texts stay.
#[test]
fn no_budget_changes_scores_or_texts() {
    let cuts = RefCell::new(BTreeSet::new());
    let config = ProptestConfig { cases: MODELS, failure_persistence: None, ..ProptestConfig::default() };
    let tried = TestRunner::new(config).run(&case(), |case| {
        let (model, mut subject) = open(&case);
        if case.weight_type != WeightType::F32 && !subject.decoder().unwrap().rows_are_alike() {
            // Rounded activations differ where a sum's order does.
            subject = model.open();
        }
        let base = request(&[case.probe], case.questions);
        let (_, whole) = measured(&subject, &base);
        let MemoryNeeds { least, running, .. } = needs(&subject, &base);
        for part in &case.budgets {
            let budget = least + (part * running as f64) as u64;
            let (info, parts) = measured(&subject, &ScanRequest { memory_bytes: Some(budget), ..base.clone() });
            prop_assert!(*part > 0.0 || info.chunks[0].len() > 1, "{}: {:?}", budget, info.chunks);
            cuts.borrow_mut().insert((info.chunks, info.groups));
            prop_assert_eq!(whole.samples.len(), parts.samples.len());
            for (a, b) in samples(&whole).iter().zip(samples(&parts)) {
                prop_assert_eq!((&a.path, &a.question, &a.answer), (&b.path, &b.question, &b.answer), "{}", budget);
                prop_assert!((a.score - b.score).abs() < 1e-6, "{}: {} {}", budget, a.path, a.question);
            }
        }
        Ok(())
    });
    tried.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(cuts.borrow().len() > BUDGETS, "{cuts:?}");
}

/// The same for draws, whose noise must not follow the batch: a confirmation's second judge, once in one piece and twice cut.
#[test]
fn no_budget_changes_a_sampled_answer() {
    let (model, place, go) = (Model::plain(), tempfile::tempdir().unwrap(), AtomicBool::new(false));
    model.write("generation_config.json", &json!({"temperature": 1.0, "repetition_penalty": 1.25}));
    let subject = model.open();
    run(&subject, &plan(&subject, &request(&["math"], 4)).unwrap(), place.path(), &mut (), &go).unwrap();
    let confirmed = |memory_bytes: Option<u64>| {
        // A second confirmation of one run would ask other questions.
        let copy = tempfile::tempdir().unwrap();
        copy_run(place.path(), copy.path());
        let request = ConfirmRequest {
            questions: Some(5),
            finalists: 2,
            draws: 3,
            controls: 3,
            guards: Some(Vec::new()),
            seed: Some(0),
            memory_bytes,
            ..ConfirmRequest::default()
        };
        let found = confirm(&subject, copy.path(), &request, &copy.path().join("confirm"), &mut (), &go);
        let entered = std::fs::read_to_string(copy.path().join(ASKED_FILE)).unwrap().lines().count();
        assert_eq!(entered, usize::from(found.is_ok()), "what is refused stays fresh");
        found
    };
    let Err(ScanError::Memory { needs, .. }) = confirmed(Some(1)) else { panic!("a byte of memory is enough") };
    let drawn = |memory_bytes: Option<u64>| {
        let data = confirmed(memory_bytes).unwrap().data;
        // Nobody is timed whose weights come from the disk.
        assert_eq!(data.costs.len(), if memory_bytes == Some(needs.least) { 0 } else { 3 }, "{memory_bytes:?}");
        let side = data.side.unwrap();
        let told = |probe: &str| {
            side.rows
                .iter()
                .filter(|row| row.probe == probe)
                .all(|row| row.notes.iter().any(|note| note.contains("repetition_penalty 1.25, which is not applied")))
        };
        assert!(told("math:sampled") && !told("math:likelihood"));
        let probe = side.info.probes.iter().position(|probe| probe.name == "math:sampled").unwrap();
        let mut answers = samples(&side);
        answers.retain(|sample| sample.probe == "math:sampled");
        (side.info.plan.chunks[probe].len(), answers)
    };
    let (whole, expected) = drawn(None);
    assert_eq!((whole, expected.len()), (1, 3 * 5 * 3));
    assert!(expected.iter().any(|sample| sample.answer != expected[0].answer));
    for budget in [needs.least, needs.least + needs.running] {
        let (chunks, answers) = drawn(Some(budget));
        assert!(chunks > 1, "{budget}");
        assert_eq!(answers, expected, "{budget}");
    }
}
