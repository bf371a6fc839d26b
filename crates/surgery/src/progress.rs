//! How an export is watched and stopped.

/// Watches the bytes go by.
pub trait Progress {
    /// So many bytes of all are written. `false` stops the export, which then removes what it wrote.
    fn bytes(&mut self, done: u64, total: u64) -> bool;
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn bytes(&mut self, _done: u64, _total: u64) -> bool {
        true
    }
}
