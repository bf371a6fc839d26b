//! Whole numbers of any length, as decimal digits: where another program's score must be met to the last bit, a number
//! of 28 digits is no float.

use std::sync::LazyLock;

use regex::{Matches, Regex};

/// More digits of one number are not read; each costs a division a step.
const LONGEST: usize = 4_300;

/// Every run of digits in a text as a number without leading zeros; digits of any script, as Python's `\d` and `int`.
pub(crate) struct DigitRuns<'t>(Option<Matches<'static, 't>>);

impl<'t> DigitRuns<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        static RUN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\d+").ok());
        Self(RUN.as_ref().map(|run| run.find_iter(text)))
    }
}

impl Iterator for DigitRuns<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let run = self.0.as_mut()?.next()?;
        Some(without_leading_zeros(&ascii(run.as_str()).chars().take(LONGEST).collect::<String>()).to_owned())
    }
}

/// `0` for what is all zeros.
pub(crate) fn without_leading_zeros(digits: &str) -> &str {
    let trimmed = digits.trim_start_matches('0');
    if trimmed.is_empty() { "0" } else { trimmed }
}

/// The text with the decimal digits of every script in ASCII.
///
/// Unicode keeps the ten digits of a script next to each other, from zero up, so a digit's value is the number of digits
/// right before it, modulo 10.
pub(crate) fn ascii(text: &str) -> String {
    text.chars().map(|character| if character.is_ascii() { character } else { ascii_digit(character) }).collect()
}

fn ascii_digit(character: char) -> char {
    if !is_digit(character) {
        return character;
    }
    let before = (1..60).take_while(|back| char::from_u32(character as u32 - back).is_some_and(is_digit)).count();
    char::from(b'0' + (before % 10) as u8)
}

fn is_digit(character: char) -> bool {
    static DIGIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\d$").ok());
    DIGIT.as_ref().is_some_and(|digit| digit.is_match(character.encode_utf8(&mut [0; 4])))
}

/// `larger − smaller`, for numbers in as many ASCII digits each.
pub(crate) fn difference(larger: &[u8], smaller: &[u8]) -> Vec<u8> {
    let mut difference = larger.to_vec();
    let mut borrow = 0;
    for (digit, subtract) in difference.iter_mut().zip(smaller).rev() {
        let subtract = subtract - b'0' + borrow;
        let value = *digit - b'0';
        borrow = u8::from(value < subtract);
        *digit = b'0' + value + 10 * borrow - subtract;
    }
    difference
}

/// `part / whole` as a float, correctly rounded (half to even) as Python divides whole numbers; both in as many ASCII
/// digits, `part` at most `whole`, `whole` not 0. What is below 2⁻¹⁹⁰ is 0.
pub(crate) fn quotient(part: &[u8], whole: &[u8]) -> f64 {
    if part == whole {
        return 1.0;
    }
    let mut rest: Vec<u8> = [b"0", part].concat();
    let whole: Vec<u8> = [b"0", whole].concat();
    let (mut mantissa, mut bits, mut exponent) = (0_u64, 0, 0);
    // Binary long division: 53 bits of the quotient and one to round by.
    while bits < 54 {
        if exponent == 250 {
            return 0.0;
        }
        exponent += 1;
        double(&mut rest);
        let bit = rest >= whole;
        if bit {
            rest = difference(&rest, &whole);
        }
        if bits > 0 || bit {
            mantissa = 2 * mantissa + u64::from(bit);
            bits += 1;
        }
    }
    let (half, exact) = (mantissa & 1 == 1, rest.iter().all(|digit| *digit == b'0'));
    mantissa >>= 1;
    if half && (!exact || mantissa & 1 == 1) {
        mantissa += 1;
    }
    // A mantissa of at most 2⁵³ and a power of two above 2⁻²⁵⁰: both steps are exact.
    mantissa as f64 * 0.5_f64.powi(exponent - 1)
}

/// Twice the number, which has room for it.
fn double(number: &mut [u8]) {
    let mut carry = 0;
    for digit in number.iter_mut().rev() {
        let doubled = 2 * (*digit - b'0') + carry;
        (*digit, carry) = (b'0' + doubled % 10, doubled / 10);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn quotients_are_those_of_floats_where_floats_are_exact(part in 0_u64..(1 << 53), whole in 1_u64..(1 << 53)) {
            let (part, whole) = (part.min(whole), part.max(whole));
            let digits = |number: u64| format!("{number:017}").into_bytes();
            prop_assert_eq!(quotient(&digits(part), &digits(whole)), part as f64 / whole as f64);
            prop_assert_eq!(difference(&digits(whole), &digits(part)), digits(whole - part));
        }
    }

    #[test]
    fn digits_of_every_script_are_read() {
        assert_eq!(ascii("a٣९𝟗७7"), "a39977");
        assert_eq!(DigitRuns::of("x007, ٣٤. 0").collect::<Vec<_>>(), ["7", "34", "0"]);
    }
}
