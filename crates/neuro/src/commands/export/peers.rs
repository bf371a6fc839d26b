//! The export in another program.

use std::path::Path;
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_path::LayerPath;
use neuro_surgery::peers::{Found, Peer, compare as run};
use neuro_surgery::verify::Probe;
use serde_json::{Value, json};

use crate::cli::{ExportArgs, VerifyProgram};

/// What the program found.
pub(super) struct Outcome(Found);

/// Runs it.
///
/// # Errors
/// When the program is not there or does not load the export.
pub(super) fn compare(
    program: VerifyProgram,
    args: &ExportArgs,
    out: &Path,
    source: &Arc<Checkpoint>,
    path: &LayerPath,
    probe: &Probe,
) -> anyhow::Result<Outcome> {
    let peer = match program {
        VerifyProgram::Transformers => Peer::Transformers,
        VerifyProgram::LlamaCpp => Peer::LlamaCpp,
    };
    let python = args.python.as_deref().unwrap_or(Path::new("python3"));
    Ok(Outcome(run(peer, python, out, source, path, probe)?))
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
