//! Why a verdict was reached, in sentences for people. Every number in them stands in the verdict as well.

use super::{Effect, Judge, OtherEffect, PathVerdict, Verdict, VerdictOptions};

/// The reasons, the one that decided first.
pub(super) fn reasons(found: &PathVerdict, is_up: bool, options: &VerdictOptions) -> Vec<String> {
    let mut reasons = Vec::new();
    let Some(effect) = &found.effect else {
        return vec!["its scores cannot be paired with the baseline's".to_owned()];
    };
    let p = found.corrected_p.unwrap_or(1.0);
    let significance = format!("corrected p = {}", number(p));
    match found.verdict {
        Verdict::Gain => reasons.push(format!("{} against the baseline, {significance}", signed(effect.delta))),
        Verdict::Loss => reasons.push(format!("{} against the baseline, {significance}", signed(effect.delta))),
        Verdict::Trade => {
            let against: Vec<String> = found
                .others
                .iter()
                .filter(|other| other.judge != Judge::Guard)
                .filter(|other| if is_up { other.is_below } else { other.is_above })
                .map(|other| told(other).trim_end().to_owned())
                .collect();
            reasons.push(format!(
                "{} against the baseline, {significance}, but {}",
                signed(effect.delta),
                against.join(" and ")
            ));
        }
        Verdict::NotShown if is_up => {
            let mark = found.controls.mark.unwrap_or(0.0);
            reasons.push(format!(
                "{} against the baseline, {significance}, but random paths of its overhead reach {}",
                signed(effect.delta),
                signed(mark)
            ));
        }
        Verdict::NotShown => reasons.push(format!("{} against the baseline, {significance}", signed(effect.delta))),
    }
    match found.controls.n {
        0 => reasons.push("there is no control of its overhead to compare with".to_owned()),
        n if !found.controls.is_percentile => reasons.push(format!(
            "there are only {n} controls of its overhead, so it must be above all of them instead of their 95th percentile"
        )),
        _ => {}
    }
    if found.verdict == Verdict::NotShown {
        reasons.push(seen(effect, found.visible, options));
    }
    let judged = |judge: Judge| found.others.iter().any(|other| other.judge == judge && other.effect.is_some());
    let answers = found.others.iter().filter(|other| matches!(other.judge, Judge::Greedy | Judge::Sampled));
    let answers: Vec<&OtherEffect> = answers.filter(|other| other.effect.is_some()).collect();
    let is_likelihood = found.judge == Judge::Likelihood;
    if is_likelihood
        && found.verdict == Verdict::Gain
        && !answers.is_empty()
        && answers.iter().all(|other| !other.is_above)
    {
        let told: Vec<String> = answers.into_iter().map(told).collect();
        reasons.push(format!("no answers are shown to be better: {}", told.join("; ")));
    }
    for (judge, what) in [(Judge::Sampled, "sampling"), (Judge::Likelihood, "likelihood")] {
        if found.judge != judge && !judged(judge) {
            reasons.push(format!("{what} was not judged"));
        }
    }
    for sham in found.shams.iter().filter(|sham| found.verdict == Verdict::Gain && sham.delta >= effect.delta) {
        reasons.push(format!("its {} is not what helps: {} gives {}", sham.kind, sham.path, signed(sham.delta)));
    }
    for guard in found.others.iter().filter(|other| other.judge == Judge::Guard && other.is_below) {
        reasons.push(format!("it costs on a guard: {}", told(guard)));
    }
    reasons
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

fn told(other: &OtherEffect) -> String {
    let delta = other.effect.as_ref().map_or(0.0, |effect| effect.delta);
    let what = match other.judge {
        Judge::Sampled => "sampled",
        Judge::Greedy => "greedy",
        Judge::Likelihood => "likelihood",
        Judge::Guard => other.probe.as_str(),
    };
    format!("{what} {}, p = {}", signed(delta), number(other.p.unwrap_or(1.0)))
}

/// A delta for people: three digits behind the point, and of a small one two that are not 0.
#[must_use]
pub fn signed(delta: f64) -> String {
    let size = delta.abs();
    let digits = if size > 0.0 && size < 0.01 { (1.0 - size.log10().floor()).clamp(3.0, 9.0) as usize } else { 3 };
    format!("{delta:+.digits$}")
}

/// A p for people: three digits, and never 0.
fn number(p: f64) -> String {
    if p < 0.0005 { format!("{p:.1e}") } else { format!("{p:.3}") }
}

#[cfg(test)]
mod tests {
    use super::signed;

    #[test]
    fn small_deltas_keep_their_size() {
        let told = [0.25, -0.0951, 0.01, 0.00017, -0.0043, 0.0, 1e-15].map(signed);
        assert_eq!(told, ["+0.250", "-0.095", "+0.010", "+0.00017", "-0.0043", "+0.000", "+0.000000000"]);
    }
}
