//! How much memory there is, and whether a model's weights fit into it.

use std::path::Path;
use std::process::Command;

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
    /// Asks this machine. Linux tells both numbers, macOS the total, other systems none.
    #[must_use]
    pub fn of_this_machine() -> Self {
        if cfg!(target_os = "macos") {
            return Self { total: macos_total(), available: None };
        }
        let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return Self::default() };
        let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        Self::from_meminfo(&text, limit.as_deref())
    }

    /// Memory of this process that no file backs, now (Linux): `RssAnon` of `/proc/self/status`. Mapped weights are not
    /// in it, buffers are.
    #[must_use]
    pub fn anonymous_of_this_process() -> Option<u64> {
        entry(&std::fs::read_to_string("/proc/self/status").ok()?, "RssAnon:")
    }

    /// Reads `/proc/meminfo`; `limit` is the container's, a number of bytes or `max`.
    fn from_meminfo(meminfo: &str, limit: Option<&str>) -> Self {
        let limit = limit.and_then(|limit| limit.trim().parse().ok()).unwrap_or(u64::MAX);
        let bytes = |key| entry(meminfo, key).map(|bytes| bytes.min(limit));
        Self { total: bytes("MemTotal:"), available: bytes("MemAvailable:") }
    }
}

/// What a scan may use when nobody says: 60 % of the memory that is free; at least 256 MiB, at most 64 GiB. Where the
/// system does not tell what is free, half of all memory is taken for it, and 4 GiB where it tells nothing.
#[must_use]
pub fn default_budget(memory: &Memory) -> u64 {
    let free = memory.available.or(memory.total.map(|total| total / 2)).unwrap_or(ASSUMED_FREE);
    (free / 5 * 3).clamp(LEAST_BUDGET, LARGEST_BUDGET)
}

/// One entry of a file of `/proc`, in bytes.
fn entry(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn macos_total() -> Option<u64> {
    let answer = Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    String::from_utf8(answer.stdout).ok()?.trim().parse().ok()
}

/// Refuses weights that take more than `limit` bytes. `place` is what the message names.
pub(crate) fn check(place: &Path, parameters: u64, bytes_per_weight: u64, limit: u64) -> Result<(), CheckpointError> {
    let needed = parameters.saturating_mul(bytes_per_weight);
    if needed <= limit {
        return Ok(());
    }
    let problem = format!(
        "{parameters} weights of {bytes_per_weight} bytes would take {needed} bytes, more than the memory of {limit} \
         bytes; use a smaller model or a machine with more memory"
    );
    Err(CheckpointError::folder(place, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read_in_bytes_and_limited_by_the_container() {
        let text = "MemTotal:        8039936 kB\nMemFree:  1 kB\nMemAvailable:    5000000 kB\n";
        let machine = Memory { total: Some(8_039_936 * 1024), available: Some(5_120_000_000) };
        assert_eq!(Memory::from_meminfo(text, None), machine);
        assert_eq!(Memory::from_meminfo(text, Some("max\n")), machine);
        assert_eq!(Memory::from_meminfo(text, Some("6000000000\n")), Memory { total: Some(6_000_000_000), ..machine });
        assert_eq!(Memory::from_meminfo("MemTotal: many kB\nSwapTotal: 1 kB", None), Memory::default());
    }

    #[test]
    fn the_default_budget_leaves_room_for_others() {
        const GIB: u64 = 1 << 30;
        let free = |available| Memory { total: Some(100 * GIB), available: Some(available) };
        assert_eq!(default_budget(&free(20 * GIB)), 12 * GIB);
        assert_eq!(default_budget(&free(0)), GIB / 4);
        assert_eq!(default_budget(&free(u64::MAX)), 64 * GIB);
        assert_eq!(default_budget(&Memory { total: Some(40 * GIB), available: None }), 12 * GIB);
        assert_eq!(default_budget(&Memory::default()), GIB * 4 / 5 * 3);
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
        let check = |parameters, bytes| check(Path::new("model"), parameters, bytes, 4000);
        assert!(check(1000, 4).is_ok());
        let message = check(1001, 4).expect_err("is too large").to_string();
        for part in ["model", "1001 weights of 4 bytes", "4004 bytes", "memory of 4000 bytes", "smaller model"] {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
        assert!(check(u64::MAX, 4).is_err());
    }
}
