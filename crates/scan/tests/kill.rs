//! Killing the process at random moments loses nothing and repeats nothing.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::{Model, open, request, rows, samples, with_phantom};
use neuro_record::{RUN_FILE, RunData};
use neuro_scan::{Observer, Paths, Plan, Progress, ScanRequest, Subject, plan, run};
use serde_json::json;

const MODEL: &str = "NEURO_SCAN_TEST_MODEL";
const OUT: &str = "NEURO_SCAN_TEST_OUT";
const MEMORY: &str = "NEURO_SCAN_TEST_MEMORY";
/// Questions of a plan that has more memory than there is.
const QUESTIONS: &str = "NEURO_SCAN_TEST_QUESTIONS";
/// Kills.
const KILLS: usize = 24;
/// Kills, at least, of a process that had measured something and not everything.
const AT_WORK: usize = 3;

fn planned(subject: &Subject) -> Plan {
    if let Ok(questions) = std::env::var(QUESTIONS) {
        return roomy(subject, questions.parse().unwrap());
    }
    let memory_bytes = std::env::var(MEMORY).ok().map(|bytes| bytes.parse().unwrap());
    let mut request = with_phantom(request(&["math:likelihood", "phantom"], 2));
    request.memory_bytes = memory_bytes.or(request.memory_bytes);
    plan(subject, &request).unwrap()
}

/// The baseline and a path over questions that are all asked at once, and weights that are held.
fn roomy(subject: &Subject, questions: usize) -> Plan {
    let paths = Paths::List(vec![subject.parse_path("(0,1)").unwrap()]);
    let base = request(&["math:likelihood"], questions);
    plan(subject, &ScanRequest { memory_bytes: Some(1 << 40), paths, ..base }).unwrap()
}

/// How far a scan is.
#[derive(Default)]
struct Last(Progress);

impl Observer for Last {
    fn progress(&mut self, progress: &Progress) {
        self.0 = progress.clone();
    }
}

/// The process that is killed: this test alone, started by the one below. Does nothing in an ordinary test run.
#[test]
fn scan_in_a_process_of_its_own() {
    let (Ok(model), Ok(out)) = (std::env::var(MODEL), std::env::var(OUT)) else { return };
    let subject = open(Path::new(&model));
    let plan = planned(&subject);
    let mut last = Last::default();
    let outcome = run(&subject, &plan, Path::new(&out), &mut last, &AtomicBool::new(false)).unwrap();
    assert!(!outcome.interrupted);
    assert_eq!((last.0.work_done, last.0.rows_done), (last.0.work_total, last.0.rows_total));
}

