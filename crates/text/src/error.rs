//! Everything that can go wrong between a folder and a prompt.

use std::io;
use std::path::PathBuf;

/// Why a tokenizer or a chat template could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A file exists but cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is larger than any real one of its kind.
    #[error("{} has {bytes} bytes, expected at most {limit}; is it the right file?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The size that is still read.
        limit: u64,
    },
    /// A file does not hold what its name promises.
    #[error("{file} is not valid: {reason}")]
    Invalid {
        /// The file.
        file: String,
        /// What was found, and where.
        reason: String,
    },
    /// Only the parts of a BPE tokenizer are there.
    #[error(
        "{} has a `vocab.json` but no `tokenizer.json`; those parts do not say how text is split. Convert them once with \
         `python -c \"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained('FOLDER').save_pretrained('FOLDER')\"`, \
         which writes the `tokenizer.json`", dir.display()
    )]
    VocabularyOnly {
        /// The folder.
        dir: PathBuf,
    },
    /// The tokenizer refused a text.
    #[error("the tokenizer cannot encode the text: {reason}")]
    Encode {
        /// What the tokenizer said.
        reason: String,
    },
    /// The tokenizer refused token ids.
    #[error("the tokenizer cannot decode {count} tokens: {reason}")]
    Decode {
        /// How many ids were given.
        count: usize,
        /// What the tokenizer said.
        reason: String,
    },
    /// A conversation was to be rendered, and there is no template.
    #[error("the model has no chat template; prompt it with plain text")]
    NoTemplate,
    /// A template of that name does not exist.
    #[error("the model has no chat template named `{name}`, only {available}; name one of those")]
    UnknownTemplate {
        /// The name asked for; `default` when none was named.
        name: String,
        /// The names there are.
        available: String,
    },
    /// A conversation without a message.
    #[error("the conversation is empty, expected at least one message")]
    EmptyConversation,
    /// The template itself refused the conversation (`raise_exception`).
    #[error("the chat template `{name}` refuses this conversation: {message}")]
    TemplateRefused {
        /// The template.
        name: String,
        /// Its words.
        message: String,
    },
    /// The template asks for more than any real template needs.
    #[error(
        "the chat template `{name}` was stopped: {limit}; real templates stay far below, so this one is broken or hostile"
    )]
    TemplateLimit {
        /// The template.
        name: String,
        /// Which limit was reached.
        limit: String,
    },
    /// The template is no valid template, or failed while running.
    #[error("the chat template `{name}` failed: {reason}")]
    TemplateFailed {
        /// The template.
        name: String,
        /// What the template engine said, with the line.
        reason: String,
    },
}
