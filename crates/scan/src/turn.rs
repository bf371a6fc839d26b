//! How a chat template opens and closes the model's turn, found by letting it write one.

use neuro_text::{DateTime, Message, RenderOptions, Text, TextError};

/// The date that templates are told. Some write today's date into every prompt; a run that is resumed tomorrow must
/// ask what it asked today.
pub(crate) const CLOCK: DateTime = DateTime::constant(2025, 1, 1, 12, 0, 0, 0);

/// What a template writes around an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// What always stands between the header of the turn and the answer, for example a channel's name. A scored key
    /// is read behind it.
    pub(crate) opening: String,
    /// White space right before the answer, for example the space behind Llama 2's `[/INST]`. It is scored with the
    /// key, since tokenizers join it to the first word.
    pub(crate) lead: String,
    /// The token that ends the turn; none where the model has no such token.
    pub(crate) end: Option<u32>,
    /// Whether the template takes a system message. Otherwise its text goes in front of the user's.
    pub(crate) system: bool,
}

impl Turn {
    /// Looks at one conversation with and without its answer.
    pub(crate) fn of(text: &Text, end_tokens: &[u32]) -> Result<Self, TextError> {
        let mut conversation = vec![Message::user("question")];
        let header = text.render(&conversation, &options(true))?;
        let with_system = [Message::system("instruction"), Message::user("question")];
        let system = text.render(&with_system, &options(true)).is_ok_and(|prompt| prompt.contains("instruction"));
        conversation.push(Message::assistant("ANSWER"));
        // A template may refuse, or write a finished turn with another header (thoughts left out): nothing is learnt
        // of its beginning then, and of the end only what follows the answer.
        let finished = text.render(&conversation, &options(false)).unwrap_or_default();
        let (before, after) = finished.rsplit_once("ANSWER").unwrap_or_default();
        let between = before.strip_prefix(header.as_str()).unwrap_or_default();
        let (opening, lead) = between.split_at(between.trim_end().len());
        let tail = text.encode(after, false)?;
        let known = tail.iter().copied().find(|token| end_tokens.contains(token));
        let special = |token: &u32| text.decode(&[*token], true).is_ok_and(|text| text.is_empty());
        let end = known.or_else(|| tail.iter().copied().find(special)).or_else(|| end_tokens.first().copied());
        Ok(Self { opening: opening.to_owned(), lead: lead.to_owned(), end, system })
    }

    /// The messages of a question.
    pub(crate) fn messages(&self, system: Option<&str>, user: &str) -> Vec<Message> {
        match system {
            Some(system) if self.system => vec![Message::system(system), Message::user(user)],
            Some(system) => vec![Message::user(format!("{system}\n\n{user}"))],
            None => vec![Message::user(user)],
        }
    }
}

/// How every conversation is rendered: thinking closed, the clock stopped.
pub(crate) fn options(add_generation_prompt: bool) -> RenderOptions {
    RenderOptions { add_generation_prompt, enable_thinking: Some(false), now: Some(CLOCK), ..RenderOptions::default() }
}
