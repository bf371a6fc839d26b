//! What `--memory` promises holds for models with recurrent layers, whose states weigh more than a token's keys and values.
//! Alone in its binary, because it measures the process.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/peak.rs"]
mod meter;

use std::sync::atomic::AtomicBool;

use common::{Model, request, samples, tight};
use meter::peak;
use neuro_path::Block;
use neuro_record::RunData;
use neuro_scan::{OpenOptions, Paths, ScanRequest, Subject, measure, plan};
use serde_json::json;

const MIB: u64 = 1 << 20;
const DEPTH: usize = 4;

/// Three layers in four are recurrent; each state takes a MiB, what a token leaves there 10 KiB.
fn hybrid() -> Model {
    let model = Model::plain().with(&json!({
        "model_type": "qwen3_next", "architectures": ["Qwen3NextForCausalLM"], "tie_word_embeddings": false,
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": DEPTH, "head_dim": 32,
        "num_attention_heads": 2, "num_key_value_heads": 1, "partial_rotary_factor": 0.5,
        "linear_num_key_heads": 8, "linear_num_value_heads": 16, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
        "linear_conv_kernel_dim": 4, "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16, "norm_topk_prob": true, "mlp_only_layers": [0, 1, 2, 3],
    }));
    model.store(|_, _| {});
    model
}

fn scan(subject: &Subject, request: &ScanRequest) -> (RunData, u64) {
    let plan = plan(subject, request).unwrap();
    let data = measure(subject, &plan, &mut (), &AtomicBool::new(false)).unwrap().data;
    (data, plan.summary().memory_needed_bytes.unwrap())
}

#[test]
fn a_budget_is_kept_where_layers_are_recurrent() {
    let model = hybrid();
    let blocks = [(0, 4), (0, 2), (1, 3), (2, 3), (3, 4)].map(|(i, j)| Block::new(i, j, DEPTH).unwrap());
    let paths: Vec<_> = blocks.map(|block| block.path(DEPTH).unwrap()).to_vec();
    let mut all = Vec::new();
    // The tight budgets first, because an allocator keeps what it was given.
    for is_tight in [true, false] {
        // By log-probability, where states are let go behind their layer, and generating, where they stay.
        for probe in ["math:likelihood", "math"] {
            let subject = Subject::open(model.dir.path(), &OpenOptions::default()).unwrap();
            let asked = ScanRequest { paths: Paths::List(paths.clone()), ..request(&[probe], 3) };
            let roomy = ScanRequest { memory_bytes: Some(2048 * MIB), ..asked.clone() };
            let request = if is_tight { tight(&subject, &asked) } else { roomy };
            let budget = request.memory_bytes.unwrap();
            let ((data, needed), peak) = peak(|| scan(&subject, &request));
            println!("{probe}, {} MiB: needs {}, peak {:?}", budget / MIB, needed / MIB, peak.map(|peak| peak / MIB));
            assert!(needed <= budget, "{probe}: {needed} of {budget}");
            assert!(peak.is_none_or(|peak| peak <= budget / 10 * 11), "{probe}: {peak:?} of {budget}");
            all.push((probe, data));
        }
    }
    let (narrow, roomy) = all.split_at(2);
    for ((probe, narrow), (_, roomy)) in narrow.iter().zip(roomy) {
        let (narrow, roomy) = (samples(narrow), samples(roomy));
        assert_eq!(narrow.len(), roomy.len());
        for (narrow, roomy) in narrow.iter().zip(&roomy) {
            assert_eq!((&narrow.answer, &narrow.stop), (&roomy.answer, &roomy.stop), "{probe}: {}", narrow.path);
            let pairs = narrow.logprobs.iter().flatten().zip(roomy.logprobs.iter().flatten());
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6), "{probe}: {}", narrow.path);
        }
    }
}
