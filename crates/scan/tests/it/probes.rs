//! Every built-in probe on a whole model: with and without a chat template, generated and by likelihood.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use neuro_probe::{Count, Likelihood, PROBES, Scoring};
use neuro_record::RunData;
use neuro_scan::{OpenOptions, Paths, Plan, ScanError, ScanRequest, Subject, measure, plan};

use crate::common::{Model, TEMPLATE, request};

static GO: AtomicBool = AtomicBool::new(false);

/// The baseline and one block on these probes.
fn measured(subject: &Subject, base: ScanRequest) -> (Plan, RunData) {
    let paths = Paths::List(vec![subject.parse_path("(0,1)").unwrap()]);
    let plan = plan(subject, &ScanRequest { paths, ..base }).unwrap();
    let data = measure(subject, &plan, &mut (), &GO).unwrap().data;
    (plan, data)
}

/// log softmax of the token behind each position, along the baseline: the plain way.
fn nats(subject: &Subject, prompt: &[u32], said: &[u32]) -> f64 {
    let tokens = [prompt, said].concat();
    let visits = subject.parse_path("..").unwrap().visits();
    let logits: Vec<Vec<f32>> = subject.decoder().unwrap().logits(&tokens, &visits).unwrap().to_vec2().unwrap();
    let one = |(row, &token): (&Vec<f32>, &u32)| {
        let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
        f64::from(row[token as usize]) - sum.ln()
    };
    logits[prompt.len() - 1..].iter().zip(said).map(one).sum()
}

#[test]
fn every_probe_that_can_be_spelled_is_measured() {
    for model in [Model::plain(), Model::chat()] {
        let subject = model.open();
        // The tokenizer knows ASCII; facts and dialogues have other letters as well.
        let probes = ["reason", "reason:likelihood", "follow", "follow:likelihood", "sane"];
        let (_, data) = measured(&subject, request(&probes, 2));
        assert_eq!((data.rows.len(), data.samples.len()), (2 * probes.len(), 4 * probes.len()));
        for row in &data.rows {
            assert!((0.0..=1.0).contains(&row.score), "{row:?}");
        }
        for sample in &data.samples {
            let likely = sample.probe.ends_with(":likelihood");
            assert_eq!((sample.answer.is_none(), sample.logprobs.is_some()), (likely, likely), "{sample:?}");
        }
        for score in data.rows_of("follow:likelihood").chain(data.rows_of("reason:likelihood")).map(|row| row.score) {
            assert!(score > 0.0 && score < 1.0, "a random model is never certain: {score}");
        }
    }
}

#[test]
fn what_the_tokenizer_cannot_say_names_the_probe() {
    let model = Model::plain();
    let subject = model.open();
    let error = plan(&subject, &request(&["recall"], 100)).unwrap_err();
    assert!(matches!(&error, ScanError::Inexpressible { probe, .. } if probe == "recall"), "{error}");
    assert!(error.to_string().contains("cannot be asked the probe `recall`"), "{error}");
}

#[test]
fn choices_have_the_log_probabilities_of_the_plain_way() {
    let (plain, chat) = (Model::plain(), Model::chat());
    for model in [&plain, &chat] {
        let subject = model.open();
        let (plan, data) = measured(&subject, request(&["reason:likelihood"], 3));
        let text = subject.text().unwrap();
        for (question, sample) in plan.probes()[0].questions().iter().zip(&data.samples) {
            let (prompt, space, end) = if subject.is_chat() {
                let system = question.system.as_deref().unwrap();
                let prompt = format!("<bos>system\n{system}<eos>\n<bos>user\n{}<eos>\n<bos>assistant\n", question.user);
                (text.encode(&prompt, false).unwrap(), "", "<eos>")
            } else {
                (text.encode(&question.plain, true).unwrap(), " ", "\n")
            };
            let choices = &question.continuations[0];
            let found = sample.logprobs.as_ref().unwrap();
            assert_eq!(found.len(), choices.len());
            let mut weights = Vec::new();
            for (choice, found) in choices.iter().zip(found) {
                let said = text.encode(&format!("{space}{}{end}", choice.said), false).unwrap();
                let expected = nats(&subject, &prompt, &said);
                assert!((found - expected).abs() < 1e-4, "{}: {found}, not {expected}", choice.said);
                weights.push(expected.exp() * choice.value);
                weights.push(expected.exp() * (1.0 - choice.value));
            }
            let right: f64 = weights.iter().step_by(2).sum();
            let all: f64 = weights.iter().sum();
            assert!((sample.score - right / all).abs() < 1e-4);
            assert_eq!(sample.tokens, choices.iter().map(|choice| choice.said.len() + space.len() + 1).sum::<usize>());
        }
    }
}

