//! Single paths beside the baseline, as a table and as one JSON document. Numbers come from `stats`.

use neuro_record::{Row, RunData};
use neuro_report::type_effect_lines;
use neuro_stats::{Delta, RowDelta, row_deltas};
use serde_json::{Value, json};

use crate::printer::{DIM, styled};
use crate::remarks;
use crate::results::{JSON_SCHEMA, interval, planned_rows, type_effects, type_effects_missing};

/// The rows of a run, each with its delta to the baseline's row on the same probe.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    data: &'a RunData,
    lines: Vec<RowDelta<'a>>,
}

impl<'a> Comparison<'a> {
    /// Pairs every row with the baseline, question by question.
    pub(crate) fn new(data: &'a RunData) -> Self {
        Self { data, lines: row_deltas(data) }
    }

    /// The rows of a path, each with its delta.
    pub(crate) fn deltas(&self, path: &str) -> impl Iterator<Item = (&'a Row, Option<&Delta>)> {
        self.lines.iter().filter(move |line| line.row.path == path).map(|line| (line.row, line.delta.as_ref()))
    }

    /// A table with one line for each row, then its groups and what a reader of the numbers must know.
    pub(crate) fn table(&self) -> String {
        let mut cells = vec![
            ["probe", "path", "score", "delta", "interval", "n", "unparsed", "cut off", "overhead"].map(str::to_owned),
        ];
        for line in &self.lines {
            let row = line.row;
            // An answer is either truncated or stopped as a loop, so the sum counts none twice.
            let cut_off = row.truncated + row.loops;
            cells.push([
                row.probe.clone(),
                row.path.clone(),
                format!("{:.3}", row.score),
                line.delta.as_ref().map_or_else(|| "-".to_owned(), |delta| format!("{:+.3}", delta.mean)),
                line.delta
                    .as_ref()
                    .and_then(|delta| delta.interval)
                    .map_or_else(|| "-".to_owned(), |bounds| format!("[{:+.3}, {:+.3}]", bounds.low, bounds.high)),
                row.n.to_string(),
                row.parse_failures.to_string(),
                cut_off.to_string(),
                format!("{:+.1} %", 100.0 * line.overhead),
            ]);
        }
        let mut table = aligned(&cells, &[0, 1]);
        for line in &self.lines {
            let row = line.row;
            if row.groups.len() > 1 {
                let groups: Vec<_> =
                    row.groups.iter().map(|(name, group)| format!("{name} {:.3} ({})", group.score, group.n)).collect();
                table.push_str(&format!("{}\n", styled(DIM, format!("groups of {}: {}", row.path, groups.join(", ")))));
            }
        }
        for effect in type_effect_lines(self.data) {
            table.push_str(&format!("{effect}\n"));
        }
        for note in remarks::notes(self.data) {
            table.push_str(&format!("{}\n", styled(DIM, note)));
        }
        table
    }

    /// One JSON document; `run` is the run directory, if there is one.
    pub(crate) fn json(&self, run: Option<&str>) -> Value {
        let info = &self.data.info;
        let results = self.lines.iter().map(|line| {
            json!({
                "path": line.row.path,
                "probe": line.row.probe,
                "score": line.row.score,
                "delta": line.delta.as_ref().map(|delta| delta.mean),
                "interval": interval(line.delta.as_ref().and_then(|delta| delta.interval.as_ref())),
                "overhead": line.overhead,
            })
        });
        json!({
            "schema": JSON_SCHEMA,
            "tool": info.tool,
            "model": info.model,
            "run": run,
            "complete": self.data.rows.len() == planned_rows(self.data),
            "results": results.collect::<Vec<_>>(),
            "compute": info.compute,
            "type_effect": type_effects(self.data),
            "type_effect_missing": type_effects_missing(self.data),
            "rows": self.data.rows,
            // Filled in by the process that measured.
            "generated": null,
        })
    }
}

/// Columns padded to equal widths: those of `words` to the left, numbers to the right. The first line is the header.
pub(crate) fn aligned<const COLUMNS: usize>(lines: &[[String; COLUMNS]], words: &[usize]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let mut joined = String::new();
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            let padded = if words.contains(&column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            joined.push_str(if column == 0 { "" } else { "  " });
            joined.push_str(&padded);
        }
        let joined = joined.trim_end();
        text.push_str(&if index == 0 { styled(DIM, joined) } else { joined.to_owned() });
        text.push('\n');
    }
    text
}
