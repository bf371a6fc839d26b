//! Screening: a race of paths over questions, in which hopeless paths drop out early.
//!
//! All paths answer the first questions, the better ones some more, and the finalists all of them. After each look the
//! paths are ordered by an estimate of their paired difference to the baseline (see `estimate`). Two rules then drop
//! paths:
//!
//! - *the bound*: a path whose estimate plus its error stays below the estimate minus its error of the last path that
//!   would be wanted. Paired answers make the errors small, as the blocks of F-race do (Birattari et al., A Racing
//!   Algorithm for Configuring Metaheuristics, GECCO 2002); that the wanted set is the best m and the contest is at its
//!   edge is LUCB's (Kalyanakrishnan et al., PAC Subset Selection in Stochastic Multi-armed Bandits, ICML 2012).
//!   Bounds that hold for any scores in [0, 1] (Maron and Moore, Hoeffding Races, NIPS 1993; Mnih, Szepesvári and
//!   Audibert, Empirical Bernstein Stopping, ICML 2008) are wider than most maps are high at the 2 to 50 questions at
//!   which a race is decided, and would drop nothing in time; so the bound here is a normal one, with measured error.
//! - *the budget*: the worst are dropped until the rest of the race fits into it, as in successive halving (Karnin,
//!   Koren and Somekh, Almost Optimal Exploration in Multi-Armed Bandits, ICML 2013; Jamieson and Talwalkar,
//!   Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016).
//!
//! A race decides who is asked on, and reports no number. It draws nothing at random: the same scores lead to the same
//! decisions, so a killed scan resumes by telling a new race what is already measured.

mod estimate;
mod options;
mod order;

use std::ops::Range;

use neuro_path::Block;

pub use options::{RaceError, RaceOptions};
pub use order::question_order;

use estimate::{Estimate, Neighbourhood, estimate};

/// Standard errors of a difference at which the bound drops a path.
const BOUND: f64 = 3.0;
/// Fewest questions of the first look: one question says nothing about its own error.
const FIRST_LOOK: usize = 2;

/// What is to be measured next: every one of these paths on every one of these questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Positions in the order of questions.
    pub questions: Range<usize>,
    /// Indices of paths, ascending; the baseline, 0, is always the first.
    pub paths: Vec<usize>,
}

/// A race of paths. Path 0 is the baseline, which sees every question and is no competitor.
#[derive(Debug, Clone)]
pub struct Race {
    options: RaceOptions,
    /// Layer-tokens of each path in each stage, `(stages, paths)`.
    costs: Vec<Vec<f64>>,
    full_cost: f64,
    neighbourhood: Neighbourhood,
    /// Questions seen at the end of each stage, ascending; the last is all of them.
    cuts: Vec<usize>,
    /// Number of recorded stages.
    recorded: usize,
    /// Paths of the next stage, ascending, the baseline first.
    alive: Vec<usize>,
    seen: Vec<usize>,
    baseline: Vec<f64>,
    /// Differences to the baseline on the questions that each path saw, in order.
    differences: Vec<Vec<f64>>,
    spent: f64,
}

impl Race {
    /// A race over `questions` questions.
    ///
    /// `costs` gives each path's layer-tokens for some questions, positions in their order, that are asked together, its
    /// own work only: for block `(i, j)` behind a shared trunk (N − i) · tokens, and for the baseline, which is the trunk,
    /// N · tokens. Tokens that the questions share count once, so a stage of few questions costs more than its part.
    /// `blocks` says which paths are blocks, so that a path can learn from its neighbours on the map; paths without a
    /// block race alone.
    ///
    /// # Errors
    /// Impossible options or costs, and a budget that cannot pay a first look at all paths and all questions for the
    /// wanted ones: with the default options that needs 20 to 24 questions.
    pub fn new(
        costs: impl Fn(Range<usize>) -> Vec<f64>,
        blocks: &[Option<Block>],
        questions: usize,
        options: RaceOptions,
    ) -> Result<Self, RaceError> {
        check(&costs, blocks, questions, &options)?;
        let cuts = cuts(&options.looks, questions);
        let race = Self {
            costs: of_stages(&cuts, &costs),
            full_cost: costs(0..questions).iter().sum(),
            cuts,
            neighbourhood: Neighbourhood::new(blocks),
            recorded: 0,
            alive: (0..blocks.len()).collect(),
            seen: vec![0; blocks.len()],
            baseline: Vec::new(),
            differences: vec![Vec::new(); blocks.len()],
            spent: 0.0,
            options,
        };
        if let Some(&wrong) = race.costs.iter().flatten().find(|&&cost| !is_cost(cost)) {
            return Err(RaceError::invalid("layer-tokens of a path", wrong, "a positive number"));
        }
        let RaceOptions { keep, budget, .. } = race.options;
        let stages = race.costs.iter().enumerate().map(|(stage, costs)| {
            let others = costs.iter().skip(1).sum::<f64>();
            // One stays to the end, whichever.
            let dearest = costs.iter().skip(1).copied().fold(0.0, f64::max);
            costs[0] + if stage == 0 { others } else { (keep * others).max(dearest) }
        });
        let needed = stages.sum::<f64>() / race.full_cost;
        if needed > budget {
            return Err(RaceError::Budget { paths: blocks.len(), questions, keep, needed, budget });
        }
        Ok(race)
    }

