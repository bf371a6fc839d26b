//! What a reader of a row must know about how its number came to be.

use neuro_checkpoint::RopeScaling;
use neuro_engine::StopReason;
use neuro_probe::{Probe, Scoring, Terminator};
use neuro_record::Sample;

use crate::Subject;
use crate::prompt::Asked;
use crate::turn::Turn;

/// Remarks that hold for every path: they follow from the questions and the model.
pub(crate) fn of_probe(subject: &Subject, turn: Option<&Turn>, probe: &Probe, asked: &[Asked]) -> Vec<String> {
    let config = subject.config();
    let mut notes = Vec::new();
    let above = |limit: usize| asked.iter().filter(|asked| asked.span() > limit).count();
    let trained = config.layers.iter().filter_map(|layer| match layer.attention.rope.scaling {
        RopeScaling::Dynamic { trained, .. } => Some(trained),
        _ => None,
    });
    if let Some((trained, count)) = trained.min().map(|trained| (trained, above(trained))).filter(|(_, n)| *n > 0) {
        notes.push(format!(
            "dynamic RoPE: {count} of {} questions may exceed the trained {trained} tokens; each one's base is fixed \
             from its prompt plus generation limit, or plus key",
            asked.len()
        ));
    }
    let context = config.max_position_embeddings;
    let count = above(context);
    if count > 0 {
        notes.push(format!("{count} of {} questions may exceed the model's context of {context} tokens", asked.len()));
    }
    let turn = turn.filter(|_| !probe.always_plain());
    notes.extend(turn.and_then(|turn| turn.thinking.as_ref()).map(|thinking| thinking.note().to_owned()));
    let unended = turn.is_some_and(|turn| turn.end.is_none());
    if unended && probe.scoring() == Scoring::Likelihood && matches!(probe.terminator(true), Terminator::EndOfTurn) {
        notes.push("the model has no token that ends a turn; the key is scored without terminator".to_owned());
    }
    let penalty = subject.checkpoint().generation.repetition_penalty.filter(|&penalty| penalty != 1.0);
    if let Some(penalty) = penalty.filter(|_| probe.draws() > 0) {
        notes.push(format!("the model's settings ask for repetition_penalty {penalty}, which is not applied"));
    }
    notes.extend(probe.notes());
    notes
}

/// Remarks on what happened on one path. They follow from the samples, so that a resumed run writes the same.
pub(crate) fn of_samples(samples: &[&Sample]) -> Option<String> {
    let count = samples.iter().filter(|sample| sample.stop.as_deref() == Some(StopReason::NotFinite.name())).count();
    (count > 0)
        .then(|| format!("{count} of {} questions met activations that are not finite; they score 0", samples.len()))
}
