//! From the runs of a confirmation to paired scores.

use std::collections::BTreeMap;

use neuro_path::LayerPath;
use neuro_record::{ConfirmData, RunData, STOP_LENGTH, Sample};

use super::{Evidence, FinalistEvidence, Judge, OtherEvidence, Paired, ShamDelta};
use crate::StatsError;

/// Scoring of the name of a probe whose answers are drawn.
const SAMPLED: &str = ":sampled";
/// What stands between a question's id and the number of the draw.
const DRAW_MARK: &str = " #";
/// Why an answer ended that no activations led to.
const NOT_FINITE: &str = "not_finite";

/// The evidence of a confirmation; none while something of it is not measured yet.
///
/// # Errors
/// Two paths answer different questions, or a path is none of the model's.
pub fn evidence(data: &ConfirmData) -> Result<Option<Evidence>, StatsError> {
    let (fixed, Some(questions), Some(main)) = (&data.finalists, &data.questions, &data.main) else { return Ok(None) };
    let probe = fixed.probe.as_str();
    let baseline = LayerPath::baseline(fixed.model.layers).map(|path| path.to_string()).unwrap_or_default();
    // At temperature 0 draws repeat the greedy answers and judge nothing.
    let is_cold = fixed.settings.get("temperature").and_then(|value| value.as_f64()).is_some_and(|heat| heat <= 0.0);
    let judges = |name: &&str| *name != probe && !(is_cold && judge_of(name) == Judge::Sampled);
    let side: Vec<&str> = questions.probes.iter().map(String::as_str).filter(judges).collect();
    let scores = Scores { main, side: data.side.as_ref(), baseline: &baseline, probe };
    let text_judges = |name: &str| base(name) == "text" && fixed.settings.contains_key("text");
    let has_likelihood =
        questions.probes.iter().any(|name| base(name) == base(probe) && judge_of(name) == Judge::Likelihood);
    let mut finalists = Vec::with_capacity(fixed.finalists.len());
    for finalist in &fixed.finalists {
        let Some(own) = scores.paired(probe, &finalist.path)? else { return Ok(None) };
        let mut controls = Vec::new();
        for control in fixed.controls_of(&finalist.path) {
            let Some(scores) = scores.paired(probe, control)? else { return Ok(None) };
            controls.push(delta(&scores));
        }
        let mut shams = Vec::new();
        for sham in &finalist.shams {
            let Some(scores) = scores.paired(probe, &sham.path)? else { return Ok(None) };
            shams.push(ShamDelta { kind: sham.kind.clone(), path: sham.path.clone(), delta: delta(&scores) });
        }
        let mut others = Vec::new();
        for &name in &side {
            let Some(scores) = scores.paired(name, &finalist.path)? else { return Ok(None) };
            let judge = match name {
                name if base(name) == base(probe) => judge_of(name),
                name if text_judges(name) && !has_likelihood => Judge::Likelihood,
                _ => Judge::Guard,
            };
            others.push(OtherEvidence { judge, probe: name.to_owned(), scores });
        }
        let (path, judge) = (finalist.path.clone(), judge_of(probe));
        let is_seen = finalist.is_seen;
        finalists.push(FinalistEvidence { path, judge, scores: own, controls, others, shams, is_seen });
    }
    let earlier = questions.earlier.as_ref().map_or(0, |earlier| earlier.confirmations);
    Ok(Some(Evidence { finalists, earlier }))
}

fn base(name: &str) -> &str {
    name.split_once(':').map_or(name, |(base, _)| base)
}

/// By what stands behind the colon: of the scorings of a probe, only draws are named that are no probabilities.
fn judge_of(name: &str) -> Judge {
    match name {
        name if name.ends_with(SAMPLED) => Judge::Sampled,
        name if name.contains(':') => Judge::Likelihood,
        _ => Judge::Greedy,
    }
}

fn delta(scores: &Paired) -> f64 {
    let sum: f64 = scores.path.iter().zip(&scores.baseline).map(|(path, base)| path - base).sum();
    sum / scores.path.len() as f64
}

/// The scores of both runs.
struct Scores<'a> {
    main: &'a RunData,
    side: Option<&'a RunData>,
    baseline: &'a str,
    probe: &'a str,
}

impl Scores<'_> {
    /// A path's scores beside the baseline's; none while one of the two is not measured.
    fn paired(&self, probe: &str, path: &str) -> Result<Option<Paired>, StatsError> {
        let run = if probe == self.probe { Some(self.main) } else { self.side };
        let Some(run) = run.filter(|run| [self.baseline, path].iter().all(|path| run.row(path, probe).is_some()))
        else {
            return Ok(None);
        };
        let (base, own) = (of_path(run, probe, self.baseline), of_path(run, probe, path));
        if !base.keys().eq(own.keys()) {
            return Err(StatsError::Inconsistent {
                path: path.to_owned(),
                probe: probe.to_owned(),
                reason: "it answers other questions than the baseline, expected the same ones".to_owned(),
            });
        }
        let (baseline, baseline_failed) = base.into_values().unzip();
        let (path, path_failed) = own.into_values().unzip();
        Ok(Some(Paired { baseline, path, baseline_failed, path_failed }))
    }
}

/// The score of each question, and the share of its answers that are none; of several draws the mean of both.
fn of_path<'a>(run: &'a RunData, probe: &str, path: &str) -> BTreeMap<&'a str, (f64, f64)> {
    let mut scores: BTreeMap<&str, (f64, usize, usize)> = BTreeMap::new();
    for sample in run.samples_of(probe).filter(|sample| sample.path == path) {
        let id = sample.question.as_str();
        let drawn = if probe.ends_with(SAMPLED) { id.rsplit_once(DRAW_MARK).map(|(id, _)| id) } else { None };
        let (sum, failed, count) = scores.entry(drawn.unwrap_or(id)).or_default();
        *sum += sample.score;
        *failed += usize::from(is_none(sample));
        *count += 1;
    }
    let mean = |(sum, failed, count): (f64, usize, usize)| (sum / count as f64, failed as f64 / count as f64);
    scores.into_iter().map(|(question, found)| (question, mean(found))).collect()
}

/// Whether an answer is none: it could not be read, ran into its limit, or what it comes from is not finite.
fn is_none(sample: &Sample) -> bool {
    sample.parse_failure || matches!(sample.stop.as_deref(), Some(STOP_LENGTH | NOT_FINITE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scoring_of_probabilities_is_a_likelihood() {
        let names = ["math", "math:sampled", "math:likelihood", "piqa:acc", "arc-easy:acc-norm", "text:likelihood"];
        let judges = names.map(judge_of).map(Judge::name);
        assert_eq!(judges, ["greedy", "sampled", "likelihood", "likelihood", "likelihood", "likelihood"]);
        assert_eq!(names.map(base), ["math", "math", "math", "piqa", "arc-easy", "text"]);
    }
}
