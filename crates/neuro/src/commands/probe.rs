//! `neuro probe`: one layer path beside the baseline.

use neuro_scan::Paths;

use crate::cli::ProbeArgs;
use crate::commands::scan::{Watcher, request, this_command};
use crate::comparison::Comparison;
use crate::error::Interrupted;
use crate::interrupt::Interrupt;
use crate::model::{Model, parse_path};
use crate::printer::Printer;
use crate::results::{generated, planned_rows};

/// Measures the path; into a run directory only where one is named.
///
/// # Errors
/// When the model, the path, a probe or the run directory is refused, when the model fails, and when Ctrl-C ends it.
pub(crate) fn run(args: &ProbeArgs, printer: &Printer) -> anyhow::Result<()> {
    let model = Model::find(&args.model, args.measure.load.need(), printer)?;
    let subject = model.subject(&args.measure.load)?;
    let mut request = request(&model, &args.measure)?;
    request.paths = Paths::List(vec![parse_path(args.path.as_deref(), subject.depth())?]);
    let plan = neuro_scan::plan(&subject, &request)?;

    let interrupt = Interrupt::watch()?;
    let mut watcher = Watcher::new(printer, subject.name());
    let outcome = match &args.measure.out {
        Some(folder) => neuro_scan::run(&subject, &plan, folder, &mut watcher, interrupt.flag())?,
        None => neuro_scan::measure(&subject, &plan, &mut watcher, interrupt.flag())?,
    };
    drop(watcher);
    let stop = || -> anyhow::Result<()> {
        let resume = args.measure.out.as_ref().map(|_| this_command());
        if outcome.interrupted { Err(Interrupted { resume }.into()) } else { Ok(()) }
    };
    // What is measured last, the effect of the weights' type, may be missing.
    if outcome.interrupted && outcome.data.rows.len() < planned_rows(&outcome.data) {
        return stop();
    }
    let comparison = Comparison::new(&outcome.data);
    if args.json {
        let run = args.measure.out.as_ref().map(|folder| folder.display().to_string());
        let mut document = comparison.json(run.as_deref());
        document["generated"] = generated(&outcome.generated);
        printer.json(&document)?;
    } else {
        printer.data(&comparison.table())?;
        if outcome.generated.answers > 0 {
            printer.note(outcome.generated);
        }
    }
    stop()
}
