//! What the weights' type does to the scores, in words.

use neuro_record::RunData;
use neuro_stats::type_effect;

use crate::number::{counted, score, signed};

/// One line for each probe of a run with quantised weights: `Q8_0 against f32 on math:likelihood, baseline: score 0.412,
/// was 0.415; -0.003 [-0.006, +0.001] on 32 questions`. Empty where nothing was quantised.
#[must_use]
pub fn type_effect_lines(data: &RunData) -> Vec<String> {
    let line = |probe: &neuro_record::ProbeInfo| {
        let effect = type_effect(data, &probe.name)?;
        let interval = effect
            .delta
            .interval
            .map_or_else(String::new, |bounds| format!(" [{}, {}]", signed(bounds.low, 4), signed(bounds.high, 4)));
        Some(format!(
            "{} against f32 on {}, baseline: score {}, was {}; {}{interval} on {}",
            data.info.compute,
            probe.name,
            score(effect.score, 4),
            score(effect.reference, 4),
            signed(effect.delta.mean, 4),
            counted(effect.delta.n, "question"),
        ))
    };
    data.info.probes.iter().filter_map(line).collect()
}
