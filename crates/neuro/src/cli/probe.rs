//! `neuro probe`: its arguments, and the examples that its help ends with.

use clap::{Args, ValueHint};

use super::MeasureArgs;

/// Arguments of `neuro probe`.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Checkpoint folder, .gguf file, `phantom`, `phantom-plain`, or a name on the Hugging Face hub:
    /// org/name, org/name@revision, org/name:file.gguf
    #[arg(value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    pub(crate) model: String,
    /// Layer path, in any notation; measured beside the baseline (default: the baseline alone)
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub(crate) path: Option<String>,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
    /// Print one JSON document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro probe phantom --path '(4,8)'
      the block (4, 8): layers 4 to 7 run once more
  neuro probe FOLDER --path 0..15,11..31 --probe math --probe math:likelihood
      two probes along one path
  neuro probe FOLDER --path '0..7,4..7{attn=0.5,mlp=0},8..11'
      a damped second pass: half of its attention, nothing of its MLP

Notations of a layer path:
  0..15,11..31             layers in order, both ends included; ..15,11.. leaves out the outer ends
  4..7x2  10x3             an item written several times in a row
  (4,8)                    the block (4, 8), half-open as in RYS
  blocks:24,35;43,45       blocks inserted one after the other; order matters
  layers:0,1,2,1,2,3       every layer by its number
  [[0,4],[2,5]]            PEFT's half-open ranges; mergekit's layer_range slices are read too";
