use std::fmt::Debug;

use crate::{Question, number};

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Grade {
    /// From 0 to 1; higher is better.
    pub score: f64,
    /// What was read as the answer.
    pub parsed: Option<String>,
    /// Nothing could be read as an answer; the score is 0.
    pub parse_failure: bool,
}

impl Grade {
    /// Nothing could be read.
    #[must_use]
    pub fn failure() -> Self {
        Self { score: 0.0, parsed: None, parse_failure: true }
    }

    /// `parsed` was read, and is worth so much.
    #[must_use]
    pub fn of(score: f64, parsed: impl Into<String>) -> Self {
        Self { score, parsed: Some(parsed.into()), parse_failure: false }
    }

    /// `parsed` was read, and is right or wrong.
    #[must_use]
    pub fn right(is_right: bool, parsed: impl Into<String>) -> Self {
        Self::of(f64::from(u8::from(is_right)), parsed)
    }
}

/// How answers are graded. Pure: the same question and answer always have the same grade.
pub trait Scorer: Debug + Send + Sync {
    /// Name and version, `digits.v1`: another version grades differently.
    fn id(&self) -> String;

    /// Grades a generated answer.
    fn grade(&self, question: &Question, answer: &str) -> Grade;

    /// Grades the values that are expected of a question's sets of continuations, in their order
    /// ([`crate::Likelihood::Expected`]). Scorers that compare no numbers read nothing.
    fn grade_values(&self, _question: &Question, _values: &[f64]) -> Grade {
        Grade::failure()
    }

    /// What a reader of the score must know, such as what answers without thought would score.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// How many digits of a positive whole number are right.
#[derive(Debug)]
pub(crate) struct Digits;

impl Scorer for Digits {
    fn id(&self) -> String {
        "digits.v1".to_owned()
    }

    fn grade(&self, question: &Question, answer: &str) -> Grade {
        grade_digits(question, answer)
    }
}

/// Whether the first word is the key.
#[derive(Debug)]
pub(crate) struct FirstWord;

impl Scorer for FirstWord {
    fn id(&self) -> String {
        "first-word.v1".to_owned()
    }

    fn grade(&self, question: &Question, answer: &str) -> Grade {
        grade_first_word(question, answer)
    }
}

fn grade_first_word(question: &Question, answer: &str) -> Grade {
    match answer.split_whitespace().next() {
        None => Grade::failure(),
        Some(word) => Grade::right(word == question.key, word),
    }
}

/// Reads the answer as a number, rounds it, and scores its leading digits.
fn grade_digits(question: &Question, answer: &str) -> Grade {
    let key: f64 = question.key.parse().unwrap_or(f64::NAN);
    match number::answer(&question.user, answer) {
        None => Grade::failure(),
        Some(value) => Grade::of(right_digits(value.round(), key), number::display(value)),
    }
}

/// The share of the key's digits that the answer has right, by relative logarithmic error.
///
/// An answer off by a factor exp(±δ) has −log₁₀ δ digits right; the key, known to half a unit, has log₁₀(2·key). So an
/// exact answer scores 1, each right digit of a nine-digit key adds about a ninth, an answer off by a factor e or more
/// scores 0, and too high and too low weigh alike.
pub(crate) fn right_digits(answer: f64, key: f64) -> f64 {
    if answer.is_nan() || key.is_nan() || answer <= 0.0 || key < 1.0 {
        return 0.0;
    }
    if answer == key {
        return 1.0;
    }
    let error = (answer / key).ln().abs();
    (-error.log10() / (2.0 * key).log10()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_right_digit_counts() {
        let key = 596_252_164.0;
        let cases = [
            (596_252_164.0, 1.0..=1.0),
            (596_252_163.0, 0.9..=0.99),
            (596_252_000.0, 0.6..=0.75),
            (596_000_000.0, 0.3..=0.4),
            (590_000_000.0, 0.2..=0.25),
            (500_000_000.0, 0.05..=0.15),
            (100_000_000.0, 0.0..=0.0),
            (5_962_521_640.0, 0.0..=0.0),
            (1.0, 0.0..=0.0),
            (0.0, 0.0..=0.0),
            (f64::INFINITY, 0.0..=0.0),
            (f64::NAN, 0.0..=0.0),
        ];
        for (answer, expected) in cases {
            let score = right_digits(answer, key);
            assert!(expected.contains(&score), "{answer} scores {score}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nearer_is_never_worse(key in 100_u32..10_000_000, near in 0_u32..1_000_000, farther in 1_u32..1_000_000) {
            let key = f64::from(key);
            let score = |error: f64| right_digits(key + error, key);
            let (near, far) = (f64::from(near), f64::from(near) + f64::from(farther));
            prop_assert!(score(near) >= score(far));
            prop_assert!((0.0..=1.0).contains(&score(far)) && (0.0..=1.0).contains(&score(-far)));
            prop_assert_eq!(score(near) == 1.0, near == 0.0);
            // The same factor too high or too low.
            let factor = 1.0 + far / key;
            prop_assert!((right_digits(key * factor, key) - right_digits(key / factor, key)).abs() < 1e-9);
        }
    }
}
