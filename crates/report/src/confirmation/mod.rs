//! What a confirmation found: a paragraph in plain words, a table, and what stands behind each verdict.

mod html;
mod sentences;
#[cfg(test)]
mod tests;

use neuro_record::{ConfirmData, Earlier, PathCost};
use neuro_stats::{
    Corrected, Effect, Failures, Judge, OtherEffect, PathVerdict, Verdict, digits_of_p, signed_delta as signed,
};

use crate::ColorLevel;
use crate::escape::terminal;
use crate::number::counted;
use crate::terminal::style::{Ink, paint};
pub use html::html_with_confirmation;

/// Columns of the table of verdicts.
const COLUMNS: [&str; 11] = [
    "verdict",
    "path",
    "delta",
    "interval",
    "p",
    "corrected p",
    "controls",
    "sampled",
    "likelihood",
    "ms/token",
    "KV/token",
];

/// What is told where the search has asked everything, and a path was not named after that.
const ONLY_OTHERS_RANKED: &str = "The search has asked these questions as well; only others ranked.";

/// A confirmation and its verdicts.
#[derive(Debug, Clone, Copy)]
pub struct Confirmation<'a> {
    /// What is on disk.
    pub data: &'a ConfirmData,
    /// The verdicts, in the order of the finalists; none while something is not measured yet.
    pub verdicts: Option<&'a [PathVerdict]>,
    /// Confirmations of the same run that came later: who reads this one alone may have been shown the luckiest.
    pub later: usize,
}

