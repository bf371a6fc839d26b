//! What one rendering may cost beyond the instructions that minijinja counts itself: one instruction can double a string.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

/// Bytes that a rendering may make in all, intermediate strings and output together.
const BYTE_LIMIT: u64 = 128 << 20;
/// Values that a rendering may look at while comparing, sorting and printing.
const WORK_LIMIT: u64 = 20_000_000;
/// Size of one value written out: a list that holds a list twice, ten times over, is small in memory and huge in print.
const VALUE_LIMIT: u64 = 16 << 20;
/// How deep lists and maps may nest. Values are printed and dropped recursively.
const DEPTH_LIMIT: usize = 128;
/// What any value occupies besides its text.
const VALUE_BYTES: u64 = 24;

/// Counts what a rendering makes and remembers why it was stopped.
#[derive(Debug, Default)]
pub(super) struct Meter {
    bytes: AtomicU64,
    work: AtomicU64,
    stopped: Mutex<Option<String>>,
    refusal: Mutex<Option<String>>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Charges bytes that are about to be made.
    pub(super) fn make(&self, bytes: u64) -> Result<(), Error> {
        let before = self.bytes.fetch_add(bytes.min(BYTE_LIMIT), Ordering::Relaxed);
        if bytes > VALUE_LIMIT || before + bytes > BYTE_LIMIT {
            return Err(self
                .stop(format!("it made a value of more than {VALUE_LIMIT} bytes, or more than {BYTE_LIMIT} in all")));
        }
        Ok(())
    }

    /// Whether one value may have so many bytes, without charging them.
    pub(super) fn make_room(&self, bytes: u64) -> Result<(), Error> {
        if bytes > VALUE_LIMIT { self.make(bytes) } else { Ok(()) }
    }

    /// The size of a value written out, in bytes, its parts counted as often as they would be printed.
    pub(super) fn measure(&self, value: &Value) -> Result<u64, Error> {
        let mut size = 0;
        self.add(value, 0, &mut size)?;
        Ok(size)
    }

    fn add(&self, value: &Value, depth: usize, size: &mut u64) -> Result<(), Error> {
        if self.work.fetch_add(1, Ordering::Relaxed) > WORK_LIMIT {
            return Err(self.stop(format!("it looked at more than {WORK_LIMIT} values")));
        }
        if depth > DEPTH_LIMIT {
            return Err(self.stop(format!("it nests values more than {DEPTH_LIMIT} deep")));
        }
        *size += VALUE_BYTES
            + match value.kind() {
                ValueKind::String => value.as_str().map_or(0, str::len) as u64,
                ValueKind::Bytes => value.as_bytes().map_or(0, <[u8]>::len) as u64,
                _ => 0,
            };
        if *size > VALUE_LIMIT {
            return Err(self.stop(format!("it made a value of more than {VALUE_LIMIT} bytes")));
        }
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                for item in value.try_iter()? {
                    self.add(&item, depth + 1, size)?;
                }
            }
            ValueKind::Map => {
                for key in value.try_iter()? {
                    self.add(&key, depth + 1, size)?;
                    self.add(&value.get_item(&key)?, depth + 1, size)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Stops the rendering for good, with the limit that was reached.
    pub(super) fn stop(&self, limit: String) -> Error {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        Error::new(ErrorKind::InvalidOperation, stopped.get_or_insert(limit).clone())
    }

    /// The template's own refusal, by `raise_exception`.
    pub(super) fn refuse(&self, message: String) -> Error {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.clone());
        Error::new(ErrorKind::InvalidOperation, message)
    }

    pub(super) fn stopped(&self) -> Option<String> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
