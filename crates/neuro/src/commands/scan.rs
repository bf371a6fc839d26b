//! `neuro scan`: every block of a model, measured, drawn and ranked.

use std::path::Path;

use neuro_probe::phantom::PhantomQuestion;
use neuro_record::{RunData, write_atomically};
use neuro_report::{html_report, png, svg_heatmap, svg_null_map};
use neuro_scan::{Observer, Plan, Subject};

use crate::answers::contents;
use crate::cli::{MeasureArgs, ScanArgs};
use crate::confirmation::Confirmed;
use crate::error::Interrupted;
use crate::interrupt::Interrupt;
use crate::model::Model;
use crate::printer::Printer;
use crate::progress::Progress;
use crate::results::{JSON_SCHEMA, Results, generated, planned_rows};
use crate::values::{MemorySize, Questions};

/// Best blocks that are listed behind a scan.
const TOP: usize = 10;
/// Pixels of a PNG per unit of its SVG: sharp on a dense screen.
const PNG_SCALE: f32 = 2.0;

/// Scans, or says what a scan would do.
///
/// # Errors
/// When the model, a probe or the run directory is refused, when the model fails, and when Ctrl-C ends the scan.
pub(crate) fn run(args: &ScanArgs, printer: &Printer) -> anyhow::Result<()> {
    let model = Model::find(&args.model, args.measure.load.need(), printer)?;
    let subject = model.subject(&args.measure.load)?;
    let mut request = request(&model, &args.measure)?;
    request.screen = args.screen;
    let plan = neuro_scan::plan(&subject, &request)?;
    if args.dry_run {
        return dry_run(&subject, &plan, args.json, printer);
    }

    let folder = args.measure.out.clone().unwrap_or_else(|| plan.default_dir());
    let interrupt = Interrupt::watch()?;
    let mut watcher = Watcher::new(printer, subject.name());
    let outcome = neuro_scan::run(&subject, &plan, &folder, &mut watcher, interrupt.flag())?;
    drop(watcher);
    let stop = || -> anyhow::Result<()> {
        if outcome.interrupted { Err(Interrupted { resume: Some(this_command()) }.into()) } else { Ok(()) }
    };
    // Without the effect of the weights' type, which is measured last, a run has all that can be drawn.
    if outcome.interrupted && outcome.data.rows.len() < planned_rows(&outcome.data) {
        return stop();
    }
    // The report is made in the memory that the weights had.
    drop((subject, plan));

    let results = Results::new(&outcome.data, None, None)?;
    let files = write_pictures(&folder, &outcome.data, &results)?;
    let run = folder.display().to_string();
    if args.json {
        let mut document = results.json(&run, TOP, &files);
        document["generated"] = generated(&outcome.generated);
        printer.json(&document)?;
        return stop();
    }
    results.print(printer, TOP)?;
    printer.note(format_args!("\nwritten to {run}: {}", files.join(", ")));
    if outcome.generated.answers > 0 {
        printer.note(outcome.generated);
    }
    stop()?;
    next_steps(args, request.phantom.is_some(), &run, &results, printer);
    Ok(())
}

/// What the flags ask for, over what the model asks for by itself.
///
/// # Errors
/// When the model is a phantom with a damaged description, or a probe's file cannot be read.
pub(crate) fn request(model: &Model, args: &MeasureArgs) -> anyhow::Result<neuro_scan::ScanRequest> {
    let mut request = model.request()?;
    if args.load.random_weights.is_some() {
        // Nothing is planted in weights that were drawn.
        request.planted = None;
    }
    request.probes.clone_from(&args.probes);
    request.probes.extend(args.text.iter().map(|file| format!("text={}", file.display())));
    for (name, file) in request.probes.iter().filter_map(|probe| probe.split_once('=')) {
        request.files.extend(contents(name, file)?);
    }
    request.questions = args.questions.map(|questions| match questions {
        Questions::Some(count) => neuro_probe::Count::Some(count),
        Questions::All => neuro_probe::Count::All,
    });
    request.seed = args.seed;
    if let Some(MemorySize(bytes)) = args.memory {
        request.memory_bytes = Some(bytes);
    }
    Ok(request)
}

