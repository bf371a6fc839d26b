//! What a chat template is given.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`; templates may know more.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Message {
    /// An instruction to the model.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: "system".into(), content: content.into() }
    }

    /// A turn of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: "user".into(), content: content.into() }
    }

    /// A turn of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: "assistant".into(), content: content.into() }
    }
}

/// How a conversation is rendered. The default is that of `apply_chat_template`: no generation prompt, nothing else set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RenderOptions {
    /// Whether the header of the model's next turn is written at the end. Wanted for every question.
    pub add_generation_prompt: bool,
    /// `enable_thinking` of the templates that know it; left undefined where `None`.
    pub enable_thinking: Option<bool>,
    /// Which of several named templates; `None` is `default`.
    pub template_name: Option<String>,
    /// Further variables of the template (`tools`, `documents`, `reasoning_effort`, …); they win over everything else.
    pub variables: Map<String, Value>,
    /// What `strftime_now` calls now; `None` is this moment in local time. Fix it where a prompt must be reproducible.
    pub now: Option<DateTime>,
}
