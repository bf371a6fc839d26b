//! Killing the process at random moments loses nothing and repeats nothing.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::{Model, open, request, rows, samples, with_phantom};
use neuro_record::RunData;
use neuro_scan::{Plan, Subject, plan, run};

const MODEL: &str = "NEURO_SCAN_TEST_MODEL";
const OUT: &str = "NEURO_SCAN_TEST_OUT";
/// Kills of a process at work.
const KILLS: usize = 24;

fn planned(subject: &Subject) -> Plan {
    plan(subject, &with_phantom(request(&["math:likelihood", "phantom"], 2))).unwrap()
}

/// The process that is killed: this test alone, started by the one below. Does nothing in an ordinary test run.
#[test]
fn scan_in_a_process_of_its_own() {
    let (Ok(model), Ok(out)) = (std::env::var(MODEL), std::env::var(OUT)) else { return };
    let subject = open(Path::new(&model));
    let plan = planned(&subject);
    let outcome = run(&subject, &plan, Path::new(&out), &mut (), &AtomicBool::new(false)).unwrap();
    assert!(!outcome.interrupted);
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

#[test]
fn killed_at_random_moments_it_ends_as_if_it_had_not_been() {
    let model = Model::plain();
    let folder = tempfile::tempdir().unwrap();
    let straight = folder.path().join("straight");
    let begin = Instant::now();
    assert!(start(model.dir.path(), &straight).wait().unwrap().success());
    let whole = begin.elapsed();
    let expected = RunData::read(&straight).unwrap();
    assert_eq!((expected.rows.len(), expected.samples.len()), (22, 44));

    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut kills = 0;
    for round in 0.. {
        let out = folder.path().join(format!("killed-{round}"));
        loop {
            let mut child = start(model.dir.path(), &out);
            // xorshift64, Marsaglia 2003
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(whole.mul_f64((random % 1000) as f64 / 1500.0) + Duration::from_millis(1));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "a killed run could not be resumed");
                break;
            }
            // SIGKILL, and TerminateProcess on Windows: no handler runs.
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
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
}
