//! What tests and benchmarks need to measure the process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use neuro_checkpoint::Memory;

/// Runs some work and returns what it gives with the peak of this process's anonymous memory (`RssAnon`) while it ran,
/// in bytes above what was held before; `None` where the system does not tell. Memory that is held for less than the
/// two milliseconds between looks may be missed.
pub(crate) fn peak_growth<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    let Some(before) = Memory::anonymous_of_this_process() else { return (work(), None) };
    let (peak, done) = (AtomicU64::new(before), AtomicBool::new(false));
    let look = || {
        if let Some(now) = Memory::anonymous_of_this_process() {
            peak.fetch_max(now, Ordering::Relaxed);
        }
    };
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                look();
                thread::sleep(Duration::from_millis(2));
            }
        });
        // Also when the work panics, or the scope would wait for ever.
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _done = Done(&done);
        work()
    });
    look();
    (result, Some(peak.into_inner().saturating_sub(before)))
}
