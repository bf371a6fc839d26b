//! What quantised weights do to the scores, before any path does anything.

use std::collections::HashMap;

use neuro_record::RunData;

use crate::bootstrap::{Delta, paired_delta};
use crate::map::RESAMPLES;

/// The baseline with the run's weights against the baseline with weights as they are stored, on the same questions.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeEffect {
    /// Mean score with the weights as they are stored, computed in f32.
    pub reference: f64,
    /// Mean score with the run's weights.
    pub score: f64,
    /// The run's minus the reference, paired by question.
    pub delta: Delta,
}

/// The effect of the weights' type on a probe; none where nothing was quantised, or nothing of it is measured.
#[must_use]
pub fn type_effect(data: &RunData, probe: &str) -> Option<TypeEffect> {
    let reference: Vec<_> = data.reference.iter().filter(|sample| sample.probe == probe).collect();
    let path = &reference.first()?.path;
    let own = data.samples_of(probe).filter(|sample| sample.path == *path);
    let own: HashMap<&str, f64> = own.map(|sample| (sample.question.as_str(), sample.score)).collect();
    let mut pairs: Vec<(&str, f64, f64)> = reference
        .iter()
        .filter_map(|sample| Some((sample.question.as_str(), sample.score, *own.get(sample.question.as_str())?)))
        .collect();
    // In an order that a resumed run has too, so that its sums have the same digits.
    pairs.sort_by(|a, b| a.0.cmp(b.0));
    let before: Vec<f64> = pairs.iter().map(|(_, before, _)| *before).collect();
    let after: Vec<f64> = pairs.iter().map(|(_, _, after)| *after).collect();
    let delta = paired_delta(&before, &after, RESAMPLES, data.info.seed)?;
    let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    Some(TypeEffect { reference: mean(&before), score: mean(&after), delta })
}
