//! `neuro import`: its arguments, and the examples that its help ends with.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Arguments of `neuro import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A scan of LLMRI (JSON), a converted scan of RYS, a checkpoint with `rys_relayer`, mergekit's YAML, an exllamav3 layer
    /// map in a text file, or what `neuro export --to path` wrote
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub(crate) file: PathBuf,
    /// What to write, which must not exist: a run directory for a scan, a JSON file for a layer map (default: the map is
    /// printed)
    #[arg(long, value_name = "RUN")]
    pub(crate) out: Option<PathBuf>,
    /// The model's number of layers, where a layer map does not say it
    #[arg(long, value_name = "N")]
    pub(crate) layers: Option<usize>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro import Qwen2-5-Instruct-3B.json --out runs/llmri && neuro show runs/llmri
      the map of a scan that LLMRI published
  neuro import ~/models/someone-elses-RYS-model
      the layer path of a checkpoint with duplicated layers
  neuro import merge.yaml --layers 32
      the path of mergekit's slices; then neuro probe MODEL --path measures it";
