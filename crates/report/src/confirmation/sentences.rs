//! One finalist of a confirmation in sentences, for a page that speaks of that path alone, as a model card does.

use neuro_stats::{ControlCheck, PathVerdict, Verdict, signed_delta as signed};

use super::{Confirmation, ONLY_OTHERS_RANKED, again, bounds, capitalized, details, times_baseline};
use crate::number::counted;

impl Confirmation<'_> {
    /// What was found of a path, the verdict first: interval, corrected p, what was asked before, controls, reasons, second
    /// judges, guards, shams, cost, and what could not be asked. None where the path is no finalist or is not judged yet. Plain text with ASCII
    /// signs; names of probes are as the run has them.
    #[must_use]
    pub fn sentences(&self, path: &str) -> Option<Vec<String>> {
        let verdicts = self.verdicts?;
        let found = verdicts.iter().find(|found| found.path == path)?;
        let mut sentences = vec![self.verdict_of(found)];
        if self.data.finalists.search.asked_all && !found.is_seen {
            sentences.push(ONLY_OTHERS_RANKED.to_owned());
        }
        sentences.extend(self.among_others());
        sentences.push(controls(&found.controls));
        sentences.extend(found.reasons.iter().map(|reason| format!("{}.", capitalized(reason))));
        sentences.extend(details(found).iter().map(|line| format!("{}.", capitalized(line))));
        sentences.extend(self.cost_of(path));
        let skipped = self.data.questions.iter().flat_map(|sets| &sets.skipped);
        sentences.extend(skipped.map(|skipped| format!("Left out {}: {}.", skipped.probe, skipped.reason)));
        Some(sentences)
    }

    fn verdict_of(&self, found: &PathVerdict) -> String {
        let verdict = match found.verdict {
            Verdict::Gain => "gain",
            Verdict::Loss => "loss",
            Verdict::Trade => "trade, better by one judge and worse by another",
            Verdict::NotShown => "not shown, which does not mean that there is no effect",
        };
        let Some(effect) = &found.effect else {
            return format!("Verdict of a confirmation: {verdict}.");
        };
        let is_asked = found.is_seen || self.data.finalists.search.asked_all;
        let what = if is_asked { "question" } else { "fresh question" };
        let p = found.corrected.map_or_else(String::new, |corrected| {
            let among = match corrected.family {
                1 => String::new(),
                family => format!(", corrected for {}", counted(family, "finalist")),
            };
            let (p, test, again) = (super::p_value(corrected.p), effect.test.name(), again(corrected.times));
            format!(", p = {p} ({test} test{among}{again})")
        });
        format!(
            "Verdict of a confirmation on {} of probe {}: {verdict}. {} {} against the baseline{p}.",
            counted(effect.n, what),
            self.data.finalists.probe,
            signed(effect.delta),
            bounds(Some(effect)),
        )
    }

    fn cost_of(&self, path: &str) -> Option<String> {
        let (own, base) = (self.cost(path)?, self.data.costs.first()?);
        let more = |times: f64| format!("{:+.0} %", 100.0 * (times - 1.0));
        Some(format!(
            "It costs {} time per token and {} memory for keys and values, on the machine of the confirmation.",
            more(times_baseline(own, base)),
            more(own.kv_bytes_per_token as f64 / base.kv_bytes_per_token as f64),
        ))
    }
}

fn controls(controls: &ControlCheck) -> String {
    let Some(mark) = controls.mark else {
        return "Controls: none, so that it is not known what any path of its overhead does.".to_owned();
    };
    let what = if controls.is_percentile { "95th percentile" } else { "largest delta" };
    let verb = if controls.is_above { "is above" } else { "is not above" };
    format!("Controls: the {what} of {} random paths of its overhead is {}; it {verb} that.", controls.n, signed(mark))
}
