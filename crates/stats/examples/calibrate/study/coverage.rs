//! How often an interval holds the truth.

use neuro_stats::{Resampler, ScoreKind};

use super::answers::{Answers, draw, generator};
use super::{Demand, Effort, QUESTIONS, Section, share};

/// Discordant questions that a path must be expected to have for its bootstrap to be judged.
const ENOUGH: f64 = 10.0;

#[derive(Default)]
struct Pool {
    paths: usize,
    covered: usize,
    intervals: usize,
}

pub(crate) fn section(phantoms: &[Answers], effort: &Effort) -> Section {
    let draws = effort.coverage;
    let mut page = format!(
        "## Coverage: intervals that hold the truth\n\n\
         {draws} draws of {QUESTIONS} questions per path; intervals of level 95 % as a map has them: BCa bootstrap, and Tango's score interval where fewer than\n\
         ten questions stand apart from the commonest outcome. Pooled over paths: bootstraps are asked for 93 to 97 %, score intervals\n\
         for at least 93 %.\n\n\
         | paths with | phantom | paths | intervals that hold the true delta |\n|---|---|---|---|\n"
    );
    let mut pools: [Vec<Pool>; 3] = Default::default();
    // Seeds of a phantom's own: its paths take fewer than a million.
    for (first_seed, phantom) in (4_000_000..).step_by(1_000_000).zip(phantoms) {
        let mut of_phantom: [Pool; 3] = Default::default();
        let resampler = Resampler::new(QUESTIONS, effort.resamples, 0);
        for (number, path) in phantom.paths.iter().enumerate() {
            let discordant = path.differences.iter().filter(|&&difference| difference != 0.0).count();
            let expected = QUESTIONS as f64 * discordant as f64 / phantom.questions() as f64;
            let kind = if discordant == 0 { 2 } else { usize::from(expected < ENOUGH) };
            let pool = &mut of_phantom[kind];
            let truth = path.delta();
            pool.paths += 1;
            for seed in 0..draws {
                let mut rng = generator(first_seed + 1_000 * number as u64 + seed);
                let drawn = draw(&mut rng, QUESTIONS, phantom.questions());
                let differences: Vec<f64> = drawn.iter().map(|&question| path.differences[question]).collect();
                let interval = resampler.delta(&differences, ScoreKind::RightOrWrong).and_then(|delta| delta.interval);
                pool.intervals += 1;
                let holds = interval.is_some_and(|bounds| bounds.low - 1e-12 <= truth && truth <= bounds.high + 1e-12);
                pool.covered += usize::from(holds);
            }
        }
        for (pools, pool) in pools.iter_mut().zip(of_phantom) {
            pools.push(pool);
        }
    }
    let kinds = ["10 or more expected discordant questions", "fewer", "none: the path answers as the baseline does"];
    let mut demands = Vec::new();
    for (place, (what, pools)) in kinds.iter().zip(&pools).enumerate() {
        for (phantom, pool) in phantoms.iter().zip(pools) {
            page.push_str(&line(what, &phantom.name, pool));
        }
        let all = pools.iter().fold(Pool::default(), |sum, pool| Pool {
            paths: sum.paths + pool.paths,
            covered: sum.covered + pool.covered,
            intervals: sum.intervals + pool.intervals,
        });
        page.push_str(&line(what, "both", &all));
        // Intervals of what never differs hold a delta of 0 whatever they are.
        if place < 2 {
            let name = format!("intervals of right and wrong answers that hold the truth: {what}");
            demands.push(Demand::covered(name, all.covered, all.intervals, place == 0));
        }
    }
    Section { page, demands }
}

fn line(what: &str, phantom: &str, pool: &Pool) -> String {
    let Pool { paths, covered, intervals } = *pool;
    let covered = if intervals == 0 { "none".to_owned() } else { share(covered, intervals) };
    format!("| {what} | {phantom} | {paths} | {covered} |\n")
}
