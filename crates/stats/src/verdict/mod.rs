//! The verdict on finalists: from paired scores on fresh questions to gain, loss, trade or not shown.
//!
//! The law (fixed before anything is measured): a *gain* needs a Holm-corrected p below `alpha` and an interval above 0
//! against the baseline, a delta above the controls' (without any there is no gain), questions that nobody saw, a judge beside greedy decoding
//! (sampled or likelihood), and none of the judges significantly below the baseline. Where judges contradict each other significantly, the verdict is *trade*. Correction makes a gain
//! harder to claim, so that the judges that can only forbid one are not corrected. Guards are reported, never weighed.

mod effect;
mod evidence;
mod failures;
#[cfg(test)]
mod tests;
mod words;

pub use effect::{Effect, PairTest, Paired};
pub use evidence::evidence;
pub use failures::Failures;
pub use words::signed as signed_delta;

use crate::multiplicity::holm;

/// What is known of all finalists of one confirmation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// The finalists, in their order; Holm's correction runs over all of them.
    pub finalists: Vec<FinalistEvidence>,
}

/// What is known of one finalist.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalistEvidence {
    /// The path's printed map.
    pub path: String,
    /// Who judges on the confirmed probe.
    pub judge: Judge,
    /// Scores of baseline and path on its fresh questions.
    pub scores: Paired,
    /// Delta of each control of the same overhead, on the same questions.
    pub controls: Vec<f64>,
    /// The same scores, judged otherwise, and what else was asked.
    pub others: Vec<OtherEvidence>,
    /// Paths of the same layers in another order or place: reported, never weighed.
    pub shams: Vec<ShamDelta>,
    /// Whether who named it may have seen its answers to these questions.
    pub is_seen: bool,
}

/// What a sham does to the score.
#[derive(Debug, Clone, PartialEq)]
pub struct ShamDelta {
    /// `order` or `place`: what it has of its own.
    pub kind: String,
    /// The path's printed map.
    pub path: String,
    /// Its delta on the questions of the confirmed probe.
    pub delta: f64,
}

/// Scores of a second judge or of a guard.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherEvidence {
    /// What it is.
    pub judge: Judge,
    /// The probe's name with scoring.
    pub probe: String,
    /// Scores of baseline and path; for several draws per question their mean.
    pub scores: Paired,
}

/// Who judges beside the confirmed probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Judge {
    /// Answers of likeliest tokens.
    Greedy,
    /// Drawn answers, several for each question.
    Sampled,
    /// The probability of the key, or of a text.
    Likelihood,
    /// Another ability: reported, never weighed.
    Guard,
}

impl Judge {
    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Greedy => "greedy",
            Self::Sampled => "sampled",
            Self::Likelihood => "likelihood",
            Self::Guard => "guard",
        }
    }
}

/// How the verdict is reached. The default is the law of the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VerdictOptions {
    /// Two-sided level of every test.
    pub alpha: f64,
    /// Resamples of every bootstrap interval.
    pub resamples: usize,
    /// Draws of a permutation test that is not exact.
    pub permutations: usize,
    /// Seed of both.
    pub seed: u64,
    /// From so many controls on their 95th percentile is the mark; below it is their largest delta.
    pub enough_controls: usize,
    /// Power at which the smallest visible difference is stated.
    pub power: f64,
}

impl Default for VerdictOptions {
    fn default() -> Self {
        Self { alpha: 0.05, resamples: 2_000, permutations: 10_000, seed: 0, enough_controls: 20, power: crate::POWER }
    }
}

/// The verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Better than the baseline and than random paths of the same overhead, and nowhere contradicted.
    Gain,
    /// Worse than the baseline.
    Loss,
    /// Better by one judge and worse by another.
    Trade,
    /// Neither of these; it does not mean that there is no effect.
    NotShown,
}

impl Verdict {
    /// Every verdict, in order.
    pub const ALL: [Self; 4] = [Self::Gain, Self::Loss, Self::Trade, Self::NotShown];

    /// Its name in files and for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gain => "gain",
            Self::Loss => "loss",
            Self::Trade => "trade",
            Self::NotShown => "not shown",
        }
    }
}

/// The verdict on one path with everything that it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct PathVerdict {
    /// The path's printed map.
    pub path: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether who named it may have seen its answers to these questions, which then show no gain.
    pub is_seen: bool,
    /// Who judges on the confirmed probe.
    pub judge: Judge,
    /// Effect on the confirmed probe; none where the scores cannot be paired, and then nothing is shown.
    pub effect: Option<Effect>,
    /// Answers that are none; no value where there are no such.
    pub failures: Option<Failures>,
    /// p of the effect, Holm-corrected over the finalists.
    pub corrected_p: Option<f64>,
    /// How it compares with the controls.
    pub controls: ControlCheck,
    /// Second judges and guards, in the order of the evidence.
    pub others: Vec<OtherEffect>,
    /// The shams.
    pub shams: Vec<ShamDelta>,
    /// The smallest true gain that passes the test with [`VerdictOptions::power`] at the strictest corrected level; none
    /// where none does that the baseline leaves room for.
    pub visible: Option<f64>,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// Those of the reasons without which the verdict would be misread: what limits a gain, and why a path that beats the
    /// baseline is not called one.
    pub caveats: Vec<String>,
}

/// A finalist's delta beside those of its controls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ControlCheck {
    /// Number of controls.
    pub n: usize,
    /// What the delta must exceed: the 95th percentile of the controls' deltas (linear between neighbours), or their
    /// largest where they are too few for that; none without controls.
    pub mark: Option<f64>,
    /// Whether the mark is a percentile.
    pub is_percentile: bool,
    /// Whether the delta exceeds it; false without controls.
    pub is_above: bool,
}

