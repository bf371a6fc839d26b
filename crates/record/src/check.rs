//! What a row or sample must satisfy by itself, when read and when written.

use neuro_path::LayerPath;

use crate::info::SCHEMA;
use crate::{Row, Sample, Screened};

/// Why the row's values are impossible for its parsed path and its probe's number of questions.
pub(crate) fn check_row_values(row: &Row, path: &LayerPath, questions: usize) -> Result<(), String> {
    if row.schema == 0 || row.schema > SCHEMA {
        return Err(format!("schema is {}, expected 1 to {SCHEMA}", row.schema));
    }
    if row.layers != path.layers() {
        return Err(format!("layers are not those of path {path}"));
    }
    let block = path.block().map(|block| [block.start, block.end]);
    if row.block != block {
        return Err(format!("block is {:?}, expected {block:?} for path {path}", row.block));
    }
    if row.n == 0 || row.n > questions {
        return Err(format!("n is {}, expected 1 to the probe's {questions} questions", row.n));
    }
    if let Some(Screened { seen, of }) = row.screened
        && (seen != row.n || of != questions || seen >= of)
    {
        return Err(format!(
            "screened says {seen} of {of} questions, expected its n, {}, of more, the probe's {questions}",
            row.n
        ));
    }
    check_score("score", row.score)?;
    for (name, group) in &row.groups {
        check_score(&format!("score of group `{name}`"), group.score)?;
        if group.n == 0 || group.n > row.n {
            return Err(format!("n of group `{name}` is {}, expected 1 to the row's {}", group.n, row.n));
        }
    }
    for (name, count) in [("parse_failures", row.parse_failures), ("truncated", row.truncated), ("loops", row.loops)] {
        if count > row.n {
            return Err(format!("{name} is {count}, expected at most n, {}", row.n));
        }
    }
    if let Some(seconds) = row.seconds.filter(|seconds| !seconds.is_finite() || *seconds < 0.0) {
        return Err(format!("seconds is {seconds}, expected a finite number, 0 or more, or null"));
    }
    if row.seconds.is_some() != row.seconds_kind.is_some() {
        return Err("one of seconds and seconds_kind is null, expected both or neither".to_owned());
    }
    Ok(())
}

/// Why the sample's values are impossible.
pub(crate) fn check_sample_values(sample: &Sample) -> Result<(), String> {
    if sample.question.is_empty() {
        return Err("question is empty, expected its identifier".to_owned());
    }
    check_score("score", sample.score)?;
    // JSON knows neither NaN nor infinity; written as null they could not be read back.
    if let Some(bad) = sample.logprobs.iter().flatten().find(|value| !value.is_finite()) {
        return Err(format!("a log-probability is {bad}, expected finite numbers"));
    }
    Ok(())
}

fn check_score(name: &str, score: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&score) { Ok(()) } else { Err(format!("{name} is {score}, expected a number in [0, 1]")) }
}
