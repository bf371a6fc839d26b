//! A run that was interrupted, or cut in the middle of a line, ends as if nothing had happened.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use neuro_record::{ROWS_FILE, RUN_FILE, RunData, Sample, samples_file};
use neuro_scan::{Observer, Plan, Progress, Subject, plan, run};

use crate::common::{Model, request, rows, samples, tight, with_phantom};

static GO: AtomicBool = AtomicBool::new(false);

/// Sets the flag after so many units (one path on one chunk of questions), and counts all it sees.
struct Stopper<'a> {
    after: usize,
    flag: &'a AtomicBool,
    units: &'a mut Vec<(String, String)>,
}

impl Observer for Stopper<'_> {
    fn progress(&mut self, progress: &Progress) {
        if progress.path.is_empty() {
            return;
        }
        self.units.push((progress.probe.clone(), progress.path.clone()));
        self.after = self.after.saturating_sub(1);
        if self.after == 0 {
            self.flag.store(true, Ordering::Relaxed);
        }
    }
}

/// Two probes; the first has its questions in several chunks.
fn chunked(subject: &Subject) -> Plan {
    let base = with_phantom(request(&["math:likelihood", "phantom"], 3));
    let plan = plan(subject, &tight(subject, &base)).unwrap();
    assert!(plan.info().plan.chunks[0].len() > 1);
    plan
}

fn assert_same(dir: &Path, expected: &RunData) {
    let data = RunData::read(dir).unwrap();
    assert_eq!(rows(&data), rows(expected));
    assert_eq!(samples(&data), samples(expected));
}

#[test]
fn interrupted_after_every_unit_it_measures_each_once() {
    let model = Model::plain();
    let subject = model.open();
    let plan = chunked(&subject);
    let (straight, halting) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut all = Vec::new();
    let mut observer = Stopper { after: usize::MAX, flag: &GO, units: &mut all };
    let expected = run(&subject, &plan, straight.path(), &mut observer, &GO).unwrap().data;

    let mut measured = Vec::new();
    let mut sessions = 0;
    loop {
        let flag = AtomicBool::new(false);
        let mut observer = Stopper { after: 1, flag: &flag, units: &mut measured };
        let outcome = run(&subject, &plan, halting.path(), &mut observer, &flag).unwrap();
        sessions += 1;
        if !outcome.interrupted {
            break;
        }
    }
    assert_eq!(measured, all);
    // One session for each portion.
    let stored = &plan.info().plan;
    let portions = stored.chunks.iter().zip(&stored.groups).map(|(chunks, groups)| chunks.len() * groups.len());
    assert!(sessions >= portions.sum::<usize>() && sessions > 4, "{sessions}");
    assert_same(halting.path(), &expected);
}

#[test]
fn interrupted_at_any_moment_it_ends_the_same() {
    let model = Model::plain();
    let subject = model.open();
    let plan = plan(&subject, &request(&["math"], 2)).unwrap();
    let (straight, halting) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = run(&subject, &plan, straight.path(), &mut (), &GO).unwrap().data;
    let mut patience = Duration::from_millis(2);
    let mut sessions = 0;
    loop {
        let flag = AtomicBool::new(false);
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(patience);
                flag.store(true, Ordering::Relaxed);
            });
            run(&subject, &plan, halting.path(), &mut (), &flag).unwrap()
        });
        sessions += 1;
        patience = patience * 5 / 4;
        if !outcome.interrupted {
            break;
        }
    }
    assert!(sessions > 1);
    assert_same(halting.path(), &expected);
}

#[test]
fn a_half_recorded_unit_is_completed_with_the_same_samples() {
    let model = Model::plain();
    let subject = model.open();
    let plan = plan(&subject, &request(&["math:likelihood"], 4)).unwrap();
    let straight = tempfile::tempdir().unwrap();
    let expected = run(&subject, &plan, straight.path(), &mut (), &GO).unwrap().data;
    let name = samples_file("math:likelihood");
    let written = fs::read(straight.path().join(&name)).unwrap();
    for part in 0..12 {
        let cut = written.len() * part / 12;
        let torn = tempfile::tempdir().unwrap();
        fs::copy(straight.path().join(RUN_FILE), torn.path().join(RUN_FILE)).unwrap();
        fs::write(torn.path().join(&name), &written[..cut]).unwrap();
        // Rows follow their samples, so only those can be there whose samples are.
        let kept: Vec<Sample> =
            written[..cut].split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let complete: HashSet<&str> = kept.chunks_exact(4).map(|unit| unit[3].path.as_str()).collect();
        let lines = expected.rows.iter().filter(|row| complete.contains(row.path.as_str()));
        let mut text: String = lines.map(|row| serde_json::to_string(row).unwrap() + "\n").collect();
        if part % 2 == 1 {
            // The last row may have been torn, too, or be missing although its samples are there.
            text.truncate(text.len().saturating_sub(40));
        }
        fs::write(torn.path().join(ROWS_FILE), text).unwrap();
        run(&subject, &plan, torn.path(), &mut (), &GO).unwrap();
        assert_same(torn.path(), &expected);
    }
}

#[test]
fn a_resumed_run_follows_its_own_plan() {
    let model = Model::plain();
    let subject = model.open();
    let chunked = chunked(&subject);
    let out = tempfile::tempdir().unwrap();
    let flag = AtomicBool::new(false);
    let mut units = Vec::new();
    run(&subject, &chunked, out.path(), &mut Stopper { after: 3, flag: &flag, units: &mut units }, &flag).unwrap();
    // More memory now: one chunk would do, but floating-point order would change in the middle of the run.
    let roomy = plan(&subject, &with_phantom(request(&["math:likelihood", "phantom"], 3))).unwrap();
    assert_ne!(roomy.info().plan.chunks, chunked.info().plan.chunks);
    let outcome = run(&subject, &roomy, out.path(), &mut (), &GO).unwrap();
    assert_eq!(outcome.data.info.plan, chunked.info().plan);
    // Of three paths the first chunk was measured before; their time is counted up from the rest.
    let kinds = |kind| outcome.data.rows.iter().filter(|row| row.seconds_kind.as_deref() == Some(kind)).count();
    assert_eq!((kinds("extrapolated"), kinds("share")), (3, 19));
    let straight = tempfile::tempdir().unwrap();
    let expected = run(&subject, &chunked, straight.path(), &mut (), &GO).unwrap().data;
    assert_same(out.path(), &expected);
}

#[test]
fn a_row_has_no_time_that_nobody_measured() {
    let model = Model::plain();
    let subject = model.open();
    let plan = plan(&subject, &request(&["math:likelihood"], 2)).unwrap();
    let out = tempfile::tempdir().unwrap();
    let expected = run(&subject, &plan, out.path(), &mut (), &GO).unwrap().data;
    fs::remove_file(out.path().join(ROWS_FILE)).unwrap();
    run(&subject, &plan, out.path(), &mut (), &GO).unwrap();
    assert_same(out.path(), &expected);
    let text = fs::read_to_string(out.path().join(ROWS_FILE)).unwrap();
    assert_eq!(text.matches(r#""seconds":null,"seconds_kind":null"#).count(), 11, "{text}");
}
