//! `neuro train`: its arguments, and the examples that its help ends with.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Arguments of `neuro train`.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Recipe file (TOML)
    #[arg(value_name = "RECIPE", value_hint = ValueHint::FilePath)]
    pub(crate) recipe: PathBuf,
    /// Checkpoint folder to write
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro train phantoms/phantom.toml --out my-phantom
      trains the phantom that comes with the program again, in minutes on a CPU
  neuro scan my-phantom
      scans what was trained; the checkpoint opens in transformers too";
