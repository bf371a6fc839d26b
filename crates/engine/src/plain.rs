//! The plain way: one path, one text, token by token. The reference for every other way, and what a conversation runs on.

use std::sync::Arc;

use candle_core::Tensor;
use neuro_model::{Batch, Decoder, Slot, State};
use neuro_path::{LayerPath, Visit};

use crate::generation::{Answer, GenerateOptions, NEAR_TIE, Prompt, StopReason, advance};
use crate::likelihood::Scored;
use crate::sampling::choose;
use crate::softmax::log_probabilities;
use crate::{EngineError, Result};

/// A text along a path, and the states of what was read so far. Nothing is read twice.
pub struct Plain {
    decoder: Arc<Decoder>,
    visits: Vec<Visit>,
    state: State,
    read: usize,
    span: usize,
}

impl Plain {
    /// An empty text that is planned to reach `span` tokens.
    ///
    /// # Errors
    /// When the path belongs to another depth.
    pub fn new(decoder: Arc<Decoder>, path: &LayerPath, span: usize) -> Result<Self> {
        let (expected, found) = (decoder.config().num_layers(), path.depth());
        if expected != found {
            return Err(EngineError::DepthMismatch { expected, found });
        }
        let visits = path.visits();
        let mut state = State::new(visits.len());
        // Tokens only ever come behind the newest.
        state.slots.iter_mut().for_each(Slot::never_rewound);
        Ok(Self { decoder, visits, state, read: 0, span })
    }

    /// Bytes that the states of what was read take.
    pub fn state_bytes(&self) -> usize {
        self.state.slots.iter().map(Slot::bytes).sum()
    }

    /// Tokens read so far.
    pub fn len(&self) -> usize {
        self.read
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.read == 0
    }

    /// Reads on and gives the residual stream behind the path, `(tokens, hidden)`.
    fn resid(&mut self, tokens: &[u32]) -> Result<Tensor> {
        let resid = self.decoder.embed_at(tokens, self.read..self.read + tokens.len())?;
        let batch = Batch::next(self.read, tokens.len(), self.span);
        let resid = self.decoder.run(resid, &batch, &self.visits, &mut self.state.slots, &mut ())?;
        self.read += tokens.len();
        Ok(resid)
    }

    /// Reads on and gives the logits of what may come next, `(vocab)`.
    ///
    /// # Errors
    /// When there is nothing to read or the decoder fails.
    pub fn read(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let last = tokens.len().checked_sub(1).ok_or(EngineError::EmptyPrompt { index: 0 })?;
        let resid = self.resid(tokens)?.narrow(0, last, 1)?;
        Ok(self.decoder.unembed(&resid)?.flatten_all()?.to_vec1()?)
    }

    /// The answer to a prompt.
    ///
    /// # Errors
    /// When the prompt is empty, the path belongs to another depth, or the decoder fails.
    pub fn answer(
        decoder: Arc<Decoder>,
        path: &LayerPath,
        prompt: &Prompt,
        options: &GenerateOptions<'_>,
    ) -> Result<Answer> {
        let mut text = Self::new(decoder, path, prompt.span())?;
        let mut answer = Answer { tokens: Vec::new(), stop: StopReason::Length, sweeps: 0 };
        if prompt.limit == 0 {
            return Ok(answer);
        }
        let mut logits = text.read(&prompt.tokens)?;
        loop {
            answer.sweeps += 1;
            let chosen = match choose(&logits, options.suppress, &options.rule, prompt.key(answer.tokens.len())) {
                Some(choice) if choice.lead < NEAR_TIE => {
                    Self::settle(text.decoder.clone(), path, prompt, &answer.tokens, options)?
                }
                choice => choice.map(|choice| choice.token),
            };
            if let Some(stop) = advance(&mut answer.tokens, chosen, prompt.limit, 0, options) {
                answer.stop = stop;
                return Ok(answer);
            }
            let newest = answer.tokens.len() - 1;
            logits = text.read(&answer.tokens[newest..])?;
        }
    }

    /// Log-probability (nats) of each token of a continuation.
    ///
    /// # Errors
    /// When the prompt is empty, the path belongs to another depth, or the decoder fails.
    pub fn logprobs(decoder: Arc<Decoder>, path: &LayerPath, scored: &Scored) -> Result<Vec<f64>> {
        let mut text = Self::new(decoder, path, scored.prompt.len() + scored.continuation.len())?;
        let mut logprobs = Vec::with_capacity(scored.continuation.len());
        let mut logits = text.read(&scored.prompt)?;
        for (index, token) in scored.continuation.iter().enumerate() {
            if index > 0 {
                logits = text.read(&scored.continuation[index - 1..index])?;
            }
            logprobs.extend(log_probabilities(&logits, std::slice::from_ref(token)));
        }
        Ok(logprobs)
    }

    /// The token behind a prompt and what was answered so far, where two are too close to call: the whole text is read
    /// alone, from its beginning and in one pass, and that decides. It depends on nothing but path and text.
    pub(crate) fn settle(
        decoder: Arc<Decoder>,
        path: &LayerPath,
        prompt: &Prompt,
        answered: &[u32],
        options: &GenerateOptions<'_>,
    ) -> Result<Option<u32>> {
        let mut text = Self::new(decoder, path, prompt.span())?;
        let logits = text.read(&[&prompt.tokens, answered].concat())?;
        let choice = choose(&logits, options.suppress, &options.rule, prompt.key(answered.len()));
        Ok(choice.map(|choice| choice.token))
    }
}
