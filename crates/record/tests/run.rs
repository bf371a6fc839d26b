//! Create, append, read, resume: the ordinary life of a run, and what it refuses.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::fs;
use std::path::Path;

use common::{DEPTH, info, pair, row, sample};
use neuro_path::{LayerPath, triangle};
use neuro_record::{
    PlannedPaths, RecordError, Row, RunData, RunInfo, RunWriter, Screen, Screened, ScreenedProbe, samples_file,
    settings_differences, settings_hash,
};
use proptest::prelude::*;

/// A finished row of the baseline and one of block (1, 3), on the first probe.
fn small_run(dir: &Path) {
    let (mut writer, _) = RunWriter::open(dir, &info()).unwrap();
    for path in ["0..3", "0..2,1..3"] {
        writer.append_samples("math", &pair(path, "math")).unwrap();
        writer.append_row(&row(&pair(path, "math"))).unwrap();
    }
}

fn refusal(result: Result<(RunWriter, RunData), RecordError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("runs").join("tiny");
    small_run(&out);
    let data = RunData::read(&out).unwrap();
    assert_eq!(data.info, info());
    assert_eq!(data.rows, [row(&pair("0..3", "math")), row(&pair("0..2,1..3", "math"))]);
    assert_eq!(data.samples, [pair("0..3", "math"), pair("0..2,1..3", "math")].concat());
    assert_eq!(data.row("0..2,1..3", "math").unwrap().block, Some([1, 3]));
    assert_eq!(data.row("0..3", "math:likelihood"), None);
    let (_writer, resumed) = RunWriter::open(&out, &info()).unwrap();
    assert_eq!(resumed, data);
}

#[test]
fn a_row_counts_its_samples_whatever_their_order() {
    let path = LayerPath::baseline(DEPTH).unwrap();
    let samples = [
        sample("0..3", "math", "q1", 0.1),
        sample("0..3", "math", "q2", 0.2),
        sample("0..3", "math", "q3", 0.3),
        sample("0..3", "math", "q4", 0.7),
    ];
    let forwards: Vec<_> = samples.iter().collect();
    let backwards: Vec<_> = samples.iter().rev().collect();
    let row = Row::from_samples(&path, "math", &forwards).unwrap();
    assert_eq!(row, Row::from_samples(&path, "math", &backwards).unwrap());
    assert_eq!((row.n, row.parse_failures, row.truncated, row.loops), (4, 4, 4, 0));
    assert!((row.score - 0.325).abs() < 1e-12);
    assert_eq!(row.groups["easy"].n, 4);
    assert!(Row::from_samples(&path, "math", &[]).is_err());
    assert!(Row::from_samples(&path, "math", &[&samples[0], &samples[0]]).is_err());
    assert!(Row::from_samples(&path, "other", &forwards).is_err());
}

#[test]
fn the_colon_of_a_probe_stays_out_of_file_names() {
    assert_eq!(samples_file("math:likelihood"), "samples-math-likelihood.jsonl");
    let dir = tempfile::tempdir().unwrap();
    drop(RunWriter::open(dir.path(), &info()).unwrap());
    assert!(dir.path().join("samples-math-likelihood.jsonl").is_file());
    // Two probes must not share a file, not even one that differs in case only.
    let mut clash = info();
    clash.probes[0].name = "Math-likelihood".to_owned();
    let other = tempfile::tempdir().unwrap();
    assert!(refusal(RunWriter::open(other.path(), &clash)).contains("samples-math-likelihood.jsonl"));
}

#[test]
fn one_writer_at_a_time_and_readers_at_any_time() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = RunWriter::open(dir.path(), &info()).unwrap();
    let error = refusal(RunWriter::open(dir.path(), &info()));
    if cfg!(unix) {
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    }
    assert!(error.contains("choose another --out"), "{error}");
    assert!(RunData::read(dir.path()).is_ok());
    drop(first);
    // The number of a dead process in the lock file does not matter.
    assert!(RunWriter::open(dir.path(), &info()).is_ok());
}

#[test]
fn a_reader_never_sees_a_row_without_its_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = RunWriter::open(dir.path(), &info()).unwrap();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for (block, probe) in triangle(DEPTH).flat_map(|block| [(block, "math"), (block, "math:likelihood")]) {
                let samples = pair(&block.path(DEPTH).unwrap().to_string(), probe);
                writer.append_samples(probe, &samples).unwrap();
                writer.append_row(&row(&samples)).unwrap();
            }
        });
        let mut seen = 0;
        while !writing.is_finished() {
            let rows = RunData::read(dir.path()).unwrap().rows.len();
            assert!(rows >= seen, "{rows} rows after {seen}");
            seen = rows;
        }
    });
    assert_eq!(RunData::read(dir.path()).unwrap().rows.len(), 22);
}

