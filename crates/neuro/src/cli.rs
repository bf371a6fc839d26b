//! The arguments of every command, and the examples that its help ends with.

use std::path::PathBuf;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use neuro_checkpoint::Checkpoint;
use neuro_scan::WeightType;

use crate::device::DeviceName;
use crate::sampling::SamplingArgs;
use crate::values::{MemorySize, Questions, Tokens, at_least_one, guard_name, part, probe_name};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Green.on_default());

/// A brain scanner for language models.
///
/// Runs blocks of a model's layers again without changing a weight, measures what that does, draws the map, and says
/// honestly whether anything was gained.
#[derive(Debug, Parser)]
#[command(name = "neuro", version, styles = STYLES, max_term_width = 100, disable_help_subcommand = true, after_help = ROOT_EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const ROOT_EXAMPLES: &str = "\
Start here:
  neuro scan
      scans the phantom that comes with the program, a model with a planted circuit
  neuro scan FOLDER
      scans a Llama, Mistral, Qwen2 or Qwen3 checkpoint in safetensors
  neuro scan MODEL.gguf
      scans such a model in llama.cpp's format
  neuro COMMAND --help
      shows examples and every flag of a command";

/// A command with its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure every block (i, j) of a model and draw the map
    #[command(after_long_help = SCAN_EXAMPLES)]
    Scan(ScanArgs),
    /// Decide on fresh questions whether the best paths of a run gain anything
    #[command(after_long_help = CONFIRM_EXAMPLES)]
    Confirm(ConfirmArgs),
    /// Measure one layer path, on one or more probes
    #[command(after_long_help = PROBE_EXAMPLES)]
    Probe(ProbeArgs),
    /// Show a run: tables, pictures, JSON, CSV
    #[command(after_long_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Compare two result files question by question
    #[command(after_long_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Answer one prompt along a layer path
    #[command(after_long_help = ASK_EXAMPLES)]
    Ask(AskArgs),
    /// Write a layer path as a model or a notation that other programs run
    #[command(after_long_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Read other programs' layer maps and scans
    #[command(after_long_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Write the logits of a token sequence to a file
    #[command(after_long_help = LOGITS_EXAMPLES)]
    Logits(LogitsArgs),
    /// Grade given answers with a probe's scorer, without a model
    #[command(after_long_help = GRADE_EXAMPLES)]
    Grade(GradeArgs),
    /// Train a phantom from a recipe
    #[command(after_long_help = TRAIN_EXAMPLES)]
    Train(TrainArgs),
    /// Check this machine and this build; describe a model layer by layer
    #[command(after_long_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Print shell completions
    #[command(after_long_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
}

/// Where a model's weights come from and where they are used.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Draw the weights from a seed instead of reading them; MODEL then needs only a config.json
    #[arg(long, value_name = "SEED")]
    pub(crate) random_weights: Option<u64>,
    /// Where to compute: cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: DeviceName,
    /// How to hold and multiply the weights: f32, q8_0 or q4_k (default: f32; q8_0 for a quantised GGUF file)
    #[arg(long, value_name = "TYPE", value_parser = weight_type)]
    pub(crate) quantize: Option<WeightType>,
}

impl LoadArgs {
    /// The type of a checkpoint's weights in memory.
    pub(crate) fn weight_type(&self, checkpoint: &Checkpoint) -> WeightType {
        self.quantize.unwrap_or(WeightType::for_stored(checkpoint))
    }
}

fn weight_type(name: &str) -> Result<WeightType, String> {
    let names = || WeightType::ALL.map(|kind| kind.name().to_lowercase()).join(", ");
    WeightType::parse(name).ok_or_else(|| format!("expected one of {}", names()))
}

/// What is measured, and how much of it.
#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// What to ask: math, eq, reason, recall, follow, sane or phantom, with :likelihood behind it to score probabilities
    /// instead of answers; text; may be given several times (default: math:likelihood, for a phantom its own)
    ///
    /// math: intuition arithmetic. eq: how strongly people in dialogues feel. reason: small puzzles; reason@5 asks those of
    /// depth 5. recall: facts. follow: rules for a short text. sane: whether answers loop or change language; it has no
    /// likelihood. text: how probable a text is, see --text. NAME=FILE where a probe is built from a file.
    #[arg(long = "probe", value_name = "NAME[=FILE]", value_parser = probe_name)]
    pub(crate) probes: Vec<String>,
    /// Ask how probable the model finds this text: short for --probe text=FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) text: Option<PathBuf>,
    /// How many questions each probe asks: a number or `all` (default: 32, for a phantom's own probe all)
    #[arg(long, value_name = "N|all")]
    pub(crate) questions: Option<Questions>,
    /// Seed of the questions and of the intervals
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Memory for the states of the questions, beside the weights, such as 8GiB (default: 2GiB)
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<MemorySize>,
    /// Run directory; the same command continues what is there (default: for a scan
    /// runs/MODEL-SETTINGS, for a probe none)
    #[arg(long, value_name = "RUN")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// Arguments of `neuro scan`.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Checkpoint folder, .gguf file, `phantom`, `phantom-plain`, or org/name in the Hugging Face cache
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

