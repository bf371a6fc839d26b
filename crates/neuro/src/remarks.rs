//! What a reader of scores must know about how they came to be.

use neuro_path::LayerPath;
use neuro_record::{Row, RunData};

/// Different notes of one probe that are told; not-finite notes may differ from path to path.
const NOTES: usize = 4;

/// Every note once, with the paths that it holds for where these are not all; and how far a screening let paths come.
pub(crate) fn notes(data: &RunData) -> Vec<String> {
    let mut lines = Vec::new();
    for probe in &data.info.probes {
        let rows: Vec<&Row> = data.rows_of(&probe.name).collect();
        let seen = || rows.iter().filter_map(|row| row.screened);
        if let Some((fewest, most)) = seen().map(|it| it.seen).min().zip(seen().map(|it| it.seen).max()) {
            let (finalists, of) = (rows.len() - seen().count(), probe.questions);
            let range = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
            lines.push(format!(
                "note on {}: screened; {finalists} of {} paths saw all {of} questions, the others {range} of them and are not \
                 ranked",
                probe.name,
                rows.len(),
            ));
        }
        let mut found: Vec<(&str, Vec<&Row>)> = Vec::new();
        for row in &rows {
            for note in &row.notes {
                match found.iter_mut().find(|(known, _)| known == note) {
                    Some((_, rows)) => rows.push(row),
                    None => found.push((note, vec![row])),
                }
            }
        }
        for (note, of) in found.iter().take(NOTES) {
            let place = match of.as_slice() {
                of if of.len() == rows.len() => String::new(),
                [row] => format!(", path {}", row.path),
                of => format!(", {} of {} paths", of.len(), rows.len()),
            };
            lines.push(format!("note on {}{place}: {note}", probe.name));
        }
        if found.len() > NOTES {
            lines.push(format!("{} more notes on {}; --json has all of them", found.len() - NOTES, probe.name));
        }
    }
    lines
}

/// Answers of the baseline and of the `best` block that scored for another reason than being wrong.
pub(crate) fn failures(data: &RunData, probe: &str, best: Option<&LayerPath>) -> Vec<String> {
    let rows: Vec<&Row> = data.rows_of(probe).collect();
    let mut lines = Vec::new();
    let baseline = LayerPath::baseline(data.info.model.layers).ok();
    for (name, path) in [("baseline", baseline.as_ref()), ("best", best)] {
        let printed = path.map(ToString::to_string);
        let row = rows.iter().find(|row| Some(&row.path) == printed.as_ref());
        let Some(Row { n, parse_failures, truncated, loops, .. }) = row else { continue };
        if parse_failures + truncated + loops > 0 {
            lines.push(format!(
                "{name}: of {n} answers {parse_failures} could not be read, {truncated} were cut off at their limit, \
                 {loops} repeated themselves"
            ));
        }
    }
    if !rows.is_empty() && rows.iter().all(|row| row.n > 0 && row.parse_failures == row.n) {
        lines.push(format!("no answer could be read on any path, so probe {probe} says nothing about this model"));
    }
    lines
}
