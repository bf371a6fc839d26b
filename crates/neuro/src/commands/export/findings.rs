//! What a run says about a path, for the model card.

use std::path::Path;

use neuro_path::LayerPath;
use neuro_record::{ConfirmData, Row, RunData};
use neuro_stats::Delta;

use crate::comparison::Comparison;
use crate::confirmation::Confirmed;
use crate::error::Failure;

/// Sentences about the path: the verdict of the run's confirmation where there is one, then what the search measured. A
/// scan's numbers never say "gain". `run` is a run directory, or the folder of a confirmation that lies elsewhere.
///
/// # Errors
/// When the folder is no run, is one of another model, or did not measure the path.
pub(super) fn of_run(run: &Path, path: &LayerPath, model_hash: &str) -> anyhow::Result<Vec<String>> {
    let printed = path.to_string();
    if let Some(data) = ConfirmData::read(run)? {
        require_model(run, &data.finalists.model.hash, &data.finalists.model.id, model_hash)?;
        let tool = data.finalists.tool.clone();
        let Some(mut findings) = Confirmed::new(data)?.sentences(&printed) else {
            return Err(unmeasured(run, "has no verdict on", &printed, "neuro confirm RUN --path PATH --out FOLDER"));
        };
        findings.push(format!("Measured by {tool}."));
        return Ok(findings);
    }
    let data = RunData::read(run)?;
    require_model(run, &data.info.model.hash, &data.info.model.id, model_hash)?;
    let confirmed = Confirmed::of_run(run)?;
    let verdict = confirmed.as_ref().and_then(|confirmed| confirmed.sentences(&printed));
    let told = |(row, delta)| search(row, delta, verdict.is_some());
    let searched: Vec<String> = Comparison::new(&data).deltas(&printed).map(told).collect();
    if verdict.is_none() && searched.is_empty() {
        return Err(unmeasured(run, "holds no row of", &printed, "neuro probe MODEL --path PATH --out RUN"));
    }
    let not_asked = confirmed.filter(|_| verdict.is_none()).map(|confirmed| {
        let why = if confirmed.is_complete() { "did not ask this path" } else { "is not complete" };
        format!("The run's confirmation {why}.")
    });
    let measured = format!("Measured by {} with weights in {}.", data.info.tool, data.info.compute);
    Ok(verdict.into_iter().flatten().chain(searched).chain(not_asked).chain([measured]).collect())
}

fn require_model(run: &Path, found: &str, id: &str, expected: &str) -> anyhow::Result<()> {
    if found == expected {
        return Ok(());
    }
    let failure = Failure::new(format!("{} is a run of another model, {id}", run.display()));
    Err(failure.hint("name a run of the model that is exported").into())
}

fn unmeasured(run: &Path, has: &str, path: &str, command: &str) -> anyhow::Error {
    Failure::new(format!("{} {has} path {path}", run.display())).hint(format!("measure it first: {command}")).into()
}

/// One probe's row, and what it is worth.
fn search(row: &Row, delta: Option<&Delta>, is_judged: bool) -> String {
    let against = match delta {
        None => "the baseline's answers to the same questions are not known".to_owned(),
        Some(delta) => {
            let bounds =
                delta.interval.map_or_else(String::new, |bounds| format!(" [{:+.3}, {:+.3}]", bounds.low, bounds.high));
            format!("{:+.3}{bounds} against the baseline on the same questions", delta.mean)
        }
    };
    let worth = if is_judged {
        "These questions chose it and prove nothing."
    } else {
        "A candidate, not confirmed: `neuro confirm` asks fresh questions."
    };
    let Row { probe, score, n, .. } = row;
    let (what, s) = (if is_judged { "In the search, " } else { "" }, if *n == 1 { "" } else { "s" });
    format!("{what}{probe}: {score:.3} on {n} question{s}, {against}. {worth}")
}
