//! WHAT IT SAYS: tokenizer, chat template, stop rules, streaming detokeniser.
//!
//! Turns text into token ids and back, and a conversation into the prompt that the model was trained on, both as
//! `transformers` 5.23 does; of GGUF files, as llama.cpp does. It knows no model and no probe: ids and strings in, ids and
//! strings out.
//!
//! Sharpest edge: a chat template is a program from a stranger. It runs on metered time, memory and recursion
//! ([`TextError::TemplateLimit`]), and its `strftime_now` makes a prompt depend on the day ([`Text::reads_clock`]).

mod charsmap;
mod detokenizer;
mod error;
mod files;
mod growth;
mod header;
mod message;
mod sentencepiece;
mod special;
mod stop;
mod template;
mod text;

pub use detokenizer::Detokenizer;
pub use error::TextError;
pub use files::TextFiles;
pub use header::split_name;
pub use jiff::civil::DateTime;
pub use message::{Message, RenderOptions};
pub use stop::{Stop, StopRules};
pub use text::Text;
