//! `neuro export`: its arguments, and the examples that its help ends with.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

/// Arguments of `neuro export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Checkpoint folder, .gguf file, `phantom`, `phantom-plain`, or a name on the Hugging Face hub:
    /// org/name, org/name@revision, org/name:file.gguf
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
    /// Run, or folder of a confirmation, whose numbers for this path go into the model card of --to hf
    #[arg(long, value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub(crate) run: Option<PathBuf>,
    /// Share the blocks of shards that stay as they are with the model (reflinks), or hard-link them, instead of copying
    #[arg(long)]
    pub(crate) link: bool,
    /// Numbers of a GGUF file made from a folder: f32, f16, bf16, q8_0, q6_k, q5_k or q4_k (default: as they are stored)
    #[arg(long, value_name = "TYPE")]
    pub(crate) numbers: Option<ExportNumbers>,
    /// Text on which the export is compared with the path (default: a short one; token ids from a seed without a tokenizer)
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Compare with another program as well, where Python has it: transformers or llama.cpp
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) verify: Option<VerifyProgram>,
    /// The Python that has that program (default: python3, on Windows python)
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
    /// 6 bits, a scale for 16
    #[value(name = "q6_k")]
    Q6K,
    /// 5 bits, a scale and a minimum for 32
    #[value(name = "q5_k")]
    Q5K,
    /// 4 bits, a scale and a minimum for 32
    #[value(name = "q4_k")]
    Q4K,
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

pub(super) const EXAMPLES: &str = "\
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
