//! The verdict on finalists: from paired scores on fresh questions to gain, loss, trade or not shown.
//!
//! The law (fixed before anything is measured): a *gain* needs a Holm-corrected p below `alpha` and an interval above 0
//! against the baseline, a delta above the controls' (without any there is no gain), questions that nobody saw, a judge
//! beside greedy decoding (sampled or likelihood), and none of the judges below the baseline. A *loss* needs as much
//! proof below 0. Where a second judge proves the contrary of what is proven, the verdict is *trade*. Guards are reported,
//! never weighed.
//!
//! Whatever is claimed rests on a p that Holm's method has corrected for all tests of its family:
//!
//! - the effect on the confirmed probe, for all finalists;
//! - a second judge, for the second judges of its path: they are heard only where the path's own effect is proven among
//!   all finalists, and the claim is made of one path;
//! - a guard, for the guards of all finalists: nothing stands before them.
//!
//! A run may be confirmed again, which is another chance of an error. The k-th confirmation therefore tests finalists and
//! guards at alpha ⁄ 2ᵏ⁻¹ (Holm's p counts 2ᵏ⁻¹ times): the first one as if it were alone, and all of a run together, however
//! many and however chosen in the light of those before, claim a gain or a loss that is none with a probability of at most
//! 2·alpha (alpha-spending; Foster and Stine, J. R. Stat. Soc. B 70, 2008): conditional on all before, each errs at its own
//! level, and levels add up. A second judge is heard only behind a proven effect, and so is not tested more strictly.
//!
//! What is only a doubt is not corrected, since correction would make it easier to overlook: a second judge that is below
//! the baseline by its own p alone proves no trade, but no gain is called. Nor is the test of whether answers fail alike.

mod evidence;
mod failures;
#[cfg(test)]
mod tests;
mod words;

pub use evidence::evidence;
pub use failures::Failures;
pub use words::{digits_of_p, signed as signed_delta};

use crate::effect::{Effect, Resampling};
use crate::multiplicity::holm;

/// Scores of baseline and path on the same questions in the same order, each in [0, 1].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Paired {
    /// The baseline's, one per question.
    pub baseline: Vec<f64>,
    /// The path's.
    pub path: Vec<f64>,
    /// Of each question the share of the baseline's answers that [are none](Failures); empty where it is not known.
    pub baseline_failed: Vec<f64>,
    /// The path's.
    pub path_failed: Vec<f64>,
}

impl Paired {
    /// Scores of baseline and path, of which is not known which answers failed.
    #[must_use]
    pub fn new(baseline: Vec<f64>, path: Vec<f64>) -> Self {
        Self { baseline, path, ..Self::default() }
    }

    /// What the path does to these scores; none where they cannot be paired.
    fn effect(&self, options: &VerdictOptions) -> Option<Effect> {
        Effect::of(&self.baseline, &self.path, options.resampling())
    }
}

/// What is known of all finalists of one confirmation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// The finalists, in their order; Holm's correction runs over all of them.
    pub finalists: Vec<FinalistEvidence>,
    /// Confirmations of the run before this one; each of them halves the level that is left to the next.
    pub earlier: usize,
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

impl VerdictOptions {
    /// The level that is left to the finalists of a confirmation behind so many others of its run.
    #[must_use]
    pub fn alpha_after(&self, earlier: usize) -> f64 {
        self.alpha / Corrected::times(earlier) as f64
    }

    fn resampling(&self) -> Resampling {
        let &Self { resamples, permutations, seed, .. } = self;
        Resampling { resamples, permutations, seed }
    }
}

/// A p that was corrected by Holm's method, and for earlier confirmations of the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corrected {
    /// The corrected p.
    pub p: f64,
    /// Number of tests that it was corrected for, itself among them.
    pub family: usize,
    /// How often Holm's p counts: twice as often for each earlier confirmation of the run, of a second judge once.
    pub times: u64,
}

