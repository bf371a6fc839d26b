//! Scoring without generating: the log-probability of a given continuation, one prefill and no decoding.

use std::sync::Arc;

use neuro_model::Decoder;
use neuro_path::LayerPath;

use crate::Result;
use crate::trunk::{Trunk, for_each_logits};

/// A prompt and the continuation whose probability is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scored {
    /// Tokens before the continuation, at least one.
    pub prompt: Vec<u32>,
    /// Tokens to score; may be empty.
    pub continuation: Vec<u32>,
}

/// A set of prompts with continuations, its trunk computed.
pub struct Likelihood {
    decoder: Arc<Decoder>,
    trunk: Trunk,
    /// Row that predicts each scored token, and the token, prompt by prompt.
    targets: Vec<(u32, u32)>,
    lengths: Vec<usize>,
}

impl Likelihood {
    /// Runs the baseline over the set.
    ///
    /// # Errors
    /// When a prompt is empty, a token is out of range, or the decoder fails.
    pub fn new(decoder: Arc<Decoder>, prompts: &[Scored]) -> Result<Self> {
        // The last token of a continuation is predicted, never read.
        let sequence = |scored: &Scored| {
            let read = scored.continuation.len().saturating_sub(1);
            if scored.prompt.is_empty() { Vec::new() } else { [&scored.prompt, &scored.continuation[..read]].concat() }
        };
        let sequences: Vec<_> = prompts.iter().map(sequence).collect();
        let spans: Vec<_> = prompts.iter().map(|scored| scored.prompt.len() + scored.continuation.len()).collect();
        let views: Vec<_> = sequences.iter().map(Vec::as_slice).collect();
        let trunk = Trunk::new(&decoder, &views, &spans)?;
        let mut targets = Vec::new();
        for (index, scored) in prompts.iter().enumerate() {
            let first = trunk.batch.rows_of(index).start + scored.prompt.len() - 1;
            targets.extend(scored.continuation.iter().enumerate().map(|(k, &token)| ((first + k) as u32, token)));
        }
        let lengths = prompts.iter().map(|scored| scored.continuation.len()).collect();
        Ok(Self { decoder, trunk, targets, lengths })
    }

    /// Log-probability (nats) of each token of each continuation along the path. `NaN` where the activations are not
    /// finite.
    ///
    /// # Errors
    /// When the path belongs to another depth or the decoder fails.
    pub fn logprobs(&self, path: &LayerPath) -> Result<Vec<Vec<f64>>> {
        if self.targets.is_empty() {
            return Ok(self.lengths.iter().map(|_| Vec::new()).collect());
        }
        let (resid, _state) = self.trunk.run(&self.decoder, path)?;
        let rows: Vec<u32> = self.targets.iter().map(|&(row, _)| row).collect();
        let mut flat = Vec::with_capacity(rows.len());
        for_each_logits(&self.decoder, &resid, &rows, |index, logits| {
            flat.push(log_probability(logits, self.targets[index].1));
        })?;
        let mut rest = flat.into_iter();
        Ok(self.lengths.iter().map(|&length| rest.by_ref().take(length).collect()).collect())
    }
}

/// `log softmax(logits)[token]`, summed in f64; `NaN` when a logit is not finite.
fn log_probability(logits: &[f32], token: u32) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !logits.iter().all(|logit| logit.is_finite()) {
        return f64::NAN;
    }
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    let Some(&logit) = logits.get(token as usize) else { return f64::NAN };
    f64::from(logit - largest) - sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_sum_to_one_and_survive_large_logits() {
        let logits = [1000.0, 1001.0, 999.5];
        let total: f64 = (0..3).map(|token| log_probability(&logits, token).exp()).sum();
        assert!((total - 1.0).abs() < 1e-12, "{total}");
        assert!(log_probability(&[0.0, f32::NAN], 0).is_nan());
        assert!(log_probability(&[0.0, f32::INFINITY], 0).is_nan());
    }
}