/// Effect by a second judge or on a guard.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherEffect {
    /// Who judges.
    pub judge: Judge,
    /// The probe's name with scoring.
    pub probe: String,
    /// The effect; none where scores cannot be paired.
    pub effect: Option<Effect>,
    /// Answers that are none; no value where there are no such.
    pub failures: Option<Failures>,
    /// For guards p Holm-corrected over the path's guards; for judges, which can only forbid, p itself.
    pub p: Option<f64>,
    /// Whether it is significantly below the baseline.
    pub is_below: bool,
    /// Whether it is significantly above the baseline.
    pub is_above: bool,
}

/// Judges every finalist. Pure: equal evidence and options give equal verdicts.
#[must_use]
pub fn verdict(evidence: &Evidence, options: &VerdictOptions) -> Vec<PathVerdict> {
    let effects: Vec<Option<Effect>> =
        evidence.finalists.iter().map(|finalist| Effect::of(&finalist.scores, options)).collect();
    let corrected = holm_of(effects.iter().map(|effect| effect.as_ref().map(|effect| effect.p)));
    let family = effects.iter().flatten().count().max(1);
    let judged = evidence.finalists.iter().zip(effects).zip(corrected);
    judged.map(|((finalist, effect), corrected_p)| judge(finalist, effect, corrected_p, family, options)).collect()
}

fn judge(
    finalist: &FinalistEvidence,
    effect: Option<Effect>,
    corrected_p: Option<f64>,
    family: usize,
    options: &VerdictOptions,
) -> PathVerdict {
    let controls = ControlCheck::of(effect.as_ref(), &finalist.controls, options);
    let others = other_effects(&finalist.others, options);
    let proof = corrected_p.is_some_and(|p| p < options.alpha);
    let is_up = proof && effect.as_ref().is_some_and(|effect| effect.interval.is_some_and(|bounds| bounds.low > 0.0));
    let is_down =
        proof && effect.as_ref().is_some_and(|effect| effect.interval.is_some_and(|bounds| bounds.high < 0.0));
    let judges = || others.iter().filter(|other| other.judge != Judge::Guard);
    let is_greedy_alone =
        finalist.judge == Judge::Greedy && judges().all(|other| other.judge == Judge::Greedy || other.effect.is_none());
    let verdict = if is_up && judges().any(|other| other.is_below) || is_down && judges().any(|other| other.is_above) {
        Verdict::Trade
    } else if is_down {
        Verdict::Loss
    } else if is_up && controls.is_above && !is_greedy_alone && !finalist.is_seen {
        Verdict::Gain
    } else {
        Verdict::NotShown
    };
    let visible = effect.as_ref().and_then(|effect| effect.visible(options.alpha / family as f64, options.power));
    let (path, judge) = (finalist.path.clone(), finalist.judge);
    let (shams, is_seen) = (finalist.shams.clone(), finalist.is_seen);
    let failures = Failures::of(&finalist.scores, options);
    let (reasons, caveats) = (Vec::new(), Vec::new());
    let mut found = PathVerdict {
        path,
        verdict,
        is_seen,
        judge,
        effect,
        failures,
        corrected_p,
        controls,
        others,
        shams,
        visible,
        reasons,
        caveats,
    };
    (found.reasons, found.caveats) = words::told(&found, is_up, options);
    found
}

/// Effects of second judges, each by itself, and of guards, corrected among themselves.
fn other_effects(others: &[OtherEvidence], options: &VerdictOptions) -> Vec<OtherEffect> {
    let effects: Vec<Option<Effect>> = others.iter().map(|other| Effect::of(&other.scores, options)).collect();
    let is_guard = |index: usize| others[index].judge == Judge::Guard;
    let of_guard =
        |(index, effect): (usize, &Option<Effect>)| effect.as_ref().filter(|_| is_guard(index)).map(|effect| effect.p);
    let guards = holm_of(effects.iter().enumerate().map(of_guard));
    let one = |(index, (other, effect)): (usize, (&OtherEvidence, Option<Effect>))| {
        let p = if is_guard(index) { guards[index] } else { effect.as_ref().map(|effect| effect.p) };
        let is_proven = p.is_some_and(|p| p < options.alpha);
        let delta = effect.as_ref().map_or(0.0, |effect| effect.delta);
        OtherEffect {
            judge: other.judge,
            probe: other.probe.clone(),
            effect,
            failures: Failures::of(&other.scores, options),
            p,
            is_below: is_proven && delta < 0.0,
            is_above: is_proven && delta > 0.0,
        }
    };
    others.iter().zip(effects).enumerate().map(one).collect()
}

/// Holm's correction over those that are there.
fn holm_of(values: impl Iterator<Item = Option<f64>>) -> Vec<Option<f64>> {
    let values: Vec<Option<f64>> = values.collect();
    let present: Vec<f64> = values.iter().copied().flatten().collect();
    let mut corrected = holm(&present).into_iter();
    values.into_iter().map(|value| value.and_then(|_| corrected.next())).collect()
}

impl ControlCheck {
    fn of(effect: Option<&Effect>, controls: &[f64], options: &VerdictOptions) -> Self {
        let mut sorted: Vec<f64> = controls.iter().copied().filter(|delta| delta.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let is_percentile = n >= options.enough_controls.max(1);
        let mark =
            if is_percentile { Some(crate::bootstrap::percentile(&sorted, 0.95)) } else { sorted.last().copied() };
        let delta = effect.map_or(f64::NAN, |effect| effect.delta);
        // Sums in another order differ in their last bits.
        let is_above = mark.is_some_and(|mark| delta > mark + crate::bootstrap::TIE);
        Self { n, mark, is_percentile, is_above }
    }
}
