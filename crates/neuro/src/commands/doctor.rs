//! `neuro doctor`: this machine, this build, and a model layer by layer.

mod build;
mod description;
mod peak;

use neuro_scan::open_text;
use serde_json::json;

use self::description::Description;
use crate::cli::DoctorArgs;
use crate::model::Model;
use crate::printer::{BOLD, Printer, styled};
use crate::results::JSON_SCHEMA;

/// Looks at everything that was asked for.
///
/// # Errors
/// When the model or the device is refused, or stdout cannot be written.
pub(crate) fn run(args: &DoctorArgs, printer: &Printer) -> anyhow::Result<()> {
    let device = args.load.device.open()?;
    let model = args.model.as_deref().map(|model| Model::find(model, args.load.need(), printer)).transpose()?;
    let checkpoint = model.as_ref().map(|model| model.checkpoint(&args.load)).transpose()?;
    let described = model.as_ref().zip(checkpoint.as_ref());
    let describe = |(model, checkpoint): (&Model, _)| {
        Description::new(checkpoint, open_text(checkpoint).map_err(anyhow::Error::from), model.name())
    };
    let description = described.map(describe);
    let build = build::Build::new();
    if !args.json {
        printer.data(&build.text())?;
    }
    let peaks = if args.quick { Vec::new() } else { peak::measure(&device, printer)? };
    let verdict = peak::verdict(&peaks, &build);
    if args.json {
        return printer.json(&json!({
            "schema": JSON_SCHEMA,
            "build": build.json(),
            "matmul_gflops": peak::json(&peaks),
            "verdict": verdict.json(),
            "model": description.as_ref().map(Description::json),
        }));
    }
    if !peaks.is_empty() {
        printer.data(&peak::text(&peaks))?;
    }
    printer.line(format_args!("\n{}", verdict.text()))?;
    match description {
        Some(description) => printer.data(&format!("\n{}\n{}", styled(BOLD, description.title()), description.text())),
        None => Ok(()),
    }
}
