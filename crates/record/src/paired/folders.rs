//! Two folders of sample files of lm-evaluation-harness: every task that both have, as a run over a group of tasks leaves them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::samples::read_samples_of;
use super::{Paired, PairedError};

/// Reads the sample files (`samples_TASK_DATE.jsonl`, directly in each folder) of every task that both folders have, the
/// newest of each task, and pairs them as [`read_paired_samples`](super::read_paired_samples) does. Tasks come in order of
/// name; what is in one folder only, or older, is left out with a note.
///
/// # Errors
/// A folder cannot be read or has no sample file, the two have no task in common, or a file does not fit.
pub fn read_paired_folders(baseline: &Path, path: &Path) -> Result<Paired, PairedError> {
    let mut notes = Vec::new();
    let (base, other) = (newest(baseline, &mut notes)?, newest(path, &mut notes)?);
    let mut tasks = Vec::new();
    for (task, file) in &base {
        let Some(partner) = other.get(task) else { continue };
        let found = read_samples_of(task, file, partner)?;
        tasks.extend(found.tasks);
        notes.extend(found.notes.into_iter().map(|note| format!("{task}: {note}")));
    }
    for (mine, theirs, folder) in [(&base, &other, baseline), (&other, &base, path)] {
        let alone: Vec<&str> = mine.keys().filter(|task| !theirs.contains_key(*task)).map(String::as_str).collect();
        if !alone.is_empty() {
            notes.push(format!("in {} only, and left out: {}", folder.display(), alone.join(", ")));
        }
    }
    if tasks.is_empty() {
        let names = |files: &BTreeMap<String, PathBuf>| files.keys().cloned().collect::<Vec<_>>().join(", ");
        let reason = format!(
            "no task in common with {}: found {}, expected one of {}",
            baseline.display(),
            names(&other),
            names(&base)
        );
        return Err(PairedError::of_file(path, reason));
    }
    Ok(Paired { tasks, notes })
}

/// The newest sample file of each task.
fn newest(folder: &Path, notes: &mut Vec<String>) -> Result<BTreeMap<String, PathBuf>, PairedError> {
    let io = |cause| PairedError::Io { file: folder.to_owned(), cause };
    let mut files: BTreeMap<String, Vec<(String, PathBuf)>> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let file = entry.map_err(io)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(stem) = name.strip_prefix("samples_").and_then(|name| name.strip_suffix(".jsonl")) else { continue };
        let (task, date) = match stem.rsplit_once('_') {
            Some((task, date)) if is_date(date) => (task, date),
            _ => (stem, ""),
        };
        files.entry(task.to_owned()).or_default().push((date.to_owned(), file));
    }
    if files.is_empty() {
        let reason = "no file samples_TASK_DATE.jsonl, expected the folder that lm-evaluation-harness writes for a model \
                      (`--log_samples`)";
        return Err(PairedError::of_file(folder, reason));
    }
    let latest = |(task, mut dated): (String, Vec<(String, PathBuf)>)| {
        dated.sort();
        let (_, file) = dated.pop()?;
        if !dated.is_empty() {
            notes.push(format!("{task}: the newest of {} files in {} is read", dated.len() + 1, folder.display()));
        }
        Some((task, file))
    };
    Ok(files.into_iter().filter_map(latest).collect())
}

/// Whether a part of a name is the date that the harness appends: `2024-11-22T06-00-00.123456`.
pub(super) fn is_date(part: &str) -> bool {
    part.len() > 10 && part.starts_with(|c: char| c.is_ascii_digit()) && part.contains('T')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: usize, acc: u8) -> String {
        format!("{{\"doc_id\": {id}, \"filter\": \"none\", \"metrics\": [\"acc\"], \"acc\": {acc}}}\n")
    }

    #[test]
    fn every_common_task_is_paired_by_name_and_the_newest_is_read() {
        let place = tempfile::tempdir().unwrap();
        let [base, path, none] = ["base", "path", "none"].map(|name| place.path().join(name));
        [&base, &path, &none].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
        let write = |folder: &Path, name: &str, text: String| fs::write(folder.join(name), text).unwrap();
        write(&base, "samples_bbh_navigate_2024-11-22T06-00-00.1.jsonl", line(0, 0) + &line(1, 1));
        write(&base, "samples_arc_easy.jsonl", line(0, 1));
        write(&base, "samples_mbpp_2024-11-22T06-00-00.1.jsonl", line(0, 1));
        write(&base, "results_2024-11-22T06-00-00.1.json", "{}".to_owned());
        write(&path, "samples_bbh_navigate_2024-12-01T06-00-00.1.jsonl", line(1, 1) + &line(0, 1));
        write(&path, "samples_bbh_navigate_2024-11-30T06-00-00.1.jsonl", line(0, 0));
        write(&path, "samples_arc_easy_2024-12-01T06-00-00.1.jsonl", line(0, 0));
        let Paired { tasks, notes } = read_paired_folders(&base, &path).unwrap();
        let found: Vec<_> = tasks.iter().map(|task| (task.task.as_str(), &task.baseline[..], &task.path[..])).collect();
        let expected: [(&str, &[f64], &[f64]); 2] =
            [("arc_easy", &[1.0], &[0.0]), ("bbh_navigate", &[0.0, 1.0], &[1.0, 1.0])];
        assert_eq!(found, expected);
        let told: Vec<String> =
            notes.iter().map(|note| note.replace(&place.path().display().to_string(), "")).collect();
        assert!(told[0].starts_with("bbh_navigate: the newest of 2 files in "), "{told:?}");
        assert!(told.len() == 2 && told[1].ends_with("only, and left out: mbpp"), "{told:?}");
        let refused = |one: &Path, other: &Path| read_paired_folders(one, other).unwrap_err().to_string();
        assert!(refused(&base, &none).contains("none: no file samples_TASK_DATE.jsonl"), "{}", refused(&base, &none));
        write(&none, "samples_ifeval.jsonl", line(0, 1));
        assert!(refused(&base, &none).contains("no task in common"), "{}", refused(&base, &none));
    }
}
