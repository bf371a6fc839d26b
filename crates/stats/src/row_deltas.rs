//! Single rows of a run beside the baseline's.

use std::collections::BTreeMap;

use neuro_path::LayerPath;
use neuro_record::{Row, RunData};

use crate::bootstrap::{Delta, paired_delta};
use crate::map::RESAMPLES;
use crate::overhead::overhead;

/// A row and what its path does to the score.
#[derive(Debug, Clone, PartialEq)]
pub struct RowDelta<'a> {
    /// The row.
    pub row: &'a Row,
    /// Its delta to the baseline's row on the same probe. None for the baseline, while the baseline is not measured, and
    /// where the two answered different questions.
    pub delta: Option<Delta>,
    /// Extra visits ÷ layers; not a number for a path that is none of the model's.
    pub overhead: f64,
}

/// Every row of a run, in its order, paired with the baseline question by question; intervals as in a map.
#[must_use]
pub fn row_deltas(data: &RunData) -> Vec<RowDelta<'_>> {
    let depth = data.info.model.layers;
    let baseline = LayerPath::baseline(depth).map(|path| path.to_string()).unwrap_or_default();
    let one = |row: &'_ Row| -> (Option<Delta>, f64) {
        let delta = if row.path == baseline { None } else { delta(data, &baseline, row) };
        (delta, LayerPath::parse(&row.path, depth).as_ref().map_or(f64::NAN, overhead))
    };
    let rows = data.rows.iter().map(|row| (row, one(row)));
    rows.map(|(row, (delta, overhead))| RowDelta { row, delta, overhead }).collect()
}

/// The row's delta to the baseline over the questions that both have answered.
fn delta(data: &RunData, baseline: &str, row: &Row) -> Option<Delta> {
    let scores = |path: &str| -> BTreeMap<&str, f64> {
        let of_path = data.samples_of(&row.probe).filter(|sample| sample.path == path);
        of_path.map(|sample| (sample.question.as_str(), sample.score)).collect()
    };
    let (base, path) = (scores(baseline), scores(&row.path));
    if base.is_empty() || !base.keys().eq(path.keys()) {
        return None;
    }
    let (base, path): (Vec<f64>, Vec<f64>) = (base.into_values().collect(), path.into_values().collect());
    paired_delta(&base, &path, RESAMPLES, data.info.seed)
}
