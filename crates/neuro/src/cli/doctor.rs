//! `neuro doctor`: its arguments, and the examples that its help ends with.

use clap::{Args, ValueHint};

use super::LoadArgs;

/// Arguments of `neuro doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Model to describe layer by layer: a checkpoint folder, a .gguf file, `phantom`, `phantom-plain`, or a name on the
    /// Hugging Face hub: org/name, org/name@revision, org/name:file.gguf
    #[arg(value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    pub(crate) model: Option<String>,
    /// Skip the measurement of the matmul peak
    #[arg(long)]
    pub(crate) quick: bool,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro doctor
      devices, processor features, memory, and how fast this build multiplies matrices
  neuro doctor FOLDER --quick
      a model's layers, the memory it needs, and how many blocks a scan has
  neuro doctor Qwen/Qwen3-8B --quick --random-weights 0
      the same of a model on the Hugging Face hub, without downloading its weights";
