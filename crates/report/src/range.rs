//! Which deltas the two ends of the colour scale stand for.

use neuro_stats::BlockMap;

use crate::precision::{FLAT, largest_delta};

/// The span of a map without differences, whose cells are to stay white.
const FLAT_SPAN: f64 = 0.001;

/// The colour scale of one map. The two sides may have different spans; the legend shows both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ColorRange {
    /// The delta that gets the deepest red.
    pub(crate) better: f64,
    /// The size of the negative delta that gets the deepest blue.
    pub(crate) worse: f64,
    /// How many measured blocks lie below `-worse`.
    pub(crate) clipped: usize,
    /// The lowest delta measured, when it lies below `-worse`.
    pub(crate) lowest: f64,
    /// How many blocks lie above `better`; never one on a map's own scale.
    pub(crate) above: usize,
    /// The highest of them.
    pub(crate) highest: f64,
}

impl ColorRange {
    /// Robust bounds, after the author's plots: the best block sets the red side and is never clipped. The blue side
    /// ends at the 95 % quantile of the losses, and stays between one and six red spans: losses are usually larger than
    /// gains, and would otherwise wash them out. A gain below a twentieth of the losses stays pale, since it is small.
    pub(crate) fn of(map: &BlockMap) -> Self {
        let deltas = || map.cells.iter().filter_map(|cell| cell.delta).filter(|delta| delta.is_finite());
        // Few questions make large deltas: a block that dropped out of a screening may be clipped.
        let seen_all = map.cells.iter().filter(|cell| cell.screened.is_none());
        let best = seen_all.filter_map(|cell| cell.delta).filter(|delta| delta.is_finite()).fold(0.0, f64::max);
        let mut losses: Vec<f64> = deltas().filter(|delta| *delta < 0.0).map(f64::abs).collect();
        losses.sort_by(f64::total_cmp);
        let rank = (losses.len() * 95).div_ceil(100);
        let usual_loss = losses.get(rank.saturating_sub(1)).copied().unwrap_or(0.0);

        // Below this a span would colour noise beside the large deltas of the same map.
        let largest = largest_delta(map);
        let smallest = if largest < FLAT { FLAT_SPAN } else { (largest / 500.0).max(FLAT) };
        let (better, worse) = if best > 0.0 {
            let better = best.max(usual_loss / 20.0).max(smallest);
            (better, usual_loss.clamp(better, 6.0 * better))
        } else {
            let span = usual_loss.max(smallest);
            (span, span)
        };
        let clipped = losses.iter().filter(|loss| **loss > worse).count();
        Self { better, worse, clipped, lowest: -losses.last().copied().unwrap_or(0.0), above: 0, highest: 0.0 }
    }

    /// The scale of another map, for a picture that is to be compared with it.
    pub(crate) fn of_another(scale: &BlockMap, map: &BlockMap) -> Self {
        let own = Self::of(scale);
        let deltas = || map.cells.iter().filter_map(|cell| cell.delta).filter(|delta| delta.is_finite());
        Self {
            clipped: deltas().filter(|delta| *delta < -own.worse).count(),
            lowest: deltas().fold(0.0, f64::min),
            above: deltas().filter(|delta| *delta > own.better).count(),
            highest: deltas().fold(0.0, f64::max),
            ..own
        }
    }

    /// Where a delta lies on the scale, from −1 through 0 to 1.
    pub(crate) fn position(&self, delta: f64) -> f64 {
        (delta / if delta < 0.0 { self.worse } else { self.better }).clamp(-1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::map_of;

    #[test]
    fn the_best_block_is_never_clipped_and_a_long_tail_is() {
        let map = map_of(6, |block| match (block.start, block.end) {
            (0, 1) => Some(-0.9),
            (2, 4) => Some(0.05),
            _ => Some(-0.1),
        });
        let range = ColorRange::of(&map);
        assert!((range.better - 0.05).abs() < 1e-12 && (range.worse - 0.1).abs() < 1e-12, "{range:?}");
        assert_eq!(range.clipped, 1);
        assert!((range.lowest + 0.9).abs() < 1e-12);
        assert!((range.position(0.05) - 1.0).abs() < 1e-12);
        assert!((range.position(-0.05) + 0.5).abs() < 1e-12);
        assert!((range.position(-0.9) + 1.0).abs() < 1e-12, "clipped");
    }

    #[test]
    fn small_losses_do_not_look_large_beside_a_large_gain() {
        let range = ColorRange::of(&map_of(6, |block| Some(if block.start == 2 { 0.75 } else { -0.01 })));
        assert!((range.worse - 0.75).abs() < 1e-12, "both sides share one span: {range:?}");
    }

    #[test]
    fn tiny_gains_among_large_losses_stay_pale() {
        let range = ColorRange::of(&map_of(6, |block| Some(if block.start == 2 { 0.001 } else { -0.8 })));
        assert!(range.position(0.001) < 0.1, "{range:?}");
    }

    #[test]
    fn small_deltas_use_the_whole_scale_and_rounding_none_of_it() {
        let small = ColorRange::of(&map_of(4, |block| Some(if block.start == 1 { 0.0005 } else { -0.0002 })));
        assert!((small.position(0.0005) - 1.0).abs() < 1e-12, "{small:?}");
        let flat = ColorRange::of(&map_of(4, |block| Some(if block.start == 1 { 5e-7 } else { -2e-8 })));
        assert!(flat.position(5e-7) < 0.001 && flat.clipped == 0, "{flat:?}");
    }

    #[test]
    fn maps_without_gains_without_losses_and_without_anything_have_a_scale() {
        let losses = ColorRange::of(&map_of(4, |_| Some(-0.5)));
        assert!((losses.better - 0.5).abs() < 1e-12 && (losses.worse - 0.5).abs() < 1e-12);
        for nothing in [map_of(4, |_| Some(0.0)), map_of(4, |_| None)] {
            let range = ColorRange::of(&nothing);
            assert!(range.better > 0.0 && range.worse > 0.0 && range.clipped == 0);
        }
    }
}
