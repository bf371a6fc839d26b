//! The plain way: one path, one text, token by token. The reference for every other way, and what a conversation runs on.

use std::sync::Arc;

use candle_core::Tensor;
use neuro_model::{Batch, Decoder, Slot, State};
use neuro_path::{LayerPath, Visit};

use crate::generation::{Answer, GenerateOptions, Prompt, StopReason, advance, is_near_tie};
use crate::likelihood::Scored;
use crate::sampling::{ChoiceKey, choose};
use crate::softmax::log_probabilities;
use crate::{EngineError, Result};

/// A text along a path, and the states of what was read so far. Nothing is read twice but where two tokens are too close to
/// call, or a text outgrows a length behind which all its positions are turned otherwise (LongRoPE, dynamic RoPE).
pub struct Plain {
    decoder: Arc<Decoder>,
    path: LayerPath,
    visits: Vec<Visit>,
    state: State,
    /// What was read.
    tokens: Vec<u32>,
    /// What comes behind it and was not read: the newest token of an answer.
    unread: Vec<u32>,
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
        let state = Self::state(visits.len());
        Ok(Self { decoder, path: path.clone(), visits, state, tokens: Vec::new(), unread: Vec::new(), span })
    }

    fn state(visits: usize) -> State {
        let mut state = State::new(visits);
        // Tokens only ever come behind the newest.
        state.slots.iter_mut().for_each(Slot::never_rewound);
        state
    }

    /// Bytes that the states of what was read take.
    pub fn state_bytes(&self) -> usize {
        self.state.slots.iter().map(Slot::bytes).sum()
    }

    /// Tokens read so far.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Reads on and gives the residual stream behind the path, `(tokens, hidden)`.
    fn resid(&mut self, tokens: &[u32]) -> Result<Tensor> {
        let read = self.tokens.len();
        let resid = self.decoder.embed_at(tokens, read..read + tokens.len())?;
        let batch = Batch::next(read, tokens.len(), self.span);
        let resid = self.decoder.run(resid, &batch, &self.visits, &mut self.state.slots, &mut ())?;
        self.tokens.extend(tokens);
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
        Self::new(decoder, path, prompt.span())?.reply(prompt, options)
    }

    /// The answer to a prompt that comes behind all that was read and answered before: a conversation's next turn. Only the
    /// prompt and the answer are run.
    ///
    /// # Errors
    /// When the prompt is empty, or the decoder fails: the conversation cannot go on behind that.
    pub fn reply(&mut self, prompt: &Prompt, options: &GenerateOptions<'_>) -> Result<Answer> {
        if prompt.tokens.is_empty() {
            return Err(EngineError::EmptyPrompt { index: 0 });
        }
        let mut answer = Answer { tokens: Vec::new(), stop: StopReason::Length, sweeps: 0 };
        self.unread.extend(&prompt.tokens);
        if prompt.limit == 0 {
            return Ok(answer);
        }
        let mut next = std::mem::take(&mut self.unread);
        let span = self.tokens.len() + next.len() + prompt.limit;
        if span > self.span {
            if !self.is_empty() && self.decoder.shared_span(span) != self.decoder.shared_span(self.span) {
                next.splice(0..0, std::mem::take(&mut self.tokens));
                self.state = Self::state(self.visits.len());
            }
            self.span = span;
        }
        loop {
            let logits = self.read(&next)?;
            answer.sweeps += 1;
            let key = prompt.key(answer.tokens.len());
            let chosen = match choose(&logits, options.suppress, &options.rule, key) {
                Some(choice) if is_near_tie(&self.decoder, &choice) => {
                    Self::settle(self.decoder.clone(), &self.path, self.span, &self.tokens, options, key)?
                }
                choice => choice.map(|choice| choice.token),
            };
            let stop = advance(&mut answer.tokens, chosen, prompt.limit, 0, options);
            let newest = answer.tokens.last().copied();
            if let Some(stop) = stop {
                // An end-of-text token is no part of the answer: whether the text goes on with it, the next prompt says.
                if stop != StopReason::EndOfText && chosen.is_some() {
                    self.unread.extend(newest);
                }
                answer.stop = stop;
                return Ok(answer);
            }
            next = newest.into_iter().collect();
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

    /// The token behind a text, where two are too close to call: the whole text is read alone, from its beginning and in one
    /// pass, and that decides. It depends on nothing but path, text and the length that it is planned to reach.
    pub(crate) fn settle(
        decoder: Arc<Decoder>,
        path: &LayerPath,
        span: usize,
        text: &[u32],
        options: &GenerateOptions<'_>,
        key: ChoiceKey,
    ) -> Result<Option<u32>> {
        let logits = Self::new(decoder, path, span)?.read(text)?;
        Ok(choose(&logits, options.suppress, &options.rule, key).map(|choice| choice.token))
    }
}
