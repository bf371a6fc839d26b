//! Two sample files of lm-evaluation-harness, one JSON object per question and line (`log_samples` in
//! `lm_eval/loggers/evaluation_tracker.py`).

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::folders::is_date;
use super::{Groups, Paired, PairedError, label, out_of_range, read_text};

/// Keys of a sample that are no metric, for files of versions that do not list their metrics.
const NO_METRICS: [&str; 11] = [
    "doc_id",
    "doc",
    "target",
    "arguments",
    "resps",
    "filtered_resps",
    "filter",
    "metrics",
    "doc_hash",
    "prompt_hash",
    "target_hash",
];

/// Reads two sample files and pairs them by `doc_id`, for every metric and filter that both have. A list of flags, one
/// for each part of a question, counts as its mean: parts of one question do not answer independently.
///
/// # Errors
/// A line is no JSON object or has no `doc_id`, a metric is missing in some lines or no score, an id is there twice or in
/// one file only, or stands for another question (`doc_hash`); the message names the line.
pub fn read_paired_samples(baseline: &Path, path: &Path) -> Result<Paired, PairedError> {
    read_samples_of(&common_name(baseline, path), baseline, path)
}

/// The same for a task of this name.
pub(super) fn read_samples_of(task: &str, baseline: &Path, path: &Path) -> Result<Paired, PairedError> {
    let (base, other) = (SampleFile::read(baseline)?, SampleFile::read(path)?);
    let mut notes = Vec::new();
    let mut groups = Groups::default();
    for key in &base.order {
        let Some(partner) = other.series.get(key) else {
            notes.push(format!("{} is in {} only, and left out", key.label(), baseline.display()));
            continue;
        };
        let series = &base.series[key];
        paired_ids(baseline, series, path, partner)?;
        if series.parts || partner.parts {
            notes.push(format!("{}: a question's score is the mean of its flags", key.label()));
        }
        let group = groups.of([task.to_owned(), key.metric.clone(), key.filter.clone()]);
        for id in &series.order {
            let (mine, theirs) = (&series.scores[id], &partner.scores[id]);
            if let (Some(hash), Some(found)) = (&mine.hash, &theirs.hash)
                && hash != found
            {
                let reason = format!(
                    "doc_id {id} is another question than in line {} of {} (their doc_hash differs), expected the same questions in both",
                    mine.line,
                    baseline.display()
                );
                return Err(PairedError::of_line(path, theirs.line, reason));
            }
            group.push(mine.line, mine.score, theirs.score);
        }
    }
    for key in other.order.iter().filter(|key| !base.series.contains_key(key)) {
        notes.push(format!("{} is in {} only, and left out", key.label(), path.display()));
    }
    for (file, name) in
        base.skipped.iter().map(|name| (baseline, name)).chain(other.skipped.iter().map(|name| (path, name)))
    {
        notes.push(format!("{name} in {} is no score of a single question, and left out", file.display()));
    }
    notes.extend(base.asked_otherwise(&other));
    if groups.order.is_empty() {
        let names = |file: &SampleFile| file.order.iter().map(Key::label).collect::<Vec<_>>().join("; ");
        let reason = format!(
            "no metric in common with {}: found {}, expected one of: {}",
            baseline.display(),
            names(&other),
            names(&base)
        );
        return Err(PairedError::of_file(path, reason));
    }
    Ok(groups.finish(notes))
}

