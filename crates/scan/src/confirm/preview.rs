//! What a confirmation would do, before anything is written or measured.

use std::path::Path;

use neuro_record::{Finalists, RunData, SkippedProbe, asked_before, finalists_hash};
use neuro_stats::{Effect, POWER, Resampling, VerdictOptions};

use super::search::SearchQuestions;
use super::{ConfirmRequest, Settled, parse, plans_of, same_model};
use crate::{Plan, Result, ScanError, Subject};

/// What a confirmation would do.
#[derive(Debug)]
pub struct ConfirmPlan {
    /// What would be fixed first.
    pub finalists: Finalists,
    /// Fresh questions of the confirmed probe.
    pub questions: usize,
    /// The confirmed probe along baseline, finalists, controls and shams.
    pub main: Plan,
    /// Second judges and guards along baseline and finalists; none where nothing else is asked.
    pub side: Option<Plan>,
    /// Probes that would be left out.
    pub skipped: Vec<SkippedProbe>,
    /// Confirmations of the run before this one.
    pub earlier: usize,
    /// The smallest true gain that passes the test in four of five cases, for every finalist if it wins and loses as many
    /// questions, or varies as much, as it did in the search; none where the search did not measure that, or no gain does.
    pub visible: Option<f64>,
}

/// Settles what [`confirm`](super::confirm()) would do with these arguments, and draws its questions without entering them anywhere:
/// called with the same arguments next, it asks the same.
///
/// # Errors
/// As [`confirm`](super::confirm()) before it measures.
pub fn confirm_plan(subject: &Subject, search: &Path, request: &ConfirmRequest, out: &Path) -> Result<ConfirmPlan> {
    let data = RunData::read(search)?;
    same_model(subject, &data.info)?;
    let lines = asked_before(search, finalists_hash(out)?.as_deref())?;
    let settled = Settled::of(subject, search, &data, request, out, &lines)?;
    let fresh = settled.draw(subject)?;
    let (questions, skipped, earlier) = (fresh.main.questions().len(), fresh.sets.skipped, settled.before.count());
    let Settled { request, ranking, fixed, .. } = settled;
    let visible = visible(&data, &ranking, &fixed, questions, earlier);
    let paths = parse(&fixed, subject.depth())?;
    let (main, side) = plans_of(subject, &request, &paths, fresh.main, fresh.side)?;
    Ok(ConfirmPlan { finalists: fixed, questions, main, side, skipped, earlier, visible })
}

fn visible(
    search: &RunData,
    ranking: &SearchQuestions,
    fixed: &Finalists,
    questions: usize,
    earlier: usize,
) -> Option<f64> {
    if ranking.probe != fixed.probe {
        return None;
    }
    let level = VerdictOptions::default().alpha_after(earlier) / fixed.finalists.len() as f64;
    let one = |path: &str| effect(search, ranking, path)?.visible_on(questions, level, POWER);
    let all = fixed.finalists.iter().map(|finalist| one(&finalist.path)).collect::<Option<Vec<f64>>>()?;
    all.into_iter().reduce(f64::max)
}

/// What a path did to the questions of the search that rank.
fn effect(search: &RunData, ranking: &SearchQuestions, path: &str) -> Option<Effect> {
    let baseline = neuro_path::LayerPath::baseline(search.info.model.layers).map_err(ScanError::from).ok()?.to_string();
    let scores = |path: &str| -> Vec<f64> {
        let of_path = search.samples_of(&ranking.probe).filter(|sample| sample.path == path);
        let mut scores: Vec<(&str, f64)> = of_path
            .filter(|sample| ranking.ranking.contains(&sample.question))
            .map(|sample| (sample.question.as_str(), sample.score))
            .collect();
        scores.sort_by(|a, b| a.0.cmp(b.0));
        scores.into_iter().map(|(_, score)| score).collect()
    };
    Effect::of(&scores(&baseline), &scores(path), Resampling { resamples: 0, permutations: 1, seed: 0 })
}