    /// What to measure next; none when the race is over. The same until it is recorded.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        let end = *self.cuts.get(self.recorded)?;
        Some(Stage { questions: self.start()..end, paths: self.alive.clone() })
    }

    /// Takes the scores of the current stage, `(paths, questions)` in its order, and decides who stays. A path with a
    /// score that is not finite leaves the race; where the baseline's is not, the others are compared without it.
    ///
    /// # Errors
    /// The race is over, or the scores have another shape than the stage. Nothing is recorded then.
    pub fn record(&mut self, scores: &[Vec<f64>]) -> Result<(), RaceError> {
        let Some(stage) = self.stage() else {
            return Err(RaceError::invalid("stages of the race", "one more", self.cuts.len()));
        };
        let (paths, questions) = (stage.paths.len(), stage.questions.len());
        if scores.len() != paths {
            return Err(RaceError::invalid("paths of a stage", scores.len(), paths));
        }
        if let Some(wrong) = scores.iter().find(|row| row.len() != questions) {
            return Err(RaceError::invalid("questions of a stage", wrong.len(), questions));
        }
        self.spent += stage.paths.iter().map(|&path| self.costs[self.recorded][path]).sum::<f64>();
        self.baseline.extend(scores[0].iter().map(|&score| if score.is_finite() { score } else { 0.0 }));
        let baseline = &self.baseline[stage.questions.clone()];
        for (&path, row) in stage.paths.iter().zip(scores) {
            self.seen[path] = stage.questions.end;
            let differences = &mut self.differences[path];
            if row.iter().all(|score| score.is_finite()) {
                differences.extend(row.iter().zip(baseline).map(|(score, baseline)| score - baseline));
            } else if path > 0 {
                // Without differences it is nobody's neighbour either.
                differences.clear();
                self.alive.retain(|&other| other != path);
            }
        }
        self.recorded += 1;
        if self.recorded < self.cuts.len() {
            self.drop_out();
        }
        Ok(())
    }

    /// Number of questions that a path has seen so far: what its row must say.
    #[must_use]
    pub fn seen(&self, path: usize) -> usize {
        self.seen.get(path).copied().unwrap_or(0)
    }

    /// Layer-tokens of the recorded stages.
    #[must_use]
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// Layer-tokens of the scan without screening: every path on every question, in one go.
    #[must_use]
    pub fn full_cost(&self) -> f64 {
        self.full_cost
    }

    /// First question of the next stage.
    fn start(&self) -> usize {
        self.recorded.checked_sub(1).and_then(|last| self.cuts.get(last)).copied().unwrap_or(0)
    }

    fn drop_out(&mut self) {
        let competitors: Vec<usize> = self.alive.iter().copied().filter(|&path| path > 0).collect();
        let Estimate { values, error } = estimate(&self.differences, &competitors, &self.neighbourhood);
        let mut ranking: Vec<(usize, f64)> = competitors.into_iter().zip(values).collect();
        // Of equals the cheaper stays: more of them fit into the budget.
        let left = |path: usize| self.costs[self.recorded..].iter().map(|costs| costs[path]).sum::<f64>();
        let by_cost = |a: usize, b: usize| left(a).total_cmp(&left(b)).then(a.cmp(&b));
        ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| by_cost(a.0, b.0)));
        let keep = self.within_bound(&ranking, error).min(self.affordable(&ranking)).max(1);
        self.alive = std::iter::once(0).chain(ranking.iter().take(keep).map(|&(path, _)| path)).collect();
        self.alive.sort_unstable();
    }

    /// How many of the ranked paths the bound lets pass; all of them when the error is not known.
    fn within_bound(&self, ranking: &[(usize, f64)], error: Option<f64>) -> usize {
        let wanted = (self.options.keep * (self.seen.len() - 1) as f64).ceil() as usize;
        let edge = ranking.get(wanted.max(1) - 1).map(|&(_, value)| value);
        edge.zip(error).map_or(ranking.len(), |(edge, error)| {
            // Two estimates, each with its error.
            let lowest = edge - BOUND * error * std::f64::consts::SQRT_2;
            ranking.partition_point(|&(_, value)| value >= lowest)
        })
    }

    /// How many of the ranked paths may enter the next stage, so that the whole race stays within the budget.
    ///
    /// The looks that are left let pass a fraction κ_l = κ + (now − κ)·x^l of all paths, κ being the finalists': x, the
    /// same for all of them, is as large as the budget allows.
    fn affordable(&self, ranking: &[(usize, f64)]) -> usize {
        let stages = &self.costs[self.recorded..];
        let trunk: f64 = stages.iter().map(|costs| costs[0]).sum();
        let left = self.options.budget * self.full_cost - self.spent - trunk;
        // What the best of the ranking, so many, cost in each stage.
        let sums = |costs: &Vec<f64>| -> Vec<f64> {
            let sum = ranking.iter().scan(0.0, |sum, &(path, _)| {
                *sum += costs[path];
                Some(*sum)
            });
            std::iter::once(0.0).chain(sum).collect()
        };
        let sums: Vec<Vec<f64>> = stages.iter().map(sums).collect();
        let paths = (self.seen.len() - 1) as f64;
        let now = ranking.len() as f64;
        let last = (self.options.keep * self.options.finalists * paths).max(1.0).min(now);
        let passing = |x: f64, look: usize| {
            // Multiplied out: `powi` may round differently elsewhere, and a replay must decide alike.
            let fraction = last + (now - last) * (0..look).fold(1.0, |power, _| power * x);
            (fraction.ceil() as usize).min(ranking.len())
        };
        // Who is left in the end is not known: at least one of these, perhaps the dearest.
        let dearest = |costs: &Vec<f64>| ranking.iter().map(|&(path, _)| costs[path]).fold(0.0, f64::max);
        let least: Vec<f64> = std::iter::once(0.0).chain(stages.iter().skip(1).map(dearest)).collect();
        let total = |x: f64| -> f64 {
            let look = |(look, (sums, &least)): (usize, (&Vec<f64>, &f64))| sums[passing(x, look + 1)].max(least);
            sums.iter().zip(&least).enumerate().map(look).sum()
        };
        if sums.len() == 1 || total(0.0) > left {
            let whole = |count: usize| sums.iter().map(|sums| sums[count]).sum::<f64>();
            return (1..=ranking.len()).take_while(|&count| whole(count) <= left).count();
        }
        let (mut low, mut high) = (0.0, 1.0);
        if total(high) <= left {
            return ranking.len();
        }
        for _ in 0..30 {
            let middle = 0.5 * (low + high);
            if total(middle) <= left { low = middle } else { high = middle }
        }
        passing(low, 1)
    }
}

