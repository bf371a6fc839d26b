//! `neuro confirm`: its arguments, and the examples that its help ends with.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::device::DeviceName;
use crate::values::{MemorySize, at_least_one, guard_name, probe_name};

/// Arguments of `neuro confirm`.
#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// Run directory of the scan
    #[arg(value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub(crate) run: PathBuf,
    /// The run's model, as for a scan (default: the one that run.json names, where it is found)
    #[arg(long, value_name = "MODEL", value_hint = ValueHint::DirPath)]
    pub(crate) model: Option<String>,
    /// The probe to confirm on, NAME or NAME=FILE (default: the run's first)
    #[arg(long, value_name = "NAME", value_parser = probe_name)]
    pub(crate) probe: Option<String>,
    /// A finalist, in any notation; may be given several times (default: the best paths of the run)
    #[arg(long = "path", value_name = "PATH", allow_hyphen_values = true)]
    pub(crate) paths: Vec<String>,
    /// How many of the best paths become finalists
    #[arg(long, value_name = "N", default_value_t = neuro_scan::FINALISTS, conflicts_with = "paths", value_parser = at_least_one)]
    pub(crate) finalists: usize,
    /// How many fresh questions are asked (default: 200, or all that a finite probe keeps for this)
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) questions: Option<usize>,
    /// Another ability to be measured beside, or `none`; may be given several times (default: eq, reason, recall,
    /// follow, text and sane)
    #[arg(long = "guard", value_name = "NAME", value_parser = guard_name)]
    pub(crate) guards: Vec<String>,
    /// How many questions each guard is asked
    #[arg(long, value_name = "N", default_value_t = neuro_scan::GUARD_QUESTIONS, value_parser = at_least_one)]
    pub(crate) guard_questions: usize,
    /// Answers that are drawn to each question, beside the greedy one; 0 draws none
    #[arg(long, value_name = "N", default_value_t = neuro_scan::DRAWS)]
    pub(crate) draws: usize,
    /// Random paths of each overhead to compare with
    #[arg(long, value_name = "N", default_value_t = neuro_scan::CONTROLS)]
    pub(crate) controls: usize,
    /// Text of your own for the likelihood of a probe without a right answer, and for the guard `text`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) text: Option<PathBuf>,
    /// Seed of questions, random paths, draws and intervals (default: one that follows from the run, so that two scans of a
    /// model are not confirmed on the same questions)
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
    /// Memory that the process may use beside mapped files, on an NVIDIA GPU of the GPU's own, such as 8GiB (default: 60 % of
    /// what is free, at most 64GiB beside the weights)
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<MemorySize>,
    /// Folder of the confirmation; the same command continues what is there (default: RUN/confirm)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Where to compute: cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: DeviceName,
    /// Print what would be done, what it could show and how long it would take, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document instead of the verdict
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const EXAMPLES: &str = "\
Finalists, controls and settings are written to finalists.json before a question is drawn. A gain
needs corrected proof against the baseline, must exceed random paths of the same overhead, and must
not be lost when answers are drawn or in likelihood; otherwise the verdict is loss, trade or not
shown.

Examples:
  neuro confirm runs/qwen --dry-run
      says who would be asked what, what that could show, and how long it would take
  neuro confirm runs/qwen
      asks the five best blocks, the baseline and random paths what nobody has asked them yet
  neuro confirm runs/qwen --model ~/models/Qwen2.5-0.5B --path '(11,16)'
      one finalist of your own, of a model that lies elsewhere
  neuro confirm runs/qwen --questions 800 --out runs/qwen-again
      more questions, in a folder of their own
  neuro show runs/qwen
      the verdict again, above the map";
