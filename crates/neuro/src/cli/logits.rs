//! `neuro logits`: its arguments, and the examples that its help ends with.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::LoadArgs;
use crate::values::Tokens;

/// Arguments of `neuro logits`.
#[derive(Debug, Args)]
pub(crate) struct LogitsArgs {
    /// Checkpoint folder, with or without a tokenizer, .gguf file, `phantom`, `phantom-plain`, or a name on the Hugging Face
    /// hub: org/name, org/name@revision, org/name:file.gguf
    #[arg(value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    pub(crate) model: String,
    /// Layer path, in any notation (default: the baseline)
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub(crate) path: Option<String>,
    /// Token ids, from the first position on
    #[arg(long, value_name = "IDS")]
    pub(crate) tokens: Tokens,
    /// Safetensors file to write, in a folder that exists
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro logits FOLDER --tokens 1,2,3 --out logits.safetensors
      tensor `logits` (seq, vocab), f32, of the baseline
  neuro logits FOLDER --path '(4,8)' --tokens 1,2,3 --out block.safetensors
      the same with layers 4 to 7 run once more";