/// Refuses ids that are in one of the files only.
fn paired_ids(baseline: &Path, base: &Series, path: &Path, other: &Series) -> Result<(), PairedError> {
    for (file, mine, partner, theirs) in [(baseline, base, path, other), (path, other, baseline, base)] {
        let alone: Vec<&String> = mine.order.iter().filter(|id| !theirs.scores.contains_key(*id)).collect();
        if let Some(first) = alone.first() {
            let more = if alone.len() > 1 { format!(", and {} more", alone.len() - 1) } else { String::new() };
            let reason =
                format!("doc_id {first} is not in {}{more}, expected the same questions in both", partner.display());
            return Err(PairedError::of_line(file, mine.scores[*first].line, reason));
        }
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    metric: String,
    filter: String,
}

impl Key {
    fn label(&self) -> String {
        let scores =
            super::PairedScores { metric: self.metric.clone(), filter: self.filter.clone(), ..Default::default() };
        label(&scores)
    }
}

#[derive(Debug)]
struct Scored {
    line: usize,
    score: f64,
    hash: Option<String>,
}

/// One metric's scores, by `doc_id`.
#[derive(Debug, Default)]
struct Series {
    order: Vec<String>,
    scores: HashMap<String, Scored>,
    /// Whether scores are means of flags.
    parts: bool,
}

#[derive(Debug, Default)]
struct SampleFile {
    order: Vec<Key>,
    series: HashMap<Key, Series>,
    /// Metrics whose value is no score of one question, such as the sums that a perplexity is made of.
    skipped: Vec<String>,
    /// Hashes of each question's prompt and right answer, where they stand there.
    asked: HashMap<String, [Option<String>; 2]>,
}

impl SampleFile {
    fn read(file: &Path) -> Result<Self, PairedError> {
        let text = read_text(file)?;
        let mut found = Self::default();
        // For each filter its lines, and the metrics of the first of them.
        let mut known: HashMap<String, (usize, HashSet<String>)> = HashMap::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let number = index + 1;
            let at = |reason: String| PairedError::of_line(file, number, reason);
            if line.trim().is_empty() {
                continue;
            }
            let sample: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
                at(format!("not a JSON object: {}", error.to_string().replace(" at line 1 column ", " at column ")))
            })?;
            let metrics = found.take(&sample, number).map_err(at)?;
            let filter = text_of(&sample, "filter");
            let (first, expected) = known.entry(filter).or_insert_with(|| (number, metrics.clone()));
            if let Some(missing) = expected.difference(&metrics).min() {
                return Err(at(format!("no metric {missing}, which line {first} has")));
            }
            if let Some(surplus) = metrics.difference(expected).min() {
                return Err(at(format!("a metric {surplus}, which line {first} has not")));
            }
        }
        if found.order.is_empty() {
            let reason = "no question with a metric, expected a sample file of lm-evaluation-harness (`--log_samples`)";
            return Err(PairedError::of_file(file, reason));
        }
        Ok(found)
    }

    /// What else than the path may make the difference: prompts or right answers that are not the same.
    fn asked_otherwise(&self, other: &Self) -> Vec<String> {
        let differs = |part: usize| {
            let pairs = self
                .asked
                .iter()
                .filter_map(|(id, mine)| Some((mine[part].as_ref()?, other.asked.get(id)?[part].as_ref()?)));
            pairs.filter(|(mine, theirs)| mine != theirs).count()
        };
        let told = |(part, what, hash): (usize, &str, &str)| {
            let (count, all) = (differs(part), self.asked.len());
            (count > 0).then(|| format!("{what} of {count} of {all} questions are not the same in both files ({hash}), which alone may make a difference"))
        };
        [(0, "the prompts", "prompt_hash"), (1, "the right answers", "target_hash")]
            .into_iter()
            .filter_map(told)
            .collect()
    }

    /// Takes the scores of one sample; gives the names of its metrics.
    fn take(&mut self, sample: &Map<String, Value>, line: usize) -> Result<HashSet<String>, String> {
        let id = match sample.get("doc_id") {
            Some(Value::Number(id)) => id.to_string(),
            Some(Value::String(id)) => id.clone(),
            Some(other) => return Err(format!("doc_id is `{other}`, expected a number or a name")),
            None => return Err("no doc_id, expected the question's number".to_owned()),
        };
        let named = |key: &str| sample.get(key).and_then(Value::as_str).map(str::to_owned);
        let hash = named("doc_hash");
        self.asked.entry(id.clone()).or_insert_with(|| [named("prompt_hash"), named("target_hash")]);
        let filter = text_of(sample, "filter");
        let mut metrics = HashSet::new();
        for (metric, value) in metric_values(sample)? {
            metrics.insert(metric.clone());
            let (score, parts) = match value {
                Value::Bool(flag) => (f64::from(u8::from(*flag)), false),
                Value::Number(number) => (number.as_f64().unwrap_or(f64::NAN), false),
                Value::Array(flags) => match mean_of_flags(flags) {
                    Some(mean) => (mean, true),
                    None => {
                        if !self.skipped.contains(&metric) {
                            self.skipped.push(metric);
                        }
                        continue;
                    }
                },
                other => return Err(format!("metric {metric} is `{other}`, expected a number, true or false")),
            };
            if !score.is_finite() {
                return Err(format!("metric {metric} is `{value}`, expected a finite number"));
            }
            if let Some(expected) = out_of_range(score) {
                return Err(format!("metric {metric} is `{value}`, {expected}"));
            }
            let key = Key { metric, filter: filter.clone() };
            if !self.series.contains_key(&key) {
                self.order.push(key.clone());
            }
            let series = self.series.entry(key).or_default();
            series.parts |= parts;
            if let Some(earlier) = series.scores.get(&id) {
                return Err(format!("doc_id {id} was in line {} already, expected each question once", earlier.line));
            }
            series.order.push(id.clone());
            series.scores.insert(id.clone(), Scored { line, score, hash: hash.clone() });
        }
        Ok(metrics)
    }
}

