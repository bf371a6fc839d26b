//! How an export is watched and stopped.

/// Watches the bytes go by.
pub trait Progress {
    /// So many bytes of all are written. `false` stops the export, which then removes what it wrote.
    fn bytes(&mut self, done: u64, total: u64) -> bool;

    /// Everything is written, and one of the models that are compared has been run. `false` stops the export as well.
    fn compared(&mut self) -> bool {
        true
    }
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn bytes(&mut self, _done: u64, _total: u64) -> bool {
        true
    }
}
