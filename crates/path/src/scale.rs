use std::fmt;
use std::str::FromStr;

use crate::PathError;
use crate::error::shortened;

const BILLION: u64 = 1_000_000_000;
const LARGEST: u64 = 1_000 * BILLION;
const DECIMALS: usize = 9;

/// What a branch's output is multiplied by before the residual addition.
///
/// Kept as a whole number of billionths, so that equal scales are equal bits, hash alike, and print as they were
/// written: states are shared only between visits that are equal in every attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scale(i64);

impl Scale {
    /// The plain branch.
    pub const ONE: Self = Self(BILLION as i64);
    /// The branch switched off.
    pub const ZERO: Self = Self(0);

    /// The scale of so many billionths.
    ///
    /// # Errors
    /// Refuses magnitudes above 1000.
    pub fn from_billionths(billionths: i64) -> Result<Self, PathError> {
        if billionths.unsigned_abs() > LARGEST {
            return Err(PathError::Scale { found: format!("{billionths}e-9"), reason: "is too large" });
        }
        Ok(Self(billionths))
    }

    /// The scale in billionths: `0.5` is 500,000,000.
    #[must_use]
    pub fn billionths(self) -> i64 {
        self.0
    }
}

impl FromStr for Scale {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let text = text.trim();
        let refuse = |reason| PathError::Scale { found: shortened(text), reason };
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return Err(refuse("has no digit after its point")),
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return Err(refuse("is not a decimal number"));
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > DECIMALS {
            return Err(refuse("has more than 9 decimals"));
        }
        let whole = whole.trim_start_matches('0');
        if whole.len() > 4 {
            return Err(refuse("is too large"));
        }
        // At most 4 + 9 digits are left, which always fit.
        let magnitude = format!("{whole}{fraction:0<DECIMALS$}")
            .bytes()
            .fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        if magnitude > LARGEST {
            return Err(refuse("is too large"));
        }
        let magnitude = magnitude.cast_signed();
        Ok(Self(if negative { -magnitude } else { magnitude }))
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = format!("{:0DECIMALS$}", magnitude % BILLION);
        let fraction = fraction.trim_end_matches('0');
        write!(formatter, "{sign}{}", magnitude / BILLION)?;
        if !fraction.is_empty() {
            write!(formatter, ".{fraction}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_and_printed_shortest() {
        for (text, billionths, printed) in [
            ("1", 1_000_000_000, "1"),
            ("0.50", 500_000_000, "0.5"),
            (".5", 500_000_000, "0.5"),
            ("-1", -1_000_000_000, "-1"),
            ("-0", 0, "0"),
            ("+2.25", 2_250_000_000, "2.25"),
            ("0.000000001", 1, "0.000000001"),
            ("0.1000000000000", 100_000_000, "0.1"),
            ("0001000", 1_000_000_000_000, "1000"),
            (" 3 ", 3_000_000_000, "3"),
        ] {
            let scale: Scale = text.parse().unwrap();
            assert_eq!(scale.billionths(), billionths, "{text}");
            assert_eq!(scale.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, reason) in [
            ("", "is not a decimal number"),
            ("-", "is not a decimal number"),
            ("--1", "is not a decimal number"),
            ("1e3", "is not a decimal number"),
            ("NaN", "is not a decimal number"),
            ("٣", "is not a decimal number"),
            ("1.", "has no digit after its point"),
            ("1.2.3", "is not a decimal number"),
            ("0.0000000001", "has more than 9 decimals"),
            ("1000.000000001", "is too large"),
            ("99999999999999999999999", "is too large"),
        ] {
            let error = text.parse::<Scale>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
        assert!(Scale::from_billionths(i64::MIN).is_err());
    }
}
