//! What answers that look at nothing would score: the scale beside which a score is to be read.

use std::collections::HashMap;

use super::grading::{Grading, rys_eq_answer};
use super::item::{Graded, Item};

/// One way to answer without thought, and its mean score over all questions of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// What is answered: `2.5 to every emotion`, `the question itself`.
    pub answer: String,
    /// Its mean score.
    pub score: f64,
    /// Its official score in percent, of which the score is cut at 0 question by question; only of `eqbench`.
    pub official: Option<f64>,
}

/// All of them in one sentence, where there are any.
pub(super) fn note(constants: &[Constant]) -> Vec<String> {
    let official =
        |constant: &Constant| constant.official.map_or_else(String::new, |value| format!(" (eqbench {value:.2})"));
    let each: Vec<String> = constants
        .iter()
        .map(|constant| format!("{} scores {:.4}{}", constant.answer, constant.score, official(constant)))
        .collect();
    if each.is_empty() { Vec::new() } else { vec![format!("answered without thought: {}", each.join(", "))] }
}

/// The ways that a set's kind invites.
pub(super) fn of(kind: &str, items: &[Item]) -> Vec<Constant> {
    let mean = |answer: &str, given: &dyn Fn(&Item) -> String| {
        let graded: Vec<Graded> = items.iter().map(|item| item.grade(&given(item))).collect();
        let mean = |value: &dyn Fn(&Graded) -> f64| graded.iter().map(value).sum::<f64>() / graded.len().max(1) as f64;
        let first = |graded: &Graded| graded.measures.first().and_then(|measure| measure.values.first()).copied();
        Constant {
            answer: answer.to_owned(),
            score: mean(&|graded| graded.grade.score),
            official: (kind == "eqbench").then(|| mean(&|graded| first(graded).unwrap_or_default())),
        }
    };
    let mut constants = Vec::new();
    match kind {
        "rys-math" => {
            constants.push(mean("the first right digit, then zeros", &|item| {
                let key = &item.question.key;
                key.chars().enumerate().map(|(place, digit)| if place == 0 { digit } else { '0' }).collect()
            }));
            constants.push(mean("the last digit left out", &|item| {
                let mut key = item.question.key.clone();
                key.pop();
                key
            }));
            constants.push(mean("1", &|_| "1".to_owned()));
        }
        "rys-eq" => {
            for value in [0.0, 2.5, 5.0] {
                constants.push(mean(&format!("{value} to every emotion"), &|_| rys_eq_answer(&[value; 4])));
            }
        }
        "eqbench" => {
            for value in [0, 3, 5] {
                constants.push(mean(&format!("{value} to every emotion"), &|item| match &item.grading {
                    Grading::EqBench(emotions) => {
                        emotions.iter().map(|(name, _)| format!("{name}: {value}\n")).collect::<String>()
                    }
                    _ => String::new(),
                }));
            }
        }
        _ => {}
    }
    if constants.is_empty()
        && let Some(key) = most_frequent(items)
    {
        let answer = if items.iter().any(|item| matches!(item.grading, Grading::Choice(..))) {
            format!("always the choice {key}")
        } else {
            format!("always `{key}`")
        };
        constants.push(mean(&answer, &|item| match &item.grading {
            Grading::Choice(choices, _) => {
                let place = key.bytes().next().map_or(0, |letter| usize::from(letter.saturating_sub(b'A')));
                choices.get(place).cloned().unwrap_or_default()
            }
            _ => key.clone(),
        }));
    }
    constants.push(mean("the question itself", &|item| item.asked().to_owned()));
    constants
}

/// The key, or the letter of the right choice, of most questions; none where all differ or no question has one.
fn most_frequent(items: &[Item]) -> Option<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for item in items {
        let key = match &item.grading {
            Grading::Choice(_, gold) => char::from(b'A' + (*gold).min(25) as u8).to_string(),
            _ => item.question.key.clone(),
        };
        *counts.entry(key).or_default() += 1;
    }
    let (key, count) = counts.into_iter().max_by(|(a, n), (b, m)| n.cmp(m).then_with(|| b.cmp(a)))?;
    (count > 1 && !key.is_empty() && key.chars().count() <= 40).then_some(key)
}
