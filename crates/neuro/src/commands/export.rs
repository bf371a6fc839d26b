//! `neuro export`: a layer path as something that other programs run.

mod findings;
mod peers;

use std::path::Path;
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_hub::Need;
use neuro_path::LayerPath;
use neuro_scan::open_text;
use neuro_surgery::gguf::{GgufExport, Numbers};
use neuro_surgery::hf::{ConfigFile, Exported, HfExport};
use neuro_surgery::notation::{self, SidecarModel};
use neuro_surgery::verify::{self, Probe};
use neuro_surgery::{Card, SurgeryError, gguf, hf};
use neuro_text::Text;
use serde_json::json;

use crate::cli::{ExportArgs, ExportForm, ExportNumbers};
use crate::commands::scan::shell_word;
use crate::error::{Failure, Interrupted};
use crate::interrupt::Interrupt;
use crate::model::{Model, parse_path};
use crate::output::{require_harmless, require_parent, write};
use crate::printer::Printer;
use crate::progress::Progress;
use crate::results::JSON_SCHEMA;
use crate::values::bytes;

/// Writes what was asked for.
///
/// # Errors
/// When the model or the path is refused, the form cannot say the path, the place is not free, or what was written does not
/// compute the path.
pub(crate) fn run(args: &ExportArgs, printer: &Printer) -> anyhow::Result<()> {
    peers::check_form(args)?;
    check_options(args)?;
    let model = Model::find(&args.model, Need::Everything, printer)?;
    let checkpoint = Arc::new(model.open()?);
    let path = parse_path(Some(&args.path), checkpoint.config.num_layers())?;
    // What provenance calls the model: its name on the hub where it has one.
    let source = model.repository().map_or_else(|| model.name(), str::to_owned);
    match args.to {
        ExportForm::Hf | ExportForm::Gguf => checkpoints(args, printer, &checkpoint, &path, &source),
        form => {
            if form == ExportForm::Mergekit && model.repository().is_none() && !Path::new(&args.model).exists() {
                let failure =
                    Failure::new(format!("mergekit reads folders, and {} lies inside this program", args.model));
                let hint =
                    format!("write it first: neuro export {} --path .. --to hf FOLDER; then name FOLDER", args.model);
                return Err(failure.hint(hint).into());
            }
            let text = notation(form, &checkpoint, &path, &source, &args.model)?;
            match args.out.as_ref().filter(|_| !args.dry_run) {
                None => printer.data(&text),
                Some(file) => {
                    require_parent(file)?;
                    require_harmless(file, model.folder())?;
                    write(file, text.as_bytes())?;
                    printer.note(format_args!("{}: written", file.display()));
                    Ok(())
                }
            }
        }
    }
}

/// Refuses options that mean nothing for the form.
fn check_options(args: &ExportArgs) -> anyhow::Result<()> {
    let (hf, gguf) = (args.to == ExportForm::Hf, args.to == ExportForm::Gguf);
    let options = [
        (args.run.is_some() && !hf, "--run writes into the model card, which only --to hf has"),
        (args.link && !hf, "--link shares shards with the model, which only --to hf does"),
        (args.numbers.is_some() && !gguf, "--numbers chooses the numbers of a GGUF file, which only --to gguf writes"),
        (
            args.text.is_some() && !hf && !gguf,
            "--text is what an export is compared on, which only --to hf and gguf are",
        ),
        (args.json && !hf && !gguf, "--json reports what was written and compared, as only --to hf and gguf are"),
    ];
    match options.into_iter().find(|(is_idle, _)| *is_idle) {
        None => Ok(()),
        Some((_, why)) => Err(Failure::new(why).hint("leave it out").into()),
    }
}

