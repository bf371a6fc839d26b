//! `neuro compare`: its arguments, and the examples that its help ends with.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Arguments of `neuro compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The baseline's samples of lm-evaluation-harness (JSON lines), a folder of them, or one CSV that holds both
    #[arg(value_name = "BASE", value_hint = ValueHint::AnyPath)]
    pub(crate) baseline: PathBuf,
    /// The path's samples of the same questions, or a folder of them; none for a CSV
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) path: Option<PathBuf>,
    /// Only this metric; may be given several times (default: every metric)
    #[arg(long = "metric", value_name = "NAME")]
    pub(crate) metrics: Vec<String>,
    /// Only this answer filter; may be given several times (default: every filter)
    #[arg(long = "filter", value_name = "NAME")]
    pub(crate) filters: Vec<String>,
    /// Seed of intervals and random permutations
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print one JSON document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro compare base/samples_ifeval.jsonl path/samples_ifeval.jsonl
      two sample files of lm-evaluation-harness, paired by doc_id
  neuro compare base.jsonl path.jsonl --metric exact_match --filter strict-match
      one metric of several
  neuro compare results/base results/path --metric acc
      every task of which both folders have samples, corrected for all of them
  neuro compare results.csv
      one CSV with the columns item,baseline,path and, where there are several, task,metric,filter

Scores of 0 and 1 are compared by the exact McNemar test, others by a paired permutation test. Corrected p-values are
Holm's, over all lines of the table.";
