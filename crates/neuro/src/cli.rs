//! The command line as it is typed: one file for each command's arguments and examples.

mod ask;
mod compare;
mod completions;
mod confirm;
mod doctor;
mod export;
mod grade;
mod import;
mod logits;
mod probe;
mod scan;
mod shared;
mod show;
mod train;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{Parser, Subcommand};

pub(crate) use ask::AskArgs;
pub(crate) use compare::CompareArgs;
pub(crate) use completions::CompletionsArgs;
pub(crate) use confirm::ConfirmArgs;
pub(crate) use doctor::DoctorArgs;
pub(crate) use export::{ExportArgs, ExportForm, ExportNumbers, VerifyProgram};
pub(crate) use grade::GradeArgs;
pub(crate) use import::ImportArgs;
pub(crate) use logits::LogitsArgs;
pub(crate) use probe::ProbeArgs;
pub(crate) use scan::ScanArgs;
pub(crate) use shared::{LoadArgs, MeasureArgs};
pub(crate) use show::ShowArgs;
pub(crate) use train::TrainArgs;

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
      scans a checkpoint in safetensors
  neuro scan MODEL.gguf
      scans a model in llama.cpp's format
  neuro scan Qwen/Qwen3-0.6B
      the same from the Hugging Face hub: downloaded once, into the cache that other programs share
  neuro COMMAND --help
      shows examples and every flag of a command";

/// A command with its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure every block (i, j) of a model and draw the map
    #[command(after_long_help = scan::EXAMPLES)]
    Scan(ScanArgs),
    /// Decide on fresh questions whether the best paths of a run gain anything
    #[command(after_long_help = confirm::EXAMPLES)]
    Confirm(ConfirmArgs),
    /// Measure one layer path, on one or more probes
    #[command(after_long_help = probe::EXAMPLES)]
    Probe(ProbeArgs),
    /// Show a run: tables, pictures, JSON, CSV
    #[command(after_long_help = show::EXAMPLES)]
    Show(ShowArgs),
    /// Compare two result files question by question
    #[command(after_long_help = compare::EXAMPLES)]
    Compare(CompareArgs),
    /// Answer one prompt along a layer path
    #[command(after_long_help = ask::EXAMPLES)]
    Ask(AskArgs),
    /// Write a layer path as a model or a notation that other programs run
    #[command(after_long_help = export::EXAMPLES)]
    Export(ExportArgs),
    /// Read other programs' layer maps and scans
    #[command(after_long_help = import::EXAMPLES)]
    Import(ImportArgs),
    /// Write the logits of a token sequence to a file
    #[command(after_long_help = logits::EXAMPLES)]
    Logits(LogitsArgs),
    /// Grade given answers with a probe's scorer, without a model
    #[command(after_long_help = grade::EXAMPLES)]
    Grade(GradeArgs),
    /// Train a phantom from a recipe
    #[command(after_long_help = train::EXAMPLES)]
    Train(TrainArgs),
    /// Check this machine and this build; describe a model layer by layer
    #[command(after_long_help = doctor::EXAMPLES)]
    Doctor(DoctorArgs),
    /// Print shell completions
    #[command(after_long_help = completions::EXAMPLES)]
    Completions(CompletionsArgs),
}

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
