//! One file per command.

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
mod show;
mod train;

use crate::cli::Command;
use crate::printer::Printer;

/// Runs a command to its end.
///
/// # Errors
/// As the command.
pub(crate) fn run(command: Command, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Command::Scan(args) => scan::run(&args, printer),
        Command::Confirm(args) => confirm::run(&args, printer),
        Command::Probe(args) => probe::run(&args, printer),
        Command::Show(args) => show::run(&args, printer),
        Command::Compare(args) => compare::run(&args, printer),
        Command::Ask(args) => ask::run(&args, printer),
        Command::Export(args) => export::run(&args, printer),
        Command::Import(args) => import::run(&args, printer),
        Command::Logits(args) => logits::run(&args, printer),
        Command::Grade(args) => grade::run(&args, printer),
        Command::Train(args) => train::run(&args, printer),
        Command::Doctor(args) => doctor::run(&args, printer),
        Command::Completions(args) => completions::run(&args, printer),
    }
}
