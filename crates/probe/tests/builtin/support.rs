//! Built-in probes, as their tests build them.

use neuro_probe::{Count, Likelihood, Probe, ProbeRequest, Question, Role};

pub(crate) fn request(count: usize, seed: u64, role: Role) -> ProbeRequest {
    ProbeRequest { count: Count::Some(count), seed, role, ..ProbeRequest::default() }
}

pub(crate) fn probe(name: &str, count: usize) -> Probe {
    Probe::build(name, &request(count, 1, Role::Search)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The whole of a finite probe, or many questions of an endless one.
pub(crate) fn many(name: &str) -> Probe {
    let all = ProbeRequest { count: Count::All, ..ProbeRequest::default() };
    Probe::build(name, &all).unwrap_or_else(|_| probe(name, 300))
}

pub(crate) fn mean(probe: &Probe, answer: impl Fn(&Question) -> String) -> f64 {
    let scores = probe.questions().iter().map(|question| probe.grade(question, &answer(question)).score);
    scores.sum::<f64>() / probe.questions().len() as f64
}

/// The mean score where all continuations are equally probable, whatever their length.
pub(crate) fn knowing_nothing(probe: &Probe) -> f64 {
    let score = |question: &Question| {
        let flat: Vec<Vec<f64>> = question.continuations.iter().flatten().map(|_| vec![-7.0]).collect();
        probe.score_logprobs(question, &flat).score
    };
    probe.questions().iter().map(score).sum::<f64>() / probe.questions().len() as f64
}

/// The mean score where the right continuation of each set is nearly certain.
pub(crate) fn knowing_all(probe: &Probe) -> f64 {
    let score = |question: &Question| {
        let references: Vec<f64> = match probe.likelihood() {
            // `Name: value` lines.
            Likelihood::Expected => {
                question.key.lines().filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
            }
            _ => vec![1.0; question.continuations.len()],
        };
        let sets = question.continuations.iter().zip(&references);
        let nats = sets.flat_map(|(set, right)| {
            set.iter().map(move |part| vec![if (part.value - right).abs() < 0.5 { -0.5 } else { -60.0 }])
        });
        probe.score_logprobs(question, &nats.collect::<Vec<_>>()).score
    };
    probe.questions().iter().map(score).sum::<f64>() / probe.questions().len() as f64
}

pub(crate) const GENERATED: [&str; 6] = ["math", "eq", "reason", "recall", "follow", "sane"];
pub(crate) const LIKELY: [&str; 4] = ["eq:likelihood", "reason:likelihood", "recall:likelihood", "follow:likelihood"];
