//! What a path costs, run alone: milliseconds per token, and bytes of keys and values.
//!
//! A machine is never quiet for long. Paths therefore take turns token by token, forwards in one round and backwards in the
//! next, so that what slows the machine down slows all of them alike; a path is compared with the baseline within a round,
//! and medians and quartiles leave out what disturbed single tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use neuro_engine::Plain;
use neuro_model::Decoder;
use neuro_path::LayerPath;
use neuro_record::PathCost;

use crate::{Result, ScanError, Subject};

/// Rounds in which every path reads one token, and those before them that warm caches.
const ROUNDS: usize = 32;
const WARM_UP: usize = 4;
/// Finalists that take turns with the baseline; more would hold too many states at once.
const TOGETHER: usize = 7;

/// Times every path behind the same prompt, token by token, the first of them being the baseline; none when interrupted.
///
/// # Errors
/// When the decoder fails.
pub(crate) fn costs(
    subject: &Subject,
    decoder: &Arc<Decoder>,
    paths: &[LayerPath],
    prompt: &[u32],
    interrupted: &AtomicBool,
) -> Result<Option<Vec<PathCost>>> {
    let Some((baseline, finalists)) = paths.split_first() else { return Ok(Some(Vec::new())) };
    let (mut of_baseline, mut costs) = (Vec::new(), Vec::new());
    for group in finalists.chunks(TOGETHER) {
        let members: Vec<&LayerPath> = std::iter::once(baseline).chain(group).collect();
        let Some(times) = take_turns(decoder, &members, prompt, interrupted)? else { return Ok(None) };
        let Some((beside, own)) = times.split_first() else { continue };
        costs.extend(group.iter().zip(own).map(|(path, own)| cost(subject, path, own, Some(beside))));
        of_baseline.extend(beside);
    }
    costs.insert(0, cost(subject, baseline, &of_baseline, None));
    Ok(Some(costs))
}

/// Milliseconds of each path in each round; none when interrupted.
fn take_turns(
    decoder: &Arc<Decoder>,
    paths: &[&LayerPath],
    prompt: &[u32],
    interrupted: &AtomicBool,
) -> Result<Option<Vec<Vec<f64>>>> {
    let last = prompt.last().copied().unwrap_or(0);
    let failed = |path: &LayerPath| {
        let path = path.to_string();
        move |source| ScanError::Cost { path, source: Box::new(source) }
    };
    let mut texts = Vec::with_capacity(paths.len());
    for path in paths {
        let mut text = Plain::new(decoder.clone(), path, prompt.len() + WARM_UP + ROUNDS).map_err(failed(path))?;
        text.read(prompt).map_err(failed(path))?;
        texts.push(text);
    }
    let mut times = vec![Vec::with_capacity(ROUNDS); paths.len()];
    for round in 0..WARM_UP + ROUNDS {
        for turn in 0..paths.len() {
            if interrupted.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let place = if round % 2 == 0 { turn } else { paths.len() - 1 - turn };
            let begin = Instant::now();
            texts[place].read(&[last]).map_err(failed(paths[place]))?;
            if round >= WARM_UP {
                times[place].push(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    Ok(Some(times))
}

fn cost(subject: &Subject, path: &LayerPath, own: &[f64], beside: Option<&[f64]>) -> PathCost {
    let ratios: Vec<f64> = beside.into_iter().flatten().zip(own).map(|(base, own)| own / base).collect();
    PathCost {
        path: path.to_string(),
        ms_per_token: quantile(own, 0.5).unwrap_or(f64::NAN),
        ms_quartiles: quantile(own, 0.25).zip(quantile(own, 0.75)).map(|(low, high)| [low, high]),
        times_baseline: quantile(&ratios, 0.5).filter(|ratio| ratio.is_finite()),
        tokens: own.len(),
        kv_bytes_per_token: kv_bytes(subject, path),
    }
}

/// The value that this part of all lies below; none of none.
fn quantile(values: &[f64], at: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(((sorted.len() as f64 * at) as usize).min(sorted.len().saturating_sub(1))).copied()
}

/// Bytes of keys and values of one token, each visit with its own, as f32.
fn kv_bytes(subject: &Subject, path: &LayerPath) -> u64 {
    let layers = &subject.config().layers;
    let bytes = |&layer: &usize| {
        let attention = &layers[layer].attention;
        (2 * size_of::<f32>() * attention.kv_heads * attention.head_dim) as u64
    };
    path.layers().iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn the_middle_of_times_is_not_moved_by_one_of_them() {
        let mut times: Vec<f64> = (0..32).map(f64::from).collect();
        times[0] = 1e9;
        assert_eq!((quantile(&times, 0.5), quantile(&times, 0.25)), (Some(17.0), Some(9.0)));
        assert_eq!((quantile(&[3.0], 0.75), quantile(&[], 0.5)), (Some(3.0), None));
    }
}
