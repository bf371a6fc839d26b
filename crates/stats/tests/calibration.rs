//! The calibration's studies with few seeds, on populations that are drawn so that every true delta is known. `just calibrate`
//! asks the same of the phantoms.

#[path = "../examples/calibrate/study/mod.rs"]
mod study;

use neuro_path::Block;
use neuro_stats::VerdictOptions;
use rand::Rng;
use study::answers::{Answers, PathAnswers, generator};
use study::{Demand, Effort, coverage, graded, null, planted, power, size};

const QUESTIONS: usize = 800;
const DEPTH: usize = 6;
const PLANTED: Block = Block { start: 2, end: 4 };

/// A model of six layers that knows half of its questions; the planted block knows the other half as well, and what else
/// paths change they win as often as they lose.
fn population(seed: u64) -> Answers {
    let mut rng = generator(seed);
    let groups: Vec<String> =
        (0..QUESTIONS).map(|question| if question % 2 == 0 { "1" } else { "2" }.to_owned()).collect();
    let likelihood: Vec<f64> =
        (0..QUESTIONS).map(|question| rng.random_range(0.2..0.6) + 0.35 * f64::from(question % 2 == 0)).collect();
    let baseline: Vec<f64> = groups.iter().map(|group| f64::from(group == "1")).collect();
    let blocks = neuro_path::triangle(DEPTH).filter(|block| !block.is_baseline());
    let paths = blocks.map(|block| {
        // Some paths change nothing, some a tenth, some half of the answers.
        let changed = [0.0, 0.1, 0.5][(block.start + block.end) % 3];
        let is_planted = block == PLANTED;
        let one = |question: usize| -> (f64, f64) {
            if is_planted {
                return (1.0, (likelihood[question] + 0.3).min(1.0));
            }
            if !rng.random_bool(changed) {
                return (baseline[question], likelihood[question]);
            }
            (f64::from(rng.random_bool(0.5)), (likelihood[question] + rng.random_range(-0.2..0.2)).clamp(0.0, 1.0))
        };
        let (greedy, graded): (Vec<f64>, Vec<f64>) = (0..QUESTIONS).map(one).unzip();
        let differences = greedy.iter().zip(&baseline).map(|(path, base)| path - base).collect();
        let printed = block.path(DEPTH).map(|path| path.to_string()).unwrap_or_default();
        PathAnswers { block, printed, greedy, likelihood: graded, differences }
    });
    let paths = paths.collect();
    let (name, hash) = (format!("population {seed}"), String::new());
    Answers {
        name,
        hash,
        planted: Some(PLANTED),
        groups,
        baseline: baseline.clone(),
        likelihood: likelihood.clone(),
        paths,
    }
}

fn effort(alpha: f64) -> Effort {
    let options = VerdictOptions { alpha, resamples: 300, permutations: 999, ..VerdictOptions::default() };
    Effort { size: 30, scans: 40, power: 80, planted: 20, coverage: 25, graded: 20, resamples: 300, options }
}

fn broken(demands: &[Demand]) -> Vec<&Demand> {
    demands.iter().filter(|demand| !demand.holds).collect()
}

#[test]
fn what_is_promised_is_found() {
    let (phantoms, effort) = ([population(1), population(2)], effort(0.05));
    for section in [
        size::section(&phantoms, &effort),
        null::section(&phantoms, &effort),
        power::section(&phantoms[0], &effort).unwrap(),
        planted::section(&phantoms[0], &effort).unwrap(),
        coverage::section(&phantoms, &effort),
        graded::section(&phantoms, &effort),
    ] {
        assert!(!section.demands.is_empty() && broken(&section.demands).is_empty(), "{:#?}", broken(&section.demands));
        assert!(section.demands.iter().all(|demand| section.page.contains(demand.found.as_str())), "{}", section.page);
    }
}

/// Demands that cannot be broken would say nothing: a level of 60 % calls gains that are none, a block that gains nothing is
/// not confirmed, and what was found far from what was stated does not hold.
#[test]
fn what_is_broken_is_called_so() {
    let mut phantoms = [population(1), population(2)];
    let lax = effort(0.6);
    assert!(!broken(&null::section(&phantoms, &lax).demands).is_empty());
    assert!(!broken(&power::section(&phantoms[0], &lax).unwrap().demands).is_empty());
    assert!(!broken(&graded::section(&phantoms, &lax).demands).is_empty());
    // Nothing is above its controls and the baseline any more.
    phantoms[0].planted = Some(Block { start: 0, end: 1 });
    assert_eq!(broken(&planted::section(&phantoms[0], &effort(0.05)).unwrap().demands).len(), 1);
    assert!(!Demand::covered("narrow", 900, 1_000, true).holds && !Demand::covered("wide", 990, 1_000, true).holds);
    assert!(Demand::covered("wide", 990, 1_000, false).holds && Demand::covered("right", 950, 1_000, true).holds);
    assert!(!Demand::stated("far", 0.8, 60, 100).holds && Demand::stated("near", 0.8, 82, 100).holds);
    assert!(!Demand::rare("often", 6, 100).holds && Demand::rare("rarely", 5, 100).holds);
    assert!(!Demand::rare("never tried", 0, 0).holds && !Demand::always("but once", 19, 20).holds);
}
