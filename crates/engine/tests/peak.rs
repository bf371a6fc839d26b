//! The meter by which memory budgets are tested. Alone in its binary, because it measures the process.

mod support;

use std::thread;
use std::time::Duration;

#[test]
fn a_peak_is_seen_after_it_has_passed() {
    const HELD: usize = 96 << 20;
    let ((), quiet) = support::peak_growth(|| thread::sleep(Duration::from_millis(20)));
    let (length, peak) = support::peak_growth(|| {
        let held = std::hint::black_box(vec![1_u8; HELD]);
        thread::sleep(Duration::from_millis(50));
        held.len()
    });
    assert_eq!(length, HELD);
    let Some((quiet, peak)) = quiet.zip(peak) else { return };
    let held = HELD as u64;
    assert!(quiet < held / 16, "{quiet}");
    assert!(peak > held / 10 * 9 && peak < held / 10 * 12, "{peak} of {held}");
}
