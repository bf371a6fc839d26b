//! How much of a model's numbers a file of few bits has lost.

use neuro_checkpoint::Checkpoint;
use neuro_path::LayerPath;

use crate::Result;

/// Rows of a matrix that are compared; a mistake of order or name shows in any.
const ROWS: usize = 16;

/// The root mean square of the difference between a matrix of the file and the same of the source, relative to the
/// latter's: the largest of all matrices. Matrices that a damped visit multiplies are not compared.
pub(super) fn largest(source: &Checkpoint, path: &LayerPath, written: &Checkpoint) -> Result<f64> {
    let visits = path.visits();
    let mut largest = 0.0_f64;
    for (name, shape) in written.config.expected_tensors() {
        let [height, _] = shape[..] else { continue };
        let place = name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
        let original = match place.and_then(|(place, rest)| Some((visits.get(place.parse::<usize>().ok()?)?, rest))) {
            Some((visit, _)) if !visit.scales.is_plain() => continue,
            Some((visit, rest)) => format!("model.layers.{}.{rest}", visit.layer),
            None => name.clone(),
        };
        let step = height.div_ceil(ROWS);
        // Rows of matrices are far fewer than the largest number.
        let rows: Vec<u32> = (0..height).step_by(step).map(|row| row as u32).collect();
        let exact = source.weights.read_rows_f32(&original, &shape, &rows)?;
        let found = written.weights.read_rows_f32(&name, &shape, &rows)?;
        let squares = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number * number).sum::<f64>();
        let lost = squares(&mut exact.iter().zip(&found).map(|(a, b)| f64::from(*a) - f64::from(*b)));
        let whole = squares(&mut exact.iter().map(|number| f64::from(*number)));
        if lost > 0.0 {
            largest = largest.max((lost / whole.max(f64::MIN_POSITIVE)).sqrt());
        }
    }
    Ok(largest)
}
