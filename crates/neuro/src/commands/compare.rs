//! `neuro compare`: two result files, paired by question.

use neuro_record::{Paired, PairedScores, read_paired_csv, read_paired_folders, read_paired_samples};
use neuro_stats::{TaskComparison, compare, comparison_in_words, digits_of_p};
use serde_json::{Value, json};

use crate::cli::CompareArgs;
use crate::comparison::aligned;
use crate::error::Failure;
use crate::printer::{BOLD, DIM, Printer, styled};
use crate::results::{JSON_SCHEMA, interval};

/// What stands under `visible`.
const VISIBLE: &str =
    "visible: a true gain of that size passes the test on so many questions in four of five cases, before correction";
/// What no test of given files can know.
const CAVEAT: &str = "A path that was chosen by its score on these questions looks better here than it is; on fresh ones \
                      `neuro confirm` decides.";

/// Reads, compares, prints.
///
/// # Errors
/// When a file is refused, has no such metric or filter, or stdout cannot be written.
pub(crate) fn run(args: &CompareArgs, printer: &Printer) -> anyhow::Result<()> {
    let Paired { tasks, notes } = read(args)?;
    for note in &notes {
        printer.warning(note);
    }
    let tasks = chosen(tasks, args)?;
    let lines = tasks
        .iter()
        .zip(compare(&tasks, args.seed))
        .map(|(task, found)| Ok((task, found.ok_or_else(|| incomparable(task))?)))
        .collect::<anyhow::Result<Vec<(&PairedScores, TaskComparison)>>>()?;
    let found: Vec<TaskComparison> = lines.iter().map(|(_, found)| found.clone()).collect();
    let verdict = comparison_in_words(&found);
    if args.json {
        return printer.json(&document(args, &lines, &verdict, &notes));
    }
    printer.data(&table(&lines))?;
    let of = if lines.len() == 1 { "line" } else { "lines" };
    printer.line(styled(DIM, format!("corrected: Holm's method, {} {of}", lines.len())))?;
    printer.line(styled(DIM, VISIBLE))?;
    printer.line(format_args!("\n{}", styled(BOLD, &verdict)))?;
    printer.line(styled(DIM, CAVEAT))
}

/// No task may fall out of the table, and so out of the correction, in silence.
fn incomparable(task: &PairedScores) -> Failure {
    let names: Vec<&str> = [&task.task, &task.metric, &task.filter].map(String::as_str).into_iter().collect();
    Failure::new(format!("the scores of `{}` cannot be compared: their mean is no number", names.join(" ").trim()))
        .hint("expected at least one question, and finite scores of a common size")
}

fn read(args: &CompareArgs) -> anyhow::Result<Paired> {
    let is_csv = args.baseline.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    match &args.path {
        Some(path) if args.baseline.is_dir() && path.is_dir() => Ok(read_paired_folders(&args.baseline, path)?),
        Some(path) if args.baseline.is_dir() != path.is_dir() => {
            let (folder, file) = if path.is_dir() { (path, &args.baseline) } else { (&args.baseline, path) };
            let failure = Failure::new(format!("{} is a folder and {} is none", folder.display(), file.display()));
            Err(failure.hint("name two folders, or two files of the same task").into())
        }
        Some(path) if is_csv => {
            let failure = Failure::new(format!(
                "{} is a CSV, which holds both sides, and {} was named beside it",
                args.baseline.display(),
                path.display()
            ));
            Err(failure.hint("name the CSV alone, or two sample files").into())
        }
        Some(path) => Ok(read_paired_samples(&args.baseline, path)?),
        None if is_csv => Ok(read_paired_csv(&args.baseline)?),
        None => {
            let failure =
                Failure::new(format!("{} is no CSV, so a second file must be named", args.baseline.display()));
            Err(failure.hint("neuro compare BASE.jsonl PATH.jsonl, or a file whose name ends in .csv").into())
        }
    }
}

