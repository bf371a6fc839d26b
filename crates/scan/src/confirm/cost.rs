//! What a path costs, run alone: milliseconds per token, and bytes of keys and values.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use neuro_engine::Plain;
use neuro_model::Decoder;
use neuro_path::LayerPath;
use neuro_record::PathCost;

use crate::{Result, ScanError, Subject};

/// Tokens that are timed on each path in each round; those that come before warm caches.
const TOKENS: usize = 8;
const WARM_UP: usize = 2;
/// Rounds over all paths, so that what disturbs the machine for a while disturbs none alone.
const ROUNDS: usize = 3;

/// Times every path behind the same prompt, token by token; none when interrupted.
///
/// # Errors
/// When the decoder fails.
pub(crate) fn costs(
    subject: &Subject,
    decoder: &std::sync::Arc<Decoder>,
    paths: &[LayerPath],
    prompt: &[u32],
    interrupted: &AtomicBool,
) -> Result<Option<Vec<PathCost>>> {
    let last = prompt.last().copied().unwrap_or(0);
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); paths.len()];
    for _ in 0..ROUNDS {
        for (path, times) in paths.iter().zip(&mut times) {
            if interrupted.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let failed = |source| ScanError::Cost { path: path.to_string(), source: Box::new(source) };
            let mut text = Plain::new(decoder.clone(), path, prompt.len() + WARM_UP + TOKENS).map_err(failed)?;
            text.read(prompt).map_err(failed)?;
            for token in 0..WARM_UP + TOKENS {
                let begin = Instant::now();
                text.read(&[last]).map_err(failed)?;
                if token >= WARM_UP {
                    times.push(begin.elapsed().as_secs_f64() * 1e3);
                }
            }
        }
    }
    let cost = |(path, mut times): (&LayerPath, Vec<f64>)| {
        times.sort_by(f64::total_cmp);
        PathCost {
            path: path.to_string(),
            ms_per_token: times.get(times.len() / 2).copied().unwrap_or(f64::NAN),
            tokens: times.len(),
            kv_bytes_per_token: kv_bytes(subject, path),
        }
    };
    Ok(Some(paths.iter().zip(times).map(cost).collect()))
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