#[test]
fn other_settings_are_refused_with_every_difference() {
    let dir = tempfile::tempdir().unwrap();
    small_run(dir.path());
    let mut other = info();
    other.seed = 8;
    other.probes[1].hash = "def".to_owned();
    other.model.hash = "9999".to_owned();
    other.model.id = "large".to_owned();
    other.settings.insert("stop".to_owned(), "line".into());
    other.plan.paths = PlannedPaths::List((0..500).map(|_| "0..3".to_owned()).collect());
    other.template_hash = Some("new".to_owned());
    let error = refusal(RunWriter::open(dir.path(), &other));
    let lines: Vec<&str> = error.lines().skip(1).collect();
    assert_eq!(lines.len(), 8, "{error}");
    assert_eq!(lines[0], "  model.hash: found \"0123\", expected \"9999\"");
    assert_eq!(lines[1], "  model.id: found \"tiny\", expected \"large\"");
    assert!(
        lines[2].starts_with("  plan.paths: found \"triangle\", expected [\"0..3\",")
            && lines[2].ends_with("(500 items)")
    );
    assert_eq!(lines[3], "  probes.1.hash: found \"abc\", expected \"def\"");
    assert_eq!(lines[4], "  seed: found 7, expected 8");
    assert_eq!(lines[5], "  settings.stop: found none, expected \"line\"");
    assert_eq!(lines[6], "  template_hash: found none, expected \"new\"");
    assert_eq!(lines[7], "choose another --out, or repeat the flags of that run");
}

#[test]
fn the_hash_covers_what_changes_results_and_nothing_else() {
    let mut same = info();
    same.created = "2027-01-01T00:00:00Z".to_owned();
    same.tool = "neuro 0.1.9 (abc)".to_owned();
    same.model.id = "renamed".to_owned();
    same.plan.memory_bytes = 1;
    same.plan.chunks = Vec::new();
    assert_eq!(settings_hash(&same), settings_hash(&info()));
    assert!(settings_differences(&same, &info()).is_empty());
    assert!(settings_hash(&info()).len() == 12 && settings_hash(&info()).bytes().all(|byte| byte.is_ascii_hexdigit()));
    let changes: [fn(&mut neuro_record::RunInfo); 8] = [
        |info| info.tool = "neuro 0.2.0".to_owned(),
        |info| info.model.hash.push('0'),
        |info| info.model.random_weights = Some(1),
        |info| info.tokenizer_hash = None,
        |info| info.device = "cuda".to_owned(),
        |info| info.probes[0].hash.push('0'),
        |info| info.settings.clear(),
        |info| info.plan.paths = PlannedPaths::List(vec!["0..3".to_owned()]),
    ];
    for (position, change) in changes.iter().enumerate() {
        let mut other = info();
        change(&mut other);
        assert_ne!(settings_hash(&other), settings_hash(&info()), "change {position}");
        assert_eq!(settings_differences(&info(), &other).len(), 1, "change {position}");
    }
}

#[test]
fn a_resumed_run_keeps_the_stored_plan() {
    let dir = tempfile::tempdir().unwrap();
    small_run(dir.path());
    let mut other = info();
    other.plan.memory_bytes = 5;
    other.plan.chunks = Vec::new();
    assert_eq!(RunWriter::open(dir.path(), &other).unwrap().1.info.plan, info().plan);
}