impl Confirmation<'_> {
    /// The verdict in plain words. Plain text with ASCII signs.
    #[must_use]
    pub fn paragraph(&self) -> String {
        let fixed = &self.data.finalists;
        let finalists = counted(fixed.finalists.len(), "finalist");
        let Some(verdicts) = self.verdicts else {
            return format!(
                "The confirmation of {finalists} is not complete, so there is no verdict yet; the same command goes on."
            );
        };
        let questions = verdicts.iter().find_map(|found| found.effect.as_ref()).map_or(0, |effect| effect.n);
        let is_asked = fixed.search.asked_all || verdicts.iter().any(|found| found.is_seen);
        let what = if is_asked { "question" } else { "fresh question" };
        let on = format!("{} of probe {}", counted(questions, what), fixed.probe);
        let of = |verdict: Verdict| verdicts.iter().filter(move |found| found.verdict == verdict);
        let best = self.best(verdicts);
        let mut text = match best {
            Some(best) => {
                let (count, bounds) = (of(Verdict::Gain).count(), bounds(best.effect.as_ref()));
                let which = if count == 1 {
                    "A gain is confirmed".to_owned()
                } else {
                    format!("{count} gains are confirmed, the largest")
                };
                format!("{which} for path {}: {} {bounds} on {on}.", best.path, signed(delta(best)))
            }
            None => format!("No gain is confirmed among {finalists} on {on}."),
        };
        let others = best.map_or(&[][..], |best| &best.others);
        let lost = others.iter().filter(|other| other.judge == Judge::Guard && other.is_below);
        let lost: Vec<&str> = lost.map(|other| other.probe.as_str()).collect();
        if !lost.is_empty() {
            text.push_str(&format!(" It costs on {}.", lost.join(" and ")));
        }
        if let Some(best) = best {
            text.push_str(&best.caveats.iter().map(|caveat| format!(" {}.", capitalized(caveat))).collect::<String>());
        }
        for found in verdicts.iter().filter(|found| best.is_none_or(|best| best.path != found.path)) {
            text.push_str(&found.caveats.iter().map(|why| format!(" {}: {why}.", found.path)).collect::<String>());
        }
        for (verdict, words) in [
            (Verdict::Trade, "better by one judge and worse by another (trade)"),
            (Verdict::Loss, "worse than the baseline (loss)"),
        ] {
            let paths: Vec<&str> = of(verdict).map(|found| found.path.as_str()).collect();
            if !paths.is_empty() {
                let verb = if paths.len() == 1 { "is" } else { "are" };
                text.push_str(&format!(" {} {verb} {words}.", paths.join(" and ")));
            }
        }
        if best.is_none() {
            text.push_str(&could_be_seen(verdicts));
        }
        if fixed.search.asked_all && verdicts.iter().any(|found| !found.is_seen) {
            text.push_str(&format!(" {ONLY_OTHERS_RANKED}"));
        }
        text.extend(self.among_others().map(|sentence| format!(" {sentence}")));
        let skipped = self.data.questions.as_ref().map_or(0, |sets| sets.skipped.len());
        if skipped > 0 {
            text.push_str(&format!(" {} could not be asked.", counted(skipped, "other probe")));
        }
        text
    }

    /// What other confirmations of the run there are, a sentence each.
    fn among_others(&self) -> impl Iterator<Item = String> {
        let earlier = self.data.questions.as_ref().and_then(|sets| sets.earlier.as_ref()).map(one_of_several);
        let later = (self.later > 0).then(|| {
            let later = counted(self.later, "later confirmation");
            format!("There is more to read: {later} of this run, in folders of their own.")
        });
        earlier.into_iter().chain(later)
    }

    /// The largest gain; of equal ones that with fewer visits.
    fn best<'a>(&self, verdicts: &'a [PathVerdict]) -> Option<&'a PathVerdict> {
        let visits = |found: &PathVerdict| self.data.finalists.extra_visits(&found.path);
        let gains = verdicts.iter().filter(|found| found.verdict == Verdict::Gain);
        gains.min_by(|a, b| delta(b).total_cmp(&delta(a)).then_with(|| visits(a).cmp(&visits(b))))
    }

    /// One line for each finalist, and below it the reasons, guards, shams and what was left out.
    #[must_use]
    pub fn table(&self, color: ColorLevel) -> String {
        let mut lines = vec![COLUMNS.map(str::to_owned)];
        let verdicts = self.verdicts.unwrap_or_default();
        for found in verdicts {
            lines.push(self.line(found));
        }
        if lines.len() == 1 {
            return String::new();
        }
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
        let mut text = String::new();
        for (index, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if matches!(column, 0 | 1 | 3) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            let joined = cells.collect::<Vec<_>>().join("  ");
            let joined = joined.trim_end();
            text.push_str(&if index == 0 { paint(joined, Ink::FAINT, color) } else { joined.to_owned() });
            text.push('\n');
        }
        for line in families(verdicts) {
            text.push_str(&format!("{}\n", paint(&line, Ink::FAINT, color)));
        }
        for found in verdicts {
            text.push_str(&format!("\n{}: {}\n", found.path, found.verdict.name()));
            for line in found.reasons.iter().cloned().chain(details(found)) {
                text.push_str(&format!("  {line}\n"));
            }
        }
        let skipped = self.data.questions.iter().flat_map(|sets| &sets.skipped);
        for (index, skipped) in skipped.enumerate() {
            text.push_str(if index == 0 { "\n" } else { "" });
            text.push_str(&format!("left out {}: {}\n", terminal(&skipped.probe), terminal(&skipped.reason)));
        }
        text
    }

    fn line(&self, found: &PathVerdict) -> [String; COLUMNS.len()] {
        let effect = found.effect.as_ref();
        let mark = found
            .controls
            .mark
            .map_or_else(|| "-".to_owned(), |mark| format!("{} ({})", signed(mark), found.controls.n));
        let judged = |judge: Judge| {
            let other = found.others.iter().find(|other| other.judge == judge);
            let effect = if found.judge == judge { effect } else { other.and_then(|other| other.effect.as_ref()) };
            effect.map_or_else(|| "-".to_owned(), |effect| signed(effect.delta))
        };
        let (own, base) = (self.cost(&found.path), self.data.costs.first());
        let ratio = |own: f64, base: f64| format!("{:+.0} %", 100.0 * (own / base - 1.0));
        let time = own.zip(base).map(|(own, base)| {
            let times = times_baseline(own, base);
            let spread = own.ms_quartiles.map_or_else(String::new, |[low, high]| format!(" [{low:.2}, {high:.2}]"));
            format!("{:.2}{spread} ({})", own.ms_per_token, ratio(times, 1.0))
        });
        let memory = own.zip(base).map(|(own, base)| {
            let (own, base) = (own.kv_bytes_per_token as f64, base.kv_bytes_per_token as f64);
            format!("{:.1} KiB ({})", own / 1024.0, ratio(own, base))
        });
        let missing = || "-".to_owned();
        [
            found.verdict.name().to_owned(),
            found.path.clone(),
            effect.map_or_else(missing, |effect| signed(effect.delta)),
            bounds(effect),
            effect.map_or_else(missing, |effect| p_value(effect.p)),
            found.corrected.map_or_else(missing, |corrected| p_value(corrected.p)),
            mark,
            judged(Judge::Sampled),
            judged(Judge::Likelihood),
            time.unwrap_or_else(missing),
            memory.unwrap_or_else(missing),
        ]
    }

    fn cost(&self, path: &str) -> Option<&PathCost> {
        self.data.costs.iter().find(|cost| cost.path == path)
    }
}

