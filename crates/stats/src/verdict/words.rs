//! Why a verdict was reached, in sentences for people. Every number in them stands in the verdict as well.

use super::{Judge, OtherEffect, PathVerdict, Verdict, VerdictOptions};

/// The reasons, the one that decided first.
pub(super) fn reasons(found: &PathVerdict, is_up: bool, options: &VerdictOptions) -> Vec<String> {
    let mut reasons = Vec::new();
    let Some(effect) = &found.effect else {
        return vec!["its scores cannot be paired with the baseline's".to_owned()];
    };
    let p = found.corrected_p.unwrap_or(1.0);
    let significance = format!("corrected p = {}", number(p));
    match found.verdict {
        Verdict::Gain => reasons.push(format!("{:+.3} against the baseline, {significance}", effect.delta)),
        Verdict::Loss => reasons.push(format!("{:+.3} against the baseline, {significance}", effect.delta)),
        Verdict::Trade => {
            let against: Vec<String> = found
                .others
                .iter()
                .filter(|other| other.judge != Judge::Guard)
                .filter(|other| if is_up { other.is_below } else { other.is_above })
                .map(|other| told(other).trim_end().to_owned())
                .collect();
            reasons.push(format!(
                "{:+.3} against the baseline, {significance}, but {}",
                effect.delta,
                against.join(" and ")
            ));
        }
        Verdict::NotShown if is_up => {
            let mark = found.controls.mark.unwrap_or(0.0);
            reasons.push(format!(
                "{:+.3} against the baseline, {significance}, but random paths of its overhead reach {mark:+.3}",
                effect.delta
            ));
        }
        Verdict::NotShown => reasons.push(format!("{:+.3} against the baseline, {significance}", effect.delta)),
    }
    match found.controls.n {
        0 => reasons.push("there is no control of its overhead to compare with".to_owned()),
        n if !found.controls.is_percentile => reasons.push(format!(
            "there are only {n} controls of its overhead, so it must be above all of them instead of their 95th percentile"
        )),
        _ => {}
    }
    if let (Verdict::NotShown, Some(visible)) = (found.verdict, found.visible) {
        reasons.push(format!(
            "these {} questions see a true difference of {visible:.3} or more in {:.0} of 100 cases",
            effect.n,
            100.0 * options.power
        ));
    }
    let judged = |judge: Judge| found.others.iter().any(|other| other.judge == judge && other.effect.is_some());
    for (judge, what) in [(Judge::Sampled, "sampling"), (Judge::Likelihood, "likelihood")] {
        if found.judge != judge && !judged(judge) {
            reasons.push(format!("{what} was not judged"));
        }
    }
    for sham in found.shams.iter().filter(|sham| found.verdict == Verdict::Gain && sham.delta >= effect.delta) {
        reasons.push(format!("its {} is not what helps: {} gives {:+.3}", sham.kind, sham.path, sham.delta));
    }
    for guard in found.others.iter().filter(|other| other.judge == Judge::Guard && other.is_below) {
        reasons.push(format!("it costs on a guard: {}", told(guard)));
    }
    reasons
}

fn told(other: &OtherEffect) -> String {
    let delta = other.effect.as_ref().map_or(0.0, |effect| effect.delta);
    let what = match other.judge {
        Judge::Sampled => "sampled",
        Judge::Greedy => "greedy",
        Judge::Likelihood => "likelihood",
        Judge::Guard => other.probe.as_str(),
    };
    format!("{what} {delta:+.3}, p = {}", number(other.p.unwrap_or(1.0)))
}

/// A p for people: three digits, and never 0.
fn number(p: f64) -> String {
    if p < 0.0005 { format!("{p:.1e}") } else { format!("{p:.3}") }
}
