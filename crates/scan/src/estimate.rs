//! How long a plan will take, from a short look at one real path.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use neuro_engine::EngineError;

use crate::unit::Asking;
use crate::work::{own_visits, trunk_work, unit_work};
use crate::{Plan, Result, ScanError, Subject};

/// Questions that the look takes; fewer where the plan's first chunk, and so the memory budget, holds fewer.
const QUESTIONS: usize = 8;
/// A look as short as this is taken twice: the first one also warms up threads, caches and tables.
const SHORT: Duration = Duration::from_millis(500);

/// Measures, for each probe, the trunk and one path of middle length on a few questions, and multiplies up. Reads the
/// weights first, whose time does not count. Rough: larger batches run faster, and answers differ in length.
///
/// # Errors
/// When the weights are refused or the measured path fails.
pub fn estimate(subject: &Subject, plan: &Plan) -> Result<Duration> {
    let mut by_length: Vec<usize> = (0..plan.paths.len()).collect();
    by_length.sort_by_key(|&path| own_visits(&plan.paths[path]));
    let path = by_length[by_length.len() / 2];
    let layers = plan.info.model.layers;
    let mut seconds = 0.0;
    for (index, (probe, asked)) in plan.probes.iter().zip(&plan.asked).enumerate() {
        let Some(few) = questions(&plan.info.plan.chunks[index]) else { continue };
        let asking = Asking::new(subject, probe)?;
        let look = || -> std::result::Result<[Duration; 2], EngineError> {
            let begin = Instant::now();
            let trunk = asking.trunk(0..few, &asked[..few])?;
            let trunk_time = begin.elapsed();
            trunk.run(&plan.paths[path], &AtomicBool::new(false))?;
            Ok([trunk_time, begin.elapsed() - trunk_time])
        };
        let [trunk_time, path_time] = look()
            .and_then(|times| if times.iter().sum::<Duration>() < SHORT { look() } else { Ok(times) })
            .map_err(|source| ScanError::Unit {
                path: plan.printed[path].clone(),
                probe: probe.name().to_owned(),
                first: probe.questions()[0].id.clone(),
                last: probe.questions()[few - 1].id.clone(),
                source: Box::new(source),
            })?;
        let per = |time: Duration, work: u64| time.as_secs_f64() / work.max(1) as f64;
        let all: u64 = plan.paths.iter().map(|path| unit_work(path, asked)).sum();
        seconds += per(trunk_time, trunk_work(layers, &asked[..few])) * trunk_work(layers, asked) as f64;
        seconds += per(path_time, unit_work(&plan.paths[path], &asked[..few])) * all as f64;
    }
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
