//! One CSV with the columns `item`, `baseline` and `path`, and where there are several, `task`, `metric` and `filter`.

use std::path::Path;

use super::{Groups, Paired, PairedError, out_of_range, read_text};

/// Reads one CSV (RFC 4180, with a header line) of paired scores. Columns of other names are left out.
///
/// # Errors
/// A column is missing or named twice, a line has another number of fields, a score is no finite number, an item is named
/// twice, there is none, or a quote is never closed; the message names the line.
pub fn read_paired_csv(file: &Path) -> Result<Paired, PairedError> {
    let text = read_text(file)?;
    let at = |line: usize, reason: String| PairedError::of_line(file, line, reason);
    let mut records = Records { rest: text.trim_start_matches('\u{feff}'), line: 1 };
    let Some((line, header)) = records.next_record().map_err(|(line, reason)| at(line, reason))? else {
        return Err(PairedError::of_file(file, "the file is empty, expected a header with item, baseline and path"));
    };
    let column = |name: &str| -> Result<Option<usize>, PairedError> {
        let mut places = header.iter().enumerate().filter(|(_, found)| found.trim() == name).map(|(place, _)| place);
        match (places.next(), places.next()) {
            (_, Some(_)) => Err(at(line, format!("the column {name} is there twice, expected once"))),
            (place, None) => Ok(place),
        }
    };
    let needed = |name: &str| {
        let found = header.iter().map(|found| found.trim()).collect::<Vec<_>>().join(",");
        column(name)?.ok_or_else(|| {
            at(
                line,
                format!(
                    "no column {name}: found {found}, expected item,baseline,path and optionally task,metric,filter"
                ),
            )
        })
    };
    let (item, baseline, path) = (needed("item")?, needed("baseline")?, needed("path")?);
    let names = [column("task")?, column("metric")?, column("filter")?];

    let mut groups = Groups::default();
    while let Some((line, fields)) = records.next_record().map_err(|(line, reason)| at(line, reason))? {
        if fields.len() == 1 && fields[0].trim().is_empty() {
            continue;
        }
        if fields.len() != header.len() {
            return Err(at(line, format!("{} fields, expected the header's {}", fields.len(), header.len())));
        }
        let id = fields[item].trim();
        if id.is_empty() {
            return Err(at(line, "item is empty, expected the question's name or number".to_owned()));
        }
        let number =
            |name: &str, place: usize| score(&fields[place]).map_err(|reason| at(line, format!("{name} {reason}")));
        let (baseline, path) = (number("baseline", baseline)?, number("path", path)?);
        let group =
            groups.of(names.map(|place| place.map_or_else(String::new, |place| fields[place].trim().to_owned())));
        if let Some(earlier) = group.lines.insert(id.to_owned(), line) {
            return Err(at(
                line,
                format!("item {id} of this task was in line {earlier} already, expected each item once"),
            ));
        }
        group.push(line, baseline, path);
    }
    if groups.order.is_empty() {
        return Err(PairedError::of_file(file, "there is a header and no item, expected one line for each question"));
    }
    Ok(groups.finish(Vec::new()))
}

fn score(field: &str) -> Result<f64, String> {
    match field.trim() {
        "true" | "True" | "TRUE" => Ok(1.0),
        "false" | "False" | "FALSE" => Ok(0.0),
        "" => Err("is empty, expected a score; leave out a question that only one side answered".to_owned()),
        text => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => match out_of_range(value) {
                Some(expected) => Err(format!("is `{text}`, {expected}")),
                None => Ok(value),
            },
            _ => Err(format!("is `{text}`, expected a number, true or false")),
        },
    }
}

/// The fields of a record, with the line it starts in.
type Record = (usize, Vec<String>);

/// Splits CSV into records.
struct Records<'a> {
    rest: &'a str,
    /// The line in which `rest` starts.
    line: usize,
}

