//! Finds the number that an answer gives, however it is dressed.
//!
//! The answer is the *first* number that is not the marker of a list item and, of the built-in math, no operand of the
//! question; when only those are there, the first of them. Never the best of several: that would reward answering with many.

use crate::dress;

/// Most characters of an answer that are read; more is no short integer.
const LONGEST: usize = 4_096;

/// The first number given in `answer`, or none. Not rounded. Of any question: the right answer may be a number of its own.
pub(crate) fn first(said: &str) -> Option<f64> {
    answer("", said)
}

/// The number given in `answer` to a `question` whose operands are no answer, or none. Not rounded.
pub(crate) fn answer(question: &str, answer: &str) -> Option<f64> {
    let operands: Vec<f64> = numbers(question).into_iter().map(|number| number.value).collect();
    let numbers = numbers(&spoken(answer)?);
    let given = numbers.iter().find(|number| !number.marker && !operands.contains(&number.value));
    given.or(numbers.first()).map(|number| number.value)
}

/// The number as it is kept in a sample: whole, and short whatever was written.
pub(crate) fn display(value: f64) -> String {
    // Adding 0 makes -0 a 0.
    let value = value.round() + 0.0;
    if value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:e}") }
}

/// What the model says aloud: nothing inside a thinking block, and separators in one spelling.
fn spoken(answer: &str) -> Option<String> {
    let spoken = dress::spoken(answer)?;
    let spoken: String = spoken.chars().take(LONGEST).collect();
    Some(spoken.replace("{,}", ",").replace("\\,", ","))
}

/// A number in a text.
struct Number {
    value: f64,
    /// It numbers an item of a list, as in `1. ` or `2) `; keys have at least three digits.
    marker: bool,
}

/// Every number in the text, in order.
fn numbers(text: &str) -> Vec<Number> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let from = &rest[start..];
        let before = &text[..text.len() - from.len()];
        let (digits, decimals, after) = mantissa(from);
        let (exponent, after) = exponent(after);
        let sign = if follows_minus(before) { "-" } else { "" };
        // Every such string is a number; thousands of digits are infinite.
        let value = format!("{sign}{digits}.{decimals}0e{exponent}").parse();
        let first_in_line = before.rsplit('\n').next().is_some_and(|line| line.trim().is_empty());
        let dotted = after.strip_prefix(['.', ')']).is_some_and(|item| item.starts_with([' ', '\t']));
        found.push(Number {
            value: value.unwrap_or(f64::INFINITY),
            marker: first_in_line && dotted && digits.len() <= 2 && decimals.is_empty(),
        });
        rest = after;
    }
    found
}

/// A minus sign touches its number and nothing before it. With a space behind it, it is a bullet; between two
/// numbers or letters, a hyphen or a subtraction.
fn follows_minus(before: &str) -> bool {
    let Some(left) = before.strip_suffix(['-', '−']) else {
        return false;
    };
    !left.ends_with(|character: char| character.is_alphanumeric() || character == ')')
}

/// Splits off `12345`, `12,345`, `12 345`, `1.234.567` or `12.5`: digits, decimals, and the rest.
fn mantissa(text: &str) -> (String, &str, &str) {
    let (first, mut rest) = split_digits(text);
    let mut digits = first.to_owned();
    let separator = rest.chars().next().filter(|separator| is_separator(*separator));
    if let Some(separator) = separator.filter(|_| first.len() <= 3) {
        let mut groups = Vec::new();
        let mut grouped = rest;
        while let Some((group, after)) = thousands(grouped, separator) {
            groups.push(group);
            grouped = after;
        }
        // One point and three digits are decimals; two such groups are thousands.
        if separator != '.' || groups.len() > 1 {
            digits.extend(groups);
            rest = grouped;
        }
    }
    let decimals = rest.strip_prefix('.').map(split_digits).filter(|(decimals, _)| !decimals.is_empty());
    let (decimals, rest) = decimals.unwrap_or(("", rest));
    (digits, decimals, rest)
}

/// A separator and exactly three digits.
fn thousands(text: &str, separator: char) -> Option<(&str, &str)> {
    let (group, rest) = split_digits(text.strip_prefix(separator)?);
    (group.len() == 3).then_some((group, rest))
}

/// Commas, points, apostrophes, low lines, and the spaces that typography puts into numbers.
fn is_separator(character: char) -> bool {
    matches!(character, ',' | '.' | '\'' | '’' | '_' | ' ' | '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}')
}

