//! The export in another program.

use std::path::Path;
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_path::LayerPath;
use neuro_surgery::peers::{self, Found, Peer};
use neuro_surgery::verify::Probe;
use serde_json::{Value, json};

use crate::cli::{ExportArgs, ExportForm, VerifyProgram};
use crate::error::Failure;

/// What the program found.
pub(super) struct Outcome(Found);

/// What Python is called where none is named.
const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };

/// Refuses a program that does not read what is to be written.
///
/// # Errors
/// When it is one for another form.
pub(super) fn check_form(args: &ExportArgs) -> anyhow::Result<()> {
    let Some(program) = args.verify else { return Ok(()) };
    let (name, reads, form) = match program {
        VerifyProgram::Transformers => ("transformers", ExportForm::Hf, "hf"),
        VerifyProgram::LlamaCpp => ("llama.cpp", ExportForm::Gguf, "gguf"),
    };
    if args.to != reads {
        let failure = Failure::new(format!("--verify {name} runs what --to {form} writes, and nothing else"));
        return Err(failure
            .hint("a folder (--to hf) is compared with transformers, a GGUF file (--to gguf) with llama.cpp")
            .into());
    }
    Ok(())
}

/// Refuses a program that is not there, which else were found out only when everything is written.
///
/// # Errors
/// When Python or the program is missing, with what to install.
pub(super) fn require(args: &ExportArgs) -> anyhow::Result<()> {
    Ok(args.verify.map_or(Ok(()), |program| peers::require(peer(program), python(args)))?)
}

/// Runs it.
///
/// # Errors
/// When the program does not load the export.
pub(super) fn compare(
    program: VerifyProgram,
    args: &ExportArgs,
    out: &Path,
    source: &Arc<Checkpoint>,
    path: &LayerPath,
    probe: &Probe,
) -> anyhow::Result<Outcome> {
    Ok(Outcome(peers::compare(peer(program), python(args), out, source, path, probe)?))
}

fn peer(program: VerifyProgram) -> Peer {
    match program {
        VerifyProgram::Transformers => Peer::Transformers,
        VerifyProgram::LlamaCpp => Peer::LlamaCpp,
    }
}

fn python(args: &ExportArgs) -> &Path {
    args.python.as_deref().unwrap_or(Path::new(PYTHON))
}

impl Outcome {
    pub(super) fn passed(&self) -> bool {
        self.0.comparison.passed()
    }

    pub(super) fn sentence(&self) -> String {
        format!("{}: {}", self.0.version, self.0.comparison.sentence())
    }

    pub(super) fn json(&self) -> Value {
        let Found { version, comparison } = &self.0;
        json!({
            "version": version,
            "verified": comparison.passed(),
            "largest_difference": comparison.largest,
            "largest_logit": comparison.scale,
            "same_best": comparison.same_best,
            "positions": comparison.positions,
        })
    }
}
