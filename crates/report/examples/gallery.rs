//! Draws synthetic maps in every form, to look at: `cargo run -p neuro-report --example gallery -- FOLDER`.
//!
//! FOLDER must exist; it gets `NAME.svg`, `NAME.png`, `NAME.html` and `NAME-LEVEL.txt` for each map.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use neuro_path::{Block, triangle};
use neuro_record::{GroupScore, ModelInfo, Plan, PlannedPaths, Planted, ProbeInfo, Row, RunData, RunInfo, Screened};
use neuro_report::{ColorLevel, html_report, png, svg_heatmap, terminal_heatmap, top_table};
use neuro_stats::{BlockMap, Cell, Interval};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: gallery FOLDER")?;
    let scenes = [
        ("phantom", "phantom", vec![phantom(Some("k2")), phantom(None)]),
        ("missing", "six-layers <&> \"quoted\"", vec![map(6, "math", 40, missing)]),
        ("cortex", "org/model-0.6B", vec![map(28, "math:likelihood", 32, cortex)]),
        ("deep", "org/model-72B", vec![map(80, "math", 120, cortex), map(80, "eq:likelihood", 64, late)]),
        ("small", "org/stories-260K", vec![map(5, "math:likelihood", 16, small)]),
        ("screened", "org/model-0.6B", vec![screened(28)]),
        ("losses", "org/fragile-1B", vec![map(16, "math", 32, losses)]),
    ];
    for (name, model, maps) in scenes {
        let data = run(model, &maps);
        for (index, map) in maps.iter().enumerate() {
            let name = if index == 0 { name.to_owned() } else { format!("{name}-{index}") };
            let svg = svg_heatmap(map, model);
            std::fs::write(folder.join(format!("{name}.svg")), &svg)?;
            std::fs::write(folder.join(format!("{name}.png")), png(&svg, 1.5)?)?;
            for (level, label) in
                [(ColorLevel::Plain, "plain"), (ColorLevel::Ansi256, "256"), (ColorLevel::TrueColor, "true")]
            {
                let text = format!("{}\n{}", terminal_heatmap(map, level, 100), top_table(map, 8, level));
                std::fs::write(folder.join(format!("{name}-{label}.txt")), text)?;
            }
        }
        std::fs::write(folder.join(format!("{name}.html")), html_report(&data, &maps))?;
    }
    Ok(())
}

/// A delta in [−1, 1] and half the width of its interval; none where not measured.
type Shape = fn(i: f64, j: f64, depth: f64) -> Option<(f64, f64)>;

fn map(depth: usize, probe: &str, n: usize, shape: Shape) -> BlockMap {
    let baseline = 0.42;
    let cells = triangle(depth).map(|block| {
        let found = if block.is_baseline() {
            Some((0.0, 0.0))
        } else {
            shape(block.start as f64, block.end as f64, depth as f64)
                .map(|(delta, half)| (delta + 0.3 * half * noise(block), half))
        };
        let delta = found.map(|(delta, _)| delta.clamp(-baseline, 1.0 - baseline));
        let interval = delta.zip(found).filter(|_| !block.is_baseline());
        Cell {
            block,
            score: delta.map(|delta| baseline + delta),
            delta,
            interval: interval.map(|(delta, (_, half))| Interval { low: delta - half, high: delta + half }),
            screened: None,
        }
    });
    BlockMap {
        depth,
        probe: probe.to_owned(),
        group: None,
        baseline: Some(baseline),
        n,
        cells: cells.collect(),
        chance: None,
    }
}

/// The map of the shipped phantom's recipe: a hot region for i ≤ 5 and j = 6 … 9.
fn phantom(group: Option<&str>) -> BlockMap {
    let share = if group.is_some() { 1.0 } else { 0.25 };
    let mut map = map(12, "phantom", if group.is_some() { 288 } else { 1152 }, |i, j, _| {
        let start = 1.0 / (1.0 + (2.2 * (i - 5.2)).exp());
        let end = 1.0 / (1.0 + (-3.0 * (j - 5.8)).exp()) / (1.0 + (3.5 * (j - 9.5)).exp());
        Some((0.985 * start * end, 0.03))
    });
    map.group = group.map(str::to_owned);
    map.baseline = Some(0.01);
    for cell in &mut map.cells {
        cell.delta = cell.delta.map(|delta| (delta * 1.7).clamp(0.0, 0.985) * share);
        cell.score = cell.delta.map(|delta| 0.01 + delta);
        cell.interval = cell.delta.zip(cell.interval).map(|(delta, _)| {
            let half = 0.004 + 0.12 * share * (delta / share * (1.0 - delta / share)).max(0.0);
            Interval { low: delta - half, high: delta + half }
        });
    }
    map
}

/// A warm band in the middle of the stack, losses at both ends, noise elsewhere: what real models look like.
fn cortex(i: f64, j: f64, depth: f64) -> Option<(f64, f64)> {
    let (start, end) = (i / depth, j / depth);
    let warm = 0.16 * (-((start - 0.52).powi(2) + (end - 0.66).powi(2)) / 0.012).exp();
    let early = -0.42 * (-start / 0.09).exp();
    let late = -0.3 * ((end - 1.0) / 0.07).exp();
    let long = -0.35 * (end - start).powi(2);
    Some((warm + early + late + long, 0.035))
}