fn dry_run(subject: &Subject, plan: &Plan, json: bool, printer: &Printer) -> anyhow::Result<()> {
    let mut summary = plan.summary();
    summary.estimated_seconds = Some(neuro_scan::estimate(subject, plan)?.as_secs_f64());
    if !json {
        return printer.line(summary.to_string().trim_end());
    }
    let mut document = serde_json::to_value(&summary)?;
    if let Some(fields) = document.as_object_mut() {
        fields.shift_insert(0, "schema".to_owned(), JSON_SCHEMA.into());
    }
    printer.json(&document)
}

/// Writes the report, each map as SVG and PNG, and beside it what chance alone draws. Gives the names of the files.
fn write_pictures(folder: &Path, data: &RunData, results: &Results<'_>) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    let mut write =
        |name: String, bytes: &[u8]| write_atomically(&folder.join(&name), bytes).map(|()| files.push(name));
    let page = html_report(data, results.maps());
    let confirmed = Confirmed::of_run(folder)?;
    let page = confirmed.map_or_else(|| page.clone(), |confirmed| confirmed.html(&page));
    write("report.html".to_owned(), page.as_bytes())?;
    for map in results.maps() {
        let svg = svg_heatmap(map, &results.title());
        let group = map.group.as_ref().map(|group| format!("-{group}")).unwrap_or_default();
        // The mean of all probes has them all in its name.
        let probe = if data.info.probe(&map.probe).is_some() { map.probe.as_str() } else { "combined" };
        let stem: String = format!("map-{probe}{group}").chars().map(file_character).collect();
        write(format!("{stem}.svg"), svg.as_bytes())?;
        write(format!("{stem}.png"), &png(&svg, PNG_SCALE)?)?;
        if let Some(svg) = svg_null_map(map, &results.title()) {
            write(format!("{stem}-null.svg"), svg.as_bytes())?;
        }
    }
    Ok(files)
}

/// Probes and groups have names that some file systems refuse.
fn file_character(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }
}

fn next_steps(args: &ScanArgs, is_phantom: bool, run: &str, results: &Results<'_>, printer: &Printer) {
    let map = results.map();
    // A block whose interval includes 0 is not worth a try.
    let best = map.best().filter(|best| best.interval.is_some_and(|bounds| bounds.low > 0.0));
    if let Some(path) = best.and_then(|best| best.block.path(map.depth).ok()) {
        let model = shell_word(&args.model);
        let seed = args.measure.load.random_weights;
        let random = seed.map(|seed| format!(" --random-weights {seed}")).unwrap_or_default();
        let question = PhantomQuestion::all().find(|question| is_phantom && question.hops == 2);
        let prompt = question.map_or_else(|| "PROMPT".to_owned(), |question| shell_word(&question.to_string()));
        printer.hint(format_args!("try the best block: neuro ask {model}{random} --path {path} {prompt}"));
    }
    printer.hint(format_args!("look again: neuro show {}", shell_word(run)));
}

/// The command line as it was typed, so that it can be pasted.
pub(crate) fn this_command() -> String {
    std::env::args_os().map(|word| shell_word(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// A word quoted for a POSIX shell, where it needs that.
pub(crate) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Shows how far a scan is.
pub(crate) struct Watcher<'a> {
    printer: &'a Printer,
    bar: Progress,
}

impl<'a> Watcher<'a> {
    /// Watches a scan of the model.
    pub(crate) fn new(printer: &'a Printer, model: &str) -> Self {
        Self { printer, bar: Progress::bar(printer, format!("scanning {model}")) }
    }

    /// Watches a confirmation.
    pub(crate) fn confirming(printer: &'a Printer, model: &str) -> Self {
        Self { printer, bar: Progress::bar(printer, format!("confirming {model}")) }
    }
}

impl Observer for Watcher<'_> {
    fn progress(&mut self, progress: &neuro_scan::Progress) {
        let rows = format!("{} of {} rows", progress.rows_done, progress.rows_total);
        self.bar.set(progress.fraction(), progress.remaining(), rows);
    }

    fn note(&mut self, note: &str) {
        self.bar.suspend(|| self.printer.note(note));
    }
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn words_with_special_characters_are_quoted() {
        assert_eq!(shell_word("runs/a-1.2"), "runs/a-1.2");
        assert_eq!(shell_word("(4,8)"), "'(4,8)'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
