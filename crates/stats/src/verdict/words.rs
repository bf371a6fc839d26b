//! Why a verdict was reached, in sentences for people. Every number in them stands in the verdict as well.

use super::{Corrected, Failures, Judge, OtherEffect, PathVerdict, Verdict, VerdictOptions};
use crate::compare::ALPHA;
use crate::effect::Effect;

/// The reasons, the one that decided first, and those of them that are caveats.
pub(super) fn told(found: &PathVerdict, is_up: bool, options: &VerdictOptions) -> (Vec<String>, Vec<String>) {
    let Some(effect) = &found.effect else {
        return (vec!["its scores cannot be paired with the baseline's".to_owned()], Vec::new());
    };
    let (decided, is_caveat) = decided(found, effect, is_up);
    let mut caveats: Vec<String> = decided.iter().filter(|_| is_caveat).cloned().collect();
    let mut reasons = decided;
    if found.is_seen && !is_caveat {
        let seen = "its search has asked these questions as well, so that they cannot show a gain".to_owned();
        caveats.push(seen.clone());
        reasons.push(seen);
    }
    let mut limits = limits(found, effect);
    limits.extend(failing(found, options));
    reasons.extend(limits.iter().cloned());
    if found.verdict == Verdict::Gain {
        caveats.extend(limits);
    }
    if found.verdict == Verdict::NotShown {
        reasons.push(seen(effect, found.visible, options));
    }
    for guard in found.others.iter().filter(|other| other.judge == Judge::Guard && other.is_below) {
        reasons.push(format!("it costs on a guard: {}", judged_so(guard)));
    }
    for guard in found.others.iter().filter(|other| other.judge == Judge::Guard) {
        reasons.extend(unlike(&guard.probe, guard.failures.as_ref(), false, options));
    }
    (reasons, caveats)
}

/// What decided, and whether it says why a path that beats the baseline is no gain.
fn decided(found: &PathVerdict, effect: &Effect, is_up: bool) -> (Vec<String>, bool) {
    let significance = corrected_words(found.corrected, "finalist", "finalists");
    let against_baseline = format!("{} against the baseline, {significance}", signed(effect.delta));
    let but = match found.verdict {
        Verdict::Trade => {
            let judges = found.others.iter().filter(|other| other.judge != Judge::Guard);
            let against = judges.filter(|other| if is_up { other.is_below } else { other.is_above });
            against.map(judged_so).collect::<Vec<_>>().join(" and ")
        }
        Verdict::NotShown if is_up && found.is_seen => "its search has asked these questions as well".to_owned(),
        Verdict::NotShown if is_up => match found.controls.mark {
            None => "there is no control of its overhead to compare with".to_owned(),
            Some(mark) if !found.controls.is_above => {
                format!("random paths of its overhead reach {}", signed(mark))
            }
            Some(_) => doubted(found),
        },
        Verdict::Gain | Verdict::Loss | Verdict::NotShown => return (vec![against_baseline], false),
    };
    (vec![format!("{against_baseline}, but {but}")], found.verdict == Verdict::NotShown)
}

/// The second judges that forbid a gain; where there are none, nobody confirms greedy answers.
fn doubted(found: &PathVerdict) -> String {
    let doubts = found.others.iter().filter(|other| other.judge != Judge::Guard && other.is_doubt);
    let doubts: Vec<String> = doubts.map(judged_so).collect();
    if doubts.is_empty() {
        return "greedy decoding is its only judge".to_owned();
    }
    format!("{}, which proves no loss and forbids a gain", doubts.join(" and "))
}

/// What limits whatever was decided.
fn limits(found: &PathVerdict, effect: &Effect) -> Vec<String> {
    let mut limits = Vec::new();
    match found.controls.n {
        0 if found.verdict != Verdict::NotShown => {
            limits.push("there is no control of its overhead to compare with".to_owned());
        }
        n if n > 0 && !found.controls.is_percentile => limits.push(format!(
            "there are only {n} controls of its overhead, so it must be above all of them instead of their 95th percentile"
        )),
        _ => {}
    }
    let judged = |judge: Judge| found.others.iter().any(|other| other.judge == judge && other.effect.is_some());
    let answers = found.others.iter().filter(|other| matches!(other.judge, Judge::Greedy | Judge::Sampled));
    let answers: Vec<&OtherEffect> = answers.filter(|other| other.effect.is_some()).collect();
    if found.judge == Judge::Likelihood
        && found.verdict == Verdict::Gain
        && !answers.is_empty()
        && answers.iter().all(|other| !other.is_above)
    {
        let each: Vec<String> = answers.into_iter().map(judged_so).collect();
        limits.push(format!("no answers are shown to be better: {}", each.join("; ")));
    }
    for (judge, what) in [(Judge::Sampled, "sampling"), (Judge::Likelihood, "likelihood")] {
        if found.judge != judge && !judged(judge) {
            limits.push(format!("{what} was not judged"));
        }
    }
    for sham in found.shams.iter().filter(|sham| found.verdict == Verdict::Gain && sham.delta >= effect.delta) {
        limits.push(format!("its {} is not what helps: {} gives {}", sham.kind, sham.path, signed(sham.delta)));
    }
    limits
}