/// The tasks with a metric and a filter that the flags ask for.
fn chosen(tasks: Vec<PairedScores>, args: &CompareArgs) -> anyhow::Result<Vec<PairedScores>> {
    let metric = |task: &PairedScores| task.metric.clone();
    let filter = |task: &PairedScores| task.filter.clone();
    require("metric", &args.metrics, tasks.iter().map(metric))?;
    require("filter", &args.filters, tasks.iter().map(filter))?;
    let wanted = |asked: &[String], name: &String| asked.is_empty() || asked.contains(name);
    let all: Vec<String> = tasks.iter().map(|task| format!("{} {}", task.metric, task.filter)).collect();
    let kept: Vec<_> = tasks
        .into_iter()
        .filter(|task| wanted(&args.metrics, &task.metric) && wanted(&args.filters, &task.filter))
        .collect();
    if kept.is_empty() {
        let failure = Failure::new("no metric has such a filter");
        return Err(failure.hint(format!("expected one of: {}", all.join(", "))).into());
    }
    Ok(kept)
}

fn require(what: &str, asked: &[String], known: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let mut names: Vec<String> = Vec::new();
    for name in known {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match asked.iter().find(|name| !names.contains(name)) {
        Some(unknown) => {
            let names = names.iter().map(|name| if name.is_empty() { "(unnamed)" } else { name }).collect::<Vec<_>>();
            Err(Failure::new(format!("no {what} `{unknown}`, expected one of: {}", names.join(", "))).into())
        }
        None => Ok(()),
    }
}

fn table(lines: &[(&PairedScores, TaskComparison)]) -> String {
    let header = [
        "task",
        "metric",
        "n",
        "baseline",
        "path",
        "delta",
        "interval",
        "won",
        "lost",
        "p",
        "corrected",
        "visible",
        "shows",
    ];
    let mut cells = vec![header.map(str::to_owned)];
    for (task, found) in lines {
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let several_filters = lines.iter().any(|(other, _)| other.filter != task.filter && other.metric == task.metric);
        let (metric, effect) = (or_dash(&task.metric), &found.effect);
        cells.push([
            or_dash(&task.task),
            if several_filters { format!("{metric}, {}", or_dash(&task.filter)) } else { metric },
            effect.n.to_string(),
            format!("{:.3}", effect.baseline),
            format!("{:.3}", effect.path),
            format!("{:+.3}", effect.delta),
            effect.interval.map_or_else(|| "-".to_owned(), |ends| format!("[{:+.3}, {:+.3}]", ends.low, ends.high)),
            effect.wins.to_string(),
            effect.losses.to_string(),
            p_value(effect.p),
            p_value(found.holm),
            found.visible.map_or_else(|| "-".to_owned(), |delta| format!("{delta:.3}")),
            found.shown().words().to_owned(),
        ]);
    }
    aligned(&cells, &[0, 1, 12])
}

/// Four digits behind the point, or as many as tell its side of the level; what is smaller is said to be.
fn p_value(p: f64) -> String {
    if p < 0.00005 { "<0.0001".to_owned() } else { format!("{p:.*}", digits_of_p(p).max(4)) }
}

fn document(args: &CompareArgs, lines: &[(&PairedScores, TaskComparison)], verdict: &str, notes: &[String]) -> Value {
    let results = lines.iter().map(|(task, found)| {
        let effect = &found.effect;
        json!({
            "task": task.task,
            "metric": task.metric,
            "filter": task.filter,
            "n": effect.n,
            "baseline": effect.baseline,
            "path": effect.path,
            "delta": effect.delta,
            "interval": interval(effect.interval.as_ref()),
            "wins": effect.wins,
            "losses": effect.losses,
            "test": effect.test.name(),
            "p": effect.p,
            "p_holm": found.holm,
            "p_benjamini_hochberg": found.benjamini_hochberg,
            "visible_delta": found.visible,
            "verdict": found.shown().words(),
        })
    });
    let files = std::iter::once(&args.baseline).chain(&args.path);
    json!({
        "schema": JSON_SCHEMA,
        "tool": format!("neuro {}", env!("CARGO_PKG_VERSION")),
        "files": files.map(|file| file.display().to_string()).collect::<Vec<_>>(),
        "seed": args.seed,
        "results": results.collect::<Vec<_>>(),
        "verdict": verdict,
        "caveat": CAVEAT,
        "notes": notes,
    })
}
