//! Scoring without generating: the log-probability of given continuations, one prefill and no decoding.

use std::sync::Arc;

use candle_core::Tensor;
use neuro_model::Decoder;
use neuro_path::LayerPath;

use crate::forest::{Demand, Forest, Watch};
use crate::head::read_logits;
use crate::softmax::log_probabilities;
use crate::tokens::TokenTrie;
use crate::{EngineError, Result, Stats};

/// A prompt and the continuation whose probability is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scored {
    /// Tokens before the continuation, at least one.
    pub prompt: Vec<u32>,
    /// Tokens to score; may be empty.
    pub continuation: Vec<u32>,
}

impl Scored {
    /// Tokens that the model reads: the last one of a continuation is predicted, never read.
    fn read(&self) -> Vec<u32> {
        [&self.prompt, &self.continuation[..self.continuation.len().saturating_sub(1)]].concat()
    }
}

/// A set of prompts with continuations. What they begin with alike is computed once.
pub struct Likelihood {
    forest: Forest,
    /// For each prompt and each of its scored tokens: the node that predicts it, and the token.
    targets: Vec<Vec<(u32, u32)>>,
    /// The nodes that predict something, ascending.
    asked: Vec<u32>,
}

impl Likelihood {
    /// Prepares the set; nothing is computed yet.
    ///
    /// # Errors
    /// When a prompt is empty.
    pub fn new(decoder: Arc<Decoder>, prompts: &[Scored]) -> Result<Self> {
        if let Some(index) = prompts.iter().position(|scored| scored.prompt.is_empty()) {
            return Err(EngineError::EmptyPrompt { index });
        }
        let mut tokens = TokenTrie::default();
        let mut targets = Vec::with_capacity(prompts.len());
        for scored in prompts.iter() {
            let span = decoder.shared_span(scored.prompt.len() + scored.continuation.len());
            let nodes = tokens.insert(span, &scored.read());
            let before = nodes.into_iter().skip(scored.prompt.len() - 1);
            targets.push(before.zip(scored.continuation.iter().copied()).collect::<Vec<_>>());
        }
        let mut asked: Vec<u32> = targets.iter().flatten().map(|&(node, _)| node).collect();
        asked.sort_unstable();
        asked.dedup();
        Ok(Self { forest: Forest::new(decoder, tokens, false)?, targets, asked })
    }

    /// Runs the baseline's first layers over the prompts, for all paths that begin with them. Without this call the first
    /// paths that need it do.
    ///
    /// # Errors
    /// When the decoder fails or `watch` ends it.
    pub fn trunk(&mut self, layers: usize, watch: &mut Watch<'_>) -> Result<()> {
        self.forest.trunk(layers, watch)
    }

    /// Log-probability (nats) of each token of each continuation along each path: `[path][prompt][token]`. `NaN` where
    /// the activations are not finite.
    ///
    /// # Errors
    /// When a path belongs to another depth, the decoder fails, or `watch` ends it.
    pub fn logprobs(&mut self, paths: &[LayerPath], watch: &mut Watch<'_>) -> Result<Vec<Vec<Vec<f64>>>> {
        if self.asked.is_empty() {
            return Ok(vec![vec![Vec::new(); self.targets.len()]; paths.len()]);
        }
        let ends = self.forest.plant(paths, watch)?;
        let demand = |&end: &usize| Demand { end, tokens: Vec::new(), asked: self.asked.clone() };
        let demands: Vec<Demand> = ends.iter().map(demand).collect();
        let resid = self.forest.sweep(&demands, watch)?;
        let resid: Vec<Tensor> = resid.into_iter().collect::<Option<_>>().ok_or(EngineError::MissingState)?;

        // One row of logits may predict several tokens, where continuations branch.
        let mut wanted: Vec<Vec<u32>> = vec![Vec::new(); self.asked.len()];
        let place = |node: &u32| self.asked.binary_search(node).unwrap_or_default();
        for (node, token) in self.targets.iter().flatten() {
            let tokens = &mut wanted[place(node)];
            if !tokens.contains(token) {
                tokens.push(*token);
            }
        }
        let (mut all, mut buffer) = (Vec::with_capacity(paths.len()), Vec::new());
        // Paths together fill the head's tiles.
        for group in resid.chunks(crate::head::HEAD_ROWS.div_ceil(self.asked.len())) {
            let rows = Tensor::cat(group, 0)?;
            let read = |row: usize, logits: &[f32]| log_probabilities(logits, &wanted[row % self.asked.len()]);
            let found = read_logits(&self.forest.decoder, &rows, &mut buffer, read)?;
            for found in found.chunks(self.asked.len()) {
                let one = |&(node, token): &(u32, u32)| {
                    let place = place(&node);
                    let index = wanted[place].iter().position(|&other| other == token);
                    index.map_or(f64::NAN, |index| found[place][index])
                };
                all.push(self.targets.iter().map(|targets| targets.iter().map(one).collect()).collect());
            }
        }
        Ok(all)
    }

    /// What has been run so far.
    pub fn stats(&self) -> Stats {
        self.forest.stats
    }
}
