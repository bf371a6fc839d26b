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
    /// How the model is kept from thinking; none where the template knows no thoughts.
    pub(crate) thinking: Option<Thinking>,
}

/// How a model that thinks before it answers is kept from it: the probes measure what comes at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thinking {
    /// The template does it itself when told to.
    Closed,
    /// The template opens a block of thoughts all the same; this is written behind it.
    ClosedBehind(&'static str),
    /// The template tells the model to think, or answers begin with the name of a channel, which a generated answer writes
    /// itself, perhaps behind thoughts: only its limit of tokens ends them.
    Budgeted,
}

/// Marks around thoughts.
const THOUGHTS: [(&str, &str, &str); 5] = [
    ("<think>", "</think>", "\n</think>\n\n"),
    ("<thinking>", "</thinking>", "\n</thinking>\n\n"),
    ("<thought>", "</thought>", "\n</thought>\n\n"),
    ("<seed:think>", "</seed:think>", "\n</seed:think>\n\n"),
    ("[THINK]", "[/THINK]", "[/THINK]"),
];

impl Thinking {
    /// From the header of the model's turn with thinking off and on, and from what always opens an answer.
    fn of(off: &str, on: &str, opening: &str) -> Option<Self> {
        for (open, close, closing) in THOUGHTS {
            let after = off.rsplit_once(open).map(|(_, after)| after);
            if after.is_some_and(|after| !after.contains(close) && after.trim().is_empty()) {
                return Some(Self::ClosedBehind(closing));
            }
        }
        let is_closed = THOUGHTS.iter().any(|(_, close, _)| off.trim_end().ends_with(close));
        if is_closed || off != on {
            return Some(Self::Closed);
        }
        let is_told = THOUGHTS.iter().any(|(open, ..)| off.contains(open));
        (is_told || !opening.is_empty()).then_some(Self::Budgeted)
    }

    /// What is written behind the header of the turn.
    pub(crate) fn closing(&self) -> &'static str {
        match self {
            Self::ClosedBehind(closing) => closing,
            Self::Closed | Self::Budgeted => "",
        }
    }

    /// What a reader of a row must know of it.
    pub(crate) fn note(&self) -> &'static str {
        match self {
            Self::Closed => "thinking is closed: the chat template was told so",
            Self::ClosedBehind(_) => {
                "thinking is closed: the chat template opens a block of thoughts, and its end is written behind it"
            }
            Self::Budgeted => {
                "thinking is budgeted: the chat template lets the model think, so a generated answer may think within its \
                 limit of tokens, and is unreadable when that ends it"
            }
        }
    }
}

impl Turn {
    /// Looks at one conversation with and without its answer.
    pub(crate) fn of(text: &Text, end_tokens: &[u32]) -> Result<Self, TextError> {
        let mut conversation = vec![Message::user("question")];
        let header = text.render(&conversation, &options(true))?;
        let told_to_think = RenderOptions { enable_thinking: Some(true), ..options(true) };
        let thoughtful = text.render(&conversation, &told_to_think).unwrap_or_else(|_| header.clone());
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
        let thinking = Thinking::of(&header, &thoughtful, opening);
        Ok(Self { opening: opening.to_owned(), lead: lead.to_owned(), end, system, thinking })
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

#[cfg(test)]
mod tests {
    use super::Thinking;

    #[test]
    fn thoughts_are_closed_or_said_to_be_budgeted() {
        for (off, on, opening, expected) in [
            ("A:", "A:", "", None),
            ("A:<think>\n", "A:<think>\n", "", Some(Thinking::ClosedBehind("\n</think>\n\n"))),
            ("A:[THINK]", "A:[THINK]", "", Some(Thinking::ClosedBehind("[/THINK]"))),
            ("A:<think>\n\n</think>\n\n", "A:", "", Some(Thinking::Closed)),
            ("be brief A:", "think A:", "", Some(Thinking::Closed)),
            ("A:", "A:", "<|channel|>final", Some(Thinking::Budgeted)),
            ("A:</think>", "A:</think>", "", Some(Thinking::Closed)),
            // Named in an instruction, long before the turn.
            ("think in [THINK] A:", "think in [THINK] A:", "", Some(Thinking::Budgeted)),
        ] {
            assert_eq!(Thinking::of(off, on, opening), expected, "{off}");
        }
    }
}