/// Splits off `e4`, `× 10^4`, `\times 10^{4}` or ` million`: the power of ten, and the rest.
fn exponent(text: &str) -> (i32, &str) {
    let power = |text| {
        let (digits, rest) = split_digits(text);
        Some((digits.parse().ok()?, rest))
    };
    if let Some(found) = text.strip_prefix(['e', 'E']).and_then(|rest| power(rest.trim_start_matches('+'))) {
        return found;
    }
    let spaced = text.trim_start_matches([' ', '\u{a0}', '\u{2009}', '\u{202f}', '*']);
    for (word, exponent) in [("thousand", 3), ("million", 6), ("billion", 9)] {
        if let Some(rest) = spaced.strip_prefix(word) {
            return (exponent, rest);
        }
    }
    let times =
        ["×", "x", "*", "·", "\\times", "\\cdot"].iter().find_map(|times| text.trim_start().strip_prefix(times));
    let ten = times.and_then(|rest| rest.trim_start().strip_prefix("10^"));
    match ten.and_then(|rest| power(rest.trim_start_matches('{'))) {
        Some((exponent, rest)) => (exponent, rest.trim_start_matches('}')),
        None => (0, text),
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUESTION: &str = "What is 8712312 divided by 345, rounded?";

    #[test]
    fn dress_does_not_change_the_number() {
        for dressed in [
            "25253",
            " 25253\n",
            "25253.",
            "25,253",
            "25,253, roughly",
            "25 253",
            "25\u{2009}253",
            "25\u{202f}253",
            "25'253",
            "25_253",
            "**25253**",
            "**25,253**.",
            "- 25253",
            "* 25,253",
            "• 25253",
            "1. 25253",
            "1) 25,253",
            "Sure! The answer is 25253.",
            "Sure! 8712312 / 345 = 25253",
            "≈25253",
            "~25,253",
            "$25{,}253$",
            "\\boxed{25253}",
            "\\[ \\frac{8712312}{345} \\approx 25\\,253 \\]",
            "8,712,312 ÷ 345 ≈ 25253.1",
            "25253.00",
            "2.5253e4",
            "2.5253 × 10^4",
            "$2.5253 \\times 10^{4}$",
            "25.253 thousand",
            "answer:25253 (25253 * 345 = 8712285)",
            "<think>\nmaybe 3 or 25000?\n</think>\n\n25253",
            "25253\n\nQuestion: What is 5 times 6?\nAnswer: 30",
            "A=25253",
        ] {
            let found = answer(QUESTION, dressed).map(f64::round);
            assert_eq!(found, Some(25_253.0), "{dressed}");
        }
    }

    #[test]
    fn other_numbers_stay_other() {
        for (text, expected) in [
            ("1.234.567", Some(1_234_567.0)),
            ("25.253", Some(25.253)),
            ("12,34", Some(12.0)),
            ("1234,567", Some(1_234.0)),
            ("-25253", Some(-25_253.0)),
            ("−25253", Some(-25_253.0)),
            ("10-25253", Some(10.0)),
            ("345", Some(345.0)),
            ("8,712,312", Some(8_712_312.0)),
            ("37. Because 6 * 6 = 36", Some(6.0)),
            ("37.", Some(37.0)),
            ("no idea", None),
            ("", None),
            ("<think> 25253", None),
            ("twenty-five thousand", None),
        ] {
            assert_eq!(answer(QUESTION, text), expected, "{text}");
        }
        assert_eq!(answer("", &"9".repeat(5_000)), Some(f64::INFINITY));
        assert_eq!(answer("", "1e999999999999"), Some(1.0));
        assert_eq!(display(f64::INFINITY), "inf");
        assert_eq!(display(25_253.4), "25253");
        assert_eq!(display(-0.2), "0");
    }

    #[test]
    fn numbers_of_the_question_are_answers_of_files() {
        for (text, expected) in
            [("345, as 345 < 8712312", 345.0), ("1. 345", 345.0), ("Sure! **8,712,312** > 345", 8_712_312.0)]
        {
            assert_eq!(first(text), Some(expected), "{text}");
        }
        assert_eq!(first("[THINK]1[/THINK]2"), Some(2.0));
        assert_eq!(first("none"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_panics(text in "[0-9.,e×x*^{}<>/think −-]{0,40}|\\PC{0,60}") {
            let value = answer(QUESTION, &text);
            prop_assert!(value.is_none_or(|value| !value.is_nan()));
        }
    }
}
