//! The cells of the map, their patterns, and the two rings.

use std::collections::BTreeMap;

use neuro_path::Block;
use neuro_stats::{BlockMap, Cell};

use super::{Layout, Purpose, Svg};
use crate::color::{BEST, Rgb, UNMEASURED, diverging};
use crate::escape::markup;
use crate::number::{coordinate, counted, typographic};
use crate::precision::{Precision, is_uncertain, leader};
use crate::range::ColorRange;

pub(crate) fn draw(
    svg: &mut Svg,
    layout: &Layout,
    range: &ColorRange,
    precision: Precision,
    map: &BlockMap,
    purpose: &Purpose<'_>,
) {
    svg.line(&format!("<path class=\"grid\" fill=\"#d5d9e0\" d=\"{}\"/>", staircase(layout)));
    if purpose.tooltips {
        one_by_one(svg, layout, range, precision, map)
    } else {
        by_color(svg, layout, range, map)
    }
    pattern(svg, layout, map, &format!("hatch{}", purpose.suffix), |cell| is_uncertain(map, cell));
    pattern(svg, layout, map, &format!("dots{}", purpose.suffix), |cell| cell.screened.is_some());
    if let Some((best, _)) = leader(map) {
        ring(svg, layout, best.block, BEST.hex().as_str());
    }
    ring(svg, layout, Block::BASELINE, "#000000");
}

/// The outline of all cells, filled: what shows between them.
fn staircase(layout: &Layout) -> String {
    let edge = layout.gap() / 2.0;
    let (left, top, right) = (layout.left - edge, layout.top - edge, layout.right() + edge);
    let mut path = format!(
        "M{} {}H{}V{}",
        coordinate(left),
        coordinate(top),
        coordinate(right),
        coordinate(layout.bottom() + edge)
    );
    // Up the stairs: row i starts at column i + 1, and row 0 at the baseline's column 0.
    for start in (1..layout.depth).rev() {
        path.push_str(&format!("H{}V{}", coordinate(layout.x(start + 1) - edge), coordinate(layout.y(start) + edge)));
    }
    path.push_str(&format!("H{}Z", coordinate(left)));
    path
}

fn square(layout: &Layout, block: Block) -> String {
    let gap = layout.gap();
    let side = coordinate(layout.cell - gap);
    let (x, y) = (coordinate(layout.x(block.end) + gap / 2.0), coordinate(layout.y(block.start) + gap / 2.0));
    format!("M{x} {y}h{side}v{side}h-{side}z")
}

fn fill(range: &ColorRange, cell: &Cell) -> Rgb {
    cell.delta.map_or(UNMEASURED, |delta| diverging(range.position(delta)))
}

fn one_by_one(svg: &mut Svg, layout: &Layout, range: &ColorRange, precision: Precision, map: &BlockMap) {
    svg.line("<g>");
    for cell in &map.cells {
        let class = if cell.delta.is_some() { "" } else { "class=\"unmeasured\" " };
        svg.line(&format!(
            "<path {class}fill=\"{}\" d=\"{}\"><title>{}</title></path>",
            fill(range, cell).hex(),
            square(layout, cell.block),
            markup(&tooltip(precision, map, cell)),
        ));
    }
    svg.line("</g>");
}

fn by_color(svg: &mut Svg, layout: &Layout, range: &ColorRange, map: &BlockMap) {
    let mut paths: BTreeMap<(bool, Rgb), String> = BTreeMap::new();
    for cell in &map.cells {
        paths.entry((cell.delta.is_some(), fill(range, cell))).or_default().push_str(&square(layout, cell.block));
    }
    svg.line("<g>");
    for ((measured, color), path) in paths {
        let class = if measured { "" } else { "class=\"unmeasured\" " };
        svg.line(&format!("<path {class}fill=\"{}\" d=\"{path}\"/>", color.hex()));
    }
    svg.line("</g>");
}

/// Draws a pattern over the cells for which `is_meant` holds.
fn pattern(svg: &mut Svg, layout: &Layout, map: &BlockMap, id: &str, is_meant: impl Fn(&Cell) -> bool) {
    let path: String = map.cells.iter().filter(|cell| is_meant(cell)).map(|cell| square(layout, cell.block)).collect();
    if !path.is_empty() {
        svg.line(&format!("<path fill=\"url(#{id})\" pointer-events=\"none\" d=\"{path}\"/>"));
    }
}

fn ring(svg: &mut Svg, layout: &Layout, block: Block, color: &str) {
    let (x, y) = (layout.x(block.end) + layout.cell / 2.0, layout.y(block.start) + layout.cell / 2.0);
    let radius = (layout.cell * 0.36).max(5.0);
    let stroke = (layout.cell * 0.07).clamp(1.8, 3.0);
    // A pale halo keeps the ring visible on dark and on light cells.
    for (color, width, opacity) in [("#ffffff", stroke + 1.6, " stroke-opacity=\"0.75\""), (color, stroke, "")] {
        svg.line(&format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{}\"{opacity} pointer-events=\"none\"/>",
            coordinate(x),
            coordinate(y),
            coordinate(radius),
            coordinate(width),
        ));
    }
}

/// `(4, 8) = 0..7,4..11`, delta with interval, score.
fn tooltip(precision: Precision, map: &BlockMap, cell: &Cell) -> String {
    let mut text = cell.block.to_string();
    if let Ok(path) = cell.block.path(map.depth) {
        text.push_str(&format!(" = {path}"));
    }
    match cell.delta {
        _ if cell.block.is_baseline() => text.push_str("\nbaseline"),
        None => text.push_str("\nnot measured"),
        Some(delta) => text.push_str(&format!("\ndelta {}", typographic(&precision.signed(delta)))),
    }
    if let Some(bounds) = cell.interval.as_ref().filter(|_| !cell.block.is_baseline()) {
        text.push_str(&format!(" {}", typographic(&precision.interval(bounds))));
    }
    if let Some(value) = cell.score {
        text.push_str(&format!("\nscore {}", precision.score(value)));
    }
    if let Some(seen) = cell.screened {
        text.push_str(&format!("\nsaw {seen} of {}, not ranked", counted(map.n, "question")));
    }
    text
}