#[test]
fn nothing_is_measured_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = RunWriter::open(dir.path(), &info()).unwrap();
    let [first, second] = <[_; 2]>::try_from(pair("0..3", "math")).unwrap();
    let mut refused =
        |samples: &[neuro_record::Sample]| writer.append_samples("math", samples).unwrap_err().to_string();
    assert!(refused(&[first.clone(), first.clone()]).contains("there already"));
    assert!(refused(&[sample("0..3", "math:likelihood", "q1", 0.5)]).contains("belongs to probe"));
    assert!(refused(&[sample("0,1,2,3", "math", "q1", 0.5)]).contains("`0..3`"));
    assert!(refused(&[sample("0..4", "math", "q1", 0.5)]).contains("0..4"));
    assert!(refused(&[sample("0..3", "math", "q1", 1.5)]).contains("score is 1.5"));
    let mut infinite = first.clone();
    infinite.logprobs = Some(vec![f64::NEG_INFINITY]);
    assert!(refused(&[infinite]).contains("-inf"));
    // A refused batch leaves nothing behind.
    assert!(RunData::read(dir.path()).unwrap().samples.is_empty());

    writer.append_samples("math", std::slice::from_ref(&first)).unwrap();
    assert!(writer.append_samples("math", std::slice::from_ref(&first)).is_err());
    let whole = row(&[first.clone(), second.clone()]);
    assert!(writer.append_row(&whole).unwrap_err().to_string().contains("n is 2, but 1 samples"));
    writer.append_samples("math", std::slice::from_ref(&second)).unwrap();
    writer.append_row(&whole).unwrap();
    assert!(writer.append_row(&whole).unwrap_err().to_string().contains("there already"));
    assert!(writer.append_samples("math", &[sample("0..3", "math", "q3", 0.5)]).is_err());
    drop(writer);

    let (mut writer, data) = RunWriter::open(dir.path(), &info()).unwrap();
    assert_eq!((data.rows.len(), data.samples.len()), (1, 2));
    assert!(writer.append_row(&whole).is_err() && writer.append_samples("math", &[second]).is_err());
}

#[test]
fn samples_of_unfinished_paths_are_returned() {
    let dir = tempfile::tempdir().unwrap();
    small_run(dir.path());
    let early = sample("1..3", "math", "q2", 0.5);
    let (mut writer, _) = RunWriter::open(dir.path(), &info()).unwrap();
    writer.append_samples("math", std::slice::from_ref(&early)).unwrap();
    drop(writer);
    let (mut writer, data) = RunWriter::open(dir.path(), &info()).unwrap();
    assert_eq!(data.orphans("math"), [&early]);
    assert!(data.orphans("math:likelihood").is_empty());
    let late = sample("1..3", "math", "q1", 0.25);
    writer.append_samples("math", std::slice::from_ref(&late)).unwrap();
    writer.append_row(&row(&[early, late])).unwrap();
    assert!(RunData::read(dir.path()).unwrap().orphans("math").is_empty());
}

#[test]
fn runs_of_equal_settings_merge_by_concatenation() {
    let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    small_run(left.path());
    let (mut writer, _) = RunWriter::open(right.path(), &info()).unwrap();
    for path in ["0..3", "0..3,2..3"] {
        writer.append_samples("math", &pair(path, "math")).unwrap();
        // Another machine needs another time for the same result.
        writer.append_row(&Row { seconds: Some(9.0), ..row(&pair(path, "math")) }).unwrap();
    }
    drop(writer);
    for name in ["rows.jsonl", "samples-math.jsonl"] {
        let both = [fs::read(left.path().join(name)).unwrap(), fs::read(right.path().join(name)).unwrap()].concat();
        fs::write(left.path().join(name), both).unwrap();
    }
    let merged = RunData::read(left.path()).unwrap();
    let paths: Vec<&str> = merged.rows.iter().map(|row| row.path.as_str()).collect();
    assert_eq!(paths, ["0..3", "0..2,1..3", "0..3,2..3"]);
    assert_eq!((merged.samples.len(), merged.rows[0].seconds), (6, Some(0.25)));
    assert_eq!(RunWriter::open(left.path(), &info()).unwrap().1, merged);

    // The same key with another result is a contradiction.
    let rows = left.path().join("rows.jsonl");
    let text = fs::read_to_string(&rows).unwrap();
    let changed = text.lines().next().unwrap().replace("\"loops\":0", "\"loops\":1");
    fs::write(&rows, format!("{text}{changed}\n")).unwrap();
    let error = RunData::read(left.path()).unwrap_err().to_string();
    assert!(error.contains("rows.jsonl, line 5: the row of path 0..3 on probe `math`"), "{error}");
}

fn screen(order: &[usize]) -> Screen {
    let probe = ScreenedProbe { looks: vec![0.25, 0.5], order: order.to_vec() };
    Screen { keep: 0.1, budget: 0.2, finalists: 1.2, probes: vec![probe; 2] }
}

