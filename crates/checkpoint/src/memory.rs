//! How much memory there is, and whether a model's weights fit into it.

use std::path::Path;

use sysinfo::{MemoryRefreshKind, System};

use crate::config::DecoderConfig;
use crate::error::CheckpointError;

/// What random weights may take where the system does not say how much there is: no file bounds their size.
pub(crate) const ASSUMED: u64 = 64 << 30;

/// What is taken to be free where the system does not say how much memory there is.
const ASSUMED_FREE: u64 = 4 << 30;

/// Least and most of [`default_budget`]. A scan's chunks gain little from more than the most.
const LEAST_BUDGET: u64 = 256 << 20;
const LARGEST_BUDGET: u64 = 64 << 30;

/// Memory in bytes; `None` where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All of it that this process may use: the machine's, or less in a container.
    pub total: Option<u64>,
    /// What is free for a new process.
    pub available: Option<u64>,
}

impl Memory {
    /// Asks this machine, and the container that the process may be in.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let Ok(mut system) = System::new() else { return Self::default() };
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        // What a container has free is not asked: mapped files that could be let go of count there as used.
        let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
        let known = |bytes: u64| Some(bytes.min(limit)).filter(|&bytes| bytes > 0);
        Self { total: known(system.total_memory()), available: known(system.available_memory()) }
    }

    /// Memory of this process that no file backs, now (Linux): `RssAnon` of `/proc/self/status`. Mapped weights are not
    /// in it, buffers are.
    #[must_use]
    pub fn anonymous_of_this_process() -> Option<u64> {
        entry(&std::fs::read_to_string("/proc/self/status").ok()?, "RssAnon:")
    }
}

/// What a scan may use when nobody says: 60 % of the memory that is free; at least 256 MiB, at most 64 GiB beside the
/// model's weights. Where the system does not tell what is free, half of all memory is taken for it, and 4 GiB where it tells
/// nothing.
#[must_use]
pub fn default_budget(memory: &Memory, weights: u64) -> u64 {
    let free = memory.available.or(memory.total.map(|total| total / 2)).unwrap_or(ASSUMED_FREE);
    (free / 5 * 3).clamp(LEAST_BUDGET, LARGEST_BUDGET.saturating_add(weights))
}

/// One entry of a file of `/proc`, in bytes.
fn entry(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Refuses random weights of which no layer fits into this machine's memory: no file bounds their size.
pub(crate) fn check_random(place: &Path, config: &DecoderConfig) -> Result<(), CheckpointError> {
    let part = config.largest_part();
    let limit = Memory::of_this_machine().total.unwrap_or(ASSUMED);
    check(
        place,
        &format!("the {part} weights of its largest part"),
        part.saturating_mul(size_of::<f32>() as u64),
        limit,
    )
}

/// Refuses weights that take more than `limit` bytes. `place` and `weights` are what the message names.
pub(crate) fn check(place: &Path, weights: &str, bytes: u64, limit: u64) -> Result<(), CheckpointError> {
    if bytes <= limit {
        return Ok(());
    }
    let problem = format!(
        "{weights} would take {bytes} bytes, more than the memory of {limit} bytes; use a smaller model or a machine with \
         more memory"
    );
    Err(CheckpointError::folder(place, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_tells_its_memory() {
        let memory = Memory::of_this_machine();
        let (total, available) = (memory.total.expect("is told"), memory.available.expect("is told"));
        assert!(total > 64 << 20 && available > 0 && available <= total, "{memory:?}");
    }

    #[test]
    fn entries_of_proc_are_read_in_bytes() {
        let text = "VmRSS:\t  9 kB\nRssAnon:\t   8039936 kB\nRssFile: many kB\nThreads: 3";
        assert_eq!(entry(text, "RssAnon:"), Some(8_039_936 * 1024));
        for missing in ["RssFile:", "RssShmem:", "Threads:"] {
            assert_eq!(entry(text, missing), None);
        }
    }

    #[test]
    fn the_default_budget_leaves_room_for_others() {
        const GIB: u64 = 1 << 30;
        let free = |available| Memory { total: Some(100 * GIB), available: Some(available) };
        assert_eq!(default_budget(&free(20 * GIB), 100 * GIB), 12 * GIB);
        assert_eq!(default_budget(&free(0), 0), GIB / 4);
        assert_eq!(default_budget(&free(u64::MAX), 0), 64 * GIB);
        assert_eq!(default_budget(&free(u64::MAX), 70 * GIB), 134 * GIB);
        assert_eq!(default_budget(&Memory { total: Some(40 * GIB), available: None }, 0), 12 * GIB);
        assert_eq!(default_budget(&Memory::default(), 0), GIB * 4 / 5 * 3);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn anonymous_memory_grows_with_what_is_held() {
        let before = Memory::anonymous_of_this_process().expect("Linux tells");
        let held = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = Memory::anonymous_of_this_process().expect("Linux tells");
        assert!(after > before + (48 << 20), "{before}, {after}");
        drop(held);
    }

    #[test]
    fn weights_may_take_all_memory_and_no_byte_more() {
        let check = |bytes| check(Path::new("model"), "1001 weights", bytes, 4000);
        assert!(check(4000).is_ok());
        let message = check(4004).expect_err("is too large").to_string();
        for part in ["model", "1001 weights would take 4004 bytes", "memory of 4000 bytes", "smaller model"] {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
    }
}
