//! Whether a gain is found as often as was stated before.

use std::error::Error;

use neuro_stats::{Evidence, Paired, Verdict, power_proportions, verdict};
use rand::Rng;

use super::answers::{Answers, finalist, generator};
use super::{Demand, Effort, Section, share};

/// Questions of a study, and true deltas.
const STUDIES: [usize; 3] = [60, 100, 200];
const DELTAS: [f64; 3] = [0.05, 0.10, 0.20];
/// Hop counts whose questions are mixed: the baseline knows the first, and only the planted block the second.
const KNOWN: &str = "1";
const NEEDED: &str = "2";

/// Wins, losses and all of a group of questions.
struct Rates {
    questions: Vec<usize>,
    win: f64,
    loss: f64,
}

pub(crate) fn section(phantom: &Answers, effort: &Effort) -> Result<Section, Box<dyn Error>> {
    let planted = phantom.planted.ok_or("the first run is no phantom's")?;
    let path = phantom.paths.iter().find(|path| path.block == planted).ok_or("the planted block was not measured")?;
    let rates = |group: &str| {
        let questions: Vec<usize> =
            (0..phantom.questions()).filter(|&question| phantom.groups[question] == group).collect();
        let count = |wanted: f64| questions.iter().filter(|&&question| path.differences[question] == wanted).count();
        let (win, loss) = (count(1.0) as f64 / questions.len() as f64, count(-1.0) as f64 / questions.len() as f64);
        Rates { questions, win, loss }
    };
    let (known, needed) = (rates(KNOWN), rates(NEEDED));
    if known.questions.is_empty() || needed.questions.is_empty() {
        return Err(format!("the run has no questions of group {KNOWN} or {NEEDED}").into());
    }
    let seeds = effort.power;
    let mut demands = Vec::new();
    let mut page = format!(
        "## Power: gains that are there\n\n\
         On {} the planted block {planted} has the true delta {:+.4} on questions of {KNOWN} hop and {:+.4} on questions of {NEEDED} hops. Mixed in the right proportion they\n\
         give any true delta between. What is stated comes from `power_proportions` before anything is drawn: the chance that the exact McNemar\n\
         test finds the gain at level 0.05. What is found is the share of {seeds} confirmations of this one finalist that call a gain.\n\n\
         | true delta | questions | stated | found |\n|---|---|---|---|\n",
        phantom.name,
        known.win - known.loss,
        needed.win - needed.loss
    );
    for delta in DELTAS {
        let (low, high) = (known.win - known.loss, needed.win - needed.loss);
        let part = (delta - low) / (high - low);
        if !(0.0..=1.0).contains(&part) {
            return Err(format!("no mixture has a true delta of {delta}").into());
        }
        for n in STUDIES {
            let mix = |known: f64, needed: f64| (1.0 - part) * known + part * needed;
            let stated = power_proportions(n, mix(known.win, needed.win), mix(known.loss, needed.loss), 0.05)
                .ok_or("no power")?;
            let found = (0..seeds).filter(|&seed| {
                let mut rng = generator(2_000_000 + seed);
                let mut scores = Paired::default();
                for _ in 0..n {
                    let group = if rng.random_bool(part) { &needed.questions } else { &known.questions };
                    let question = group[rng.random_range(0..group.len() as u32) as usize];
                    scores.baseline.push(phantom.baseline[question]);
                    scores.path.push(path.greedy[question]);
                }
                let evidence = Evidence { finalists: vec![finalist(path, scores, Vec::new())], ..Evidence::default() };
                verdict(&evidence, &effort.options(seed)).iter().any(|found| found.verdict == Verdict::Gain)
            });
            let (count, seeds) = (found.count(), seeds as usize);
            let what = format!("power of a true delta of {delta:.2} on {n} questions");
            demands.push(Demand::stated(what, stated, count, seeds));
            let found = share(count, seeds);
            page.push_str(&format!("| {delta:.2} | {n} | {:.1} % | {found} |\n", 100.0 * stated));
        }
    }
    Ok(Section { page, demands })
}
