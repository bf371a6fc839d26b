//! A kill at any moment: the files end after any byte, and the same calls finish the run.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{info, pair, row};
use neuro_record::{ROWS_FILE, RUN_FILE, RunData, RunWriter, Sample, samples_file};

const PATHS: [&str; 2] = ["0..3", "0..1,1..3"];

/// Measures what is missing, as a scan does: two batches per path, then its row.
fn finish(dir: &Path) {
    let (mut writer, data) = RunWriter::open(dir, &info()).unwrap();
    for path in PATHS {
        if data.row(path, "math").is_some() {
            continue;
        }
        let samples = pair(path, "math");
        let orphans = data.orphans("math");
        let missing: Vec<Sample> = samples.iter().filter(|sample| !orphans.contains(sample)).cloned().collect();
        missing.iter().for_each(|sample| writer.append_samples("math", std::slice::from_ref(sample)).unwrap());
        writer.append_row(&row(&samples)).unwrap();
    }
}

fn lines(dir: &Path, name: &str) -> Vec<String> {
    let mut lines: Vec<String> = fs::read_to_string(dir.join(name)).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The bytes of an uninterrupted run in the order in which they reach the disk: per path its samples, then its row.
fn writes(dir: &Path) -> Vec<(String, u8)> {
    let mut samples = fs::read_to_string(dir.join(samples_file("math"))).unwrap();
    let mut rows = fs::read_to_string(dir.join(ROWS_FILE)).unwrap();
    let mut take = |name: &str, count: usize| {
        let text = if name == ROWS_FILE { &mut rows } else { &mut samples };
        let end = text.match_indices('\n').nth(count - 1).unwrap().0 + 1;
        let line: String = text.drain(..end).collect();
        line.bytes().map(|byte| (name.to_owned(), byte)).collect::<Vec<_>>()
    };
    PATHS.iter().flat_map(|_| [take(&samples_file("math"), 2), take(ROWS_FILE, 1)].concat()).collect()
}

#[test]
fn a_run_cut_after_any_byte_is_read_and_finished() {
    let whole = tempfile::tempdir().unwrap();
    finish(whole.path());
    let writes = writes(whole.path());
    let expected = RunData::read(whole.path()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::copy(whole.path().join(RUN_FILE), dir.path().join(RUN_FILE)).unwrap();
    for cut in 0..=writes.len() {
        let mut files = BTreeMap::from([(ROWS_FILE.to_owned(), Vec::new()), (samples_file("math"), Vec::new())]);
        for (name, byte) in &writes[..cut] {
            files.get_mut(name).unwrap().push(*byte);
        }
        let whole_lines = |name: &str| files[name].iter().filter(|&&byte| byte == b'\n').count();
        for (name, bytes) in &files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let seen = RunData::read(dir.path()).unwrap();
        assert_eq!(seen.rows[..], expected.rows[..whole_lines(ROWS_FILE)], "cut at {cut}");
        assert_eq!(seen.samples[..], expected.samples[..whole_lines(&samples_file("math"))], "cut at {cut}");
        // Syncing is slow, so the run is finished around every line's end and at some places within.
        let near_an_end =
            writes[cut.saturating_sub(2)..writes.len().min(cut + 1)].iter().any(|(_, byte)| *byte == b'\n');
        if !near_an_end && cut % 97 != 0 {
            continue;
        }
        finish(dir.path());
        for name in files.keys() {
            assert_eq!(lines(dir.path(), name), lines(whole.path(), name), "cut at {cut}");
        }
    }
}

#[test]
fn a_kill_before_the_first_row_leaves_a_folder_that_starts_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("writer.lock"), "999999\n").unwrap();
    fs::write(dir.path().join(".run.json.tmp-999999"), "{\"sch").unwrap();
    finish(dir.path());
    assert_eq!(RunData::read(dir.path()).unwrap().rows.len(), 2);
    // Killed between run.json and the first file of lines.
    let other = tempfile::tempdir().unwrap();
    fs::copy(dir.path().join(RUN_FILE), other.path().join(RUN_FILE)).unwrap();
    assert!(RunData::read(other.path()).unwrap().rows.is_empty());
    finish(other.path());
    assert_eq!(lines(other.path(), ROWS_FILE), lines(dir.path(), ROWS_FILE));
}