fn start(model: &Path, out: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "scan_in_a_process_of_its_own"])
        .env(MODEL, model)
        .env(OUT, out)
        .env("RAYON_NUM_THREADS", "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Samples that a run has on disk; none before it has a description.
fn recorded(out: &Path) -> usize {
    if out.join(RUN_FILE).exists() { RunData::read(out).unwrap().samples.len() } else { 0 }
}

/// When an undisturbed process wrote its first sample, and when it ended.
fn time(model: &Path, out: &Path) -> [Duration; 2] {
    let begin = Instant::now();
    let mut child = start(model, out);
    let mut first = None;
    let status = loop {
        if first.is_none() && recorded(out) > 0 {
            first = Some(begin.elapsed());
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(status.success());
    [first.unwrap_or_default(), begin.elapsed()]
}

#[test]
fn killed_at_random_moments_it_ends_as_if_it_had_not_been() {
    let model = Model::plain();
    let folder = tempfile::tempdir().unwrap();
    let straight = folder.path().join("straight");
    let [first, whole] = time(model.dir.path(), &straight);
    let expected = RunData::read(&straight).unwrap();
    assert_eq!((expected.rows.len(), expected.samples.len()), (22, 44));

    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    // What the first run took, corrected by what later ones do: a machine's load changes.
    let mut pace = 1.0_f64;
    let (mut kills, mut at_work) = (0, 0);
    for round in 0.. {
        let out = folder.path().join(format!("killed-{round}"));
        let mut before = 0;
        loop {
            let mut child = start(model.dir.path(), &out);
            // xorshift64, Marsaglia 2003
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // One in four may also die while it starts; the others between their first sample and their end.
            let from = if random.is_multiple_of(4) { Duration::ZERO } else { first };
            let moment = from + (whole - from).mul_f64((random >> 8) as f64 / (1_u64 << 56) as f64);
            std::thread::sleep(moment.mul_f64(pace));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "a killed run could not be resumed");
                pace *= 0.8;
                break;
            }
            // SIGKILL, and TerminateProcess on Windows: no handler runs.
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            let after = recorded(&out);
            match after > before {
                true => at_work += usize::from(after < expected.samples.len()),
                false => pace *= 1.25,
            }
            before = after;
            if kills >= KILLS {
                assert!(start(model.dir.path(), &out).wait().unwrap().success());
                break;
            }
        }
        let data = RunData::read(&out).unwrap();
        assert_eq!(rows(&data), rows(&expected), "round {round}");
        assert_eq!(samples(&data), samples(&expected), "round {round}");
        if kills >= KILLS {
            break;
        }
    }
    assert!(at_work >= AT_WORK, "{at_work} of {kills} kills met a process between its first sample and its last");
}

/// A process that may have so much memory and no more, mapped files and what is only set aside included.
#[cfg(target_os = "linux")]
fn limited(model: &Path, out: &Path, kibibytes: u64) -> Command {
    let mut child = Command::new("sh");
    child.args(["-c", "ulimit -v $0; exec \"$@\"", &kibibytes.to_string()]);
    child.arg(std::env::current_exe().unwrap()).args(["--exact", "scan_in_a_process_of_its_own"]);
    // One arena, so that what is set aside does not depend on how many threads came to allocate.
    child.env(MODEL, model).env(OUT, out).env("RAYON_NUM_THREADS", "1").env("MALLOC_ARENA_MAX", "1");
    child.stdout(Stdio::null()).stderr(Stdio::null());
    // Out of memory while it prints a backtrace, the standard library waits for a lock that it holds itself.
    child.env("RUST_BACKTRACE", "0");
    child
}

/// A process that may have so little memory that it dies of it, at another place each time, and then with another
/// budget: what it has measured stays, and the first process's plan is followed.
#[cfg(target_os = "linux")]
#[test]
fn starved_of_memory_it_goes_on_where_it_was() {
    let model = Model::plain();
    let folder = tempfile::tempdir().unwrap();
    let [straight, starved] = ["straight", "starved"].map(|name| folder.path().join(name));
    assert!(start(model.dir.path(), &straight).wait().unwrap().success());
    let expected = RunData::read(&straight).unwrap();
    let mut kibibytes = 16_000;
    let mut deaths = 0;
    loop {
        let mut child = limited(model.dir.path(), &starved, kibibytes);
        // Budgets that the plan of another run would differ by.
        child.env(MEMORY, if deaths % 2 == 0 { "2000000000" } else { "60000000" });
        if child.status().unwrap().success() {
            break;
        }
        deaths += 1;
        kibibytes += kibibytes / 8;
        assert!(kibibytes < 64_000_000, "it needs more than 64 GB");
    }
    assert!(deaths > 3, "{deaths} processes died for want of memory, fewer than expected");
    let data = RunData::read(&starved).unwrap();
    assert_eq!((rows(&data), samples(&data)), (rows(&expected), samples(&expected)));
}

/// A run that was killed in a trunk for which there is no room, and by a plan that has no smaller one: the same command measures
/// it in parts, as often as it is killed.
#[cfg(target_os = "linux")]
#[test]
fn a_trunk_that_has_no_room_is_run_in_parts() {
    const ASKED: usize = 300;
    // Much to keep of every token, and little to compute.
    let model = Model::plain().with(&json!({
        "hidden_size": 2048, "intermediate_size": 16, "head_dim": 8, "num_hidden_layers": 2, "initializer_range": 0.05,
    }));
    let folder = tempfile::tempdir().unwrap();
    let [straight, starved] = ["straight", "starved"].map(|name| folder.path().join(name));
    let subject = model.open();
    let plan = roomy(&subject, ASKED);
    let expected = run(&subject, &plan, &straight, &mut (), &AtomicBool::new(false)).unwrap().data;
    assert!(run(&subject, &plan, &starved, &mut (), &AtomicBool::new(true)).unwrap().interrupted);
    assert_eq!(plan.info().plan.chunks, [[[0, ASKED]]]);
    // Three residual streams of every token.
    let trunk = plan.summary().probes[0].distinct_tokens * 3 * 2048 * 4;
    let start = || {
        let mut child = limited(model.dir.path(), &starved, trunk / 1024 * 9 / 10);
        child.env(QUESTIONS, ASKED.to_string()).spawn().unwrap()
    };
    let mut child = start();
    while recorded(&starved) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it died, or had room for everything");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = recorded(&starved);
    assert!(before < ASKED, "{before} samples at once are no part");
    assert!(start().wait().unwrap().success());
    let data = RunData::read(&starved).unwrap();
    assert_eq!((data.rows.len(), data.samples.len()), (2, 2 * ASKED));
    for (a, b) in samples(&data).iter().zip(&samples(&expected)) {
        assert_eq!((&a.path, &a.question), (&b.path, &b.question));
        assert!((a.score - b.score).abs() < 1e-6, "{} {}", a.path, a.question);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn weights_that_have_no_room_are_read_layer_by_layer() {
    let model = Model::plain().with(&json!({
        "hidden_size": 256, "intermediate_size": 1344, "num_hidden_layers": 40, "initializer_range": 0.05,
    }));
    let out = tempfile::tempdir().unwrap();
    let summary = roomy(&model.open(), 1).summary();
    assert!(!summary.streamed);
    let kibibytes = summary.weights_bytes / 1024 * 9 / 10;
    let mut child = limited(model.dir.path(), out.path(), kibibytes);
    assert!(child.env(QUESTIONS, "1").status().unwrap().success());
    assert_eq!(RunData::read(out.path()).unwrap().rows.len(), 2);
}
