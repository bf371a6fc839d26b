//! Greedy answers along a path: prefill from the trunk, then token by token.

use std::sync::Arc;

use neuro_model::{Batch, Decoder, Segment};
use neuro_path::LayerPath;

use crate::Result;
use crate::trunk::{Trunk, for_each_logits};

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The model said so: an end-of-text token.
    EndOfText,
    /// A rule of the asker, such as a stop string.
    StopRule,
    /// The answer ran into a loop.
    Loop,
    /// The limit of new tokens.
    Length,
    /// The activations are not finite, so there is no next token.
    NotFinite,
}

impl StopReason {
    /// The reason's name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::EndOfText => "end_of_text",
            Self::StopRule => "stop_rule",
            Self::Loop => "loop",
            Self::Length => "length",
            Self::NotFinite => "not_finite",
        }
    }
}

/// How to generate.
pub struct GenerateOptions<'a> {
    /// Tokens that end an answer.
    pub eos: &'a [u32],
    /// Tokens that are never chosen.
    pub suppress: &'a [u32],
    /// Called after every new token with the index of the prompt and all new tokens so far; may end the answer.
    pub watch: &'a dyn Fn(usize, &[u32]) -> Option<StopReason>,
}

/// What came behind one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// New tokens, without the end-of-text token.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub stop: StopReason,
}

/// A set of prompts to be answered, its trunk computed.
pub struct Generation {
    decoder: Arc<Decoder>,
    trunk: Trunk,
    /// Tokens of each prompt, and how many may follow.
    limits: Vec<(usize, usize)>,
}

impl Generation {
    /// Runs the baseline over the prompts, each with its limit of new tokens.
    ///
    /// # Errors
    /// When a prompt is empty, a token is out of range, or the decoder fails.
    pub fn new(decoder: Arc<Decoder>, prompts: &[(&[u32], usize)]) -> Result<Self> {
        let tokens: Vec<_> = prompts.iter().map(|&(tokens, _)| tokens).collect();
        let limits: Vec<_> = prompts.iter().map(|&(tokens, limit)| (tokens.len(), limit)).collect();
        let spans: Vec<_> = limits.iter().map(|(tokens, limit)| tokens.saturating_add(*limit)).collect();
        let trunk = Trunk::new(&decoder, &tokens, &spans)?;
        Ok(Self { decoder, trunk, limits })
    }

    /// Greedy answers along the path. Of equal logits the lower token wins.
    ///
    /// # Errors
    /// When the path belongs to another depth or the decoder fails.
    pub fn answers(&self, path: &LayerPath, options: &GenerateOptions<'_>) -> Result<Vec<Answer>> {
        if self.limits.is_empty() {
            return Ok(Vec::new());
        }
        let visits = path.visits();
        let (mut resid, mut state) = self.trunk.run(&self.decoder, path)?;
        let mut answers = vec![Answer { tokens: Vec::new(), stop: StopReason::Length }; self.limits.len()];
        let mut active: Vec<usize> = (0..answers.len()).filter(|&index| self.limits[index].1 > 0).collect();
        let mut rows: Vec<u32> = active.iter().map(|&index| (self.trunk.batch.rows_of(index).end - 1) as u32).collect();
        while !active.is_empty() {
            let mut chosen = Vec::with_capacity(rows.len());
            for_each_logits(&self.decoder, &resid, &rows, |_, logits| chosen.push(greedy(logits, options.suppress)))?;
            let mut going = Vec::with_capacity(active.len());
            for (&index, chosen) in active.iter().zip(chosen) {
                let answer = &mut answers[index];
                match advance(answer, chosen, self.limits[index].1, index, options) {
                    None => going.push(index),
                    Some(stop) => {
                        answer.stop = stop;
                        state.slots.iter_mut().for_each(|slot| slot.clear(index));
                    }
                }
            }
            active = going;
            if active.is_empty() {
                break;
            }
            let segment = |&sequence: &usize| {
                let (prompt, limit) = self.limits[sequence];
                let past = prompt + answers[sequence].tokens.len() - 1;
                Segment { sequence, past, len: 1, span: prompt.saturating_add(limit) }
            };
            let batch = Batch::new(&active.iter().map(segment).collect::<Vec<_>>());
            let last: Vec<&[u32]> = active.iter().map(|&index| newest(&answers[index])).collect();
            resid = self.decoder.embed(&batch.pack(&last))?;
            resid = self.decoder.run(resid, &batch, &visits, &mut state.slots, &mut ())?;
            rows = (0..active.len()).map(|segment| batch.rows_of(segment).start as u32).collect();
        }
        Ok(answers)
    }
}

/// Takes one chosen token into the answer; says why the answer ends, if it does.
fn advance(
    answer: &mut Answer,
    chosen: Option<u32>,
    limit: usize,
    index: usize,
    options: &GenerateOptions<'_>,
) -> Option<StopReason> {
    let Some(token) = chosen else { return Some(StopReason::NotFinite) };
    if options.eos.contains(&token) {
        return Some(StopReason::EndOfText);
    }
    answer.tokens.push(token);
    let stop = (options.watch)(index, &answer.tokens);
    stop.or_else(|| (answer.tokens.len() >= limit).then_some(StopReason::Length))
}

fn newest(answer: &Answer) -> &[u32] {
    &answer.tokens[answer.tokens.len().saturating_sub(1)..]
}

/// The token of the largest logit, the lowest of equals; `None` when no logit or not every logit is finite.
fn greedy(logits: &[f32], suppress: &[u32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (token, &logit) in (0u32..).zip(logits) {
        if !logit.is_finite() {
            return None;
        }
        if best.is_none_or(|(_, largest)| logit > largest) && !suppress.contains(&token) {
            best = Some((token, logit));
        }
    }
    best.map(|(token, _)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_lowest_of_equals_and_never_a_suppressed_token() {
        assert_eq!(greedy(&[0.0, 2.0, 2.0], &[]), Some(1));
        assert_eq!(greedy(&[0.0, 2.0, 1.0], &[1]), Some(2));
        assert_eq!(greedy(&[0.0, f32::NAN], &[]), None);
        assert_eq!(greedy(&[5.0], &[0]), None);
    }
}