const SCAN_EXAMPLES: &str = "\
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
  neuro scan --json | jq '.best[0]'
      the best block as JSON";

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
    /// Seed of questions, random paths, draws and intervals
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Memory for the states of the questions, beside the weights, such as 8GiB (default: 2GiB)
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<MemorySize>,
    /// Folder of the confirmation; the same command continues what is there (default: RUN/confirm)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Where to compute: cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: DeviceName,
    /// Print one JSON document instead of the verdict
    #[arg(long)]
    pub(crate) json: bool,
}

const CONFIRM_EXAMPLES: &str = "\
Finalists, controls and settings are written to finalists.json before a question is drawn. A gain
needs corrected proof against the baseline, must exceed random paths of the same overhead, and must
not be lost when answers are drawn or in likelihood; otherwise the verdict is loss, trade or not
shown.

Examples:
  neuro confirm runs/qwen
      asks the five best blocks, the baseline and random paths what nobody has asked them yet
  neuro confirm runs/qwen --model ~/models/Qwen2.5-0.5B --path '(11,16)'
      one finalist of your own, of a model that lies elsewhere
  neuro confirm runs/qwen --questions 800 --out runs/qwen-again
      more questions, in a folder of their own
  neuro show runs/qwen
      the verdict again, above the map";

/// Arguments of `neuro probe`.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Checkpoint folder, .gguf file, `phantom`, `phantom-plain`, or org/name in the Hugging Face cache
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

const PROBE_EXAMPLES: &str = "\
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

/// Arguments of `neuro show`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("format").multiple(false))]
pub(crate) struct ShowArgs {
    /// Run directory
    #[arg(value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub(crate) run: PathBuf,
    /// The probe to show (default: the run's first); with --lm-eval NAME=FILE adds what stands in its file
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

const SHOW_EXAMPLES: &str = "\
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

/// Arguments of `neuro compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The baseline's samples of lm-evaluation-harness (JSON lines), or one CSV that holds both
    #[arg(value_name = "BASE", value_hint = ValueHint::FilePath)]
    pub(crate) baseline: PathBuf,
    /// The path's samples of the same questions; none for a CSV
    #[arg(value_name = "PATH", value_hint = ValueHint::FilePath)]
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

const COMPARE_EXAMPLES: &str = "\
Examples:
  neuro compare base/samples_ifeval.jsonl path/samples_ifeval.jsonl
      two sample files of lm-evaluation-harness, paired by doc_id
  neuro compare base.jsonl path.jsonl --metric exact_match --filter strict-match
      one metric of several
  neuro compare results.csv
      one CSV with the columns item,baseline,path and, where there are several, task,metric,filter

Scores of 0 and 1 are compared by the exact McNemar test, others by a paired permutation test. Corrected p-values are
Holm's, over all lines of the table.";

/// Arguments of `neuro ask`.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// Checkpoint folder, .gguf file, `phantom`, `phantom-plain`, or org/name in the Hugging Face cache
    #[arg(value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    pub(crate) model: String,
    /// What to ask; read from stdin where it is left out or `-`
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Option<String>,
    /// Layer path, in any notation (default: the baseline)
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub(crate) path: Option<String>,
    /// Instruction that comes before the prompt, for models with a chat template
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    pub(crate) system: Option<String>,
    /// Continue the prompt as plain text, without the chat template
    #[arg(long)]
    pub(crate) raw: bool,
    /// Longest answer, in tokens
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) max_tokens: usize,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Print one JSON document instead of the answer as it comes
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

const ASK_EXAMPLES: &str = "\
Examples:
  neuro ask FOLDER 'What is the square root of 4624?'
      the baseline answers
  neuro ask FOLDER --path '(11,16)' 'What is the square root of 4624?'
      the same model with layers 11 to 15 run once more
  neuro ask FOLDER --raw --max-tokens 40 < beginning.txt
      continues a text";

/// Arguments of `neuro export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Checkpoint folder, .gguf file, `phantom`, `phantom-plain`, or org/name in the Hugging Face cache
    #[arg(value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    pub(crate) model: String,
    /// Layer path, in any notation
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub(crate) path: String,
    /// What to write: hf (a checkpoint folder), gguf (a file), or text: path, mergekit, exllamav3 or peft
    #[arg(long, value_name = "FORM")]
    pub(crate) to: ExportForm,
    /// Folder or file to write, which must not exist; text forms go to stdout without it
    #[arg(value_name = "OUT", value_hint = ValueHint::AnyPath)]
    pub(crate) out: Option<PathBuf>,
    /// Run whose numbers for this path go into the model card
    #[arg(long, value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub(crate) run: Option<PathBuf>,
    /// Hard-link shards that stay as they are instead of copying them
    #[arg(long)]
    pub(crate) link: bool,
    /// Numbers of a GGUF file made from a folder: f32, f16, bf16 or q8_0 (default: as they are stored)
    #[arg(long, value_name = "TYPE")]
    pub(crate) numbers: Option<ExportNumbers>,
    /// Text on which the export is compared with the path (default: a short one; token ids from a seed without a tokenizer)
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Compare with another program as well, where Python has it: transformers or llama.cpp
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) verify: Option<VerifyProgram>,
    /// The Python that has that program (default: python3)
    #[arg(long, value_name = "PROGRAM", value_hint = ValueHint::ExecutablePath)]
    pub(crate) python: Option<PathBuf>,
    /// Print what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `neuro export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportForm {
    /// A checkpoint folder as Hugging Face lays it out
    Hf,
    /// A GGUF file
    Gguf,
    /// mergekit's YAML
    Mergekit,
    /// exllamav3's layer map
    Exllamav3,
    /// PEFT's layer_replication
    Peft,
    /// The path with its model, as JSON
    Path,
}

