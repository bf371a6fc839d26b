//! Templates write different things around an answer; the key is scored where the model would write it.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::AtomicBool;

use neuro_scan::{Paths, ScanRequest, measure, plan};

use crate::common::{Model, request};

/// The user's part of each template below, and the model's turn around it.
fn template(user: &str, header: &str, before: &str, after: &str) -> String {
    format!(
        "{{% for m in messages %}}{{% if m.role == 'user' %}}{user}{{% elif m.role == 'system' %}}\
         {{{{ raise_exception('no system') }}}}{{% else %}}{header}{before}{{{{ m.content }}}}{after}{{% endif %}}\
         {{% endfor %}}{{% if add_generation_prompt %}}{header}{{% endif %}}"
    )
}

/// Scores one key with the template, and expects its tokens to be those of `said` behind a prompt that ends with `read`.
#[track_caller]
fn assert_scored(template: &str, read: &str, said: impl Fn(&str) -> String) {
    let model = Model::with_template(template);
    let subject = model.open();
    let baseline = Paths::List(vec![subject.parse_path("(0,0)").unwrap()]);
    let request = ScanRequest { paths: baseline, ..request(&["math:likelihood"], 1) };
    let plan = plan(&subject, &request).unwrap();
    let data = measure(&subject, &plan, &mut (), &AtomicBool::new(false)).unwrap().data;
    let question = &plan.probes()[0].questions()[0];
    let text = subject.text().unwrap();
    // These templates take no system message, so its text stands in front of the user's.
    let asked = [question.system.as_deref().unwrap(), &question.user].join("\n\n");
    let prompt = text.encode(&format!("{asked}{read}"), false).unwrap();
    let said = text.encode(&said(&question.key), false).unwrap();
    let visits = subject.parse_path("..").unwrap().visits();
    let tokens = [&prompt[..], &said].concat();
    let logits: Vec<Vec<f32>> = subject.decoder().unwrap().logits(&tokens, &visits).unwrap().to_vec2().unwrap();
    let found = data.samples[0].logprobs.as_ref().unwrap();
    assert_eq!(found.len(), said.len());
    for ((found, &token), row) in found.iter().zip(&said).zip(&logits[prompt.len() - 1..]) {
        let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
        assert!((found - (f64::from(row[token as usize]) - sum.ln())).abs() < 1e-5);
    }
}

const USER: &str = "{{ m.content }}";

#[test]
fn the_end_of_turn_follows_the_key() {
    assert_scored(&template(USER, "A:\n", "", "<eos>\n"), "A:\n", |key| format!("{key}<eos>"));
}

#[test]
fn white_space_before_the_answer_is_scored_with_it() {
    assert_scored(&template(USER, "[/I]", " ", "<eos>"), "[/I]", |key| format!(" {key}<eos>"));
}

#[test]
fn what_always_opens_an_answer_is_read_not_scored() {
    assert_scored(&template(USER, "A", "<bos>final: ", "<eos>"), "A<bos>final:", |key| format!(" {key}<eos>"));
}

#[test]
fn another_header_of_a_finished_turn_teaches_nothing_but_its_end() {
    let finished_without_thoughts = template(USER, "A:", "", "<eos>").replace("%}A:{% endif", "%}A:<t></t>{% endif");
    assert_scored(&finished_without_thoughts, "A:<t></t>", |key| format!("{key}<eos>"));
}

#[test]
fn a_template_without_an_end_of_turn_gets_the_tokenizers() {
    assert_scored(&template(USER, "A:", "", ""), "A:", |key| format!("{key}<eos>"));
}
