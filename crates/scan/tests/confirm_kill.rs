//! Killing a confirmation at random moments loses nothing, asks nothing twice and enters its questions once.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::{Model, copy_run, open, request, rows, samples};
use neuro_record::{ASKED_FILE, ConfirmData, FINALISTS_FILE, RUN_FILE, RunData};
use neuro_scan::{ConfirmRequest, confirm, plan, run};
use neuro_stats::{VerdictOptions, evidence, verdict};

const MODEL: &str = "NEURO_CONFIRM_TEST_MODEL";
const RUN: &str = "NEURO_CONFIRM_TEST_RUN";
/// Kills, and how many of them at least must meet a process that had begun and not ended.
const KILLS: usize = 12;
const AT_WORK: usize = 3;

/// The process that is killed: this test alone, started by the one below. Does nothing in an ordinary test run.
#[test]
fn confirm_in_a_process_of_its_own() {
    let (Ok(model), Ok(run)) = (std::env::var(MODEL), std::env::var(RUN)) else { return };
    let subject = open(Path::new(&model));
    let request = ConfirmRequest {
        questions: Some(3),
        finalists: 2,
        draws: 1,
        controls: 2,
        guards: Some(Vec::new()),
        ..ConfirmRequest::default()
    };
    let run = Path::new(&run);
    let out = run.join("confirm");
    assert!(!confirm(&subject, run, &request, &out, &mut (), &AtomicBool::new(false)).unwrap().interrupted);
}

fn start(model: &Path, run: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "confirm_in_a_process_of_its_own"])
        .env(MODEL, model)
        .env(RUN, run)
        .env("RAYON_NUM_THREADS", "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Files of the folder's two runs, and of itself, that are there.
fn progress(run: &Path) -> usize {
    let out = run.join("confirm");
    let samples = ["main", "side"].map(|name| out.join(name));
    let samples = samples.iter().filter(|run| run.join(RUN_FILE).exists());
    let samples: usize = samples.map(|run| RunData::read(run).unwrap().samples.len()).sum();
    samples + usize::from(out.join(FINALISTS_FILE).exists()) + usize::from(out.join("costs.json").exists())
}

fn found(run: &Path) -> ConfirmData {
    ConfirmData::read(&run.join("confirm")).unwrap().unwrap()
}

#[test]
fn a_killed_confirmation_ends_as_if_it_had_not_been() {
    let model = Model::plain();
    let folder = tempfile::tempdir().unwrap();
    let runs = ["search", "straight"].map(|name| folder.path().join(name));
    let subject = open(model.dir.path());
    let search = plan(&subject, &request(&["math"], 4)).unwrap();
    run(&subject, &search, &runs[0], &mut (), &AtomicBool::new(false)).unwrap();
    let copied = |to: &Path| {
        std::fs::create_dir(to).unwrap();
        copy_run(&runs[0], to);
    };
    copied(&runs[1]);
    let begin = Instant::now();
    assert!(start(model.dir.path(), &runs[1]).wait().unwrap().success());
    let whole = begin.elapsed();
    let (expected, all) = (found(&runs[1]), progress(&runs[1]));

    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut pace = 1.0_f64;
    let (mut kills, mut at_work) = (0, 0);
    for round in 0.. {
        let killed = folder.path().join(format!("killed-{round}"));
        copied(&killed);
        loop {
            let mut child = start(model.dir.path(), &killed);
            // xorshift64, Marsaglia 2003
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let moment = whole.mul_f64((random >> 8) as f64 / (1_u64 << 56) as f64).mul_f64(pace);
            std::thread::sleep(moment.max(Duration::from_millis(1)));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "a killed confirmation could not go on");
                pace *= 0.8;
                break;
            }
            // SIGKILL, and TerminateProcess on Windows: no handler runs.
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            let after = progress(&killed);
            at_work += usize::from(after > 0 && after < all);
            pace *= if after == 0 { 1.25 } else { 1.0 };
            if kills >= KILLS {
                assert!(start(model.dir.path(), &killed).wait().unwrap().success());
                break;
            }
        }
        let data = found(&killed);
        for (own, expected) in [(&data.main, &expected.main), (&data.side, &expected.side)] {
            let (own, expected) = (own.as_ref().unwrap(), expected.as_ref().unwrap());
            assert_eq!((rows(own), samples(own)), (rows(expected), samples(expected)), "round {round}");
        }
        let judged = |data: &ConfirmData| verdict(&evidence(data).unwrap().unwrap(), &VerdictOptions::default());
        assert_eq!((judged(&data), &data.questions), (judged(&expected), &expected.questions));
        assert_eq!(std::fs::read_to_string(killed.join(ASKED_FILE)).unwrap().lines().count(), 1);
        if kills >= KILLS {
            break;
        }
    }
    assert!(at_work >= AT_WORK, "{at_work} of {kills} kills met a process between its first file and its last");
}
