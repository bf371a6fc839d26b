//! The author's EQ score: 1 − the mean distance of four intensities from his references, pulled towards 0.5 by how sure
//! the parser is of having found them.
//!
//! Source: `extract_emotion_scores` and `calculate_eq_score` of src/workers/eq_worker.py. Names are not checked and order
//! counts; the references are those normalised to sum 10, whatever scale the prompt asks for.

use std::sync::LazyLock;

use regex::Regex;

use crate::digits;
use crate::rys::spoken;
use crate::scorer::Grade;

/// Four intensities.
pub(crate) type Intensities = [f64; 4];

/// What stands where nothing was found.
const NEUTRAL: f64 = 5.0;

/// Grades an answer against the references.
pub(crate) fn grade(references: &Intensities, answer: &str) -> Grade {
    let (found, confidence) = read(&spoken(answer));
    let read = (confidence > 0.0).then(|| format!("{} at confidence {confidence}", list(&found)));
    Grade { score: score(&found, references, confidence), parse_failure: read.is_none(), parsed: read }
}

fn list(intensities: &Intensities) -> String {
    intensities.map(|intensity| intensity.to_string()).join(", ")
}

/// confidence · (1 − Σ|p − r| / 40) + (1 − confidence) · 0.5
fn score(found: &Intensities, references: &Intensities, confidence: f64) -> f64 {
    let distance: f64 = found.iter().zip(references).map(|(found, reference)| (found - reference).abs()).sum();
    let raw = (1.0 - distance / 40.0).max(0.0);
    confidence * raw + (1.0 - confidence) * 0.5
}

/// The intensities, and how sure the parser is: 1 of two headings, 0.9 or 0.8 of one, at most 0.5 of bare numbers.
fn read(text: &str) -> (Intensities, f64) {
    let revised = section(text, "Revised scores:", r"\[End of answer\]");
    let first = section(text, "First pass scores:", "Critique:");
    match (revised, first) {
        (Some(revised), Some(first)) => {
            (std::array::from_fn(|emotion| 0.5 * first[emotion] + 0.5 * revised[emotion]), 1.0)
        }
        (Some(revised), None) => (revised, 0.9),
        (None, Some(first)) => (first, 0.8),
        (None, None) => bare(text),
    }
}

/// Behind a heading and before an end, both in any case.
fn section(text: &str, heading: &str, end: &str) -> Option<Intensities> {
    let find = |pattern: &str, text: &str| Some(Regex::new(&format!("(?i){pattern}")).ok()?.find(text)?.range());
    let mut body = &text[find(heading, text)?.end..];
    if let Some(end) = find(end, body) {
        body = &body[..end.start];
    }
    static SCORE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?:\d\.\s*)?[A-Za-z]+:\s*(\d+(?:\.\d+)?)").ok());
    let numbers = SCORE.as_ref()?.captures_iter(body).filter_map(|found| number(found.get(1)?.as_str()));
    let valid: Vec<f64> = numbers.take(4).filter(|number| *number <= 10.0).collect();
    (valid.len() >= 3).then(|| std::array::from_fn(|emotion| valid.get(emotion).copied().unwrap_or(NEUTRAL)))
}

/// The first four numbers up to 10 of the whole text.
fn bare(text: &str) -> (Intensities, f64) {
    static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b\d+(?:\.\d+)?\b").ok());
    let found = NUMBER.iter().flat_map(|pattern| pattern.find_iter(text)).filter_map(|found| number(found.as_str()));
    let valid: Vec<f64> = found.filter(|number| *number <= 10.0).collect();
    let confidence = if valid.len() >= 4 { 0.5 } else { valid.len() as f64 / 8.0 };
    (std::array::from_fn(|emotion| valid.get(emotion).copied().unwrap_or(NEUTRAL)), confidence)
}

fn number(text: &str) -> Option<f64> {
    digits::ascii(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCES: Intensities = [2.5, 0.0, 5.0, 2.5];

    fn scored(answer: &str) -> f64 {
        grade(&REFERENCES, answer).score
    }

    #[test]
    fn confidence_depends_on_the_headings() {
        let lines = "Hopeful: 2.5\nSmug: 0\nSad: 5\nProud: 2.5";
        let close = |score: f64, expected: f64| assert!((score - expected).abs() < 1e-12, "{score}");
        close(scored(&format!("First pass scores:\n{lines}")), 0.9);
        close(scored(&format!("REVISED SCORES:\n{lines}\n[End of answer] Sad: 9")), 0.95);
        close(scored(&format!("First pass scores:\n{lines}\nCritique: fine\nRevised scores:\n{lines}")), 1.0);
        close(scored(lines), 0.75);
        close(scored("2.5"), 0.125 * (1.0 - 7.5 / 40.0) + 0.875 * 0.5);
        close(scored("none"), 0.5);
        assert!(grade(&REFERENCES, "none").parse_failure);
    }

    #[test]
    fn names_are_not_checked_and_a_value_above_ten_moves_the_others() {
        let score = |lines: &str| scored(&format!("First pass scores:\n{lines}"));
        assert_eq!(score("A: 2\nB: 0\nC: 5\nD: 2"), score("Hopeful: 2\nSmug: 0\nSad: 5\nProud: 2"));
        assert_eq!(score("A: 11\nB: 2\nC: 0\nD: 5"), score("A: 2\nB: 0\nC: 5\nD: 5"));
        assert_eq!(score("**A:** 2\n**B:** 0\n**C:** 5\n**D:** 2"), scored("2 0 5 2"), "bold hides the lines from it");
    }
}
