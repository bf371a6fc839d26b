//! How long a plan will take, from a short look at a few real paths.

use std::time::{Duration, Instant};

use neuro_engine::EngineError;
use neuro_path::LayerPath;

use crate::unit::{Asking, Raw};
use crate::work::{Volume, own_visits, trunk_layers};
use crate::{Plan, Result, ScanError, Subject};

/// Questions that the look takes; fewer where the plan's first chunk, and so the memory budget, holds fewer.
const QUESTIONS: usize = 8;
/// Paths that the look takes at once, of middle length; fewer where the memory budget holds fewer.
const PATHS: usize = 4;
/// A look as short as this is taken twice: the first one also warms up threads, caches and tables.
const SHORT: Duration = Duration::from_millis(500);

/// What a look found.
struct Look {
    trunk: Duration,
    paths: Duration,
    /// New tokens of all answers.
    answered: usize,
}

/// Measures, for each probe, the trunk and a few paths of middle length on a few questions, and multiplies up. Reads the
/// weights first, whose time does not count. The baseline in f32 comes on top. For a screening at most its budget's part of that. Rough: larger batches run faster, and answers differ in length.
///
/// # Errors
/// When the weights are refused or a measured path fails.
pub fn estimate(subject: &Subject, plan: &Plan) -> Result<Duration> {
    let mut by_length: Vec<usize> = (0..plan.paths.len()).collect();
    by_length.sort_by_key(|&path| own_visits(&plan.paths[path]));
    let half = by_length.len() / 2;
    let few = by_length.len().min(PATHS);
    let from = half.saturating_sub(few / 2).min(by_length.len() - few);
    let middle: Vec<LayerPath> = by_length[from..from + few].iter().map(|&path| plan.paths[path].clone()).collect();
    let layers = trunk_layers(&plan.paths);
    let mut seconds = 0.0;
    for (index, (probe, asked)) in plan.probes.iter().zip(&plan.asked).enumerate() {
        let Some(few) = questions(&plan.chunks[index]) else { continue };
        let (small, whole) = (Volume::of(&asked[..few]), Volume::of(asked));
        let fits = |paths: &[LayerPath]| plan.costs.fit(paths, small, probe.scoring(), plan.info.plan.memory_bytes);
        let mut paths = middle.as_slice();
        while paths.len() > 1 && !fits(paths) {
            paths = &paths[..paths.len() / 2];
        }
        let asking = Asking::new(subject, probe, plan.sampling, plan.residence)?;
        let look = || -> std::result::Result<Look, EngineError> {
            let begin = Instant::now();
            let mut session = asking.session(&(0..few).collect::<Vec<_>>(), asked)?;
            session.trunk(layers, &mut |_| true)?;
            let trunk = begin.elapsed();
            let raw = session.run(paths, &mut |_| true)?;
            let answered = |raw: &Raw| match raw {
                Raw::Answers(answers) => answers.iter().map(|answer| answer.tokens.len()).sum(),
                Raw::Logprobs(_) => 0,
            };
            Ok(Look { trunk, paths: begin.elapsed() - trunk, answered: raw.iter().map(answered).sum() })
        };
        let look = look()
            .and_then(|found| if found.trunk + found.paths < SHORT { look() } else { Ok(found) })
            .map_err(|source| ScanError::Unit {
                path: paths[0].to_string(),
                probe: probe.name().to_owned(),
                first: probe.questions()[0].id.clone(),
                last: probe.questions()[few - 1].id.clone(),
                source: Box::new(source),
            })?;
        // Answers as long as those of the look, for every question and path.
        let new = look.answered as f64 / (few * paths.len()) as f64;
        let work = |path: &LayerPath, volume: Volume, questions: usize| {
            (own_visits(path) + 1) as f64 * volume.read as f64 + path.len() as f64 * new * questions as f64
        };
        let seen: f64 = paths.iter().map(|path| work(path, small, few)).sum();
        let all: f64 = plan.paths.iter().map(|path| work(path, whole, asked.len())).sum();
        let trunk = look.trunk.as_secs_f64() * whole.read as f64 / small.read.max(1) as f64;
        // A screening spends its budget.
        let part = plan.info.screen.as_ref().map_or(1.0, |screen| screen.budget);
        seconds += part * (trunk + look.paths.as_secs_f64() * all / seen);
    }
    seconds += plan.reference_seconds(subject)?;
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// How many questions the look takes of a probe with these chunks; `None` where there are none.
fn questions(chunks: &[[usize; 2]]) -> Option<usize> {
    chunks.first().map(|[start, end]| (end - start).min(QUESTIONS))
}

#[cfg(test)]
mod tests {
    use super::questions;

    #[test]
    fn a_look_takes_no_more_than_the_first_chunk() {
        assert_eq!(questions(&[[0, 3], [3, 40]]), Some(3));
        assert_eq!(questions(&[[0, 40]]), Some(8));
        assert_eq!(questions(&[]), None);
    }
}
