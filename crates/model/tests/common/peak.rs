//! How much memory loading takes, measured on the whole process.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use neuro_checkpoint::{Checkpoint, Memory};
use neuro_model::{Decoder, Device, WeightType};

/// Bytes that the decoder holds, and how far anonymous memory rose while it was loaded; none where that cannot be measured.
pub(crate) fn of_loading(path: &Path, kind: impl Fn(&Checkpoint) -> WeightType) -> Option<(u64, u64)> {
    let checkpoint = Arc::new(Checkpoint::open(path).unwrap());
    let before = Memory::anonymous_of_this_process()?;
    let (peak, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let held = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(Memory::anonymous_of_this_process().unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let decoder = Decoder::load_as(&checkpoint, &Device::Cpu, kind(&checkpoint));
        // Before anything can panic: the scope waits for the thread.
        done.store(true, Ordering::Relaxed);
        decoder.unwrap().weight_bytes() as u64
    });
    Some((held, peak.into_inner().saturating_sub(before)))
}