impl Corrected {
    /// How often a p counts behind so many confirmations.
    fn times(earlier: usize) -> u64 {
        1 << earlier.min(63)
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
    /// p of the effect, corrected for all finalists and earlier confirmations.
    pub corrected: Option<Corrected>,
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
    /// p of the effect: of a judge corrected for the second judges of the path, of a guard for the guards of all finalists.
    pub corrected: Option<Corrected>,
    /// Whether it is significantly below the baseline after correction.
    pub is_below: bool,
    /// Whether it is significantly above the baseline after correction.
    pub is_above: bool,
    /// Whether it is below the baseline by its own p alone.
    pub is_doubt: bool,
}

/// Judges every finalist. Pure: equal evidence and options give equal verdicts.
#[must_use]
pub fn verdict(evidence: &Evidence, options: &VerdictOptions) -> Vec<PathVerdict> {
    let finalists = &evidence.finalists;
    let effects: Vec<Option<Effect>> = finalists.iter().map(|finalist| finalist.scores.effect(options)).collect();
    let times = Corrected::times(evidence.earlier);
    let corrected = corrected_of(effects.iter().map(|effect| effect.as_ref().map(|effect| effect.p)), times);
    let others = other_effects(finalists, times, options);
    let judged = finalists.iter().zip(effects).zip(corrected).zip(others);
    judged
        .map(|(((finalist, effect), corrected), others)| judge(finalist, effect, corrected, others, options))
        .collect()
}

fn judge(
    finalist: &FinalistEvidence,
    effect: Option<Effect>,
    corrected: Option<Corrected>,
    others: Vec<OtherEffect>,
    options: &VerdictOptions,
) -> PathVerdict {
    let controls = ControlCheck::of(effect.as_ref(), &finalist.controls, options);
    let proof = corrected.is_some_and(|corrected| corrected.p < options.alpha);
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
    } else if is_up
        && controls.is_above
        && !is_greedy_alone
        && !finalist.is_seen
        && judges().all(|other| !other.is_doubt)
    {
        Verdict::Gain
    } else {
        Verdict::NotShown
    };
    let tests = corrected.map_or(1.0, |corrected| corrected.family as f64 * corrected.times as f64);
    let visible = effect.as_ref().and_then(|effect| effect.visible(options.alpha / tests, options.power));
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
        corrected,
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

/// Effects of second judges and guards, finalist by finalist, each corrected within its family.
fn other_effects(finalists: &[FinalistEvidence], times: u64, options: &VerdictOptions) -> Vec<Vec<OtherEffect>> {
    let one = |other: &OtherEvidence| OtherEffect {
        judge: other.judge,
        probe: other.probe.clone(),
        effect: other.scores.effect(options),
        failures: Failures::of(&other.scores, options),
        corrected: None,
        is_below: false,
        is_above: false,
        is_doubt: false,
    };
    let mut found: Vec<Vec<OtherEffect>> =
        finalists.iter().map(|finalist| finalist.others.iter().map(one).collect()).collect();
    for others in &mut found {
        correct(others.iter_mut().filter(|other| other.judge != Judge::Guard), 1, options.alpha);
    }
    correct(found.iter_mut().flatten().filter(|other| other.judge == Judge::Guard), times, options.alpha);
    found
}

/// Corrects the effects of one family, and says what they prove.
fn correct<'a>(family: impl Iterator<Item = &'a mut OtherEffect>, times: u64, alpha: f64) {
    let family: Vec<&mut OtherEffect> = family.collect();
    let corrected = corrected_of(family.iter().map(|other| other.effect.as_ref().map(|effect| effect.p)), times);
    for (other, corrected) in family.into_iter().zip(corrected) {
        let (delta, p) = other.effect.as_ref().map_or((0.0, 1.0), |effect| (effect.delta, effect.p));
        let is_proven = corrected.is_some_and(|corrected| corrected.p < alpha);
        other.corrected = corrected;
        (other.is_below, other.is_above) = (is_proven && delta < 0.0, is_proven && delta > 0.0);
        other.is_doubt = p < alpha && delta < 0.0;
    }
}

/// Holm's correction over those that are there, each of which counts so many times.
fn corrected_of(values: impl Iterator<Item = Option<f64>>, times: u64) -> Vec<Option<Corrected>> {
    let values: Vec<Option<f64>> = values.collect();
    let present: Vec<f64> = values.iter().copied().flatten().collect();
    let corrected = |p: f64| Corrected { p: (p * times as f64).min(1.0), family: present.len(), times };
    let mut corrected = holm(&present).into_iter().map(corrected);
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
