//! `neuro confirm`: the best paths of a run on fresh questions, and the only place that says "gain".

mod preview;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use neuro_hub::{HubName, Need};
use neuro_path::LayerPath;
use neuro_probe::ProbeFile;
use neuro_record::{CONFIRM_FOLDER, PlannedPaths, RunData, RunInfo, SOURCE, write_atomically};
use neuro_report::html_report;
use neuro_scan::{ConfirmRequest, WeightType};
use serde_json::json;

use crate::answers::contents;
use crate::cli::{ConfirmArgs, LoadArgs};
use crate::commands::scan::{Watcher, this_command};
use crate::confirmation::Confirmed;
use crate::error::{Failure, Interrupted};
use crate::interrupt::Interrupt;
use crate::model::Model;
use crate::printer::{BOLD, Printer, styled};
use crate::results::{JSON_SCHEMA, Results};
use crate::values::{MemorySize, wrapped};

/// Confirms.
///
/// # Errors
/// When the run, the model, a path or a probe is refused, when the folder holds a confirmation of other settings, when
/// the model fails, and when Ctrl-C ends it.
pub(crate) fn run(args: &ConfirmArgs, printer: &Printer) -> anyhow::Result<()> {
    let info = RunData::read(&args.run)?.info;
    // Before a model is fetched for it.
    if info.is_imported() {
        let run = args.run.display();
        let problem = format!(
            "{run}: the run was made by another program, so its questions are not known; expected one of `neuro scan`"
        );
        return Err(Failure::new(problem).hint("neuro scan MODEL measures it here").into());
    }
    let model = find_model(args, &info, printer)?;
    let weight_type = WeightType::parse(&info.compute);
    let load = LoadArgs {
        random_weights: info.model.random_weights,
        device: args.device,
        quantize: weight_type.filter(|kind| *kind != WeightType::F32),
    };
    let subject = model.subject(&load)?;
    let request = request(args, &model, subject.depth())?;
    let out = args.out.clone().unwrap_or_else(|| args.run.join(CONFIRM_FOLDER));

    if args.dry_run {
        return preview::print(&subject, &args.run, &request, &out, args.json, printer);
    }

    let interrupt = Interrupt::watch()?;
    let mut watcher = Watcher::confirming(printer, subject.name());
    let outcome = neuro_scan::confirm(&subject, &args.run, &request, &out, &mut watcher, interrupt.flag())?;
    drop(watcher);
    if outcome.interrupted {
        return Err(Interrupted { resume: Some(this_command()) }.into());
    }

    let confirmed = Confirmed::new(outcome.data)?.among(&args.run, &out)?;
    let verdict = json!({ "schema": JSON_SCHEMA, "confirm": confirmed.json() });
    let mut text = serde_json::to_vec_pretty(&verdict)?;
    text.push(b'\n');
    write_atomically(&out.join("verdict.json"), &text)?;
    if args.out.is_none() {
        write_page(&args.run, &confirmed)?;
    }
    if args.json {
        return printer.json(&json!({
            "schema": JSON_SCHEMA,
            "tool": info.tool,
            "model": info.model,
            "run": args.run.display().to_string(),
            "folder": out.display().to_string(),
            "confirm": confirmed.json(),
        }));
    }
    print(&confirmed, printer)?;
    printer.note(format_args!("\nwritten to {}", out.display()));
    Ok(())
}

/// Prints paragraph and table.
///
/// # Errors
/// When stdout cannot be written.
pub(crate) fn print(confirmed: &Confirmed, printer: &Printer) -> anyhow::Result<()> {
    printer.line(styled(BOLD, wrapped(&confirmed.paragraph(), 0, printer.width())))?;
    let table = confirmed.table(printer.color_level());
    if table.is_empty() { Ok(()) } else { printer.line(format_args!("\n{}", table.trim_end())) }
}

/// The model that is named, or that the run names.
fn find_model(args: &ConfirmArgs, info: &RunInfo, printer: &Printer) -> anyhow::Result<Model> {
    let need = if info.model.random_weights.is_some() { Need::Description } else { Need::Everything };
    if let Some(model) = &args.model {
        return Model::find(model, need, printer);
    }
    let source = info.settings.get(SOURCE).and_then(serde_json::Value::as_str).unwrap_or(&info.model.id);
    let problem = || format!("{} was made with the model {source}, which is not there", args.run.display());
    let found = Model::find(source, need, printer);
    match HubName::parse(source) {
        // The hub says more about a model than that there is no such folder.
        Some(_) => found.with_context(problem),
        None => found.map_err(|_| Failure::new(problem()).hint("say where it is: --model FOLDER").into()),
    }
}

fn request(args: &ConfirmArgs, model: &Model, depth: usize) -> anyhow::Result<ConfirmRequest> {
    let path = |text: &String| LayerPath::parse(text, depth).with_context(|| format!("--path {text}"));
    let mut files: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
    for (name, file) in args.probe.iter().chain(&args.guards).filter_map(|named| named.split_once('=')) {
        files.extend(contents(name, file)?);
    }
    let text = |file: &std::path::PathBuf| -> anyhow::Result<ProbeFile> {
        Ok(ProbeFile::new(file.display().to_string(), read(file)?))
    };
    let guards: Vec<String> = args.guards.iter().filter(|guard| *guard != "none").cloned().collect();
    Ok(ConfirmRequest {
        probe: args.probe.clone(),
        files,
        paths: args.paths.iter().map(path).collect::<anyhow::Result<_>>()?,
        finalists: args.finalists,
        questions: args.questions,
        guards: if args.guards.is_empty() { None } else { Some(guards) },
        guard_questions: args.guard_questions,
        draws: args.draws,
        controls: args.controls,
        seed: args.seed,
        text: args.text.as_ref().map(text).transpose()?,
        memory_bytes: args.memory.map(|MemorySize(bytes)| bytes),
        phantom: model.request()?.phantom,
    })
}

fn read(file: &Path) -> anyhow::Result<Arc<[u8]>> {
    Ok(std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?.into())
}

/// Writes the run's page anew, with the verdict in front; a run of single paths has none.
fn write_page(run: &Path, confirmed: &Confirmed) -> anyhow::Result<()> {
    let data = RunData::read(run)?;
    if matches!(data.info.plan.paths, PlannedPaths::List(_)) {
        return Ok(());
    }
    let results = Results::new(&data, None, None)?;
    let page = confirmed.html(&html_report(&data, results.maps()));
    Ok(write_atomically(&run.join("report.html"), page.as_bytes())?)
}
