//! How much memory there is, for the one case in which no file bounds what is allocated.

/// What is assumed where the system does not say.
const ASSUMED: u64 = 64 << 30;

/// Bytes that this process can expect to get. Known on Linux (physical memory, or less in a container); assumed elsewhere.
pub(crate) fn limit_bytes() -> u64 {
    let physical = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    physical.into_iter().chain(container).min().unwrap_or(ASSUMED)
}

/// The total of `/proc/meminfo`.
fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_in_bytes() {
        assert_eq!(total_bytes("MemTotal:       16318480 kB\nMemFree: 1 kB\n"), Some(16_318_480 * 1024));
        assert_eq!(total_bytes("MemFree: 1 kB\n"), None);
        assert!(limit_bytes() > 0);
    }
}
