//! `neuro grade`: its arguments, and the examples that its help ends with.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::values::{Questions, probe_name};

/// Arguments of `neuro grade`.
#[derive(Debug, Args)]
pub(crate) struct GradeArgs {
    /// The probe: a name such as math, or NAME=FILE for questions that stand in a file, such as gsm8k=test.jsonl
    #[arg(long, value_name = "NAME[=FILE]", value_parser = probe_name)]
    pub(crate) probe: String,
    /// The answers, one JSON object {"id": …, "text": …} on each line; `-` reads stdin
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) answers: PathBuf,
    /// How many questions the probe has: a number or `all` (default: 32, of a file all)
    #[arg(long, value_name = "N|all")]
    pub(crate) questions: Option<Questions>,
    /// Seed of the questions
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print one JSON document with every sample instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  neuro grade --probe ifeval=input_data.jsonl --answers answers.jsonl
      IFEval's four accuracies of another program's answers
  neuro grade --probe rys-math=math_16.json --answers answers.jsonl --json
      each answer's score as RYS grades it, and what constants would score
  neuro grade --probe math --questions 64 --seed 7 --answers - < answers.jsonl
      answers to the built-in probe's questions, whose ids are their formulas

Files with questions, each asked and graded as lm-evaluation-harness or its author does:
  task=FILE                          the own format, JSON lines (docs/reference/task-files.md)
  rys-math=FILE  rys-eq=FILE         the probe files of RYS
  eqbench=FILE                       EQ-Bench v2
  bbh=FILE                           a task of BIG-Bench Hard, known by the file's name
  gsm8k=FILE  math500=FILE  ifeval=FILE
  arc-easy=FILE  arc-challenge=FILE  piqa=FILE  winogrande=FILE  boolq=FILE  lambada=FILE";
