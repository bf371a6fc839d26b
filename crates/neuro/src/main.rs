//! THE COMMAND LINE: one file per command, and no logic of its own.
//!
//! Arguments become calls of the other rooms, and what those give becomes text. stdout is data, stderr is talk; every
//! byte of both passes through the [`printer`].
//!
//! Its sharpest edge: the binary is compiled for the processor of the machine that built it. [`cpu`] checks that first,
//! before any code runs that could use an instruction which the processor at hand does not have.

mod answers;
mod cli;
mod commands;
mod comparison;
mod confirmation;
mod cpu;
mod device;
mod error;
mod hub;
mod interrupt;
mod lm_eval;
mod model;
mod output;
mod printer;
mod progress;
mod remarks;
mod results;
mod sampling;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::printer::Printer;

fn main() -> ExitCode {
    match cpu::missing_feature() {
        Some(feature) => cpu::refuse(feature),
        None => run(),
    }
}

#[inline(never)]
fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return error::report_usage(&usage),
    };
    let printer = Printer::new();
    match commands::run(cli.command, &printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => error::report(&failure, &printer),
    }
}