/// The same after a screening: most blocks dropped out.
fn screened(depth: usize) -> BlockMap {
    let mut map = map(depth, "math:likelihood", 64, cortex);
    let edge = map.ranked(40).last().and_then(|cell| cell.score).unwrap_or_default();
    for cell in map.cells.iter_mut().filter(|cell| !cell.block.is_baseline()) {
        let below = edge - cell.score.unwrap_or_default();
        let seen = if below > 0.15 {
            2
        } else if below > 0.05 {
            10
        } else {
            24
        };
        cell.screened = (below > 0.0).then_some(seen);
        cell.interval = cell.interval.filter(|_| cell.screened.is_none());
    }
    map
}

fn late(i: f64, j: f64, depth: f64) -> Option<(f64, f64)> {
    let (start, end) = (i / depth, j / depth);
    let warm = 0.09 * (-((start - 0.7).powi(2) + (end - 0.8).powi(2)) / 0.02).exp();
    (end < 0.97 || start > 0.3).then_some((warm - 0.2 * (end - start).powi(3) - 0.2 * (-start / 0.05).exp(), 0.03))
}

fn losses(i: f64, j: f64, depth: f64) -> Option<(f64, f64)> {
    Some((-0.02 - 0.4 * ((j - i) / depth).sqrt(), 0.05))
}

/// A tiny model that knows nothing of the probe.
fn small(i: f64, j: f64, _: f64) -> Option<(f64, f64)> {
    Some((0.0004 - 0.0003 * i - 0.0001 * (j - i), 0.000_15))
}

fn missing(i: f64, j: f64, _: f64) -> Option<(f64, f64)> {
    (i + j < 8.5).then_some((0.3 * (-((i - 1.0).powi(2) + (j - 4.0).powi(2)) / 2.0).exp() - 0.1 * (j - i - 2.0), 0.06))
}

/// In [−1, 1], the same for the same block on every machine.
fn noise(block: Block) -> f64 {
    let mixed = (block.start as u32).wrapping_mul(0x9e37_79b9) ^ (block.end as u32).wrapping_mul(0x85eb_ca6b);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x2c1b_3c6d);
    f64::from((mixed ^ (mixed >> 12)) & 0xffff) / 32_767.5 - 1.0
}

/// A run with these maps' rows and an invented origin.
fn run(model: &str, maps: &[BlockMap]) -> RunData {
    let depth = maps[0].depth;
    let mut rows = Vec::new();
    for map in maps.iter().filter(|map| map.group.is_none()) {
        for cell in &map.cells {
            let (Some(score), Ok(path)) = (cell.score, cell.block.path(depth)) else { continue };
            let failures = map.n * cell.block.size() / (4 * depth);
            rows.push(Row {
                schema: 1,
                path: path.to_string(),
                layers: path.layers(),
                block: Some([cell.block.start, cell.block.end]),
                probe: map.probe.clone(),
                score,
                n: cell.screened.unwrap_or(map.n),
                screened: cell.screened.map(|seen| Screened { seen, of: map.n }),
                parse_failures: failures,
                truncated: failures / 2,
                loops: failures / 3,
                groups: BTreeMap::from([("all".to_owned(), GroupScore { score, n: map.n })]),
                seconds: Some(0.25),
                seconds_kind: Some("share".to_owned()),
                notes: Vec::new(),
                random_weights: None,
            });
        }
    }
    let probes = maps.iter().filter(|map| map.group.is_none()).map(|map| ProbeInfo {
        name: map.probe.clone(),
        id: format!("{}@1(n={})", map.probe, map.n),
        hash: "5a0c7f3e".repeat(8),
        questions: map.n,
    });
    RunData {
        info: RunInfo {
            schema: 1,
            tool: "neuro 0.1.0".to_owned(),
            created: "2026-11-22T06:00:00Z".to_owned(),
            model: ModelInfo {
                id: model.to_owned(),
                hash: "0123456789abcdef".repeat(4),
                model_type: "llama".to_owned(),
                layers: depth,
                parameters: 596_049_920,
                dtype: "BF16".to_owned(),
                random_weights: None,
            },
            tokenizer_hash: Some("fedcba9876543210".repeat(4)),
            template_hash: None,
            compute: "f32".to_owned(),
            device: "cpu".to_owned(),
            probes: probes.collect(),
            seed: 0,
            settings: BTreeMap::from([("max_new_tokens".to_owned(), serde_json::json!(16))]),
            plan: Plan {
                paths: PlannedPaths::Triangle,
                chunks: Vec::new(),
                groups: Vec::new(),
                memory_bytes: 4 << 30,
                held_bytes: 0,
                reference_needs: BTreeMap::new(),
            },
            screen: None,
            phantom: (model == "phantom").then(|| Planted { block: [4, 8], group: "k2".to_owned() }),
        },
        rows,
        samples: Vec::new(),
        reference: Vec::new(),
    }
}