/// Judges by which baseline and path do not fail alike.
fn failing(found: &PathVerdict, options: &VerdictOptions) -> Vec<String> {
    let is_gain = found.verdict == Verdict::Gain;
    let own = unlike(found.judge.name(), found.failures.as_ref(), is_gain, options);
    let judges = found.others.iter().filter(|other| other.judge != Judge::Guard);
    let others = judges.filter_map(|other| unlike(other.judge.name(), other.failures.as_ref(), false, options));
    own.into_iter().chain(others).collect()
}

/// That baseline and path do not fail alike, and what is left where both answered.
fn unlike(judge: &str, failures: Option<&Failures>, is_gain: bool, options: &VerdictOptions) -> Option<String> {
    let Failures { baseline, path, p, answered } = failures.filter(|failures| failures.p < options.alpha)?;
    let mut text = format!(
        "{judge} answers that could not be read, were cut off or not finite: {baseline:.3} of the baseline's, {path:.3} \
         of the path's, uncorrected p = {}; ",
        number(*p)
    );
    match answered {
        Some(Effect { n, delta, p, .. }) => {
            let (delta, p) = (signed(*delta), number(*p));
            text.push_str(&format!("on the {n} questions that both answered {delta}, uncorrected p = {p}"));
        }
        None => text.push_str("there is no question that both answered"),
    }
    let is_left = answered.as_ref().is_some_and(|left| left.p < options.alpha && left.delta > 0.0);
    if is_gain && path < baseline && !is_left {
        text.push_str(", so what is gained may be no more than answers that can be read");
    }
    Some(text)
}

/// What the questions could have shown.
fn seen(effect: &Effect, visible: Option<f64>, options: &VerdictOptions) -> String {
    let (n, power) = (effect.n, 100.0 * options.power);
    match visible {
        Some(visible) => {
            format!(
                "a true gain of {visible:.3} or more passes the test on {n} such questions in {power:.0} of 100 cases"
            )
        }
        None if effect.room() <= 0.0 => "the baseline leaves no room for a gain".to_owned(),
        None => format!(
            "no gain that the baseline leaves room for (at most {:.3}) is known to pass the test on {n} such questions in \
             {power:.0} of 100 cases",
            effect.room()
        ),
    }
}

fn judged_so(other: &OtherEffect) -> String {
    let (delta, p) = other.effect.as_ref().map_or((0.0, 1.0), |effect| (effect.delta, effect.p));
    let (what, one, many) = match other.judge {
        Judge::Guard => (other.probe.as_str(), "guard", "guards"),
        judge => (judge.name(), "second judge", "second judges"),
    };
    let corrected = corrected_words(other.corrected, one, many);
    // By itself it says more than corrected: that is the doubt.
    let alone = if other.is_doubt && !other.is_below { format!("p = {} alone, ", number(p)) } else { String::new() };
    format!("{what} {}, {alone}{corrected}", signed(delta))
}

/// A corrected p, and for what it was corrected.
fn corrected_words(corrected: Option<Corrected>, one: &str, many: &str) -> String {
    let Some(Corrected { p, family, times }) = corrected else { return "not tested".to_owned() };
    let again = if times > 1 { format!(", times {times} for earlier confirmations") } else { String::new() };
    match family {
        1 => format!("p = {} (one {one}{again})", number(p)),
        _ => format!("p = {} corrected for {family} {many}{again}", number(p)),
    }
}

/// A delta for people: three digits behind the point, and of a small one two that are not 0.
#[must_use]
pub fn signed(delta: f64) -> String {
    let size = delta.abs();
    let digits = if size > 0.0 && size < 0.01 { (1.0 - size.log10().floor()).clamp(3.0, 9.0) as usize } else { 3 };
    format!("{delta:+.digits$}")
}

/// A p for people: three digits, or as many as tell its side of the level, and never 0.
fn number(p: f64) -> String {
    if p < 0.0005 { format!("{p:.1e}") } else { format!("{p:.*}", digits_of_p(p)) }
}

/// Digits behind the point of a p of 0.0005 or more: three, and more where these would read [`ALPHA`], at which verdicts turn.
#[must_use]
pub fn digits_of_p(p: f64) -> usize {
    let reads_alpha = |digits: usize| format!("{p:.digits$}").parse::<f64>() == Ok(ALPHA);
    (3..12).find(|&digits| p == ALPHA || !reads_alpha(digits)).unwrap_or(12)
}

#[cfg(test)]
mod tests {
    use super::{number, signed};

    #[test]
    fn small_deltas_keep_their_size() {
        let told = [0.25, -0.0951, 0.01, 0.00017, -0.0043, 0.0, 1e-15].map(signed);
        assert_eq!(told, ["+0.250", "-0.095", "+0.010", "+0.00017", "-0.0043", "+0.000", "+0.000000000"]);
    }

    /// What is written as 0.050 would be read as no proof.
    #[test]
    fn a_p_beside_the_level_shows_its_side() {
        let told = [0.049_96, 0.050_04, 0.05, 0.0494, 0.04, 0.000_02].map(number);
        assert_eq!(told, ["0.04996", "0.05004", "0.050", "0.049", "0.040", "2.0e-5"]);
    }
}
