//! What a run says about a path, for the model card.

use std::path::Path;

use neuro_path::LayerPath;
use neuro_record::RunData;

use crate::comparison::Comparison;
use crate::error::Failure;

/// A sentence for each probe on which the path was measured. A scan's numbers never say "gain".
///
/// # Errors
/// When the folder is no run, is one of another model, or did not measure the path.
pub(super) fn of_run(run: &Path, path: &LayerPath, model_hash: &str) -> anyhow::Result<Vec<String>> {
    let data = RunData::read(run)?;
    if data.info.model.hash != model_hash {
        let failure = Failure::new(format!("{} is a run of another model, {}", run.display(), data.info.model.id));
        return Err(failure.hint("name a run of the model that is exported").into());
    }
    let printed = path.to_string();
    let findings: Vec<String> = Comparison::new(&data)
        .deltas(&printed)
        .map(|(row, delta)| {
            let against = match delta {
                None => "the baseline is not measured".to_owned(),
                Some(delta) => {
                    let bounds = delta.interval.map_or_else(String::new, |bounds| {
                        format!(" [{:+.3}, {:+.3}]", bounds.low, bounds.high)
                    });
                    format!("{:+.3}{bounds} against the baseline on the same questions", delta.mean)
                }
            };
            format!(
                "{}: {:.3} on {} questions, {against}. A candidate, not a confirmed gain: `neuro confirm` asks fresh questions.",
                row.probe, row.score, row.n
            )
        })
        .collect();
    if findings.is_empty() {
        let failure = Failure::new(format!("{} holds no row of path {printed}", run.display()));
        return Err(failure.hint("measure it first: neuro probe MODEL --path PATH --out RUN").into());
    }
    Ok(findings)
}
