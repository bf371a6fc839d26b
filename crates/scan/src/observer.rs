//! How a scan tells what it is doing.

use std::time::Duration;

use neuro_record::Row;

/// Hears what a scan does. Every method does nothing unless it is written; `()` hears nothing.
pub trait Observer {
    /// Called once at the start and after every unit (one path on one chunk of questions).
    fn progress(&mut self, progress: &Progress) {
        let _ = progress;
    }

    /// Called with each new row, after it is written.
    fn row(&mut self, row: &Row) {
        let _ = row;
    }

    /// A remark for people, such as what is resumed.
    fn note(&mut self, note: &str) {
        let _ = note;
    }
}

impl Observer for () {}

/// How far a scan is. Work is counted in layer-tokens, with decoding at its limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Rows that are written, resumed ones included.
    pub rows_done: usize,
    /// Rows of the whole plan.
    pub rows_total: usize,
    /// Work that needs no more doing, resumed work included.
    pub work_done: u64,
    /// Of that, what was done before `elapsed` begins: by an earlier process, or with weights of another type.
    pub work_resumed: u64,
    /// Work of the whole plan.
    pub work_total: u64,
    /// Time since this process began to measure; since it went on to f32, where the baseline is measured once more.
    pub elapsed: Duration,
    /// Probe of the unit just done; empty at the start.
    pub probe: String,
    /// Printed path of the unit just done; empty at the start.
    pub path: String,
}

impl Progress {
    /// Part of the work that is done, in [0, 1].
    pub fn fraction(&self) -> f64 {
        if self.work_total == 0 { 1.0 } else { (self.work_done as f64 / self.work_total as f64).min(1.0) }
    }

    /// Time that the rest will take at the rate so far; `None` before anything was measured.
    pub fn remaining(&self) -> Option<Duration> {
        let measured = self.work_done.checked_sub(self.work_resumed).filter(|&work| work > 0)?;
        let rest = self.work_total.saturating_sub(self.work_done);
        Duration::try_from_secs_f64(self.elapsed.as_secs_f64() * rest as f64 / measured as f64).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_estimated_from_what_this_process_measured() {
        let mut progress = Progress { work_total: 100, work_done: 40, work_resumed: 40, ..Progress::default() };
        progress.elapsed = Duration::from_secs(10);
        assert_eq!(progress.remaining(), None);
        progress.work_done = 60;
        assert_eq!(progress.remaining(), Some(Duration::from_secs(20)));
        assert_eq!(progress.fraction(), 0.6);
    }

    #[test]
    fn nothing_to_do_is_done() {
        assert_eq!(Progress::default().fraction(), 1.0);
    }
}
