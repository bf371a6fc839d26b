//! Where numbers or lengths leave the ordinary: the row says so, and the other rows stay as they are.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::atomic::AtomicBool;

use neuro_checkpoint::Checkpoint;
use neuro_scan::{OpenOptions, Subject, measure, plan};
use serde_json::{Map, json};

use crate::common::{Model, request};

static GO: AtomicBool = AtomicBool::new(false);

/// A model whose layer 2 adds 2·10³⁸ to the residual stream whatever it reads: once is finite, twice is not.
fn overflowing() -> Model {
    let model = Model::plain().with(&json!({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}));
    let random = Checkpoint::open_random(model.dir.path(), 7).unwrap();
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in random.config.expected_tensors() {
        let mut values = random.weights.read_f32(&name, &shape).unwrap();
        match name.as_str() {
            "model.layers.2.self_attn.v_proj.weight" => values.fill(0.0),
            "model.layers.2.self_attn.v_proj.bias" => values.fill(1.0),
            "model.layers.2.self_attn.o_proj.weight" => values.fill(2e38 / 16.0),
            _ => {}
        }
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
    }
    let header = serde_json::to_vec(&header).unwrap();
    let file = [&(header.len() as u64).to_le_bytes(), &header[..], &data].concat();
    fs::write(model.dir.path().join("model.safetensors"), file).unwrap();
    model
}

#[test]
fn activations_that_overflow_spoil_only_their_rows() {
    let model = overflowing();
    let subject = Subject::open(model.dir.path(), &OpenOptions::default()).unwrap();
    let plan = plan(&subject, &request(&["math:likelihood", "math"], 2)).unwrap();
    let data = measure(&subject, &plan, &mut (), &GO).unwrap().data;
    assert_eq!(data.rows.len(), 22);
    for row in &data.rows {
        let twice = row.layers.iter().filter(|&&layer| layer == 2).count() > 1;
        let noted = row.notes.iter().any(|note| note.starts_with("2 of 2 questions met activations"));
        assert_eq!(noted, twice, "{row:?}");
        assert_eq!(row.random_weights, None);
        if twice {
            assert_eq!(row.score, 0.0);
            assert_eq!(row.parse_failures, if row.probe == "math" { 2 } else { 0 });
        }
    }
    let likelihood = data.rows_of("math:likelihood").find(|row| row.path == "0..3").unwrap();
    assert!(likelihood.score > 0.0);
    let spoilt = data.samples.iter().find(|sample| sample.path == "0..3,0..3").unwrap();
    assert_eq!((spoilt.stop.as_deref(), spoilt.logprobs.as_ref()), (Some("not_finite"), None));
}

#[test]
fn lengths_above_the_trained_ones_are_noted() {
    let changes = json!({"max_position_embeddings": 32, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}});
    let model = Model::plain().with(&changes);
    let subject = model.open();
    let plan = plan(&subject, &request(&["math:likelihood"], 2)).unwrap();
    let data = measure(&subject, &plan, &mut (), &GO).unwrap().data;
    let notes = &data.rows[0].notes;
    assert!(notes[0].starts_with("dynamic RoPE: 2 of 2 questions may exceed the trained 32 tokens"), "{notes:?}");
    assert!(notes[1].contains("exceed the model's context of 32 tokens"), "{notes:?}");
    assert_eq!(plan.summary().notes, *notes);

    let roomy = Model::plain();
    let subject = roomy.open();
    let plan = neuro_scan::plan(&subject, &request(&["math:likelihood"], 2)).unwrap();
    assert!(plan.summary().notes.is_empty());
}

#[test]
fn answers_that_loop_are_stopped_and_counted() {
    // Small weights and a tied head: the model repeats the token that it has just read.
    let model = Model::plain().with(&json!({"initializer_range": 0.02}));
    let subject = model.open();
    let plan = plan(&subject, &request(&["math"], 2)).unwrap();
    let data = measure(&subject, &plan, &mut (), &GO).unwrap().data;
    let baseline = data.row("0..3", "math").unwrap();
    assert_eq!((baseline.loops, baseline.truncated), (2, 0));
    // A cycle of one token is a loop after 24.
    let looped = data.samples.iter().filter(|sample| sample.stop.as_deref() == Some("loop"));
    assert!(looped.into_iter().all(|sample| sample.tokens == 24));
}

#[test]
fn special_tokens_of_the_generation_config_are_obeyed() {
    let model = Model::plain();
    let config = json!({"eos_token_id": [2, 9], "suppress_tokens": [7, 8]});
    model.write("generation_config.json", &config);
    let subject = model.open();
    assert_eq!(subject.end_tokens(), [2, 9]);
    let plan = plan(&subject, &request(&["math"], 1)).unwrap();
    assert_eq!(plan.info().settings["end_tokens"], json!([2, 9]));
    assert_eq!(plan.info().settings["suppress_tokens"], json!([7, 8]));
}
