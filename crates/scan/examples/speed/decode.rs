//! Decoding at batch 1, as a conversation does it: one prompt read, then token after token.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use neuro_engine::Plain;
use neuro_model::Decoder;
use neuro_path::LayerPath;
use serde::Serialize;

use crate::{Given, Request};

/// How long one token takes along a path.
#[derive(Serialize)]
pub(crate) struct Decoding {
    visits: usize,
    /// Fastest and middle one of all tokens.
    best_ms: f64,
    median_ms: f64,
    /// Fastest embedding, final norm and head alone.
    head_ms: f64,
}

/// Answers the first question along every path.
pub(crate) fn run(
    decoder: &Arc<Decoder>,
    paths: &[LayerPath],
    request: &Request,
) -> Result<(Vec<Given>, Vec<Decoding>), Box<dyn Error>> {
    let prompt = &request.questions.first().ok_or("no question")?.prompt;
    let (mut given, mut decodings) = (Vec::new(), Vec::new());
    for path in paths {
        let mut text = Plain::new(decoder.clone(), path, prompt.len() + request.new_tokens)?;
        let mut logits = text.read(prompt)?;
        let (mut tokens, mut times, mut heads) = (Vec::new(), Vec::new(), Vec::new());
        while tokens.len() < request.new_tokens {
            let best = (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).ok_or("no logits")?;
            tokens.push(best as u32);
            let start = Instant::now();
            logits = text.read(&tokens[tokens.len() - 1..])?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            decoder.unembed(&decoder.embed(&[best as u32])?)?;
            heads.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        heads.sort_by(f64::total_cmp);
        let first = |times: &[f64]| times.first().copied().ok_or("no new tokens");
        let (best_ms, median_ms, head_ms) = (first(&times)?, times[times.len() / 2], first(&heads)?);
        decodings.push(Decoding { visits: path.len(), best_ms, median_ms, head_ms });
        given.push(Given::Tokens(vec![tokens]));
    }
    Ok((given, decodings))
}