/// The metrics of a sample in its own order: those that it lists, or whatever else looks like one.
fn metric_values(sample: &Map<String, Value>) -> Result<Vec<(String, &Value)>, String> {
    if let Some(Value::Array(listed)) = sample.get("metrics") {
        let named = listed.iter().map(|name| {
            let name = name.as_str().ok_or_else(|| format!("metrics lists `{name}`, expected names"))?;
            let value = sample.get(name).ok_or_else(|| format!("metrics lists {name}, which is not there"))?;
            Ok((name.to_owned(), value))
        });
        return named.collect();
    }
    let is_score = |value: &Value| matches!(value, Value::Bool(_) | Value::Number(_) | Value::Array(_));
    let others = sample.iter().filter(|(key, value)| !NO_METRICS.contains(&key.as_str()) && is_score(value));
    Ok(others.map(|(key, value)| (key.clone(), value)).collect())
}

fn mean_of_flags(flags: &[Value]) -> Option<f64> {
    let right: Option<usize> = flags.iter().map(|flag| flag.as_bool().map(usize::from)).sum();
    right.filter(|_| !flags.is_empty()).map(|right| right as f64 / flags.len() as f64)
}

fn text_of(sample: &Map<String, Value>, key: &str) -> String {
    sample.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What both names begin with, after `samples_`: the task, of files that are named as the harness names them.
fn common_name(baseline: &Path, path: &Path) -> String {
    let parts = |file: &Path| -> Vec<String> {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        stem.strip_prefix("samples_").unwrap_or(&stem).split('_').map(str::to_owned).collect()
    };
    let (base, other) = (parts(baseline), parts(path));
    let common = base.iter().zip(&other).take_while(|(mine, theirs)| mine == theirs && !is_date(mine));
    let name: Vec<&str> = common.map(|(part, _)| part.as_str()).collect();
    name.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(base: &str, path: &str) -> Result<Paired, String> {
        let dir = tempfile::tempdir().unwrap();
        let files = ["samples_my_task_base.jsonl", "samples_my_task_path.jsonl"].map(|name| dir.path().join(name));
        std::fs::write(&files[0], base).unwrap();
        std::fs::write(&files[1], path).unwrap();
        let folder = format!("{}{}", dir.path().display(), std::path::MAIN_SEPARATOR);
        read_paired_samples(&files[0], &files[1]).map_err(|error| error.to_string().replace(&folder, ""))
    }

    const BASE: &str = r#"{"doc_id": 0, "doc_hash": "a", "filter": "none", "metrics": ["acc", "parts"], "acc": 1.0, "parts": [true, false]}
{"doc_id": 1, "doc_hash": "b", "filter": "none", "metrics": ["acc", "parts"], "acc": 0.0, "parts": [true]}
"#;

    #[test]
    fn questions_are_paired_by_id_and_not_by_line() {
        let mut lines: Vec<&str> = BASE.lines().collect();
        lines.reverse();
        let found = read(BASE, &lines.join("\r\n")).unwrap();
        let acc = &found.tasks[0];
        assert_eq!((acc.task.as_str(), acc.metric.as_str(), acc.filter.as_str()), ("my_task", "acc", "none"));
        assert_eq!((&acc.baseline, &acc.path), (&vec![1.0, 0.0], &vec![1.0, 0.0]));
        assert_eq!(found.tasks[1].baseline, [0.5, 1.0]);
        assert_eq!(found.notes, ["parts, none: a question's score is the mean of its flags"]);
    }

    /// A path that was asked behind other examples, or in a chat template, is no path alone.
    #[test]
    fn prompts_and_right_answers_that_differ_are_told() {
        let line = |id: usize, prompt: &str, target: &str| {
            format!(
                r#"{{"doc_id": {id}, "prompt_hash": "{prompt}", "target_hash": "{target}", "metrics": ["acc"], "acc": 1.0}}"#
            ) + "\n"
        };
        let base = line(0, "a", "x") + &line(1, "b", "y") + &line(2, "c", "z");
        assert_eq!(read(&base, &base).unwrap().notes, [] as [&str; 0]);
        let other = line(0, "a", "x") + &line(1, "B", "y") + &line(2, "C", "Z");
        let told = [
            "the prompts of 2 of 3 questions are not the same in both files (prompt_hash), which alone may make a difference",
            "the right answers of 1 of 3 questions are not the same in both files (target_hash), which alone may make a difference",
        ];
        assert_eq!(read(&base, &other).unwrap().notes, told);
    }

    #[test]
    fn metrics_are_found_where_they_are_not_listed_and_sums_are_left_out() {
        let old = r#"{"doc_id": 5, "doc": {}, "target": 3, "exact": true, "word_perplexity": [-50.5, 12]}"#;
        let found = read(old, &old.replace("\"exact\"", "\"f1\": 0.5, \"exact\"")).unwrap();
        assert_eq!(found.tasks.len(), 1);
        assert_eq!((found.tasks[0].metric.as_str(), &found.tasks[0].path), ("exact", &vec![1.0]));
        assert!(found.notes.iter().any(|note| note.starts_with("f1 is in")), "{:?}", found.notes);
        assert!(found.notes.iter().any(|note| note.starts_with("word_perplexity in")), "{:?}", found.notes);
    }

    #[test]
    fn mistakes_have_a_line_and_a_reason() {
        let (first, second) = BASE.split_once('\n').unwrap();
        let edited = |from: &str, to: &str| format!("{first}\n{}\n", second.trim_end().replace(from, to));
        for (path, expected) in [
            (
                String::new(),
                "samples_my_task_path.jsonl: no question with a metric, expected a sample file of lm-evaluation-harness (`--log_samples`)",
            ),
            (
                first.to_owned(),
                "samples_my_task_base.jsonl, line 2: doc_id 1 is not in samples_my_task_path.jsonl, expected the same questions in both",
            ),
            (
                format!("{BASE}{}", second.replace("\"doc_id\": 1", "\"doc_id\": 7")),
                "samples_my_task_path.jsonl, line 3: doc_id 7 is not in samples_my_task_base.jsonl, expected the same questions in both",
            ),
            (
                format!("{BASE}{second}"),
                "samples_my_task_path.jsonl, line 3: doc_id 1 was in line 2 already, expected each question once",
            ),
            (
                edited("\"b\"", "\"z\""),
                "samples_my_task_path.jsonl, line 2: doc_id 1 is another question than in line 2 of samples_my_task_base.jsonl (their doc_hash differs), expected the same questions in both",
            ),
            (
                edited("\"acc\": 0.0", "\"acc\": \"no\""),
                "samples_my_task_path.jsonl, line 2: metric acc is `\"no\"`, expected a number, true or false",
            ),
            (
                edited("\"acc\": 0.0", "\"acc\": -1e308"),
                "samples_my_task_path.jsonl, line 2: metric acc is `-1e+308`, expected a score from -1e9 to 1e9",
            ),
            (edited(", \"acc\": 0.0", ""), "samples_my_task_path.jsonl, line 2: metrics lists acc, which is not there"),
            (
                edited("[\"acc\", \"parts\"]", "[\"acc\"]"),
                "samples_my_task_path.jsonl, line 2: no metric parts, which line 1 has",
            ),
            (
                edited("\"doc_id\": 1, ", ""),
                "samples_my_task_path.jsonl, line 2: no doc_id, expected the question's number",
            ),
            (
                edited("{", "{{"),
                "samples_my_task_path.jsonl, line 2: not a JSON object: key must be a string at column 2",
            ),
            (
                BASE.replace("parts", "other").replace("acc", "f1"),
                "samples_my_task_path.jsonl: no metric in common with samples_my_task_base.jsonl: found f1, none; other, none, expected one of: acc, none; parts, none",
            ),
        ] {
            assert_eq!(read(BASE, &path).unwrap_err(), expected);
        }
    }
}
