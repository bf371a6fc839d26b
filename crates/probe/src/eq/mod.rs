//! How strongly people feel: short dialogues, each with four emotions of one character, rated from 0 to 10.
//!
//! The dialogues were written for this project. Their references are one writer's. While writing they were set on a plain
//! scale of 0 to 10, on which a constant 4 would have scored 0.494; seeing that, and before any model was asked, all of
//! them were spread by one fixed table to this scale: 0 nothing in the text supports it · 1–2 a trace · 4 there, but pushed
//! aside by stronger ones · 6 clearly there · 8–9 what mainly moves the person · 10 it fills the person. They are on the
//! full scale, not shares of a sum, and use its ends, so that one number for everything is far from all: the best constant,
//! a 6, scores 0.141, numbers drawn at random 0.16. They are no average over raters: differences between paths are meant to
//! be read, not the height of a score.
//!
//! What can be had without reading a dialogue: the emotions are asked in an order drawn from the dialogue's id, since in the
//! order of writing, the main one first, 9, 7, 1, 2 to every dialogue scored 0.784. As they are asked now it scores 0.234,
//! and the best whole numbers by place, chosen with the references in sight, 0.273. The names give away as much: each
//! emotion rated by its mean over the other dialogues that ask for it scores 0.288.
//!
//! Graded as EQ-Bench v2 does (EQ-bench/EQ-Bench, `lib/scoring.py`, `calculate_score_fullscale`): a difference d adds
//! 0 for d = 0, 6.5 / (1 + exp(−1.2 (d − 4))) up to 5, d above; the item is 10 − 0.7477 · Σ, here divided by 10 and kept
//! within [0, 1]. Names are matched, so the order of the lines does not matter, and four are required.

use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::draw::draw;
use crate::dress::{spoken, without_echo};
use crate::{
    Continuation, Frame, Grade, Likelihood, Probe, ProbeError, ProbeParts, ProbeRequest, Question, Scorer, Scoring,
    Terminator,
};

/// Of the dialogues, the wording and the drawing.
const VERSION: u32 = 2;
/// One dialogue per line.
const DIALOGUES: &str = include_str!("dialogues.jsonl");
/// Four lines of a name and a number, and their dress.
const MAX_NEW_TOKENS: usize = 64;
/// The strongest rating.
const STRONGEST: u32 = 10;

// Plain punctuation only: the tokenizers of tiny models know little more.
const SYSTEM: &str = "You read a short dialogue and rate how strongly one person in it feels four emotions at its end, each \
                      from 0, not at all, to 10, as strongly as can be. You answer with four lines, each of them an emotion, \
                      a colon and a number, and nothing else.";
const PLAIN: &str = "Each dialogue is followed by ratings of how strongly one person in it feels four emotions at its end, \
                     each from 0, not at all, to 10, as strongly as can be.";

/// A line of the data file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dialogue {
    /// Unique, and what its role follows from.
    id: String,
    /// Where it takes place: the group.
    scene: String,
    /// Whose emotions are asked for.
    who: String,
    /// What is said, line by line.
    lines: Vec<String>,
    /// Emotions with their references.
    feels: Vec<(String, u32)>,
}

/// Builds `eq` or `eq:likelihood`.
pub(crate) fn build(name: &str, scoring: Scoring, request: &ProbeRequest) -> Result<Probe, ProbeError> {
    let all = dialogues()?.into_iter().map(question).collect();
    let (questions, drawing) = draw(name, all, |question| &question.id, request)?;
    Probe::from_parts(ProbeParts {
        name: name.to_owned(),
        parameters: format!("v{VERSION} {drawing}"),
        scoring,
        likelihood: Likelihood::Expected,
        scorer: Arc::new(Ratings),
        // A rating is the first of four lines: what ends it is the line.
        frame: Frame {
            chat_terminator: Terminator::Text("\n"),
            plain_terminator: Terminator::Text("\n"),
            plain_stops: vec!["\nDialogue".to_owned()],
            always_plain: false,
        },
        questions,
    })
}

/// What is said in each dialogue, with its id.
pub(crate) fn texts() -> Result<Vec<(String, String)>, ProbeError> {
    Ok(dialogues()?.into_iter().map(|dialogue| (dialogue.id, dialogue.lines.join("\n"))).collect())
}

fn dialogues() -> Result<Vec<Dialogue>, ProbeError> {
    let read = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| ProbeError::File {
            file: "the dialogues of eq".to_owned(),
            line: index + 1,
            problem: error.to_string(),
        })
    };
    DIALOGUES.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(|line| read(line).map(shuffled)).collect()
}

/// The emotions in an order drawn from the id: whoever wrote the dialogues thought of the main one first.
fn shuffled(mut dialogue: Dialogue) -> Dialogue {
    let mut rng = ChaCha8Rng::from_seed(Sha256::digest(&dialogue.id).into());
    dialogue.feels.shuffle(&mut rng);
    dialogue
}

