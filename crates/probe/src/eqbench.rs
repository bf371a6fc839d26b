//! EQ-Bench v2: the intensities of four named emotions, on the scale from 0 to 10 (Paech, 2023).
//!
//! Source: `parse_answers` and `calculate_score_fullscale` of lib/scoring.py in EQ-bench/EQ-Bench. Of an answer with two
//! passes the revised one is graded where it can be read, as the official score does unless revised answers fail more often.
//! The official score of a question is 10 − 0.7477·Σ, about 0 for a random answer and below 0 for a worse one. A score of
//! this project lies in [0, 1], so it is divided by 10 and cut at 0, question by question: the mean of such scores is above
//! the official one where answers are bad. The value before the cut stands in the metric `eqbench`, and is the one to quote.

use std::sync::LazyLock;

use regex::Regex;

use crate::dress;
use crate::scorer::Grade;

/// An emotion and its reference, from 0 to 10.
pub(crate) type Emotion = (String, f64);

/// Scales the sum of distances so that random answers are worth 0.
const ADJUSTMENT: f64 = 0.7477;

/// Grades an answer, beside the official value in percent, which is missing where nothing could be read.
pub(crate) fn grade(emotions: &[Emotion; 4], answer: &str) -> (Grade, Option<f64>) {
    let passes = passes(dress::spoken(answer).unwrap_or_default()).map(|pass| matched(emotions, pass));
    let Some(found) = passes.into_iter().flatten().next() else {
        return (Grade::failure(), None);
    };
    let official = official(emotions, &found);
    let read: Vec<String> = emotions.iter().zip(found).map(|((name, _), found)| format!("{name}: {found}")).collect();
    let grade = Grade { score: (official / 10.0).clamp(0.0, 1.0), parsed: Some(read.join(", ")), parse_failure: false };
    (grade, Some(10.0 * official))
}

/// The revised pass, then the first one.
fn passes(answer: &str) -> [&str; 2] {
    match answer.split_once("Revised scores:") {
        Some((first, revised)) => [revised, first],
        None => [answer, ""],
    }
}

/// The value given to each emotion in the order of the references; the last where one is named twice.
///
/// The official parser wants `name: number`, with a space between them and the name's capitals, and, of all such pairs,
/// exactly the four names; `Guilt:7` and `guilt: 7` are nothing to it, and failures here. Emphasis is taken off first: it is
/// style, which must not cost a score. A value above 10 is on another scale, so its pass cannot be read.
fn matched(emotions: &[Emotion; 4], pass: &str) -> Option<[f64; 4]> {
    static PAIR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(\w+):\s+(\d+)").ok());
    let plain = pass.replace(['*', '_', '`'], "");
    let mut given: Vec<(&str, f64)> = Vec::new();
    for pair in PAIR.as_ref()?.captures_iter(&plain) {
        let (name, value) = (pair.get(1)?.as_str(), crate::digits::ascii(pair.get(2)?.as_str()).parse().ok()?);
        match given.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => given.push((name, value)),
        }
    }
    if given.len() != emotions.len() {
        return None;
    }
    let mut values = [0.0; 4];
    for (value, (name, _)) in values.iter_mut().zip(emotions) {
        *value = given.iter().find(|(known, _)| known == name)?.1;
    }
    values.iter().all(|value| *value <= 10.0).then_some(values)
}

/// The official value of a question, at most 10.
fn official(emotions: &[Emotion; 4], found: &[f64; 4]) -> f64 {
    let distance = |((_, reference), found): (&Emotion, &f64)| scaled((found - reference).abs());
    10.0 - ADJUSTMENT * emotions.iter().zip(found).map(distance).sum::<f64>()
}

