//! Synthetic maps for this room's tests.

use neuro_path::{Block, triangle};
use neuro_stats::{BlockMap, Cell, Chance, Interval};

/// A map with these deltas, baseline 0.2, 40 questions and intervals of ± 0.03.
pub(crate) fn map_of(depth: usize, delta: impl Fn(Block) -> Option<f64>) -> BlockMap {
    let cells = triangle(depth)
        .map(|block| {
            let delta = if block.is_baseline() { Some(0.0) } else { delta(block) };
            let interval =
                delta.filter(|_| !block.is_baseline()).map(|delta| Interval { low: delta - 0.03, high: delta + 0.03 });
            Cell { block, score: delta.map(|delta| 0.2 + delta), delta, interval, screened: None }
        })
        .collect();
    BlockMap { depth, probe: "math".to_owned(), group: None, baseline: Some(0.2), n: 40, cells, chance: None }
}

/// What a map has whose answers to single questions are known.
pub(crate) fn chance_of(map: &BlockMap) -> Chance {
    Chance { cells: map.cells.clone(), blocks: 10, expected_best: 0.1, rarely_exceeded: 0.2, adjusted: Vec::new() }
}

/// Six layers: a hot region around (1, 4), losses at the early layers, one block not measured, some near zero.
pub(crate) fn six_layers() -> BlockMap {
    map_of(6, |block| match (block.start, block.end) {
        (2, 6) => None,
        (1, 4) => Some(0.75),
        (1, 3) | (2, 4) => Some(0.4),
        (0, end) => Some(-0.1 * end as f64),
        (start, end) => Some(0.02 * start as f64 - 0.01 * end as f64),
    })
}

/// The same after a screening: what starts at 0 or 3 saw 2 questions, what starts at 2 saw 10.
pub(crate) fn screened() -> BlockMap {
    let mut map = six_layers();
    for cell in map.cells.iter_mut().filter(|cell| cell.delta.is_some() && !cell.block.is_baseline()) {
        cell.screened = match cell.block.start {
            0 | 3 => Some(2),
            2 => Some(10),
            _ => None,
        };
        cell.interval = cell.interval.filter(|_| cell.screened.is_none());
    }
    map
}

/// Five layers whose deltas are some ten thousandths, as a tiny model's are on a likelihood probe.
pub(crate) fn small() -> BlockMap {
    let mut map = map_of(5, |block| Some(0.000_52 - 0.000_31 * block.start as f64 - 0.000_12 * block.end as f64));
    for cell in &mut map.cells {
        cell.interval = cell
            .interval
            .zip(cell.delta)
            .map(|(_, delta)| Interval { low: delta - 0.000_13, high: delta + 0.000_119_6 });
    }
    map
}