/// How many times as long as the baseline a path takes: within a round, which a machine's moods do not touch. Files that do
/// not say so yet leave the two medians.
fn times_baseline(own: &PathCost, base: &PathCost) -> f64 {
    own.times_baseline.unwrap_or(own.ms_per_token / base.ms_per_token)
}

/// For what each p of the table and below it was corrected, and what stands in brackets.
pub(crate) fn families(verdicts: &[PathVerdict]) -> [String; 2] {
    let finalists = verdicts.iter().filter_map(|found| found.corrected).map(|corrected| corrected.family).max();
    let others = |is_guard: bool| {
        let all = verdicts.iter().flat_map(|found| &found.others);
        let of = all.filter(move |other| (other.judge == Judge::Guard) == is_guard);
        of.filter_map(|other| other.corrected).map(|corrected| corrected.family).max()
    };
    let times = verdicts.iter().filter_map(|found| found.corrected).map(|corrected| corrected.times).max();
    let mut text = format!(
        "interval, 95 %, and p: of the path alone; corrected p: for {} (Holm){}",
        counted(finalists.unwrap_or(0), "finalist"),
        again(times.unwrap_or(1)),
    );
    if let Some(judges) = others(false) {
        text.push_str(&format!("; of second judges: for the {} of a path", counted(judges, "second judge")));
    }
    if let Some(guards) = others(true) {
        let again = again(times.unwrap_or(1));
        text.push_str(&format!("; of guards: for the {} of all finalists{again}", counted(guards, "guard")));
    }
    let time = "ms/token: median [quartiles] (median against the baseline in the same round)";
    [text, time.to_owned()]
}

/// That others came before, and what keeps repeating from finding what is not there.
fn one_of_several(Earlier { confirmations, questions, is_seed_repeated }: &Earlier) -> String {
    let number = confirmations + 1;
    // The others may have asked other probes alone.
    let other = match questions {
        0 => String::new(),
        questions => format!(", on questions other than the {questions} that the others had asked"),
    };
    let mut text = format!(
        "This is confirmation {number} of this run{other}; each doubles the proof that the next one needs, so that all of them \
         together claim a gain or a loss that is none in at most one run of ten."
    );
    if *is_seed_repeated {
        text.push_str(" Its seed was used before: the random paths are the same.");
    }
    text
}

