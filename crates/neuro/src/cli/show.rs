//! `neuro show`: its arguments, and the examples that its help ends with.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Arguments of `neuro show`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("format").multiple(false))]
pub(crate) struct ShowArgs {
    /// Run directory
    #[arg(value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub(crate) run: PathBuf,
    /// The probe to show, or `combined` for the mean of all (default: the run's first); with --lm-eval NAME=FILE adds what
    /// stands in its file
    #[arg(long, value_name = "NAME")]
    pub(crate) probe: Option<String>,
    /// Only this group of questions, or `all` (default: all; on a phantom the group that needs the planted block)
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// How many of the best blocks to list
    #[arg(long, value_name = "K", default_value_t = 10)]
    pub(crate) top: usize,
    /// Print one JSON document
    #[arg(long, group = "format")]
    pub(crate) json: bool,
    /// Print a line of CSV for every block
    #[arg(long, group = "format")]
    pub(crate) csv: bool,
    /// Write the map as SVG
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    pub(crate) svg: Option<PathBuf>,
    /// Write the map as PNG
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    pub(crate) png: Option<PathBuf>,
    /// Write the report as one HTML page that opens offline
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    pub(crate) html: Option<PathBuf>,
    /// Write results and samples as lm-evaluation-harness does, for the baseline and the best paths, each into a folder of
    /// its own below this one
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath, conflicts_with_all = ["format", "svg", "png", "html", "group"])]
    pub(crate) lm_eval: Option<PathBuf>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro show runs/qwen
      the map and the ten best blocks, also while the scan is running
  neuro show runs/qwen --probe math --top 30
      another probe of the run, and more of its blocks
  neuro show runs/qwen --csv > map.csv
      every block with score, delta and interval
  neuro show runs/qwen --png map.png
      the map as a picture
  neuro show runs/qwen --lm-eval results --probe gsm8k=test.jsonl
      the baseline and the ten best paths as results of lm-evaluation-harness, with its measures";
