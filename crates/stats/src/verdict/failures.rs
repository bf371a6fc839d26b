//! Answers that are none, apart from what the others are worth: a path may score higher because it answers better, or
//! because more of its answers can be read.

use super::{Paired, VerdictOptions};
use crate::effect::Effect;

/// How often baseline and path give no answer, paired by question: it could not be read, ran into its limit of tokens,
/// or the activations were not finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Failures {
    /// Share of the baseline's answers, in [0, 1].
    pub baseline: f64,
    /// Share of the path's.
    pub path: f64,
    /// Two-sided p of the hypothesis that both fail alike, tested as scores are; not corrected, since it only warns.
    pub p: f64,
    /// The effect on the questions to which both gave an answer, of several draws each time; none without such questions.
    pub answered: Option<Effect>,
}

impl Failures {
    /// The failures; none where nobody failed, or it is not known.
    #[must_use]
    pub fn of(scores: &Paired, options: &VerdictOptions) -> Option<Self> {
        let Paired { baseline, path, baseline_failed, path_failed } = scores;
        let lengths = [path.len(), baseline_failed.len(), path_failed.len()];
        if lengths != [baseline.len(); 3] || baseline_failed.iter().chain(path_failed).all(|failed| *failed == 0.0) {
            return None;
        }
        let failed = Paired::new(baseline_failed.clone(), path_failed.clone());
        let failed = failed.effect(options)?;
        let mut answered = Paired::default();
        for (question, (base_failed, own_failed)) in baseline_failed.iter().zip(path_failed).enumerate() {
            if *base_failed == 0.0 && *own_failed == 0.0 {
                answered.baseline.push(baseline[question]);
                answered.path.push(path[question]);
            }
        }
        let answered = answered.effect(options);
        Some(Self { baseline: failed.baseline, path: failed.path, p: failed.p, answered })
    }
}
