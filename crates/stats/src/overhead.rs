//! What a path costs.

use neuro_path::LayerPath;

/// Extra visits ÷ number of layers: 0 for the baseline, 1 for a model run twice, negative for a path that skips.
#[must_use]
pub fn overhead(path: &LayerPath) -> f64 {
    path.extra_visits() as f64 / path.depth() as f64
}