fn notation(
    form: ExportForm,
    checkpoint: &Checkpoint,
    path: &LayerPath,
    source: &str,
    argument: &str,
) -> anyhow::Result<String> {
    let config = &checkpoint.config;
    let line = |text: String| format!("{text}\n");
    Ok(match form {
        ExportForm::Exllamav3 => line(notation::exllamav3(path, config)?),
        ExportForm::Peft => {
            let file = if checkpoint.dir.is_dir() { Some(ConfigFile::read(&checkpoint.dir)?) } else { None };
            line(notation::peft(path, config, file.as_ref())?)
        }
        ExportForm::Mergekit => {
            if !checkpoint.dir.is_dir() {
                let failure = Failure::new("mergekit reads checkpoint folders, and this model is a GGUF file");
                return Err(failure.hint("export to gguf, or name the folder that the file was made from").into());
            }
            notation::mergekit(path, config, &ConfigFile::read(&checkpoint.dir)?, argument)?
        }
        _ => {
            let hash = checkpoint.identity()?.hash;
            let model = SidecarModel { id: source.to_owned(), hash, model_type: config.model_type.clone() };
            line(format!("{:#}", notation::sidecar(path, &model)))
        }
    })
}

fn checkpoints(
    args: &ExportArgs,
    printer: &Printer,
    checkpoint: &Arc<Checkpoint>,
    path: &LayerPath,
    source: &str,
) -> anyhow::Result<()> {
    let name = if args.to == ExportForm::Hf { "hf" } else { "gguf" };
    let Some(out) = &args.out else {
        let failure = Failure::new(format!("--to {name} needs OUT, the folder or file to write"));
        return Err(failure.hint(format!("neuro export MODEL --path PATH --to {name} OUT")).into());
    };
    require_parent(out)?;
    let text = open_text(checkpoint).unwrap_or_else(|error| {
        printer.warning(format_args!("{error}; the export is compared on seeded token ids"));
        None
    });
    let findings = match &args.run {
        Some(run) => findings::of_run(run, path, &checkpoint.identity()?.hash)?,
        None => Vec::new(),
    };
    let card = Card { base: source.to_owned(), command: command(args, source), findings };
    let probe = Probe::new(text.as_ref(), args.text.as_deref(), checkpoint.config.vocab_size)?;
    if args.text.is_some() && !probe.is_text {
        let why = if text.is_some() {
            "--text has fewer than 8 different tokens"
        } else {
            "there is no tokenizer for --text"
        };
        printer.warning(format_args!("{why}; the export is compared on seeded token ids"));
    }
    let work = Work { args, checkpoint, source, path, card: &card, probe: &probe, text: text.as_ref() };
    if args.dry_run {
        return work.dry_run(printer);
    }
    peers::require(args)?;
    let exported = work.write(out, printer)?;
    for note in &exported.notes {
        printer.note(format_args!("note: {note}"));
    }
    let compared = args.verify.map(|program| peers::compare(program, args, out, checkpoint, path, &probe)).transpose();
    if let (Err(error), true) = (&compared, exported.comparison.passed()) {
        // Nobody knows what that program would compute of it.
        verify::mark(out, &error.to_string())?;
        printer.note(format_args!("what was written stays, and is marked ({})", verify::MARK));
    }
    let peer = compared?;
    if args.json {
        printer.json(&json!({
            "schema": JSON_SCHEMA,
            "out": out.display().to_string(),
            "path": path.to_string(),
            "files": exported.files,
            "bytes": exported.bytes,
            "linked_bytes": exported.linked_bytes,
            "reflinked_bytes": exported.reflinked_bytes,
            "kept_bytes": exported.kept_bytes,
            "notes": exported.notes,
            "verified": exported.comparison.passed(),
            "largest_difference": exported.comparison.largest,
            "peer": peer.as_ref().map(peers::Outcome::json),
        }))?;
    } else {
        let mut origin = format!("{} written", bytes(exported.bytes));
        for (count, how) in [
            (exported.linked_bytes, "hard-linked"),
            (exported.reflinked_bytes, "reflinked"),
            (exported.kept_bytes, "kept of an interrupted export"),
        ] {
            if count > 0 {
                origin.push_str(&format!(", {} {how}", bytes(count)));
            }
        }
        printer.line(format_args!("{}: {origin}", out.display()))?;
        printer.line(exported.comparison.sentence())?;
        if let Some(peer) = &peer {
            printer.line(peer.sentence())?;
        }
    }
    let failed = peer.filter(|peer| !peer.passed());
    if exported.comparison.passed() && failed.is_none() {
        return Ok(());
    }
    if let (true, Some(peer)) = (exported.comparison.passed(), failed) {
        // What it fails by itself it has been marked with.
        verify::mark(out, &peer.sentence())?;
    }
    let failure = Failure::new(format!("{} does not compute path {path}", out.display()));
    let hint = format!("nothing was deleted, but marked ({}); please report the model and the path", verify::MARK);
    Err(failure.hint(hint).into())
}

