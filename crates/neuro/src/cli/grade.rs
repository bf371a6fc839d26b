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
    /// The answers, one JSON object {"id": …, "text": …} on each line; `-` reads stdin. Where probabilities are scored
    /// {"id": …, "logprobs": [[…], …]}: of each text that --list shows the nats of its tokens
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "list")]
    pub(crate) answers: Option<PathBuf>,
    /// Print the questions instead, one JSON object on each line: id, group, prompt, and the key that scores 1
    #[arg(long, conflicts_with_all = ["answers", "json"])]
    pub(crate) list: bool,
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
  neuro grade --probe reason --questions 64 --seed 7 --list > questions.jsonl
      the questions of a built-in probe, for another program to answer
  neuro grade --probe reason --questions 64 --seed 7 --answers - < answers.jsonl
      its answers to them, by their ids

Files with questions, each asked and graded as lm-evaluation-harness or its author does:
  task=FILE                          the own format, JSON lines (docs/reference/task-files.md)
  rys-math=FILE  rys-eq=FILE         the probe files of RYS
  eqbench=FILE                       EQ-Bench v2
  bbh=FILE                           a task of BIG-Bench Hard, known by the file's name
  bbh-cot=FILE                       behind three worked examples, of ../cot-prompts/TASK.txt
  gsm8k-5shot=FILE                   GSM8K behind five worked examples, of train.jsonl beside it
  gsm8k-cot=FILE                     behind eight, of gsm8k-cot.yaml of lm-evaluation-harness beside it
  gsm8k=FILE  math500=FILE  ifeval=FILE
  arc-easy=FILE  arc-challenge=FILE  piqa=FILE  winogrande=FILE  boolq=FILE  lambada=FILE";
