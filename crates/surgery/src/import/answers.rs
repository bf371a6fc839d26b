//! Single answers of a converted scan: of every question its identifier, its score, and whether no answer was found.

use neuro_path::LayerPath;
use neuro_record::{Row, Sample};
use serde_json::Value;

use crate::error::shorten;

/// Most by which a mean of answers may miss the score that the file gives: what rounding in its program does.
const ROUNDING: f64 = 1e-6;

/// The answers of a result on a probe; none where the file has only the score.
pub(super) fn of_result(result: &Value, probe: &str, path: &LayerPath) -> Result<Vec<Sample>, String> {
    let Some(listed) = result.get("answers").and_then(|answers| answers.get(probe)) else { return Ok(Vec::new()) };
    let listed = listed.as_array().ok_or_else(|| format!("answers of `{}` are no list", shorten(probe)))?;
    listed.iter().map(|answer| sample(answer, probe, path)).collect()
}

fn sample(answer: &Value, probe: &str, path: &LayerPath) -> Result<Sample, String> {
    let refuse =
        || format!("an answer of `{}` is not [question, score in [0, 1], whether none was found]", shorten(probe));
    let [question, score, is_none] = answer.as_array().map_or(&[][..], Vec::as_slice) else { return Err(refuse()) };
    let question = question.as_str().filter(|question| !question.is_empty()).ok_or_else(refuse)?;
    let score = score.as_f64().filter(|score| (0.0..=1.0).contains(score)).ok_or_else(refuse)?;
    Ok(Sample {
        path: path.to_string(),
        probe: probe.to_owned(),
        question: shorten(question),
        group: String::new(),
        score,
        answer: None,
        parsed: None,
        parse_failure: is_none.as_bool().ok_or_else(refuse)?,
        stop: None,
        logprobs: None,
        tokens: 0,
    })
}

/// The row of a path's answers, which must have the score that the file gives.
pub(super) fn row(path: &LayerPath, probe: &str, score: f64, samples: &[Sample]) -> Result<Row, String> {
    let samples: Vec<&Sample> = samples.iter().collect();
    let row = Row::from_samples(path, probe, &samples).map_err(|error| error.to_string())?;
    if (row.score - score).abs() <= ROUNDING {
        return Ok(row);
    }
    Err(format!("`{}` has the score {score}, but the mean of its answers is {}", shorten(probe), row.score))
}