#[test]
fn a_text_is_scored_per_byte_and_without_a_template() {
    let text = "The old harbor was quiet that night. Nobody came, and nobody left.";
    for model in [Model::plain(), Model::chat()] {
        let subject = model.open();
        let probes = vec!["text=own.txt".to_owned()];
        let files = [("own.txt".to_owned(), Arc::from(text.as_bytes()))].into();
        let (plan, data) =
            measured(&subject, ScanRequest { probes, files, questions: Some(Count::All), ..ScanRequest::default() });
        assert_eq!(plan.probes()[0].likelihood(), Likelihood::Text);
        let tokens = subject.text().unwrap();
        let (prompt, said) = (tokens.encode("The", true).unwrap(), tokens.encode(&text[3..], false).unwrap());
        let expected = (nats(&subject, &prompt, &said) / (text.len() - 3) as f64).exp();
        assert!((data.rows[0].score - expected).abs() < 1e-6);
        assert_eq!(data.samples[0].logprobs.as_ref().unwrap().len(), text.len() - 3);
    }
    let model = Model::plain();
    let unread = ScanRequest { probes: vec!["text=own.txt".to_owned()], ..ScanRequest::default() };
    let error = plan(&model.open(), &unread).unwrap_err().to_string();
    assert!(error.contains("the content of that file was not given"), "{error}");
}

#[test]
fn an_open_block_of_thoughts_is_closed_and_the_row_says_so() {
    let open = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}");
    let switch = TEMPLATE.replace(
        "assistant\n{% endif %}",
        "assistant\n{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
    );
    for (template, note) in [(open, "its end is written behind it"), (switch, "was told so")] {
        let model = Model::with_template(&template);
        let subject = model.open();
        let (plan, data) = measured(&subject, request(&["reason:likelihood", "reason"], 2));
        assert!(
            data.rows.iter().all(|row| row.notes.iter().any(|found| found.contains(note))),
            "{:?}",
            data.rows[0].notes
        );
        // Either way the model reads the same closed block.
        let text = subject.text().unwrap();
        let question = &plan.probes()[0].questions()[0];
        let system = question.system.as_deref().unwrap();
        let header = "<bos>assistant\n<think>\n\n</think>\n\n";
        let prompt = format!("<bos>system\n{system}<eos>\n<bos>user\n{}<eos>\n{header}", question.user);
        let said = text.encode(&format!("{}<eos>", question.continuations[0][0].said), false).unwrap();
        let expected = nats(&subject, &text.encode(&prompt, false).unwrap(), &said);
        assert!((data.samples[0].logprobs.as_ref().unwrap()[0] - expected).abs() < 1e-4);
    }
    let (_, data) = measured(&Model::chat().open(), request(&["reason"], 1));
    assert!(data.rows[0].notes.is_empty(), "{:?}", data.rows[0].notes);
}

/// On a real, if tiny, model: each probe that it can spell, which are those without brackets and accents.
#[test]
fn a_real_model_answers_what_it_can_spell() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models/TinyStories-656K");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    let subject = Subject::open(&folder, &OpenOptions::default()).unwrap();
    let is_spelled = |name: &&str| match plan(&subject, &request(&[name], 32)) {
        Ok(_) => true,
        Err(ScanError::Inexpressible { .. }) => false,
        Err(error) => panic!("{name}: {error}"),
    };
    let named = PROBES.iter().copied().filter(|name| !name.starts_with("phantom") && *name != "text");
    let probes: Vec<&str> = named.filter(is_spelled).collect();
    assert_eq!(probes, ["math", "math:likelihood", "eq", "eq:likelihood", "text:likelihood", "sane"]);
    let (plan, data) = measured(&subject, request(&probes, 4));
    assert_eq!(data.rows.len(), 2 * probes.len());
    for probe in plan.probes() {
        let row = data.rows_of(probe.name()).next().unwrap();
        if probe.scoring() == Scoring::Likelihood {
            assert!(row.score > 0.0 && row.score < 1.0, "{}: {}", probe.name(), row.score);
        }
        eprintln!("{:18} {:.3}, {} unreadable", probe.name(), row.score, row.parse_failures);
    }
    // It has learnt English prose, so a dialogue is far likelier than bytes drawn at random.
    assert!(data.rows_of("text:likelihood").next().unwrap().score > 0.1);
    // And says some itself.
    assert!(data.rows_of("sane").next().unwrap().score > 0.5);
}
