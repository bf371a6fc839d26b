//! Questions as tokens: what the model reads, and what it is expected to say.

use neuro_probe::{Probe, Question, Scoring, Terminator};
use neuro_text::{Text, TextError};

use crate::turn::{Thinking, Turn, options};
use crate::{Result, ScanError, Subject};

/// A question as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What is scored, or the one prompt behind which an answer is generated. Never empty.
    pub(crate) parts: Vec<Part>,
    /// New tokens that may be generated; 0 where probabilities are scored.
    pub(crate) limit: usize,
}

/// A prompt, and what is scored behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// What the model reads; at least one token.
    pub(crate) prompt: Vec<u32>,
    /// What is scored: the key or another continuation, and its terminator. Empty where an answer is generated.
    pub(crate) continuation: Vec<u32>,
}

impl Asked {
    /// Tokens that the longest whole sequence may reach.
    pub(crate) fn span(&self) -> usize {
        self.parts.iter().map(Part::tokens).max().unwrap_or(0) + self.limit
    }

    /// Tokens of all prompts and continuations, each counted by itself.
    pub(crate) fn tokens(&self) -> usize {
        self.parts.iter().map(Part::tokens).sum()
    }

    /// Tokens that are scored.
    pub(crate) fn scored(&self) -> usize {
        self.parts.iter().map(|part| part.continuation.len()).sum()
    }

    /// Tokens that a path runs: the last token of a continuation is predicted, never read.
    pub(crate) fn reads(&self) -> impl Iterator<Item = Vec<u32>> {
        let read = |Part { prompt, continuation }: &Part| {
            [prompt, &continuation[..continuation.len().saturating_sub(1)]].concat()
        };
        self.parts.iter().map(read)
    }

    /// The prompt that an answer is generated behind.
    pub(crate) fn prompt(&self) -> &[u32] {
        self.parts.first().map_or(&[], |part| &part.prompt)
    }
}

impl Part {
    fn tokens(&self) -> usize {
        self.prompt.len() + self.continuation.len()
    }
}

/// Puts every question of a probe into tokens.
pub(crate) fn ask(subject: &Subject, probe: &Probe) -> Result<Vec<Asked>> {
    let text = subject.require_text()?;
    let turn = subject.turn()?;
    let vocab = subject.config().vocab_size;
    // What it says for characters that it does not know; whoever has bytes never says it.
    let unknown = ["<unk>", "[UNK]"].iter().find_map(|token| text.token_to_id(token));
    let one = |question: &Question| {
        let name = || (probe.name().to_owned(), question.id.clone());
        let asked = tokens_of(turn.as_ref(), text, probe, question).map_err(|source| {
            let (probe, question) = name();
            ScanError::QuestionText { probe, question, source: Box::new(source) }
        })?;
        if let Some(unknown) = unknown
            && asked.parts.iter().any(|part| part.prompt.contains(&unknown) || part.continuation.contains(&unknown))
        {
            let (probe, question) = name();
            return Err(ScanError::Inexpressible { probe, question });
        }
        let Some(problem) = problem(&asked, probe.scoring(), vocab) else { return Ok(asked) };
        let (probe, question) = name();
        Err(ScanError::Question { probe, question, problem })
    };
    probe.questions().iter().map(one).collect()
}

/// Why a model with a vocabulary of this size cannot be asked this.
fn problem(asked: &Asked, scoring: Scoring, vocab: usize) -> Option<String> {
    let mut tokens = asked.parts.iter().flat_map(|part| part.prompt.iter().chain(&part.continuation));
    if asked.parts.iter().any(|part| part.prompt.is_empty()) {
        Some("its prompt has no tokens, expected at least one".to_owned())
    } else if scoring == Scoring::Likelihood && asked.parts.iter().any(|part| part.continuation.is_empty()) {
        Some("its key has no tokens, expected at least one; score it by generation instead".to_owned())
    } else {
        tokens.find(|&&token| token as usize >= vocab).map(|token| {
            format!(
                "the tokenizer gives token {token}, but the model knows {vocab}; is this the model's own tokenizer?"
            )
        })
    }
}

fn tokens_of(
    turn: Option<&Turn>,
    text: &Text,
    probe: &Probe,
    question: &Question,
) -> std::result::Result<Asked, TextError> {
    let scored = probe.scoring() == Scoring::Likelihood;
    let turn = turn.filter(|_| !probe.always_plain());
    // A template has written the special tokens; the tokenizer adds them to plain text.
    let (read, lead, add_special) = match turn {
        Some(turn) => {
            let messages = turn.messages(question.system.as_deref(), &question.user);
            let closing = turn.thinking.as_ref().map_or("", Thinking::closing);
            let opening = if scored { turn.opening.as_str() } else { "" };
            (text.render(&messages, &options(true))? + closing + opening, Some(turn.lead.as_str()), false)
        }
        None => (question.plain.clone(), None, true),
    };
    if !scored {
        let prompt = text.encode(&read, add_special)?;
        return Ok(Asked { parts: vec![Part { prompt, continuation: Vec::new() }], limit: question.max_new_tokens });
    }
    let (terminator, end) = match probe.terminator(turn.is_some()) {
        Terminator::Text(terminator) => (terminator, None),
        Terminator::EndOfTurn => ("", turn.map_or_else(|| text.eos_token().map(|(_, id)| id), |turn| turn.end)),
        Terminator::None => ("", None),
    };
    let one = |before: &str, said: &str| {
        // What is read behind the prompt takes the place of the answer's beginning.
        let read = match before {
            "" => read.clone(),
            before => format!("{read}{}{before}", lead.unwrap_or_else(|| separator(&read, before))),
        };
        let lead = lead.filter(|_| before.is_empty()).unwrap_or_else(|| separator(&read, said));
        let prompt = text.encode(&read, add_special)?;
        let mut continuation = continuation(text, &read, &prompt, &format!("{lead}{said}{terminator}"), add_special)?;
        continuation.extend(end);
        Ok(Part { prompt, continuation })
    };
    let parts = match question.continuations.as_slice() {
        [] => vec![one("", &question.key)?],
        sets => sets.iter().flatten().map(|part| one(&part.read, &part.said)).collect::<std::result::Result<_, _>>()?,
    };
    Ok(Asked { parts, limit: 0 })
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

/// The space between what is read and what is said, where neither brings one.
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