impl Records<'_> {
    /// The next record; none at the end. An error has the line it belongs to.
    fn next_record(&mut self) -> Result<Option<Record>, (usize, String)> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = self.line;
        let mut fields = vec![String::new()];
        let mut chars = self.rest.char_indices().peekable();
        let mut quoted = false;
        let mut end = self.rest.len();
        while let Some((place, character)) = chars.next() {
            self.line += usize::from(character == '\n');
            let Some(field) = fields.last_mut() else { break };
            match character {
                '"' if quoted && matches!(chars.peek(), Some((_, '"'))) => {
                    chars.next();
                    field.push('"');
                }
                '"' if quoted || field.is_empty() => quoted = !quoted,
                ',' if !quoted => fields.push(String::new()),
                '\r' if !quoted && matches!(chars.peek(), Some((_, '\n'))) => {}
                '\n' if !quoted => {
                    end = place + 1;
                    break;
                }
                other => field.push(other),
            }
        }
        if quoted {
            return Err((start, "a quote is opened and never closed, expected a second one".to_owned()));
        }
        self.rest = &self.rest[end..];
        Ok(Some((start, fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Paired, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.csv");
        std::fs::write(&file, text).unwrap();
        read_paired_csv(&file).map_err(|error| error.to_string().replace(&file.display().to_string(), "p.csv"))
    }

    #[test]
    fn three_columns_are_enough() {
        let found = read("\u{feff}path,item,baseline\r\n1,a,0\r\n0.5,\"b, \"\"c\"\"\n\",true\n\n").unwrap();
        assert_eq!(found.tasks.len(), 1);
        assert_eq!((&found.tasks[0].baseline, &found.tasks[0].path), (&vec![0.0, 1.0], &vec![1.0, 0.5]));
    }

    #[test]
    fn tasks_keep_their_order_and_their_items_apart() {
        let found =
            read("task,metric,item,baseline,path\nb,acc,0,1,0\na,acc,0,0,1\nb,acc,1,1,1\nb,f1,0,0.5,0.25\n").unwrap();
        let names: Vec<_> =
            found.tasks.iter().map(|task| (task.task.as_str(), task.metric.as_str(), task.path.len())).collect();
        assert_eq!(names, [("b", "acc", 2), ("a", "acc", 1), ("b", "f1", 1)]);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
    }

    #[test]
    fn a_stray_score_among_right_and_wrong_ones_is_told() {
        let lines: String = (0..20).map(|item| format!("{item},1,{}\n", if item == 7 { 0.5 } else { 0.0 })).collect();
        let found = read(&format!("item,baseline,path\n{lines}")).unwrap();
        assert_eq!(
            found.notes,
            [
                "the file: 1 of 40 scores is neither 0 nor 1 (the first, 0.5, in line 9), so they are not compared as right and wrong answers"
            ]
        );
    }

    #[test]
    fn mistakes_have_a_line_and_a_reason() {
        let head = "item,baseline,path\n";
        for (text, expected) in [
            ("", "p.csv: the file is empty, expected a header with item, baseline and path"),
            (head, "p.csv: there is a header and no item, expected one line for each question"),
            (
                "item,base,path\n1,0,0\n",
                "p.csv, line 1: no column baseline: found item,base,path, expected item,baseline,path and optionally task,metric,filter",
            ),
            ("item,path,baseline,path\n", "p.csv, line 1: the column path is there twice, expected once"),
            ("item,baseline,path\n1,0,0\n2,0\n", "p.csv, line 3: 2 fields, expected the header's 3"),
            ("item,baseline,path\n1,0,yes\n", "p.csv, line 2: path is `yes`, expected a number, true or false"),
            ("item,baseline,path\n1,inf,1\n", "p.csv, line 2: baseline is `inf`, expected a number, true or false"),
            (
                "item,baseline,path\n1,0,0\n2,1e308,1\n",
                "p.csv, line 3: baseline is `1e308`, expected a score from -1e9 to 1e9",
            ),
            (
                "item,baseline,path\n1,1,-1000000001\n",
                "p.csv, line 2: path is `-1000000001`, expected a score from -1e9 to 1e9",
            ),
            (
                "item,baseline,path\n1,,1\n",
                "p.csv, line 2: baseline is empty, expected a score; leave out a question that only one side answered",
            ),
            ("item,baseline,path\n,0,1\n", "p.csv, line 2: item is empty, expected the question's name or number"),
            (
                "item,baseline,path\n\"a\nb\",0,1\na,0,1\na,1,1\n",
                "p.csv, line 5: item a of this task was in line 4 already, expected each item once",
            ),
            (
                "item,baseline,path\n1,0,1\n\"2,0,1\n",
                "p.csv, line 3: a quote is opened and never closed, expected a second one",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn what_is_no_text_has_a_line_too() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.csv");
        std::fs::write(&file, b"item,baseline,path\n1,0,1\n2,\xff,1\n").unwrap();
        let error = read_paired_csv(&file).unwrap_err().to_string();
        assert!(error.ends_with("p.csv, line 3: invalid UTF-8, expected text in UTF-8"), "{error}");
        assert!(matches!(read_paired_csv(&dir.path().join("none")), Err(PairedError::Io { .. })));
    }
}
