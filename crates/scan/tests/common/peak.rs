//! The process's peak of anonymous memory while something runs.
#![allow(dead_code, clippy::unwrap_used, clippy::missing_panics_doc, missing_docs, unreachable_pub)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use neuro_checkpoint::Memory;

/// Runs some work and returns what it gives with the process's peak of anonymous memory, where the system tells.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    let (peak, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let look = || peak.fetch_max(Memory::anonymous_of_this_process().unwrap_or(0), Ordering::Relaxed);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                look();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let result = catch_unwind(AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        result
    });
    let peak = peak.into_inner();
    (result.unwrap(), (peak > 0).then_some(peak))
}
