//! `neuro train`: a phantom from a recipe.

use neuro_train::{Recipe, TrainError};

use crate::cli::TrainArgs;
use crate::error::Interrupted;
use crate::interrupt::Interrupt;
use crate::printer::Printer;
use crate::progress::Progress;
use crate::values::grouped;

/// Trains and writes the checkpoint folder.
///
/// # Errors
/// When the recipe or the folder is refused, or training fails.
pub(crate) fn run(args: &TrainArgs, printer: &Printer) -> anyhow::Result<()> {
    let recipe = Recipe::read(&args.recipe)?;
    let interrupt = Interrupt::watch()?;
    let mut bar = Progress::bar(printer, format!("training {}", recipe.name));
    let trained = neuro_train::train(&recipe, &args.out, |progress| {
        bar.set(
            progress.step as f64 / progress.steps as f64,
            None,
            format!("step {} of {} · loss {:.4}", progress.step, progress.steps, progress.loss),
        );
        !interrupt.is_pressed()
    });
    drop(bar);
    let trained = match trained {
        Err(TrainError::Interrupted { .. }) => return Err(Interrupted { resume: None }.into()),
        trained => trained?,
    };
    let parameters = grouped(trained.parameters as u64);
    let folder = args.out.display();
    printer
        .note(format_args!("{folder}: {} with {parameters} parameters, final loss {:.4}", recipe.name, trained.loss));
    printer.hint(format_args!("scan it: neuro scan {folder}"));
    Ok(())
}
