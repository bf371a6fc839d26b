//! The author's math score: how near two numbers are once both have the same number of digits.
//!
//! Source: `calculate_score` and `extract_integers` of src/workers/math_worker.py. Every run of digits in the answer is
//! read as a number of its own, and the best of them counts; sign, decimal point and thousands separators are unknown to it.

use crate::digits::{self, DigitRuns};
use crate::rys::spoken;
use crate::scorer::Grade;

/// Grades an answer against `key`, a whole number in decimal digits.
pub(crate) fn grade(key: &str, answer: &str) -> Grade {
    let best = |text: &str| -> Option<(f64, String)> {
        DigitRuns::of(text)
            .map(|run| (score(key, &run), run))
            .reduce(|best, next| if next.0 > best.0 { next } else { best })
    };
    // The raw text is read only where nothing is left of it without its thinking.
    match best(&spoken(answer)).or_else(|| best(answer)) {
        None => Grade::failure(),
        Some((score, number)) => Grade::of(score, number),
    }
}

/// The score, in [0, 1], of two whole numbers given in digits without leading zeros.
///
/// With both padded by zeros on the right to the longer length L: (1 − |a − e| / max(a, e)) · (1 − padding / L).
fn score(actual: &str, estimate: &str) -> f64 {
    let length = actual.len().max(estimate.len());
    let padded = |number: &str| format!("{number:0<length$}").into_bytes();
    let (actual_padded, estimate_padded) = (padded(actual), padded(estimate));
    let padding = length - actual.len().min(estimate.len());
    let (larger, smaller) = if actual_padded >= estimate_padded {
        (actual_padded, estimate_padded)
    } else {
        (estimate_padded, actual_padded)
    };
    if larger.iter().all(|digit| *digit == b'0') {
        return 0.0;
    }
    let relative = digits::quotient(&digits::difference(&larger, &smaller), &larger);
    let correction = 1.0 - padding as f64 / length as f64;
    ((1.0 - relative) * correction).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(key: &str, answer: &str) -> f64 {
        grade(key, answer).score
    }

    #[test]
    fn the_score_is_worked_out_as_the_author_does() {
        // Each value is the formula of the module's head, worked out in Python's whole numbers and floats.
        assert_eq!(scored("596252164", "596252164"), 1.0);
        assert_eq!(scored("596252164", "596252163"), 1.0 - 1.0 / 596_252_164.0);
        assert_eq!(scored("596252164", "59625216"), (1.0 - 4.0 / 596_252_164.0) * (1.0 - 1.0 / 9.0));
        assert_eq!(scored("596252164", "5962521640"), 1.0 * (1.0 - 1.0 / 10.0));
        assert_eq!(scored("25774", "1"), (1.0 - 15_774.0 / 25_774.0) * (1.0 - 4.0 / 5.0));
        assert_eq!(scored("0", "0"), 0.0);
    }

    #[test]
    fn the_best_of_all_numbers_counts_and_separators_split_them() {
        assert_eq!(scored("25774", "1 or 25774 or 3?"), 1.0);
        assert_eq!(scored("25774", "25,774"), scored("25774", "25").max(scored("25774", "774")));
        assert_eq!(scored("25774", "-25774.9"), 1.0);
        assert_eq!(scored("25774", "٢٥٧٧٤"), 1.0, "digits of every script are digits");
        assert_eq!(scored("25774", "00025774"), 1.0, "leading zeros are no digits");
    }

    #[test]
    fn thinking_is_read_only_where_nothing_else_is() {
        assert_eq!(scored("25774", "<think>25774</think> 1"), scored("25774", "1"));
        assert_eq!(scored("25774", "<think>25774</think> Done."), 1.0);
        assert_eq!(scored("25774", "<think>25774"), 1.0);
        let failure = grade("25774", "I do not know.");
        assert!(failure.parse_failure && failure.score == 0.0);
    }
}
