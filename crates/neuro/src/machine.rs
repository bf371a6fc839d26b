//! What can be known about this machine without a library for it.

use std::process::Command;

/// Memory in bytes; `None` where the system does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Memory {
    /// All of it that this process may use.
    pub(crate) total: Option<u64>,
    /// What is free for a new process.
    pub(crate) available: Option<u64>,
}

/// The machine's memory, or the limit of the container.
pub(crate) fn memory() -> Memory {
    if cfg!(target_os = "macos") {
        return Memory { total: macos_total(), available: None };
    }
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return Memory::default() };
    let memory = Memory { total: meminfo(&text, "MemTotal:"), available: meminfo(&text, "MemAvailable:") };
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    match limit.and_then(|limit| limit.trim().parse::<u64>().ok()) {
        Some(limit) => Memory {
            total: memory.total.map(|total| total.min(limit)),
            available: memory.available.map(|available| available.min(limit)),
        },
        None => memory,
    }
}

/// Threads that computations use: as many as the machine runs at once, or `RAYON_NUM_THREADS`.
pub(crate) fn threads() -> usize {
    candle_core::utils::get_num_threads()
}

fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn macos_total() -> Option<u64> {
    let answer = Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    String::from_utf8(answer.stdout).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read_in_bytes() {
        let text = "MemTotal:        8039936 kB\nMemFree:  1 kB\nMemAvailable:    5000000 kB\n";
        assert_eq!(meminfo(text, "MemTotal:"), Some(8_039_936 * 1024));
        assert_eq!(meminfo(text, "MemAvailable:"), Some(5_120_000_000));
        assert_eq!(meminfo(text, "SwapTotal:"), None);
        assert_eq!(meminfo("MemTotal: many kB", "MemTotal:"), None);
    }
}
