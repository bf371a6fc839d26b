//! How slowly a content may come. A read waits for a time of its own, so that a byte now and then would last for ever.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use crate::settings::Pace;

impl Pace {
    /// The same rate within at most so long.
    pub(crate) fn within(self, most: Duration) -> Self {
        if self.time <= most {
            return self;
        }
        let share = most.as_secs_f64() / self.time.as_secs_f64();
        Self { bytes: (self.bytes as f64 * share) as u64, time: most }
    }

    /// Whether so many bytes within so long are enough.
    pub(crate) fn is_kept(&self, bytes: u64, within: Duration) -> bool {
        bytes as f64 * self.time.as_secs_f64() >= self.bytes as f64 * within.as_secs_f64()
    }
}

/// A reader that fails where less than that arrives.
pub(crate) struct Paced<R> {
    inner: R,
    pace: Pace,
    /// When the present stretch of time began, and what has arrived in it.
    since: Instant,
    bytes: u64,
}

impl<R: Read> Paced<R> {
    pub(crate) fn new(inner: R, pace: Pace) -> Self {
        Self { inner, pace, since: Instant::now(), bytes: 0 }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Before the read, so that what has arrived is the reader's in any case.
        let Pace { bytes, time } = self.pace;
        if self.since.elapsed() >= time {
            if self.bytes < bytes {
                let (found, seconds) = (self.bytes, time.as_secs_f64());
                let problem = format!("only {found} bytes came within {seconds} s, expected {bytes} or more");
                return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
            }
            (self.since, self.bytes) = (Instant::now(), 0);
        }
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_the_pace_is_not_enough() {
        let pace = Pace { bytes: 1000, time: Duration::from_secs(2) };
        assert!(pace.is_kept(0, Duration::ZERO) && pace.is_kept(500, Duration::from_secs(1)));
        assert_eq!(pace.within(Duration::from_secs(3)), pace);
        assert_eq!(pace.within(Duration::from_secs(1)), Pace { bytes: 500, time: Duration::from_secs(1) });
        assert!(!pace.is_kept(499, Duration::from_secs(1)) && !pace.is_kept(u64::from(u32::MAX), Duration::MAX));
    }

    #[test]
    fn a_reader_keeps_the_pace_or_fails() {
        let read = |bytes: u64| {
            let pace = Pace { bytes, time: Duration::ZERO };
            let mut content = Vec::new();
            (Paced::new(&b"0123456789"[..], pace).read_to_end(&mut content), content.len())
        };
        assert!(matches!(read(0), (Ok(10), 10)));
        let (result, arrived) = read(1 << 20);
        let error = result.expect_err("too slow");
        assert_eq!((error.kind(), arrived), (io::ErrorKind::TimedOut, 0));
        assert_eq!(error.to_string(), "only 0 bytes came within 0 s, expected 1048576 or more");
    }
}
