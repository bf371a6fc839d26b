//! `report.html`: one file that opens offline. Without JavaScript it is a page of pictures and tables; with it the map
//! answers to pointer and arrow keys, tables sort, and the data can be saved.

mod data;
mod provenance;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use neuro_path::Block;
use neuro_record::{Row, RunData};
use neuro_stats::{BlockMap, overhead, planted_verdict};

use crate::color::diverging;
use crate::escape::{json_in_script, markup};
use crate::number::{count, counted, full, typographic};
use crate::precision::{Precision, leader};
use crate::range::ColorRange;
use crate::svg::{Purpose, draw};

const STYLE: &str = include_str!("../../assets/report.css");
const SCRIPT: &str = include_str!("../../assets/report.js");

/// Rows of the table of best blocks; the whole map is in the download.
const TOP: usize = 40;

/// A self-contained page with these maps of one run: headline, heatmap with skylines, table of the best blocks, and
/// where the numbers come from. It requests nothing from anywhere (and its content policy forbids it to), carries its
/// data as JSON, and follows the reader's light or dark preference. All foreign strings are escaped.
#[must_use]
pub fn html_report(data: &RunData, maps: &[BlockMap]) -> String {
    let model = &data.info.model;
    let title = markup(&model.id);
    let mut page = String::new();
    let mut add = |text: &str| {
        page.push_str(text);
        page.push('\n');
    };
    add("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
    add(concat!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; ",
        "script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">"
    ));
    add(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">",
    );
    add(&format!("<title>{title}: every block run once more</title>"));
    add(&format!("<style>\n{STYLE}</style>\n</head>\n<body>"));
    add(&format!("<header>\n<h1>{title}</h1>"));
    add(&format!(
        "<p class=\"muted\">{}, {} parameters. Each cell (i, j) is this model with layers i to j−1 run once more; no weight is changed.</p>",
        counted(model.layers, "layer"),
        count(usize::try_from(model.parameters).unwrap_or(usize::MAX)),
    ));
    if let Some(seed) = model.random_weights {
        add(&format!(
            "<p class=\"warning\">The weights are random (seed {seed}). This map shows how the scanner runs, and nothing about a trained model.</p>"
        ));
    }
    if maps.len() > 1 {
        add("<div class=\"switch\" role=\"group\" aria-label=\"Which map\">");
        for (index, map) in maps.iter().enumerate() {
            add(&format!("<button type=\"button\" aria-pressed=\"{}\">{}</button>", index == 0, markup(&name(map))));
        }
        add("</div>");
    }
    add("</header>\n<main>");
    if maps.is_empty() {
        add("<p class=\"headline\">This run has no map of blocks.</p>");
    }
    for (index, map) in maps.iter().enumerate() {
        add(&section(data, map, index));
    }
    add("<div class=\"downloads\" hidden>");
    if !maps.is_empty() {
        add("<button type=\"button\" data-download=\"csv\">Save this map as CSV</button>");
        add("<button type=\"button\" data-download=\"svg\">Save this picture as SVG</button>");
    }
    add("<button type=\"button\" data-download=\"json\">Save all data as JSON</button>\n</div>");
    add(&provenance::section(data));
    add(&format!(
        "</main>\n<footer><p class=\"muted\">Made by {}. This file needs no network.</p></footer>",
        markup(&data.info.tool)
    ));
    add(&format!("<script type=\"application/json\" id=\"data\">{}</script>", json_in_script(&data::json(data, maps))));
    add(&format!("<script>\n{SCRIPT}</script>\n</body>\n</html>"));
    page
}

/// `math`, or `math, group k2`.
fn name(map: &BlockMap) -> String {
    map.group.as_ref().map_or_else(|| map.probe.clone(), |group| format!("{}, group {group}", map.probe))
}

fn section(data: &RunData, map: &BlockMap, index: usize) -> String {
    let best = leader(map).map_or(Block::BASELINE, |(best, _)| best.block);
    let place = map.cells.iter().position(|cell| cell.block == best).unwrap_or_default();
    let heading = markup(&format!("probe {}", name(map)));
    let picture = draw(map, &Purpose { title: None, suffix: &format!("-{index}"), tooltips: false, scale: None });
    let end = if leader(map).is_some() { ", End to the best block" } else { "" };
    let help = format!("Arrow keys move from block to block, Home goes to the baseline{end}. A click pins a block.");
    format!(
        "<section class=\"map\" data-best=\"{place}\" aria-labelledby=\"map-{index}\">\n<h2 id=\"map-{index}\">{heading}</h2>\n\
         <p class=\"headline\">{headline}</p>\n{verdict}<div class=\"view\">\n\
         <figure tabindex=\"0\" role=\"group\" aria-label=\"Heatmap of {heading}\">\n{picture}<figcaption class=\"muted\">{help}</figcaption></figure>\n\
         <aside class=\"panel\" role=\"status\" aria-live=\"polite\" hidden><h3>block</h3><p class=\"delta\"></p><dl class=\"facts\"></dl></aside>\n</div>\n{null}{table}</section>",
        headline = with_code(&crate::verdict(map)),
        null = null(map, index),
        verdict = verdict(data, map),
        table = table(data, map),
    )
}

