//! Arguments that several commands have.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use neuro_checkpoint::Checkpoint;
use neuro_hub::Need;
use neuro_scan::WeightType;

use crate::device::DeviceName;
use crate::values::{MemorySize, Questions, probe_name};

/// Where a model's weights come from and where they are used.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Draw the weights from a seed instead of reading them; MODEL then needs only a config.json
    #[arg(long, value_name = "SEED")]
    pub(crate) random_weights: Option<u64>,
    /// Where to compute: cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: DeviceName,
    /// How to hold and multiply the weights: f32, q8_0 or q4_k (default: f32; q8_0 for a quantised GGUF file, but f32 for
    /// `neuro logits`)
    #[arg(long, value_name = "TYPE", value_parser = weight_type)]
    pub(crate) quantize: Option<WeightType>,
}

impl LoadArgs {
    /// What is needed of a model's files.
    pub(crate) fn need(&self) -> Need {
        if self.random_weights.is_some() { Need::Description } else { Need::Everything }
    }

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
    /// Memory that the process may use beside mapped files, on an NVIDIA GPU of the GPU's own, such as 8GiB (default: 60 % of
    /// what is free, at most 64GiB beside the weights)
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<MemorySize>,
    /// Run directory; the same command continues what is there (default: for a scan
    /// runs/MODEL-SETTINGS, for a probe none)
    #[arg(long, value_name = "RUN")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}