#[test]
fn a_row_says_how_many_questions_its_path_saw_in_a_screening() {
    let dir = tempfile::tempdir().unwrap();
    let info = RunInfo { screen: Some(screen(&[1, 0])), ..info() };
    let (mut writer, _) = RunWriter::open(dir.path(), &info).unwrap();
    let early = sample("1..3", "math", "q2", 0.5);
    writer.append_samples("math", std::slice::from_ref(&early)).unwrap();
    let dropped = |seen, of| Row { screened: Some(Screened { seen, of }), ..row(std::slice::from_ref(&early)) };
    for (seen, of) in [(1, 1), (2, 2), (0, 2), (1, 3)] {
        let error = writer.append_row(&dropped(seen, of)).unwrap_err().to_string();
        assert!(error.contains(&format!("screened says {seen} of {of} questions")), "{error}");
    }
    writer.append_row(&dropped(1, 2)).unwrap();
    drop(writer);
    let data = RunData::read(dir.path()).unwrap();
    assert_eq!((data.rows[0].screened, &data.info), (Some(Screened { seen: 1, of: 2 }), &info));
    // A run that says of no screening has no such rows.
    let file = dir.path().join("run.json");
    let mut raw: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    raw.as_object_mut().unwrap().remove("screen");
    fs::write(&file, raw.to_string()).unwrap();
    let error = RunData::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("rows.jsonl, line 1: screened is there"), "{error}");
}

#[test]
fn a_screening_belongs_to_the_settings() {
    let screened = |order: &[usize]| RunInfo { screen: Some(screen(order)), ..info() };
    let (plain, other) = (info(), screened(&[1, 0]));
    assert_ne!(settings_hash(&plain), settings_hash(&other));
    assert_ne!(settings_hash(&screened(&[0, 1])), settings_hash(&other));
    assert!(settings_differences(&other, &screened(&[1, 0])).is_empty());
    let keys = |found: &RunInfo| {
        settings_differences(found, &other).into_iter().map(|difference| difference.key).collect::<Vec<_>>()
    };
    assert_eq!((keys(&plain), keys(&screened(&[0, 1]))), (vec!["screen".to_owned()], vec!["screen".to_owned()]));

    let dir = tempfile::tempdir().unwrap();
    for order in [&[0, 0][..], &[0], &[0, 1, 2], &[1, 2]] {
        let error = RunWriter::open(dir.path(), &screened(order)).unwrap_err().to_string();
        assert!(error.contains("does not name each of its 2 questions once"), "{error}");
    }
}

#[test]
fn damage_in_the_middle_is_an_error_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    small_run(dir.path());
    let damage = |name: &str, from: &str, to: &str| {
        let file = dir.path().join(name);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let error = RunData::read(dir.path()).unwrap_err().to_string();
        assert_eq!(error, refusal(RunWriter::open(dir.path(), &info())));
        fs::write(&file, text).unwrap();
        error
    };
    assert!(damage("samples-math.jsonl", "\"tokens\":3}", "\"tok").contains("samples-math.jsonl, line 1: not a line"));
    assert!(damage("rows.jsonl", "{\"schema\":1", "{\"schema\":2").contains("rows.jsonl, line 1: schema is 2"));
    assert!(damage("rows.jsonl", "\"probe\":\"math\"", "\"probe\":\"eq\"").contains("not one of the run's probes"));
    assert!(damage("rows.jsonl", "[0,1,2,3]", "[0,1,2,2]").contains("line 1: layers"));
    assert!(damage("rows.jsonl", "\"block\":[0,0]", "\"block\":[0,1]").contains("line 1: block"));
    assert!(damage("rows.jsonl", "\"score\":", "\"score\":7").contains("line 1: score"));
    assert!(damage("rows.jsonl", "\"n\":2,\"parse", "\"n\":3,\"parse").contains("line 1: n is 3"));
    assert!(damage("samples-math.jsonl", "\"q1\"", "\"q2\"").contains("line 2: the answer of path 0..3"));
    let first = fs::read_to_string(dir.path().join("samples-math.jsonl")).unwrap().lines().next().unwrap().to_owned();
    let error = damage("samples-math.jsonl", &format!("{first}\n"), "");
    assert!(error.contains("has 1 samples of path 0..3 on probe `math`, expected the 2"), "{error}");
}

