//! `neuro show`: a run as it is on disk, complete or not.

use std::path::Path;

use neuro_record::{PlannedPaths, Row, RunData};
use neuro_report::{html_report, png, svg_heatmap};

use serde_json::Value;

use crate::answers::question_set;
use crate::cli::ShowArgs;
use crate::commands::confirm;
use crate::comparison::Comparison;
use crate::confirmation::Confirmed;
use crate::error::Failure;
use crate::lm_eval;
use crate::output::{require_harmless, require_parent, write};
use crate::printer::Printer;
use crate::results::Results;

/// Pixels of a PNG per unit of its SVG: sharp on a dense screen.
const PNG_SCALE: f32 = 2.0;

/// Prints or writes what the flags ask for.
///
/// # Errors
/// When the folder is no run, the run has no such probe or group, or the output cannot be written.
pub(crate) fn run(args: &ShowArgs, printer: &Printer) -> anyhow::Result<()> {
    let files: Vec<_> = [&args.svg, &args.png, &args.html].into_iter().flatten().collect();
    for (index, file) in files.iter().enumerate() {
        require_parent(file)?;
        require_harmless(file, None)?;
        if files[..index].contains(file) {
            let failure = Failure::new(format!("{} is named for two formats", file.display()));
            return Err(failure.hint("give each format a file of its own").into());
        }
    }
    let data = RunData::read(&args.run)?;
    let run = args.run.display().to_string();
    if let Some(folder) = &args.lm_eval {
        return write_lm_eval(args, folder, &data, printer);
    }
    if matches!(data.info.plan.paths, PlannedPaths::List(_)) {
        return show_list(args, &data, &run, printer);
    }

    let results = Results::new(&data, args.probe.as_deref(), args.group.as_deref())?;
    let confirmed = if args.csv { None } else { Confirmed::of_run(&args.run)? };
    if files.is_empty() {
        return match (args.json, args.csv) {
            (true, _) => printer.json(&with_verdict(results.json(&run, args.top, &[]), confirmed.as_ref())),
            (_, true) => printer.data(&results.csv()),
            _ => {
                verdict(confirmed.as_ref(), printer)?;
                results.print(printer, args.top)
            }
        };
    }
    let svg = svg_heatmap(results.map(), &results.title());
    if let Some(file) = &args.svg {
        write(file, svg.as_bytes())?;
    }
    if let Some(file) = &args.png {
        write(file, &png(&svg, PNG_SCALE)?)?;
    }
    if let Some(file) = &args.html {
        let page = html_report(&data, results.maps());
        write(file, confirmed.map_or_else(|| page.clone(), |confirmed| confirmed.html(&page)).as_bytes())?;
    }
    for file in files {
        printer.note(format_args!("{}: written", file.display()));
    }
    Ok(())
}

/// The baseline and the best paths, as results of lm-evaluation-harness.
fn write_lm_eval(args: &ShowArgs, folder: &Path, data: &RunData, printer: &Printer) -> anyhow::Result<()> {
    require_parent(folder)?;
    let first = data.info.probes.first().map(|probe| probe.name.clone()).unwrap_or_default();
    let named = args.probe.clone().unwrap_or(first);
    let (name, file) = named.split_once('=').map_or((named.as_str(), None), |(name, file)| (name, Some(file)));
    if data.info.probe(name).is_none() {
        let known: Vec<&str> = data.info.probes.iter().map(|probe| probe.name.as_str()).collect();
        return Err(Failure::new(format!("the run has no probe `{name}`, expected one of {}", known.join(", "))).into());
    }
    let set = file.map(|file| question_set(name, file)).transpose()?;
    if let (Some(set), Some(file)) = (&set, file)
        && !lm_eval::fits(set, data, name)
    {
        let failure = Failure::new(format!("{file} is not the file that the run's probe `{name}` was asked from"));
        return Err(failure
            .hint("its questions or their grades differ; `id` of the probe in run.json names the file")
            .into());
    }
    let mut rows: Vec<&Row> = data.rows_of(name).filter(|row| row.screened.is_none()).collect();
    rows.sort_by(|a, b| b.score.total_cmp(&a.score));
    let is_baseline = |row: &&&Row| row.block == Some([0, 0]);
    let others: Vec<&&Row> = rows.iter().filter(|row| !is_baseline(row)).collect();
    // Paths that a user named were not chosen by these answers.
    let is_chosen = matches!(data.info.plan.paths, PlannedPaths::Triangle);
    let rank = |rank: usize| is_chosen.then_some([rank, others.len()]);
    let best = others.iter().zip(1..).map(|(row, place)| (**row, rank(place))).take(args.top);
    let source = lm_eval::Source { data, probe: name, set: set.as_ref() };
    for (row, rank) in rows.iter().filter(is_baseline).map(|row| (*row, None)).chain(best) {
        for written in source.write(row, rank, folder)? {
            printer.note(format_args!("{}: written", written.display()));
        }
    }
    Ok(())
}

/// A run of single paths has no map.
fn show_list(args: &ShowArgs, data: &RunData, run: &str, printer: &Printer) -> anyhow::Result<()> {
    if args.csv || args.svg.is_some() || args.png.is_some() || args.html.is_some() {
        let failure = Failure::new(format!("{run} holds single paths, not every block, so it has no map"));
        return Err(failure.hint("without these flags, or with --json, its rows are shown").into());
    }
    let (comparison, confirmed) = (Comparison::new(data), Confirmed::of_run(&args.run)?);
    if args.json {
        return printer.json(&with_verdict(comparison.json(Some(run)), confirmed.as_ref()));
    }
    verdict(confirmed.as_ref(), printer)?;
    printer.data(&comparison.table())
}

/// Prints the verdict above everything else, where there is one.
fn verdict(confirmed: Option<&Confirmed>, printer: &Printer) -> anyhow::Result<()> {
    let Some(confirmed) = confirmed else { return Ok(()) };
    confirm::print(confirmed, printer)?;
    printer.line("")
}

/// The document with what was confirmed, where something was: its verdict then takes the place of the map's, which stays as
/// `map_verdict`.
fn with_verdict(mut document: Value, confirmed: Option<&Confirmed>) -> Value {
    if let (Some(fields), Some(confirmed)) = (document.as_object_mut(), confirmed) {
        if let Some(of_map) = fields.insert("verdict".to_owned(), confirmed.paragraph().into()) {
            fields.insert("map_verdict".to_owned(), of_map);
        }
        fields.insert("confirm".to_owned(), confirmed.json());
    }
    document
}