/// What each path costs in each stage, `(stages, paths)`.
fn of_stages(cuts: &[usize], costs: &impl Fn(Range<usize>) -> Vec<f64>) -> Vec<Vec<f64>> {
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    starts.zip(cuts).map(|(start, &end)| costs(start..end)).collect()
}

/// Questions seen at the end of each stage.
fn cuts(looks: &[f64], questions: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = Vec::new();
    for look in looks {
        let cut = ((look * questions as f64).round() as usize).max(FIRST_LOOK);
        if cut < questions && cuts.last().is_none_or(|&last| last < cut) {
            cuts.push(cut);
        }
    }
    cuts.push(questions);
    cuts
}

fn check(
    costs: &impl Fn(Range<usize>) -> Vec<f64>,
    blocks: &[Option<Block>],
    questions: usize,
    options: &RaceOptions,
) -> Result<(), RaceError> {
    options.check()?;
    if questions == 0 {
        return Err(RaceError::invalid("questions of a race", questions, "one at least"));
    }
    let paths = costs(0..questions).len();
    if paths < 2 || blocks.len() != paths {
        let found = format!("{paths} costs and {} blocks", blocks.len());
        return Err(RaceError::invalid("paths of a race", found, "as many of both, the baseline and another at least"));
    }
    Ok(())
}

fn is_cost(cost: f64) -> bool {
    cost > 0.0 && cost.is_finite()
}
