//! `neuro ask`: its arguments, and the examples that its help ends with.

use clap::{Args, ValueHint};

use super::LoadArgs;
use crate::sampling::SamplingArgs;

/// Arguments of `neuro ask`.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// Checkpoint folder, .gguf file, `phantom`, `phantom-plain`, or a name on the Hugging Face hub:
    /// org/name, org/name@revision, org/name:file.gguf
    #[arg(value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    pub(crate) model: String,
    /// What to ask; read from stdin where it is left out or `-`
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Option<String>,
    /// Layer path, in any notation (default: the baseline)
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub(crate) path: Option<String>,
    /// Instruction that comes before the prompt, for models with a chat template
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    pub(crate) system: Option<String>,
    /// Continue the prompt as plain text, without the chat template
    #[arg(long)]
    pub(crate) raw: bool,
    /// Longest answer, in tokens
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) max_tokens: usize,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Print one JSON document instead of the answer as it comes
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro ask FOLDER 'What is the square root of 4624?'
      the baseline answers
  neuro ask FOLDER --path '(11,16)' 'What is the square root of 4624?'
      the same model with layers 11 to 15 run once more
  neuro ask FOLDER --raw --max-tokens 40 < beginning.txt
      continues a text";