/// What chance alone draws, beside what was measured.
fn null(map: &BlockMap, index: usize) -> String {
    let Some(swapped) = map.null_map() else { return String::new() };
    let suffix = format!("-null-{index}");
    let picture = draw(&swapped, &Purpose { title: None, suffix: &suffix, tooltips: false, scale: Some(map) });
    format!(
        "<h2>What chance alone draws</h2>\n<figure class=\"null\">\n{picture}<figcaption class=\"muted\">The same questions and \
         colours, with the labels of baseline and path swapped at random within questions. No block of this map differs from the \
         baseline.</figcaption></figure>\n"
    )
}

/// Text whose backquoted parts are commands.
pub(crate) fn with_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| if index % 2 == 1 { format!("<code>{}</code>", markup(part)) } else { markup(part) })
        .collect()
}

/// What was planted in a phantom, on the map of the questions that need it.
fn verdict(data: &RunData, map: &BlockMap) -> String {
    let Some(planted) = data.info.phantom.as_ref().filter(|planted| map.group.as_ref() == Some(&planted.group)) else {
        return String::new();
    };
    let [start, end] = planted.block;
    let planted = Block { start, end };
    let text = planted_verdict(map, planted).map_or_else(
        || format!("Planted in this phantom: block {planted}."),
        |verdict| {
            let found = if verdict.found { "Found" } else { "Not found" };
            format!(
                "Planted in this phantom: block {planted}. {found}: the best block {} shares {}.",
                verdict.best,
                counted(verdict.overlap, "layer")
            )
        },
    );
    format!("<p>{}</p>\n", markup(&text))
}

/// The best blocks; sortable where there is JavaScript. `data-value` holds what a column is sorted by.
fn table(data: &RunData, map: &BlockMap) -> String {
    let ranked = map.ranked(TOP);
    if ranked.is_empty() {
        return String::new();
    }
    let rows: BTreeMap<[usize; 2], &Row> =
        data.rows.iter().filter(|row| row.probe == map.probe).filter_map(|row| Some((row.block?, row))).collect();
    let places: BTreeMap<Block, usize> =
        map.cells.iter().enumerate().map(|(place, cell)| (cell.block, place)).collect();
    let (range, precision) = (ColorRange::of(map), Precision::of(map));
    let mut table = String::from("<h2>Best blocks</h2>\n<div class=\"scroll\"><table>\n");
    let whole = if map.group.is_some() { " Failures, truncations and loops are counted over all groups." } else { "" };
    let screened = if map.dropped().is_some() { " among those that saw every question" } else { "" };
    table.push_str(&format!(
        "<caption>The {} of highest score{screened}. Candidates, not gains.{whole}</caption>\n<thead><tr>",
        counted(ranked.len(), "block")
    ));
    for (column, class) in [
        ("block", "text"),
        ("delta", ""),
        ("interval", "text"),
        ("score", ""),
        ("overhead", ""),
        ("parse failures", ""),
        ("truncated", ""),
        ("loops", ""),
        ("path", "text"),
    ] {
        let sorted = if column == "score" { " aria-sort=\"descending\"" } else { "" };
        table.push_str(&format!(
            "<th scope=\"col\" class=\"{class}\"{sorted}><button type=\"button\">{column}</button></th>"
        ));
    }
    table.push_str("</tr></thead>\n<tbody>\n");
    for cell in ranked {
        let row = rows.get(&[cell.block.start, cell.block.end]);
        let path = cell.block.path(map.depth).ok();
        let number = |value: Option<usize>| {
            let text = value.map(|value| value.to_string()).unwrap_or_default();
            format!("<td data-value=\"{text}\">{text}</td>")
        };
        let delta = cell.delta.map_or_else(String::new, |delta| {
            let color = diverging(range.position(delta));
            let ink = if color.is_light() { "#000000" } else { "#ffffff" };
            format!(
                "<span class=\"chip\" style=\"background:{};color:{ink}\">{}</span>",
                color.hex(),
                typographic(&precision.signed(delta))
            )
        });
        let exact = |value: Option<f64>| value.map(full).unwrap_or_default();
        let cost = path.as_ref().map(overhead);
        let path = path.map(|path| markup(&path.to_string())).unwrap_or_default();
        table.push_str(&format!(
            "<tr data-index=\"{}\"><td class=\"text\" data-value=\"{block}\">{block}</td><td data-value=\"{}\">{delta}</td>\
             <td class=\"text\" data-value=\"{}\">{}</td><td data-value=\"{}\">{}</td><td data-value=\"{}\">{}</td>{}{}{}\
             <td class=\"text path\" data-value=\"{path}\">{path}</td></tr>\n",
            places.get(&cell.block).copied().unwrap_or_default(),
            exact(cell.delta),
            exact(cell.interval.map(|bounds| bounds.low)),
            cell.interval.map(|bounds| typographic(&precision.interval(&bounds))).unwrap_or_default(),
            exact(cell.score),
            cell.score.map(|value| precision.score(value)).unwrap_or_default(),
            exact(cost),
            cost.map(|cost| format!("{:+.1} %", 100.0 * cost)).unwrap_or_default(),
            number(row.map(|row| row.parse_failures)),
            number(row.map(|row| row.truncated)),
            number(row.map(|row| row.loops)),
            block = cell.block,
        ));
    }
    table.push_str("</tbody></table></div>\n");
    table
}