/// A checkpoint that is to be written.
struct Work<'a> {
    args: &'a ExportArgs,
    checkpoint: &'a Arc<Checkpoint>,
    source: &'a str,
    path: &'a LayerPath,
    card: &'a Card,
    probe: &'a Probe,
    text: Option<&'a Text>,
}

impl Work<'_> {
    fn hf(&self) -> HfExport<'_> {
        let Self { args, checkpoint, source, path, card, probe, .. } = *self;
        HfExport { checkpoint, source, path, link: args.link, card, probe }
    }

    fn gguf(&self) -> GgufExport<'_> {
        let Self { args, checkpoint, source, path, probe, text, .. } = *self;
        let numbers = args.numbers.map(|numbers| match numbers {
            ExportNumbers::F32 => Numbers::F32,
            ExportNumbers::F16 => Numbers::F16,
            ExportNumbers::Bf16 => Numbers::Bf16,
            ExportNumbers::Q8_0 => Numbers::Q8_0,
            ExportNumbers::Q6K => Numbers::Q6K,
            ExportNumbers::Q5K => Numbers::Q5K,
            ExportNumbers::Q4K => Numbers::Q4K,
        });
        GgufExport { checkpoint, source, path, numbers, text, probe }
    }

    fn dry_run(&self, printer: &Printer) -> anyhow::Result<()> {
        let (written, linked, notes) = match self.args.to {
            ExportForm::Gguf => gguf::dry_run(&self.gguf())?,
            _ => hf::dry_run(&self.hf())?,
        };
        let Self { path, .. } = self;
        if self.args.json {
            return printer.json(&json!({
                "schema": JSON_SCHEMA, "path": path.to_string(), "bytes": written, "linked_bytes": linked, "notes": notes,
            }));
        }
        printer.line(format_args!("path {path}: {} visits to {} layers", path.len(), path.depth()))?;
        printer.line(format_args!("would write {} and link {}", bytes(written), bytes(linked)))?;
        notes.iter().try_for_each(|note| printer.line(format_args!("note: {note}")))
    }

    fn write(&self, out: &Path, printer: &Printer) -> anyhow::Result<Exported> {
        let mut watcher = Watcher { bar: Progress::bar(printer, "export"), interrupt: Interrupt::watch()? };
        let written = match self.args.to {
            ExportForm::Gguf => gguf::export(&self.gguf(), out, &mut watcher),
            _ => hf::export(&self.hf(), out, &mut watcher),
        };
        match written {
            Err(SurgeryError::Interrupted) => {
                drop(watcher);
                printer.note("what was written so far has been removed");
                Err(Interrupted { resume: None }.into())
            }
            written => Ok(written?),
        }
    }
}

/// Draws the progress and asks for Ctrl-C.
struct Watcher {
    bar: Progress,
    interrupt: Interrupt,
}

impl neuro_surgery::Progress for Watcher {
    fn bytes(&mut self, done: u64, total: u64) -> bool {
        let what = if done < total { format!("{} of {}", bytes(done), bytes(total)) } else { "comparing".to_owned() };
        self.bar.set(done as f64 / total.max(1) as f64, None, what);
        !self.interrupt.is_pressed()
    }

    fn compared(&mut self) -> bool {
        !self.interrupt.is_pressed()
    }
}

/// The command as it would be typed again, with names instead of places on this machine.
fn command(args: &ExportArgs, source: &str) -> String {
    let mut command = format!("neuro export {} --path {} --to hf OUT", shell_word(source), shell_word(&args.path));
    if let Some(run) = &args.run {
        let name = run.file_name().unwrap_or_default().to_string_lossy();
        command.push_str(&format!(" --run {}", shell_word(&name)));
    }
    if args.link {
        command.push_str(" --link");
    }
    command
}