/// What stands behind a verdict: its scores, second judges, guards and shams.
pub(crate) fn details(found: &PathVerdict) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(effect) = &found.effect {
        let Effect { baseline, path, n, wins, losses, .. } = effect;
        let better = format!("better on {wins}, worse on {losses} of {n} questions");
        lines.push(format!("{}: {} -> {}, {better}", found.judge.name(), plain(*baseline), plain(*path)));
        lines.extend(found.failures.as_ref().map(failed));
    }
    for OtherEffect { judge, probe, effect, failures, corrected, .. } in &found.others {
        let what = if *judge == Judge::Guard { format!("guard {probe}") } else { judge.name().to_owned() };
        let said = effect.as_ref().map_or_else(
            || "not measured".to_owned(),
            |effect| {
                let corrected = corrected_for(*corrected, *judge);
                let (base, path, delta) = (effect.baseline, effect.path, effect.delta);
                let (delta, bounds, p) = (signed(delta), bounds(Some(effect)), p_value(effect.p));
                format!(
                    "{} -> {}, {delta} {bounds}, p = {p} {corrected}, {} questions",
                    plain(base),
                    plain(path),
                    effect.n
                )
            },
        );
        lines.push(format!("{}: {said}", terminal(&what)));
        lines.extend(failures.as_ref().map(failed));
    }
    for sham in &found.shams {
        let what = if sham.kind == "order" { "second pass in another order" } else { "second pass in another place" };
        lines.push(format!("sham, {what}: {} ({})", signed(sham.delta), sham.path));
    }
    lines
}

/// What follows the p of a second judge or a guard: with how many others it was tested, and what that makes of it.
fn corrected_for(corrected: Option<Corrected>, judge: Judge) -> String {
    let what = if judge == Judge::Guard { "guard" } else { "second judge" };
    match corrected {
        None => "alone, not corrected".to_owned(),
        Some(Corrected { family: 1, times: 1, .. }) => "of one test".to_owned(),
        Some(Corrected { p, family, times }) => {
            format!("alone, {} corrected for {}{}", p_value(p), counted(family, what), again(times))
        }
    }
}

/// What earlier confirmations add to a correction.
pub(crate) fn again(times: u64) -> String {
    if times > 1 { format!(", times {times} for earlier confirmations") } else { String::new() }
}

/// How many answers are none, and what the others are worth.
fn failed(failures: &Failures) -> String {
    let Failures { baseline, path, p, answered } = failures;
    let (baseline, path, p) = (plain(*baseline), plain(*path), p_value(*p));
    let left = answered.as_ref().map_or_else(
        || "no question answered by both".to_owned(),
        |left| {
            let questions = counted(left.n, "question");
            format!("{} {} on {questions} answered by both", signed(left.delta), bounds(Some(left)))
        },
    );
    format!("  unreadable, cut off or not finite: {baseline} -> {path}, uncorrected p = {p}; {left}")
}

/// What the questions could have shown of the finalists about which nothing is shown.
fn could_be_seen(verdicts: &[PathVerdict]) -> String {
    let open = || verdicts.iter().filter(|found| found.verdict == Verdict::NotShown && found.effect.is_some());
    let blind = open().filter(|found| found.visible.is_none()).count();
    let mut text = String::new();
    if let Some(visible) = open().filter_map(|found| found.visible).reduce(f64::max) {
        text = format!(" A true gain of {visible:.3} or more would have passed the test in four of five cases.");
    }
    if blind > 0 {
        let of = if text.is_empty() { String::new() } else { format!(" of {}", counted(blind, "finalist")) };
        text.push_str(&format!(
            " No gain{of} is known to pass the test in four of five cases on so few questions or so little room."
        ));
    }
    text
}

fn capitalized(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn delta(found: &PathVerdict) -> f64 {
    found.effect.as_ref().map_or(f64::NEG_INFINITY, |effect| effect.delta)
}

pub(crate) fn bounds(effect: Option<&Effect>) -> String {
    let bounds = effect.and_then(|effect| effect.interval);
    bounds.map_or_else(|| "-".to_owned(), |bounds| format!("[{}, {}]", signed(bounds.low), signed(bounds.high)))
}

/// A score, as a delta without its sign.
fn plain(score: f64) -> String {
    signed(score).trim_start_matches('+').to_owned()
}

/// Three digits, or as many as tell its side of the level, and never 0.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.0005 { format!("{p:.0e}") } else { format!("{p:.*}", digits_of_p(p)) }
}