fn question(dialogue: Dialogue) -> Question {
    let Dialogue { id, scene, who, lines, feels } = dialogue;
    let text = lines.join("\n");
    let names: Vec<&str> = feels.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(", ");
    let rating = |name: &str, value: u32| Continuation {
        read: format!("{name}:"),
        said: value.to_string(),
        value: f64::from(value),
    };
    let set = |(name, _): &(String, u32)| (0..=STRONGEST).map(|value| rating(name, value)).collect();
    let key: Vec<String> = feels.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    Question {
        group: scene,
        system: Some(SYSTEM.to_owned()),
        user: format!("{text}\n\nHow strongly does {who} feel these at the end? {names}"),
        plain: format!("{PLAIN}\n\nDialogue:\n{text}\n\nWhat {who} feels at the end, {names}:\n"),
        key: key.join("\n"),
        continuations: feels.iter().map(set).collect(),
        max_new_tokens: MAX_NEW_TOKENS,
        id,
        ..Question::default()
    }
}

/// The item's score in [0, 1] from what the differences cost.
fn item_score(costs: impl Iterator<Item = f64>) -> f64 {
    ((10.0 - 0.7477 * costs.sum::<f64>()) / 10.0).clamp(0.0, 1.0)
}

/// What a difference between a rating and its reference costs.
fn cost(difference: f64) -> f64 {
    match difference.abs() {
        0.0 => 0.0,
        distance if distance <= 5.0 => 6.5 / (1.0 + (-1.2 * (distance - 4.0)).exp()),
        distance => distance,
    }
}

/// The same for a rating that is expected: it is never exactly the reference, and the formula jumps there, by 0.053. Below
/// a difference of 1 the cost grows in a straight line; at whole differences it is EQ-Bench's.
fn expected_cost(difference: f64) -> f64 {
    let distance = difference.abs();
    if distance < 1.0 { distance * cost(1.0) } else { cost(distance) }
}

/// Compares four ratings with those of the key, by name.
#[derive(Debug)]
struct Ratings;

impl Scorer for Ratings {
    fn id(&self) -> String {
        "ratings.v1".to_owned()
    }

    fn grade(&self, question: &Question, answer: &str) -> Grade {
        let Some(said) = spoken(answer) else { return Grade::failure() };
        // The question names the emotions, and a digit may follow there.
        let said = without_echo(&question.user, said).to_lowercase();
        let rated: Option<Vec<f64>> =
            references(question).map(|(name, _)| rating(&said, &name.to_lowercase())).collect();
        rated.map_or_else(Grade::failure, |rated| compare(question, &rated, cost))
    }

    fn grade_values(&self, question: &Question, values: &[f64]) -> Grade {
        compare(question, values, expected_cost)
    }
}

fn compare(question: &Question, values: &[f64], cost: fn(f64) -> f64) -> Grade {
    let costs = references(question).zip(values).map(|((_, reference), value)| cost(value - reference));
    let rated = references(question).zip(values).map(|((name, _), value)| format!("{name} {}", rounded(*value)));
    Grade::of(item_score(costs), rated.collect::<Vec<_>>().join(", "))
}

/// Names and references, from the key.
fn references(question: &Question) -> impl Iterator<Item = (&str, f64)> {
    let read = |line: &'_ str| line.split_once(": ").and_then(|(name, value)| Some((name.len(), value.parse().ok()?)));
    question.key.lines().filter_map(move |line| read(line).map(|(name, value)| (&line[..name], value)))
}

/// The number behind the first place where the name has one, both in lower case; none where it is above 10.
fn rating(said: &str, name: &str) -> Option<f64> {
    let mut rest = said;
    while let Some(place) = rest.find(name) {
        let is_word = !rest[..place].ends_with(char::is_alphabetic);
        rest = &rest[place + name.len()..];
        let number =
            rest.trim_start_matches([' ', '\t', ':', '*', '_', '`', '=', '-', '–', '—', '|', '(', '"', ',', '\'', '~']);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let digits = number[..end].trim_end_matches('.');
        // A comma only stands between a quoted name and its number, as in JSON; in a list of names none follows.
        if is_word && let Ok(value) = digits.parse::<f64>() {
            return (0.0..=f64::from(STRONGEST)).contains(&value).then_some(value);
        }
    }
    None
}

