//! Confirmations that `neuro confirm` has made from end to end, held against the complete answers.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use neuro_record::{CONFIRM_FOLDER, ConfirmData};
use neuro_stats::{Verdict, evidence, verdict};

use super::answers::Answers;
use super::{Demand, Effort, Section, share};

/// What the confirmations of one phantom came to.
#[derive(Default)]
struct Found {
    confirmations: usize,
    planted: usize,
    /// Confirmations that call a gain of a path that gains nothing.
    wrong: usize,
    finalists: usize,
}

/// Reads every run in `folder` that is called after a phantom, a hyphen and a seed.
#[allow(dead_code, reason = "the test confirms nothing from end to end")]
pub(crate) fn section(phantoms: &[Answers], folder: &Path) -> Result<Section, Box<dyn Error>> {
    let mut page = String::from(
        "## From end to end\n\n\
         The whole program, seed by seed: `neuro scan` on 64 questions and `neuro confirm` with its defaults on fresh ones, in runs whose\n\
         question sets are disjoint by their hashes. Greedy answers are confirmed, likelihood and drawn answers are second judges, controls\n\
         and shams are measured. A gain is none where the complete answers have a delta of 0 or less.\n\n\
         | phantom | confirmations | finalists | the planted block is confirmed | a gain is called that is none |\n|---|---|---|---|---|\n",
    );
    let mut demands = Vec::new();
    for phantom in phantoms {
        let Found { confirmations, planted, wrong, finalists } = of_phantom(phantom, folder)?;
        let block = phantom.planted.filter(|_| planted > 0 || is_looped(phantom));
        let told = block.map_or_else(|| "nothing is planted".to_owned(), |_| share(planted, confirmations));
        page.push_str(&format!(
            "| {} | {confirmations} | {finalists} | {told} | {} |\n",
            phantom.name,
            share(wrong, confirmations)
        ));
        if let Some(block) = block {
            demands.push(Demand::always(
                format!("`neuro confirm` confirms the planted block {block}"),
                planted,
                confirmations,
            ));
        }
        let what = format!("`neuro confirm` calls a gain of {} that is none", phantom.name);
        demands.push(Demand::rare(what, wrong, confirmations));
    }
    Ok(Section { page, demands })
}

/// Whether the block that is said to be planted gains anything.
fn is_looped(phantom: &Answers) -> bool {
    phantom.paths.iter().any(|path| Some(path.block) == phantom.planted && path.delta() > 0.0)
}

fn of_phantom(phantom: &Answers, folder: &Path) -> Result<Found, Box<dyn Error>> {
    let mut runs: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    runs.sort();
    let mut found = Found::default();
    for run in runs {
        let name = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.rsplit_once('-').is_none_or(|(model, _)| model != phantom.name) {
            continue;
        }
        let incomplete = || format!("{} has no complete confirmation; confirm it, or remove it", run.display());
        let data = ConfirmData::read(&run.join(CONFIRM_FOLDER))?.ok_or_else(incomplete)?;
        if data.finalists.model.hash != phantom.hash {
            return Err(format!("{} is a run of another model than {}", run.display(), phantom.name).into());
        }
        data.questions.as_ref().ok_or_else(incomplete)?.check_disjoint()?;
        let evidence = evidence(&data)?.ok_or_else(incomplete)?;
        let seed = data.finalists.settings.get("seed").and_then(serde_json::Value::as_u64).unwrap_or_default();
        let verdicts = verdict(&evidence, &Effort::FULL.options(seed));
        let gains: Vec<_> = verdicts.iter().filter(|found| found.verdict == Verdict::Gain).collect();
        let known = |path: &str| phantom.paths.iter().find(|known| known.printed == path);
        found.confirmations += 1;
        found.finalists += verdicts.len();
        found.planted += usize::from(
            gains.iter().any(|gain| known(&gain.path).is_some_and(|known| Some(known.block) == phantom.planted)),
        );
        found.wrong += usize::from(gains.iter().any(|gain| known(&gain.path).is_none_or(|known| known.delta() <= 0.0)));
    }
    Ok(found)
}
