//! A small run: four layers, two probes.
#![allow(dead_code, reason = "every test file uses another part")]

use std::collections::BTreeMap;

use neuro_path::LayerPath;
use neuro_record::{ModelInfo, Plan, PlannedPaths, ProbeInfo, Row, RunInfo, SCHEMA, SECONDS_SHARE, Sample};

pub(crate) const DEPTH: usize = 4;

pub(crate) fn info() -> RunInfo {
    let probe = |name: &str, questions| ProbeInfo {
        name: name.to_owned(),
        id: format!("{name} 1"),
        hash: "abc".to_owned(),
        questions,
    };
    RunInfo {
        schema: SCHEMA,
        tool: "neuro 0.1.0".to_owned(),
        created: "2026-11-22T06:00:00Z".to_owned(),
        model: ModelInfo {
            id: "tiny".to_owned(),
            hash: "0123".to_owned(),
            model_type: "llama".to_owned(),
            layers: DEPTH,
            parameters: 1000,
            dtype: "bf16".to_owned(),
            random_weights: None,
        },
        tokenizer_hash: Some("4567".to_owned()),
        template_hash: None,
        compute: "f32".to_owned(),
        device: "cpu".to_owned(),
        probes: vec![probe("math", 2), probe("math:likelihood", 2)],
        seed: 7,
        settings: BTreeMap::from([("max_new_tokens".to_owned(), 16.into())]),
        plan: Plan {
            paths: PlannedPaths::Triangle,
            chunks: vec![vec![[0, 2]], vec![[0, 1], [1, 2]]],
            groups: Vec::new(),
            memory_bytes: 1 << 30,
            held_bytes: 0,
            reference_needs: BTreeMap::new(),
        },
        screen: None,
        phantom: None,
    }
}

pub(crate) fn sample(path: &str, probe: &str, question: &str, score: f64) -> Sample {
    Sample {
        path: path.to_owned(),
        probe: probe.to_owned(),
        question: question.to_owned(),
        group: "easy".to_owned(),
        score,
        answer: Some("4".to_owned()),
        parsed: None,
        parse_failure: true,
        stop: Some("length".to_owned()),
        logprobs: Some(vec![-0.1, -1e-300]),
        tokens: 3,
    }
}

/// The row of a path from samples of the same path and probe.
pub(crate) fn row(samples: &[Sample]) -> Row {
    let path = LayerPath::parse(&samples[0].path, DEPTH).unwrap();
    let row = Row::from_samples(&path, &samples[0].probe, &samples.iter().collect::<Vec<_>>()).unwrap();
    Row { seconds: Some(0.25), seconds_kind: Some(SECONDS_SHARE.to_owned()), ..row }
}

/// Both samples of a path on a probe.
pub(crate) fn pair(path: &str, probe: &str) -> Vec<Sample> {
    vec![sample(path, probe, "q1", 0.1), sample(path, probe, "q2", 0.7)]
}