/// Two decimals at most, none where there are none.
fn rounded(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_eq_bench_s() {
        // By hand: 6.5 / (1 + e^3.6) = 0.172880, 6.5 / (1 + e^-1.2) = 4.995411.
        for (differences, expected) in [
            ([0.0; 4], 1.0),
            ([1.0, 0.0, 0.0, 0.0], 1.0 - 0.07477 * 0.172_880_46),
            ([0.0, -5.0, 0.0, 0.0], 1.0 - 0.07477 * 4.995_411_09),
            ([6.0, 0.0, 0.0, -1.0], 1.0 - 0.07477 * 6.172_880_46),
            ([10.0; 4], 0.0),
        ] {
            let score = item_score(differences.into_iter().map(cost));
            assert_eq!(score, item_score(differences.into_iter().map(expected_cost)));
            assert!((score - expected).abs() < 1e-6, "{differences:?} scores {score}, not {expected}");
        }
    }

    #[test]
    fn ratings_are_read_by_name() {
        for (said, expected) in [
            ("anger: 7", Some(7.0)),
            ("**anger**: 7", Some(7.0)),
            ("**anger:** 7/10", Some(7.0)),
            ("- anger - 6.5.", Some(6.5)),
            ("| anger | 7 |", Some(7.0)),
            ("\"anger\": 7,", Some(7.0)),
            ("anger, joy\nanger: 7", Some(7.0)),
            ("anger (7)", Some(7.0)),
            ("anger: 11", None),
            ("anger: high", None),
            ("danger: 7", None),
            ("joy: 7", None),
        ] {
            assert_eq!(rating(said, "anger"), expected, "{said}");
        }
    }

    /// The score of one set of ratings per dialogue.
    fn mean_score(ratings: impl Fn(usize, &Dialogue) -> Vec<f64>) -> f64 {
        let dialogues = dialogues().unwrap();
        let scores = dialogues.iter().enumerate().map(|(index, dialogue)| {
            let rated = ratings(index, dialogue);
            item_score(dialogue.feels.iter().zip(rated).map(|((_, value), rated)| cost(rated - f64::from(*value))))
        });
        scores.sum::<f64>() / dialogues.len() as f64
    }

    /// In the order of the file, 9, 7, 1, 2 to every dialogue scored 0.784.
    #[test]
    fn no_constants_by_place_score_well() {
        let references: Vec<Vec<f64>> = dialogues()
            .unwrap()
            .iter()
            .map(|all| all.feels.iter().map(|(_, value)| f64::from(*value)).collect())
            .collect();
        let mut best = (0.0, [0.0; 4]);
        for number in 0..11_u32.pow(4) {
            let ratings = [1, 11, 121, 1331].map(|unit| f64::from(number / unit % 11));
            let score = |all: &Vec<f64>| item_score(all.iter().zip(ratings).map(|(value, rated)| cost(rated - value)));
            let mean = references.iter().map(score).sum::<f64>() / references.len() as f64;
            if mean > best.0 {
                best = (mean, ratings);
            }
        }
        assert!((best.0 - 0.273_f64).abs() < 5e-4, "{best:?}");
        let before = mean_score(|_, _| vec![9.0, 7.0, 1.0, 2.0]);
        assert!((before - 0.234).abs() < 5e-4, "{before}");
        let same = (0..=STRONGEST).map(|value| mean_score(|_, _| vec![f64::from(value); 4])).fold(0.0, f64::max);
        assert!((same - 0.141).abs() < 5e-4, "{same}");
    }

    /// What the names alone give away: each emotion rated by its mean over the other dialogues that ask for it, or over all
    /// emotions of the others where none does.
    #[test]
    fn the_names_alone_are_worth_what_the_module_says() {
        let all = dialogues().unwrap();
        let mean = |of: &dyn Fn(usize, &str) -> bool| {
            let asked = all.iter().enumerate().flat_map(|(place, other)| {
                other.feels.iter().filter(move |(name, _)| of(place, name)).map(|(_, value)| f64::from(*value))
            });
            let values: Vec<f64> = asked.collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let prior = mean_score(|own, dialogue| {
            let rated = dialogue.feels.iter().map(|(name, _)| {
                mean(&|place, other| place != own && other == name).or_else(|| mean(&|place, _| place != own)).unwrap()
            });
            rated.collect()
        });
        assert!((prior - 0.288).abs() < 5e-4, "{prior}");
    }

    #[test]
    fn the_dialogues_are_what_the_module_says() {
        let dialogues = dialogues().unwrap();
        assert!(dialogues.len() >= 120, "{}", dialogues.len());
        let mut ids = std::collections::HashSet::new();
        for Dialogue { id, who, lines, feels, .. } in &dialogues {
            assert!(ids.insert(id), "{id} twice");
            assert_eq!(feels.len(), 4, "{id}");
            assert!(lines.len() >= 2 && lines.iter().any(|line| line.starts_with(&format!("{who}:"))), "{id}");
            let mut names: Vec<String> = feels.iter().map(|(name, _)| name.to_lowercase()).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), 4, "{id}");
            let values: Vec<u32> = feels.iter().map(|(_, value)| *value).collect();
            let (least, most) = (values.iter().min().unwrap(), values.iter().max().unwrap());
            assert!(*most <= STRONGEST && most - least >= 5, "{id} spreads over {least} to {most}");
            // No name may be found in another one.
            assert!(
                names.iter().all(|name| names.iter().filter(|other| other.contains(name.as_str())).count() == 1),
                "{id}"
            );
        }
    }
}
