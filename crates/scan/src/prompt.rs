//! Questions as tokens: what the model reads, and what it is expected to say.

use neuro_probe::{Probe, Question, Scoring, Terminator};
use neuro_text::{Text, TextError};

use crate::turn::{Turn, options};
use crate::{Result, ScanError, Subject};

/// A question as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What the model reads; at least one token.
    pub(crate) prompt: Vec<u32>,
    /// The key and its terminator, to be scored; empty where an answer is generated.
    pub(crate) continuation: Vec<u32>,
    /// New tokens that may be generated; 0 where the key is scored.
    pub(crate) limit: usize,
}

impl Asked {
    /// Tokens that the whole sequence may reach.
    pub(crate) fn span(&self) -> usize {
        self.prompt.len() + self.continuation.len() + self.limit
    }

    /// Tokens that a path runs: the last token of a continuation is predicted, never read.
    pub(crate) fn read(&self) -> Vec<u32> {
        [&self.prompt, &self.continuation[..self.continuation.len().saturating_sub(1)]].concat()
    }
}

/// Puts every question of a probe into tokens.
pub(crate) fn ask(subject: &Subject, probe: &Probe) -> Result<Vec<Asked>> {
    let text = subject.require_text()?;
    let turn = subject.turn()?;
    let vocab = subject.config().vocab_size;
    let one = |question: &Question| {
        let name = || (probe.name().to_owned(), question.id.clone());
        let asked = tokens_of(turn.as_ref(), text, probe, question).map_err(|source| {
            let (probe, question) = name();
            ScanError::QuestionText { probe, question, source: Box::new(source) }
        })?;
        let problem = if asked.prompt.is_empty() {
            "its prompt has no tokens, expected at least one".to_owned()
        } else if probe.scoring() == Scoring::Likelihood && asked.continuation.is_empty() {
            "its key has no tokens, expected at least one; score it by generation instead".to_owned()
        } else if let Some(token) =
            asked.prompt.iter().chain(&asked.continuation).find(|&&token| token as usize >= vocab)
        {
            format!(
                "the tokenizer gives token {token}, but the model knows {vocab}; is this the model's own tokenizer?"
            )
        } else {
            return Ok(asked);
        };
        let (probe, question) = name();
        Err(ScanError::Question { probe, question, problem })
    };
    probe.questions().iter().map(one).collect()
}

fn tokens_of(
    turn: Option<&Turn>,
    text: &Text,
    probe: &Probe,
    question: &Question,
) -> std::result::Result<Asked, TextError> {
    let scored = probe.scoring() == Scoring::Likelihood;
    // A template has written the special tokens; the tokenizer adds them to plain text.
    let (read, lead, add_special) = match turn {
        Some(turn) => {
            let messages = turn.messages(question.system.as_deref(), &question.user);
            let opening = if scored { turn.opening.as_str() } else { "" };
            (text.render(&messages, &options(true))? + opening, turn.lead.as_str(), false)
        }
        None => (question.plain.clone(), separator(&question.plain, &question.key), true),
    };
    let prompt = text.encode(&read, add_special)?;
    if !scored {
        return Ok(Asked { prompt, continuation: Vec::new(), limit: question.max_new_tokens });
    }
    let mut said = format!("{lead}{}", question.key);
    let mut end = None;
    match probe.terminator(turn.is_some()) {
        Terminator::Text(terminator) => said.push_str(terminator),
        Terminator::EndOfTurn => end = turn.map_or_else(|| text.eos_token().map(|(_, id)| id), |turn| turn.end),
        Terminator::None => {}
    }
    let mut continuation = continuation(text, &read, &prompt, &said, add_special)?;
    continuation.extend(end);
    Ok(Asked { prompt, continuation, limit: 0 })
}

/// Tokens of `said` behind `read`: the rest of the whole text's tokens, so that a word is cut as the model has met it.
/// Where the seam lies within a token, the prompt stays as it is generated from, and `said` is encoded by itself.
fn continuation(
    text: &Text,
    read: &str,
    prompt: &[u32],
    said: &str,
    add_special: bool,
) -> std::result::Result<Vec<u32>, TextError> {
    let whole = text.encode(&format!("{read}{said}"), add_special)?;
    match whole.strip_prefix(prompt) {
        Some(rest) if !rest.is_empty() => Ok(rest.to_vec()),
        _ => text.encode(said, false),
    }
}

/// The space between a plain prompt and its answer, where neither brings one.
fn separator(plain: &str, key: &str) -> &'static str {
    let brought = plain.is_empty() || plain.ends_with(char::is_whitespace) || key.starts_with(char::is_whitespace);
    if brought { "" } else { " " }
}

#[cfg(test)]
mod tests {
    use super::separator;

    #[test]
    fn one_space_stands_between_prompt_and_key() {
        assert_eq!(separator("A:", "42"), " ");
        assert_eq!(separator("A: ", "42"), "");
        assert_eq!(separator("A:\n", "42"), "");
        assert_eq!(separator("A:", " 42"), "");
        assert_eq!(separator("", "42"), "");
    }
}