/// Small distances weigh less than they are.
fn scaled(distance: f64) -> f64 {
    match distance {
        0.0 => 0.0,
        small if small <= 5.0 => 6.5 / (1.0 + (-1.2 * (small - 4.0)).exp()),
        large => large,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emotions() -> [Emotion; 4] {
        [("Remorseful", 0.0), ("Indifferent", 6.0), ("Affectionate", 0.0), ("Annoyed", 7.0)]
            .map(|(name, reference)| (name.to_owned(), reference))
    }

    const RIGHT: &str = "Remorseful: 0\nIndifferent: 6\nAffectionate: 0\nAnnoyed: 7";

    #[test]
    fn a_right_answer_is_worth_everything_however_it_is_written() {
        for answer in [
            RIGHT.to_owned(),
            format!(
                "First pass scores:\nRemorseful: 9\n\nCritique: no.\n\nRevised scores:\n{RIGHT}\n\n[End of answer]"
            ),
            format!("First pass scores:\n{RIGHT}\n\nCritique: so it is.\n\nRevised scores:\nas above"),
            "**Annoyed**: 7\n- **Affectionate:** 0\n- Indifferent: 6/10\n1. Remorseful: 0".to_owned(),
            format!("<think>Annoyed: 2</think>Sure!\n{RIGHT}"),
            format!("Annoyed: 2</think>{RIGHT}"),
            format!("[THINK]Sad: 2[/THINK]{RIGHT}"),
            format!("{RIGHT}\nRevised scores:\n{}", RIGHT.replace('7', "70")),
        ] {
            let (grade, official) = grade(&emotions(), &answer);
            assert_eq!((grade.score, official), (1.0, Some(100.0)), "{answer}");
        }
    }

    #[test]
    fn the_official_formula_is_met() {
        // 10 − 0.7477 · (6.5 / (1 + e^(−1.2·(1 − 4))) + 9), worked out by hand.
        let (grade, official) = grade(&emotions(), "Remorseful: 0\nIndifferent: 5\nAffectionate: 9\nAnnoyed: 7");
        let expected = 10.0 - 0.7477 * (6.5 / (1.0 + 3.6_f64.exp()) + 9.0);
        assert!(
            (official.unwrap_or_default() - 10.0 * expected).abs() < 1e-9
                && (grade.score - expected / 10.0).abs() < 1e-9
        );
    }

    #[test]
    fn a_bad_answer_is_cut_at_nothing_and_its_official_value_is_not() {
        let (grade, official) = grade(&emotions(), "Remorseful: 10\nIndifferent: 0\nAffectionate: 10\nAnnoyed: 0");
        let expected = 10.0 * (10.0 - 0.7477 * (10.0 + 6.0 + 10.0 + 7.0));
        assert!((official.unwrap_or_default() - expected).abs() < 1e-9 && expected < -100.0);
        assert_eq!((grade.score, grade.parse_failure), (0.0, false));
    }

    #[test]
    fn what_does_not_name_the_four_emotions_is_a_failure() {
        for answer in [
            "",
            "0, 6, 0, 7",
            "Remorseful: 0\nIndifferent: 6",
            "Sad: 0\nIndifferent: 6\nHappy: 0\nAnnoyed: 7",
            &RIGHT.replace('7', "11"),
            &RIGHT.replace(": ", ":"),
            &RIGHT.to_lowercase(),
            &format!("<think>{RIGHT}"),
        ] {
            let (grade, official) = grade(&emotions(), answer);
            assert!(grade.parse_failure && grade.score == 0.0 && official.is_none(), "{answer}");
        }
    }

    #[test]
    fn random_answers_are_worth_about_nothing() {
        // Every combination of eleven values for four references as in the real set, where two of five are 0.
        let emotions = [("A", 0.0), ("B", 2.0), ("C", 0.0), ("D", 7.0)].map(|(name, value)| (name.to_owned(), value));
        let mean = (0..11_u32.pow(4))
            .map(|n| official(&emotions, &[0, 1, 2, 3].map(|place| f64::from(n / 11_u32.pow(place) % 11))))
            .sum::<f64>()
            / f64::from(11_u32.pow(4));
        assert!(mean.abs() < 1.5, "{mean}");
    }
}
