//! What the weights' type does to the scores, in words.

use neuro_path::LayerPath;
use neuro_record::{CONFIRM_ROLE, PlannedPaths, ProbeInfo, RunData};
use neuro_stats::{TypeEffect, type_effect};

use crate::number::{count, counted, size};
use crate::precision::Precision;

/// Name of the type that is compared with, as [`RunInfo::compute`](neuro_record::RunInfo::compute) says it.
const REFERENCE: &str = "f32";
/// Scores get at least so many digits behind the point.
const DECIMALS: usize = 4;

/// A probe of a run with quantised weights on which nobody knows what their type does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeEffectMissing<'a> {
    /// Its name with scoring.
    pub probe: &'a str,
    /// Bytes that the baseline in f32 needs, where the memory budget has no room for them; none where it is not measured yet.
    pub needed_bytes: Option<u64>,
}

/// The probes on which the effect of quantised weights should have been measured and is not: the run ended before, or the
/// memory budget has no room for it. None for a confirmation, whose claims are between paths of one type, for paths without
/// their baseline, and for what another program measured.
#[must_use]
pub fn type_effect_missing(data: &RunData) -> Vec<TypeEffectMissing<'_>> {
    let info = &data.info;
    let is_confirmation = info.settings.get("role").and_then(serde_json::Value::as_str) == Some(CONFIRM_ROLE);
    let has_baseline = match &info.plan.paths {
        PlannedPaths::Triangle => true,
        PlannedPaths::List(paths) => {
            LayerPath::baseline(info.model.layers).is_ok_and(|baseline| paths.contains(&baseline.to_string()))
        }
    };
    if info.compute == REFERENCE || info.is_imported() || is_confirmation || !has_baseline {
        return Vec::new();
    }
    let missing = info.probes.iter().filter(|probe| type_effect(data, &probe.name).is_none());
    let needed = |probe: &ProbeInfo| info.plan.reference_needs.get(&probe.name).copied();
    missing.map(|probe| TypeEffectMissing { probe: &probe.name, needed_bytes: needed(probe) }).collect()
}

/// One line for each probe of a run with quantised weights: `Q8_0 against f32 on math:likelihood, baseline: score 0.4120,
/// was 0.4150; -0.0030 [-0.0060, +0.0010] on 32 questions`, or `… baseline: not measured; it needs 268.9 MiB, the memory
/// budget was 160.0 MiB`. Empty where nothing was quantised.
#[must_use]
pub fn type_effect_lines(data: &RunData) -> Vec<String> {
    let missing = type_effect_missing(data);
    let line = |probe: &ProbeInfo| {
        let said = match type_effect(data, &probe.name) {
            Some(effect) => measured(&effect, probe.questions),
            None => match missing.iter().find(|missing| missing.probe == probe.name)?.needed_bytes {
                Some(needed) => {
                    let budget = size(data.info.plan.memory_bytes);
                    format!("not measured; it needs {}, the memory budget was {budget}", size(needed))
                }
                None => "not measured yet".to_owned(),
            },
        };
        Some(format!("{} against {REFERENCE} on {}, baseline: {said}", data.info.compute, probe.name))
    };
    data.info.probes.iter().filter_map(line).collect()
}

/// With as many digits as show the interval.
fn measured(effect: &TypeEffect, questions: usize) -> String {
    let precision = Precision::of_delta(&effect.delta, DECIMALS);
    let interval = effect.delta.interval.as_ref().map(|bounds| format!(" {}", precision.interval(bounds)));
    let n = effect.delta.n;
    let of = if n < questions { format!("{} of ", count(n)) } else { String::new() };
    format!(
        "score {}, was {}; {}{} on {of}{}",
        precision.score(effect.score),
        precision.score(effect.reference),
        precision.signed(effect.delta.mean),
        interval.unwrap_or_default(),
        counted(questions.max(n), "question"),
    )
}

#[cfg(test)]
mod tests {
    use neuro_stats::{Delta, Interval};

    use super::*;

    #[test]
    fn small_effects_show_their_interval() {
        let effect = |scale: f64| TypeEffect {
            reference: 0.001_417,
            score: 0.001_412,
            delta: Delta {
                mean: -4.7 * scale,
                interval: Some(Interval { low: -32.0 * scale, high: 22.0 * scale }),
                n: 32,
            },
        };
        let of = |scale: f64| measured(&effect(scale), 32);
        assert_eq!(of(1e-6), "score 0.001412, was 0.001417; -0.000005 [-0.000032, +0.000022] on 32 questions");
        assert_eq!(of(1e-3), "score 0.0014, was 0.0014; -0.0047 [-0.0320, +0.0220] on 32 questions");
        assert_eq!(of(0.0), "score 0.0014, was 0.0014; 0.0000 [0.0000, 0.0000] on 32 questions");
        assert!(measured(&effect(1e-3), 64).ends_with(" on 32 of 64 questions"));
        // A bound that is not 0 never reads like one.
        let mut sure = effect(1e-3);
        sure.delta.interval = Some(Interval { low: -0.032, high: -0.000_002 });
        assert!(measured(&sure, 32).contains("-0.0047 [-0.032000, -0.000002] on"), "{}", measured(&sure, 32));
    }
}
