//! `neuro import`: other programs' layer maps and scans.

use neuro_surgery::import::{self, Import};
use neuro_surgery::notation::{SidecarModel, sidecar};

use crate::cli::ImportArgs;
use crate::commands::scan::shell_word;
use crate::error::Failure;
use crate::output::{require_harmless, require_parent, write};
use crate::printer::Printer;

/// Reads the file and writes what it holds.
///
/// # Errors
/// When the file is of no kind that is known or contradicts itself, or the output cannot be written.
pub(crate) fn run(args: &ImportArgs, printer: &Printer) -> anyhow::Result<()> {
    match import::read(&args.file, args.layers)? {
        Import::Map(map) => {
            let model = map.model.as_deref().unwrap_or("a model that it does not name");
            printer.note(format_args!(
                "{}: {}, {} visits to {} layers of {model}",
                args.file.display(),
                map.form,
                map.path.len(),
                map.path.depth()
            ));
            map.notes.iter().for_each(|note| printer.note(format_args!("note: {note}")));
            let Some(out) = &args.out else { return printer.line(&map.path) };
            require_parent(out)?;
            require_harmless(out, None)?;
            let unknown = || "unknown".to_owned();
            let model =
                SidecarModel { id: map.model.clone().unwrap_or_else(unknown), hash: unknown(), model_type: unknown() };
            write(out, format!("{:#}\n", sidecar(&map.path, &model)).as_bytes())?;
            printer.note(format_args!("{}: written", out.display()));
        }
        Import::Scan(scan) => {
            let Some(out) = &args.out else {
                let failure = Failure::new(format!("{} is a scan, which needs a run directory", args.file.display()));
                let command =
                    format!("neuro import {} --out runs/imported", shell_word(&args.file.display().to_string()));
                return Err(failure.hint(command).into());
            };
            import::write_run(&scan, out)?;
            let info = &scan.info;
            let probes: Vec<&str> = info.probes.iter().map(|probe| probe.name.as_str()).collect();
            printer.note(format_args!(
                "{}: {} rows of {}, {} layers, probes {}",
                out.display(),
                scan.rows.len(),
                info.model.id,
                info.model.layers,
                probes.join(", ")
            ));
            scan.notes.iter().for_each(|note| printer.warning(note));
            printer.hint(format_args!("look at it: neuro show {}", shell_word(&out.display().to_string())));
        }
    }
    Ok(())
}
