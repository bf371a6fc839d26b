//! The data inside `report.html`, as JSON: what the page shows, sorts and offers for download.

use std::collections::BTreeMap;

use neuro_path::triangle;
use neuro_record::{RunData, RunInfo, SOURCE};
use neuro_stats::BlockMap;
use serde::Serialize;

use crate::precision::Precision;

/// Everything the page knows. Lists of blocks are in the order of the triangle, and so are those of cells and rows.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    /// Without where the model lay on one machine.
    info: RunInfo,
    /// i, j and the path.
    blocks: Vec<(usize, usize, String)>,
    maps: Vec<Map<'a>>,
    /// For each probe: n, parse failures, truncated, loops and notes; null where there is no row.
    rows: BTreeMap<&'a str, Vec<Option<Counts<'a>>>>,
}

#[derive(Serialize)]
struct Map<'a> {
    probe: &'a str,
    group: Option<&'a str>,
    n: usize,
    baseline: Option<f64>,
    /// Digits after the point in what the page shows.
    decimals: usize,
    /// Score, delta, and both ends of its interval; null where the block is not measured.
    cells: Vec<Option<[Option<f64>; 4]>>,
    /// Questions that a block saw before it dropped out of a screening; null where it saw all of them. Left out where
    /// nothing was screened.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<Vec<Option<usize>>>,
}

#[derive(Serialize)]
struct Counts<'a>(usize, usize, usize, usize, &'a [String]);

/// The JSON text, not yet escaped for a script element.
pub(super) fn json(data: &RunData, maps: &[BlockMap]) -> String {
    let depth = maps.first().map_or(data.info.model.layers, |map| map.depth);
    // Without a map there is nothing to point at, however deep the model.
    let blocks: Vec<_> = if maps.is_empty() { Vec::new() } else { triangle(depth).collect() };
    let index: BTreeMap<[usize; 2], usize> =
        blocks.iter().enumerate().map(|(index, block)| ([block.start, block.end], index)).collect();
    let mut rows: BTreeMap<&str, Vec<Option<Counts<'_>>>> = BTreeMap::new();
    for row in &data.rows {
        let Some(&place) = row.block.as_ref().and_then(|block| index.get(block)) else { continue };
        let of_probe = rows.entry(&row.probe).or_insert_with(|| blocks.iter().map(|_| None).collect());
        of_probe[place] = Some(Counts(row.n, row.parse_failures, row.truncated, row.loops, &row.notes));
    }
    let mut info = data.info.clone();
    info.settings.remove(SOURCE);
    let document = Document {
        schema: data.info.schema,
        info,
        blocks: blocks
            .iter()
            .map(|block| {
                let path = block.path(depth).map(|path| path.to_string()).unwrap_or_default();
                (block.start, block.end, path)
            })
            .collect(),
        maps: maps
            .iter()
            .map(|map| Map {
                probe: &map.probe,
                group: map.group.as_deref(),
                n: map.n,
                baseline: map.baseline,
                decimals: Precision::of(map).decimals,
                cells: map
                    .cells
                    .iter()
                    .map(|cell| {
                        let bounds = cell.interval;
                        cell.score?;
                        Some([cell.score, cell.delta, bounds.map(|it| it.low), bounds.map(|it| it.high)])
                    })
                    .collect(),
                dropped: map.dropped().map(|_| map.cells.iter().map(|cell| cell.screened).collect()),
            })
            .collect(),
        rows,
    };
    serde_json::to_string(&document).expect("strings, numbers and maps with text keys always serialise")
}
