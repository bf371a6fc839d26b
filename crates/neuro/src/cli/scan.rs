//! `neuro scan`: its arguments, and the examples that its help ends with.

use clap::{Args, ValueHint};

use super::MeasureArgs;
use crate::values::part;

/// Arguments of `neuro scan`.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Checkpoint folder, .gguf file, `phantom`, `phantom-plain`, or a name on the Hugging Face hub:
    /// org/name, org/name@revision, org/name:file.gguf
    #[arg(value_name = "MODEL", default_value = "phantom", value_hint = ValueHint::AnyPath)]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
    /// Ask all paths a few questions and the best ones all of them, for at most PART of the full scan's layer-tokens
    /// (default: a fifth)
    ///
    /// A path that drops out says how many questions it saw and is not ranked. --questions is then 64 by default: with
    /// fewer good paths are lost, and under about 24 the budget cannot hold.
    #[arg(long, value_name = "PART", num_args = 0..=1, require_equals = true, default_missing_value = "0.2", value_parser = part)]
    pub(crate) screen: Option<f64>,
    /// Print what would be done and how long it would take, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document instead of the map
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro scan
      scans the phantom, in which repeating layers 4 to 7 is known to help, and says whether that was found
  neuro scan ~/models/Qwen2.5-0.5B --dry-run
      says what a scan would do and how long it would take
  neuro scan ~/models/Qwen2.5-0.5B --probe math:likelihood --questions 64 --out runs/qwen
      asks 64 questions; Ctrl-C at any time, the same command continues
  neuro scan ~/models/Qwen2.5-0.5B --probe reason:likelihood --probe eq:likelihood --probe text
      three probes in one run, a map for each
  neuro scan ~/models/Qwen2.5-0.5B --screen
      asks every block a few questions and the best ones 64, in about a fifth of the layer-tokens
  neuro scan Qwen/Qwen3-0.6B@main --screen
      a model of the Hugging Face hub; its commit is written into run.json
  neuro scan --json | jq '.best[0]'
      the best block as JSON

Names on the Hugging Face hub are looked for in its cache (HF_HOME, HF_HUB_CACHE) and downloaded
only where something is missing; HF_HUB_OFFLINE=1 forbids that. HF_TOKEN or `hf auth login` opens
private and gated models. A revision that is in the cache is used as it is, until `hf download`
renews it.";