/// Numbers of a GGUF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportNumbers {
    /// Single precision
    F32,
    /// Half precision
    F16,
    /// The upper half of single precision
    Bf16,
    /// 8 bits, a scale for 32
    #[value(name = "q8_0")]
    Q8_0,
}

/// Programs that an export can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyProgram {
    /// Hugging Face's library
    Transformers,
    /// llama-cpp-python
    #[value(name = "llama.cpp")]
    LlamaCpp,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  neuro export ~/models/Qwen2.5-0.5B --path '(11,16)' --to hf ~/models/Qwen2.5-0.5B-11-16
      a checkpoint in which layers 11 to 15 come twice, compared with the path before it gets its name
  neuro export model-Q4_K_M.gguf --path '(11,16)' --to gguf twice.gguf
      the same for llama.cpp and Ollama; every tensor is copied byte for byte
  neuro export ~/models/Qwen2.5-0.5B --path '(11,16)' --to mergekit > merge.yaml
      a recipe for mergekit; exllamav3 and peft print what those programs take
  neuro export ~/models/Qwen2.5-0.5B --path '0..15,11..15{attn=0.5,mlp=0},16..23' --to hf OUT
      a damped second pass, folded into the weights of the copied layers
  neuro export ~/models/Qwen2.5-0.5B --path '(11,16)' --to hf OUT --run runs/qwen
      with what the run measured in the model card";

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

const IMPORT_EXAMPLES: &str = "\
Examples:
  neuro import Qwen2-5-Instruct-3B.json --out runs/llmri && neuro show runs/llmri
      the map of a scan that LLMRI published
  neuro import ~/models/someone-elses-RYS-model
      the layer path of a checkpoint with duplicated layers
  neuro import merge.yaml --layers 32
      the path of mergekit's slices; then neuro probe MODEL --path measures it";

/// Arguments of `neuro logits`.
#[derive(Debug, Args)]
pub(crate) struct LogitsArgs {
    /// Checkpoint folder, with or without a tokenizer, `phantom`, `phantom-plain`, or org/name in the Hugging Face cache
    #[arg(value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    pub(crate) model: String,
    /// Layer path, in any notation (default: the baseline)
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub(crate) path: Option<String>,
    /// Token ids, from the first position on
    #[arg(long, value_name = "IDS")]
    pub(crate) tokens: Tokens,
    /// Safetensors file to write, in a folder that exists
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

const LOGITS_EXAMPLES: &str = "\
Examples:
  neuro logits FOLDER --tokens 1,2,3 --out logits.safetensors
      tensor `logits` (seq, vocab), f32, of the baseline
  neuro logits FOLDER --path '(4,8)' --tokens 1,2,3 --out block.safetensors
      the same with layers 4 to 7 run once more";

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

const GRADE_EXAMPLES: &str = "\
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

const TRAIN_EXAMPLES: &str = "\
Examples:
  neuro train phantoms/phantom.toml --out my-phantom
      trains the phantom that comes with the program again, in minutes on a CPU
  neuro scan my-phantom
      scans what was trained; the checkpoint opens in transformers too";

/// Arguments of `neuro doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Model to describe layer by layer: a checkpoint folder, a .gguf file, `phantom`, `phantom-plain`, or org/name in the
    /// Hugging Face cache
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

const DOCTOR_EXAMPLES: &str = "\
Examples:
  neuro doctor
      devices, processor features, memory, and how fast this build multiplies matrices
  neuro doctor FOLDER --quick
      a model's layers, the memory it needs, and how many blocks a scan has";

/// Arguments of `neuro completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  neuro completions bash > ~/.local/share/bash-completion/completions/neuro
  neuro completions zsh > ~/.zfunc/_neuro
  neuro completions fish > ~/.config/fish/completions/neuro.fish";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent_and_every_one_is_documented() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands() {
            assert!(subcommand.get_about().is_some(), "{}", subcommand.get_name());
            assert!(subcommand.get_after_long_help().is_some(), "{}", subcommand.get_name());
            for argument in subcommand.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", subcommand.get_name(), argument.get_id());
            }
        }
    }
}
