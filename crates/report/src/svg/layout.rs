//! Where things stand in the picture, in pixels at scale 1.

use neuro_stats::BlockMap;

use crate::precision::Precision;

/// The picture: title, skyline E(j) above the map, skyline S(i) to its right, legend in the empty triangle below the
/// diagonal. The tick labels stand between map and skylines, where every row and column has its cells.
pub(crate) struct Layout {
    /// Number of layers N: the map has columns j = 0 … N and rows i = 0 … N−1.
    pub(crate) depth: usize,
    /// Side of a cell.
    pub(crate) cell: f64,
    /// Left edge of column j = 0.
    pub(crate) left: f64,
    /// Top edge of row i = 0.
    pub(crate) top: f64,
    /// Thickness of both skylines.
    pub(crate) skyline: f64,
}

/// Between the map and a skyline: tick labels.
pub(crate) const TICK_BAND: f64 = 26.0;
const TITLE_HEIGHT: f64 = 76.0;
const LEGEND_HEIGHT: f64 = 164.0;
const MARGIN: f64 = 28.0;
/// Left of the map at least: the labels of the skyline E(j).
const LEFT: f64 = 46.0;
/// Of a digit in the skylines' labels.
const DIGIT_WIDTH: f64 = 6.0;

impl Layout {
    /// The layout for a map of this depth. With `title` false nothing is kept free above the skyline.
    pub(crate) fn new(map: &BlockMap, title: bool) -> Self {
        let columns = (map.depth + 1) as f64;
        // About 650 pixels of map; small models get large cells, yet enough map to hold the legend.
        let cell = (650.0 / columns).min((448.0 / columns).max(44.0)).floor().max(4.0);
        let skyline = 104.0;
        let top = if title { TITLE_HEIGHT } else { 24.0 } + skyline + TICK_BAND;
        // Sign, 0 and point stand before the decimals, and some air around them.
        let label = DIGIT_WIDTH * (Precision::of(map).decimals + 3) as f64;
        Self { depth: map.depth, cell, left: LEFT.max(label + 8.0), top, skyline }
    }

    /// Roughly how wide a label of the skylines is.
    pub(crate) fn label_width(text: &str) -> f64 {
        DIGIT_WIDTH * text.chars().count() as f64 - 3.0
    }

    /// Left edge of column j; the right edge of the map for j = N + 1.
    pub(crate) fn x(&self, end: usize) -> f64 {
        self.left + self.cell * end as f64
    }

    /// Top edge of row i; the bottom edge of the map for i = N.
    pub(crate) fn y(&self, start: usize) -> f64 {
        self.top + self.cell * start as f64
    }

    pub(crate) fn right(&self) -> f64 {
        self.x(self.depth + 1)
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.y(self.depth)
    }

    pub(crate) fn width(&self) -> f64 {
        self.right() + TICK_BAND + self.skyline + MARGIN
    }

    /// The legend stands below the diagonal; very small maps get it below the map.
    pub(crate) fn legend_top(&self) -> f64 {
        if self.depth >= 6 { self.bottom() - LEGEND_HEIGHT } else { self.bottom() + 34.0 }
    }

    pub(crate) fn height(&self) -> f64 {
        self.bottom().max(self.legend_top() + LEGEND_HEIGHT) + MARGIN
    }

    /// The gap between cells: a hairline that shows white cells on white paper.
    pub(crate) fn gap(&self) -> f64 {
        if self.cell >= 20.0 {
            1.5
        } else if self.cell >= 12.0 {
            1.0
        } else {
            0.6
        }
    }

    /// Every how many layers a tick is labelled: at most fourteen labels along an axis.
    pub(crate) fn tick_step(&self) -> usize {
        tick_step(self.depth, 14)
    }
}

/// The smallest round step that divides `depth` into at most `most` parts.
pub(crate) fn tick_step(depth: usize, most: usize) -> usize {
    let mut magnitude: usize = 1;
    loop {
        for factor in [1, 2, 5] {
            let step = magnitude.saturating_mul(factor);
            if depth / step <= most.max(1) {
                return step;
            }
        }
        magnitude = magnitude.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::map_of;

    #[test]
    fn ticks_are_round_and_few() {
        let steps: Vec<usize> = [6, 12, 28, 48, 80, 126, 400].map(|depth| tick_step(depth, 14)).to_vec();
        assert_eq!(steps, [1, 1, 2, 5, 10, 10, 50]);
    }

    #[test]
    fn pictures_of_all_depths_have_a_similar_size() {
        for depth in [6, 12, 28, 48, 80, 126] {
            let layout = Layout::new(&map_of(depth, |_| None), true);
            assert!((500.0..900.0).contains(&layout.width()), "{depth} layers: {}", layout.width());
            assert!((500.0..950.0).contains(&layout.height()), "{depth} layers: {}", layout.height());
        }
    }
}
