use serde::{Deserialize, Serialize};

/// One question with its right answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Unique within its probe, and readable: `sqrt(5871236)`, `sol 2 greek`.
    pub id: String,
    /// The kind of question, for scores by kind.
    pub group: String,
    /// System message for models with a chat template.
    pub system: Option<String>,
    /// User message for models with a chat template.
    pub user: String,
    /// The whole prompt for models without one; ends where the answer begins, before the space.
    pub plain: String,
    /// The right answer, without the space before it: a text that scores 1.
    pub key: String,
    /// What else the scorer compares with, in a form of its own; empty where the key is all it needs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// What tells the question from others, where several probes ask it in words of their own; empty where prompt and key do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// Sets of continuations whose probabilities are asked for; of each set the model says one. Empty where the key's
    /// is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuations: Vec<Vec<Continuation>>,
    /// Most tokens that are generated.
    pub max_new_tokens: usize,
}

/// A text that may follow a question's prompt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Continuation {
    /// Read behind the prompt and not scored: `Anger:`. The space between prompt and answer stands in front of it.
    pub read: String,
    /// Scored, with the terminator behind it. Without the space before it.
    pub said: String,
    /// What it is worth, or the number that it stands for: of choices 1 for the right one and 0 for the others.
    pub value: f64,
}

impl Continuation {
    /// A choice that stands right behind the prompt.
    #[must_use]
    pub fn choice(said: impl Into<String>, is_right: bool) -> Self {
        Self { read: String::new(), said: said.into(), value: f64::from(u8::from(is_right)) }
    }
}

/// What ends an answer, and is scored with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminator {
    /// The model's end-of-turn token.
    EndOfTurn,
    /// This text.
    Text(&'static str),
    /// Nothing: the key alone is the answer.
    None,
}

/// What stands around an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What ends a scored answer behind a chat template.
    pub chat_terminator: Terminator,
    /// What ends one behind a plain prompt.
    pub plain_terminator: Terminator,
    /// Texts after which generation behind a plain prompt need not go on.
    pub plain_stops: Vec<String>,
    /// Whether the plain prompt is asked even of models with a chat template.
    pub always_plain: bool,
}

impl Frame {
    /// An answer that is over at its limit: no terminator is scored, nothing stops it.
    #[must_use]
    pub fn open() -> Self {
        Self {
            chat_terminator: Terminator::None,
            plain_terminator: Terminator::None,
            plain_stops: Vec::new(),
            always_plain: false,
        }
    }

    /// An answer of one line.
    ///
    /// A model without a chat template would go on with questions of its own. A bare line break does not stop it: it may
    /// come before the answer, and style must not cost a score.
    #[must_use]
    pub fn one_line() -> Self {
        Self {
            chat_terminator: Terminator::EndOfTurn,
            plain_terminator: Terminator::Text("\n"),
            plain_stops: vec!["\nQuestion".to_owned()],
            always_plain: false,
        }
    }
}
