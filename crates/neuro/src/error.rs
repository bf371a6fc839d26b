//! How a failure is told, and which exit code it gives.
//!
//! 0 success · 1 something that the user can fix · 2 usage · 130 interrupted. What was found and what was expected
//! stands in the message, advice behind it in lines of its own.

use std::error::Error;
use std::process::ExitCode;

use clap::error::ErrorKind;
use neuro_checkpoint::CheckpointError;
use neuro_model::ModelError;
use neuro_path::PathError;
use neuro_scan::ScanError;
use neuro_surgery::SurgeryError;

use crate::printer::{ERROR, OutputClosed, Printer, styled};

/// Exit code of wrong usage.
const USAGE: u8 = 2;
/// Exit code of a command that Ctrl-C ended: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// A failure that the command line itself found, with advice.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    message: String,
    hints: Vec<String>,
}

impl Failure {
    /// A failure without advice.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new() }
    }

    /// Adds a piece of advice.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// Ctrl-C ended the command after what it was doing; nothing is lost.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted {
    /// The command that continues, where there is something to continue.
    pub(crate) resume: Option<String>,
}

/// Tells why the arguments were refused; or answers `--help` and `--version`, which arrive here as well.
pub(crate) fn report_usage(usage: &clap::Error) -> ExitCode {
    // Nothing can be told when neither stream takes it.
    let _ = usage.print();
    match usage.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}

/// Tells why a command failed.
pub(crate) fn report(failure: &anyhow::Error, printer: &Printer) -> ExitCode {
    if failure.is::<OutputClosed>() {
        return ExitCode::SUCCESS;
    }
    if let Some(interrupted) = failure.downcast_ref::<Interrupted>() {
        match &interrupted.resume {
            Some(command) => printer.note(format_args!("interrupted; nothing is lost, continue with\n  {command}")),
            None => printer.note("interrupted"),
        }
        return ExitCode::from(INTERRUPTED);
    }
    printer.note(format_args!("{} {}", styled(ERROR, "error:"), chain(failure)));
    for hint in hints(failure) {
        printer.hint(hint);
    }
    ExitCode::FAILURE
}

/// The messages from the outside in. A message that its predecessor already ends with says nothing new.
fn chain(failure: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in failure.chain() {
        let message = cause.to_string();
        if text.is_empty() {
            text = message;
        } else if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
    }
    text
}

/// Advice for a failure, beyond what its message says.
fn hints(failure: &anyhow::Error) -> Vec<String> {
    if let Some(failure) = failure.chain().find_map(|cause| cause.downcast_ref::<Failure>()) {
        return failure.hints.clone();
    }
    failure.chain().find_map(advice).into_iter().map(str::to_owned).collect()
}

/// Errors that stand transparently for others hide them from the chain, so they are opened here.
fn advice(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = cause.downcast_ref::<PathError>() {
        return path_advice(error);
    }
    if let Some(error) = cause.downcast_ref::<CheckpointError>() {
        return checkpoint_advice(error);
    }
    match cause.downcast_ref::<SurgeryError>() {
        Some(SurgeryError::Path(error)) => return path_advice(error),
        Some(SurgeryError::Checkpoint(error)) => return checkpoint_advice(error),
        _ => {}
    }
    match (cause.downcast_ref::<ScanError>(), cause.downcast_ref::<ModelError>()) {
        (Some(ScanError::Path(error)), _) => path_advice(error),
        (Some(ScanError::Checkpoint(error) | ScanError::Model(ModelError::Checkpoint(error))), _) => {
            checkpoint_advice(error)
        }
        (_, Some(ModelError::Checkpoint(error))) => checkpoint_advice(error),
        (Some(ScanError::Model(ModelError::Threads(_))), _) | (_, Some(ModelError::Threads(_))) => {
            Some("free memory, allow more processes, or ask for fewer threads: RAYON_NUM_THREADS=1 takes the fewest")
        }
        (Some(ScanError::Memory { needs, .. }), _) if needs.is_f32 && needs.weights > needs.least / 2 => {
            Some("weights are most of it: `--quantize q8_0` holds them in about a quarter")
        }
        (Some(ScanError::Screen { .. }), _) => Some(
            "`--questions 64` is usually enough; of few layers the best blocks are a large part: give `--screen=PART` what they take",
        ),
        _ => None,
    }
}

fn path_advice(error: &PathError) -> Option<&'static str> {
    match error {
        PathError::LayerOutOfRange { .. } | PathError::ImpossibleBlock { .. } => {
            Some("`neuro doctor MODEL` describes the model's layers")
        }
        PathError::Syntax { .. } => {
            Some("write a path as `0..7,4..11`, a block as `(4,8)`; `neuro probe --help` shows every notation")
        }
        _ => None,
    }
}

fn checkpoint_advice(error: &CheckpointError) -> Option<&'static str> {
    match error {
        CheckpointError::Config { .. } | CheckpointError::Json { .. } => None,
        CheckpointError::Header { .. } | CheckpointError::Index { .. } | CheckpointError::Tensor { .. } => {
            Some("the download may be incomplete; compare the sizes of the weight files with those of the source")
        }
        _ => None,
    }
}
