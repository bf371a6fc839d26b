//! Numbers as text, so that the same map gives the same picture everywhere. How many decimals, `precision` says.

/// From here on a number is written with an exponent.
const HUGE: f64 = 1e6;

/// `+0.750`, `-0.021`, `0.000`: never `-0.000`, and no sign on what rounds to nothing.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        format!("{value:+}")
    } else if value.abs() >= HUGE {
        format!("{value:+.2e}")
    } else if shows_nothing(value, decimals) {
        format!("{:.decimals$}", 0.0)
    } else {
        format!("{value:+.decimals$}")
    }
}

/// Whether only zeros are left of a number with this many decimals.
pub(crate) fn shows_nothing(value: f64, decimals: usize) -> bool {
    value.abs() < 1.0 && !format!("{value:.decimals$}").bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

/// A score in [0, 1]: `0.981`.
pub(crate) fn score(value: f64, decimals: usize) -> String {
    if value.abs() >= HUGE { format!("{value:.2e}") } else { format!("{value:.decimals$}") }
}

/// Every digit, for programs; with an exponent where there would be more zeros than digits.
pub(crate) fn full(value: f64) -> String {
    if value == 0.0 || (1e-9..1e16).contains(&value.abs()) { value.to_string() } else { format!("{value:e}") }
}

/// A coordinate in a picture: at most two digits, without trailing zeros.
pub(crate) fn coordinate(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// With thousands separated: `3,241`.
pub(crate) fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes: `1.5 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `1 question`, `288 questions`.
pub(crate) fn counted(value: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// Numbers for print: a minus sign instead of a hyphen that stands before a number or for none, or in an exponent, and not
/// within a name.
pub(crate) fn typographic(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let is_minus = |at: usize| {
        let beside = |steps: isize| at.checked_add_signed(steps).and_then(|at| letters.get(at)).copied().unwrap_or(' ');
        let (before, behind) = (beside(-1), beside(1));
        let is_exponent = before == 'e' && beside(-2).is_ascii_digit() && behind.is_ascii_digit();
        is_exponent || (!before.is_alphanumeric() && before != '-' && behind != '-')
    };
    let printed = |(at, letter): (usize, &char)| if *letter == '-' && is_minus(at) { '\u{2212}' } else { *letter };
    letters.iter().enumerate().map(printed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_numbers_never_show_a_negative_nothing() {
        assert_eq!(signed(0.75, 3), "+0.750");
        assert_eq!(signed(-0.0004, 3), "0.000");
        assert_eq!(signed(-0.0006, 3), "-0.001");
        assert_eq!(signed(0.0, 2), "0.00");
    }

    #[test]
    fn names_keep_their_hyphens() {
        let text = "-0.020 [-0.1, +0.2], 5e-10 of arc-easy:acc-norm - gsm8k-5shot, --questions 3";
        assert_eq!(
            typographic(text),
            "\u{2212}0.020 [\u{2212}0.1, +0.2], 5e\u{2212}10 of arc-easy:acc-norm \u{2212} gsm8k-5shot, --questions 3"
        );
    }

    #[test]
    fn numbers_for_programs_keep_every_digit_and_stay_short() {
        assert_eq!(full(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(full(0.0), "0");
        assert_eq!(full(-1e308), "-1e308");
        assert_eq!(full(5e-324), "5e-324");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!(coordinate(12.0), "12");
        assert_eq!(coordinate(12.505), "12.51");
        assert_eq!(coordinate(-0.001), "0");
        assert_eq!(coordinate(0.5), "0.5");
        assert_eq!(coordinate(100.0), "100");
    }

    #[test]
    fn counts_have_separators() {
        assert_eq!(count(1), "1");
        assert_eq!(count(3241), "3,241");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "question"), "1 question");
        assert_eq!((size(1023), size(1536)), ("1023 bytes".to_owned(), "1.5 KiB".to_owned()));
    }
}
