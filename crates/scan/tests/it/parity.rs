//! What a scan says equals what the plain way says: one path, one prompt, from its beginning.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::AtomicBool;

use neuro_probe::Terminator;
use neuro_record::RunData;
use neuro_scan::{Plan, ScanRequest, Subject, measure, plan};
use neuro_text::{Message, RenderOptions};

use crate::common::{Model, request};

static GO: AtomicBool = AtomicBool::new(false);

fn log_softmax(row: &[f32]) -> Vec<f64> {
    let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    row.iter().map(|&logit| f64::from(logit) - largest - sum.ln()).collect()
}

/// Logits after every token of the sequence, `(seq, vocab)`.
fn logits(subject: &Subject, tokens: &[u32], path: &str) -> Vec<Vec<f32>> {
    let visits = subject.parse_path(path).unwrap().visits();
    subject.decoder().unwrap().logits(tokens, &visits).unwrap().to_vec2().unwrap()
}

fn measured(subject: &Subject, probe: &str, questions: usize) -> (Plan, RunData) {
    let plan = plan(subject, &request(&[probe], questions)).unwrap();
    let data = measure(subject, &plan, &mut (), &GO).unwrap().data;
    (plan, data)
}

#[test]
fn likelihood_of_plain_text() {
    let model = Model::plain();
    let subject = model.open();
    let text = subject.text().unwrap();
    let (plan, data) = measured(&subject, "math:likelihood", 3);
    let probe = &plan.probes()[0];
    for row in &data.rows {
        let mut total = 0.0;
        for question in probe.questions() {
            let prompt = text.encode(&question.plain, true).unwrap();
            // One token per character: the key's tokens are the same alone as behind the prompt.
            let said = text.encode(&format!(" {}\n", question.key), false).unwrap();
            let logits = logits(&subject, &[&prompt[..], &said].concat(), &row.path);
            let logprobs = said.iter().zip(&logits[prompt.len() - 1..]).map(|(&t, row)| log_softmax(row)[t as usize]);
            let logprobs: Vec<f64> = logprobs.collect();
            let sample = data.samples.iter().find(|s| s.path == row.path && s.question == question.id).unwrap();
            let found = sample.logprobs.as_ref().unwrap();
            assert_eq!(found.len(), question.key.len() + 2);
            for (found, expected) in found.iter().zip(&logprobs) {
                assert!((found - expected).abs() < 1e-5, "{} {}: {found} {expected}", row.path, question.id);
            }
            total += (logprobs.iter().sum::<f64>() / logprobs.len() as f64).exp();
        }
        assert!((row.score - total / 3.0).abs() < 1e-5, "{} {}", row.path, row.score);
    }
}

#[test]
fn likelihood_in_a_conversation_ends_with_the_turn() {
    let model = Model::chat();
    let subject = model.open();
    let text = subject.text().unwrap();
    let (plan, data) = measured(&subject, "math:likelihood", 2);
    let probe = &plan.probes()[0];
    assert_eq!(probe.terminator(true), Terminator::EndOfTurn);
    let question = &probe.questions()[0];
    let mut messages: Vec<Message> = question.system.iter().map(Message::system).collect();
    messages.push(Message::user(&question.user));
    let options = RenderOptions { add_generation_prompt: true, ..RenderOptions::default() };
    let prompt = text.encode(&text.render(&messages, &options).unwrap(), false).unwrap();
    let mut said = text.encode(&question.key, false).unwrap();
    said.push(text.token_to_id("<eos>").unwrap());
    for sample in data.samples.iter().filter(|sample| sample.question == question.id) {
        let logits = logits(&subject, &[&prompt[..], &said].concat(), &sample.path);
        let found = sample.logprobs.as_ref().unwrap();
        assert_eq!(found.len(), said.len());
        for ((found, &token), row) in found.iter().zip(&said).zip(&logits[prompt.len() - 1..]) {
            assert!((found - log_softmax(row)[token as usize]).abs() < 1e-5);
        }
    }
}

#[test]
fn answers_are_those_of_greedy_decoding_from_the_beginning() {
    let model = Model::plain();
    let subject = model.open();
    let text = subject.text().unwrap();
    let (plan, data) = measured(&subject, "math", 2);
    let probe = &plan.probes()[0];
    for path in ["0..3", "0..2,1..3", "0..3,0..3"] {
        for question in probe.questions() {
            let prompt = text.encode(&question.plain, true).unwrap();
            let mut tokens = prompt.clone();
            let sample = data.samples.iter().find(|s| s.path == path && s.question == question.id).unwrap();
            for _ in 0..sample.tokens {
                let logits = logits(&subject, &tokens, path).pop().unwrap();
                let best = (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
                tokens.push(u32::try_from(best).unwrap());
            }
            let answer = text.decode(&tokens[prompt.len()..], true).unwrap();
            assert!(sample.tokens > 0);
            assert_eq!(sample.answer.as_deref(), Some(answer.split("\nQuestion").next().unwrap()), "{path}");
            assert_eq!(sample.parsed, probe.grade(question, &answer).parsed);
        }
    }
}

#[test]
fn a_path_alone_scores_as_in_the_triangle() {
    let model = Model::plain();
    let subject = model.open();
    let (_, whole) = measured(&subject, "math:likelihood", 3);
    let path = subject.parse_path("(1,3)").unwrap();
    let paths = neuro_scan::Paths::List(vec![path.clone()]);
    let request = ScanRequest { paths, include_baseline: false, ..request(&["math:likelihood"], 3) };
    let alone = measure(&subject, &plan(&subject, &request).unwrap(), &mut (), &GO).unwrap().data;
    let expected = whole.row(&path.to_string(), "math:likelihood").unwrap();
    assert_eq!(alone.rows.len(), 1);
    assert!((alone.rows[0].score - expected.score).abs() < 1e-7);
}
