//! A screening by log-probability: the race that a scan runs with `--screen` (crates/scan/src/screen.rs), on tokens.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use neuro_engine::{DistinctTokens, Likelihood, Scored, Stats};
use neuro_model::Decoder;
use neuro_path::LayerPath;
use neuro_stats::{Race, RaceError, RaceOptions};
use serde::Serialize;

use crate::{Given, Question, Request, engine};

/// What a screening took.
#[derive(Serialize)]
pub(crate) struct Screened {
    /// The part of the full scan's layer-tokens that it may take, and the part that it took.
    budget: f64,
    spent: f64,
    /// Questions that a path has seen at the end of each stage, and how many paths ran it.
    stages: Vec<[usize; 2]>,
}

/// Runs the race over all paths, the baseline first. The budget is the one asked for, or the smallest that so few questions
/// allow.
pub(crate) fn run(
    decoder: &Arc<Decoder>,
    paths: &[LayerPath],
    request: &Request,
    budget: f64,
) -> Result<(Vec<Given>, Stats, Screened), Box<dyn Error>> {
    let blocks: Vec<_> = paths.iter().map(LayerPath::block).collect();
    let costs = |questions: Range<usize>| costs(&request.questions[questions], paths);
    let count = request.questions.len();
    let options = |budget: f64| RaceOptions { budget, ..RaceOptions::default() }.suited(costs, count);
    let (mut race, budget) = match Race::new(costs, &blocks, count, options(budget)) {
        Err(RaceError::Budget { needed, .. }) => {
            let budget = (needed * 1.000_001).min(1.0);
            (Race::new(costs, &blocks, count, options(budget))?, budget)
        }
        race => (race?, budget),
    };
    let mut given: Vec<Vec<Vec<f64>>> = vec![Vec::new(); paths.len()];
    let (mut stats, mut stages) = (Stats::default(), Vec::new());
    while let Some(stage) = race.stage() {
        let scored: Vec<Scored> = request.questions[stage.questions.clone()].iter().map(engine::scored).collect();
        let staying: Vec<LayerPath> = stage.paths.iter().map(|&path| paths[path].clone()).collect();
        let mut likelihood = Likelihood::new(decoder.clone(), &scored)?;
        let asked = scored.iter().map(|scored| scored.continuation.len()).sum();
        let mut nats = Vec::with_capacity(staying.len());
        for group in engine::groups(&staying, asked) {
            nats.extend(likelihood.logprobs(group, &mut |_| true)?);
        }
        // The geometric mean probability per token.
        let score = |nats: &Vec<f64>| (nats.iter().sum::<f64>() / nats.len().max(1) as f64).exp();
        race.record(&nats.iter().map(|questions| questions.iter().map(score).collect()).collect::<Vec<Vec<f64>>>())?;
        stages.push([stage.questions.end, stage.paths.len()]);
        for (&path, nats) in stage.paths.iter().zip(nats) {
            given[path].extend(nats);
        }
        stats = engine::added(stats, likelihood.stats());
    }
    let screened = Screened { budget, spent: race.spent() / race.full_cost(), stages };
    Ok((given.into_iter().map(Given::Nats).collect(), stats, screened))
}

/// Layer-tokens of each path on these questions, asked together: its own work, and for the baseline the trunk.
fn costs(questions: &[Question], paths: &[LayerPath]) -> Vec<f64> {
    let reads: Vec<Vec<u32>> = questions.iter().map(Question::reads).collect();
    let tokens = DistinctTokens::of(reads.iter().map(Vec::as_slice)).tokens.max(1);
    let shared =
        |path: &LayerPath| LayerPath::baseline(path.depth()).map_or(0, |baseline| path.shared_prefix(&baseline));
    let trunk = paths.iter().map(shared).max().unwrap_or(0);
    let own = |path: &LayerPath| if path.is_baseline() { trunk } else { (path.len() - shared(path)).max(1) };
    paths.iter().map(|path| (own(path) * tokens) as f64).collect()
}