#[test]
fn foreign_folders_and_newer_formats_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "years of work").unwrap();
    let error = refusal(RunWriter::open(dir.path(), &info()));
    assert!(error.contains("it has no run.json but holds thesis.tex; choose an empty or new folder"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(refusal(RunWriter::open(&dir.path().join("thesis.tex"), &info())).contains("it is a file"));
    assert!(RunData::read(dir.path()).unwrap_err().to_string().contains("it has no run.json"));
    assert!(RunData::read(&dir.path().join("none")).unwrap_err().to_string().contains("no such folder"));

    let run = tempfile::tempdir().unwrap();
    small_run(run.path());
    let file = run.path().join("run.json");
    let text = fs::read_to_string(&file).unwrap();
    for (schema, expected) in [("\"schema\": 2", "use a newer neuro"), ("\"schema\": \"x\"", "no schema number")] {
        fs::write(&file, text.replacen("\"schema\": 1", schema, 1)).unwrap();
        assert!(RunData::read(run.path()).unwrap_err().to_string().contains(expected));
        assert!(refusal(RunWriter::open(run.path(), &info())).contains(expected));
    }
    fs::write(&file, text.replacen("\"layers\": 4", "\"layers\": 0", 1)).unwrap();
    assert!(RunData::read(run.path()).unwrap_err().to_string().contains("model.layers is 0"));
    // A setting that this program does not know may have changed the scores.
    fs::write(&file, text.replacen("\"seed\": 7", "\"seed\": 7, \"temperature\": 2", 1)).unwrap();
    assert!(refusal(RunWriter::open(run.path(), &info())).contains("temperature: found 2, expected none"));
}

#[test]
fn summaries_replace_each_other_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, _) = RunWriter::open(dir.path(), &info()).unwrap();
    for text in ["one", "two"] {
        writer.write_summary("report.html", text.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("report.html")).unwrap(), text);
    }
    for name in
        ["", "../report.html", "a/b", "C:x", ".hidden", "run.json", "ROWS.jsonl", "samples-x.jsonl", "writer.lock"]
    {
        assert!(writer.write_summary(name, b"").is_err(), "{name}");
    }
    assert!(
        fs::read_dir(dir.path()).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().contains("tmp"))
    );
    fs::create_dir(dir.path().join("taken.svg")).unwrap();
    assert!(writer.write_summary("taken.svg", b"").unwrap_err().to_string().contains("taken.svg"));
}

#[cfg(unix)]
#[test]
fn links_and_devices_stay_what_they_are() {
    use neuro_record::write_atomically;
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("real.svg"), dir.path().join("link.svg"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    write_atomically(&link, b"new").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    let (_reader, pipe) = std::io::pipe().unwrap();
    let pipe = Path::new("/dev/fd").join(std::os::fd::AsRawFd::as_raw_fd(&pipe).to_string());
    write_atomically(&pipe, b"new").unwrap();
    assert!(
        write_atomically(&dir.path().join("none").join("x.svg"), b"").unwrap_err().to_string().contains("none/x.svg")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every float and every text comes back with all its bits.
    #[test]
    fn samples_survive_the_disk(
        score in 0.0..=1.0,
        logprobs in prop::collection::vec(-1e6..0.0, 0..6),
        text in any::<String>(),
        question in "\\PC{1,20}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, _) = RunWriter::open(dir.path(), &info()).unwrap();
        let mut written = sample("0..3", "math", &question, score);
        written.logprobs = Some(logprobs);
        written.answer = Some(text.clone());
        written.group = text;
        writer.append_samples("math", std::slice::from_ref(&written)).unwrap();
        writer.append_row(&row(std::slice::from_ref(&written))).unwrap();
        let data = RunData::read(dir.path()).unwrap();
        prop_assert_eq!(&data.rows, &vec![row(std::slice::from_ref(&written))]);
        prop_assert_eq!(data.samples, vec![written]);
    }
}

#[test]
fn only_an_imported_run_has_rows_without_samples() {
    let place = tempfile::tempdir().unwrap();
    let own = row(&pair("0..3", "math"));
    let (mut writer, _) = RunWriter::open(&place.path().join("own"), &info()).unwrap();
    assert!(writer.append_row(&own).unwrap_err().to_string().contains("0 samples are written"));

    let mut imported = info();
    imported.settings.insert(neuro_record::IMPORTED.to_owned(), serde_json::json!({ "tool": "other" }));
    let dir = place.path().join("imported");
    let (mut writer, _) = RunWriter::open(&dir, &imported).unwrap();
    writer.append_row(&own).unwrap();
    drop(writer);
    assert_eq!(RunData::read(&dir).unwrap().rows, [own]);
    // What has some samples must have them all.
    let (mut writer, _) = RunWriter::open(&dir, &imported).unwrap();
    writer.append_samples("math", &pair("0..3,3", "math")[..1]).unwrap();
    assert!(writer.append_row(&row(&pair("0..3,3", "math"))).is_err());
}
