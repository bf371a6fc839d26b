//! What a question's answer is compared with, and how.

use regex::Regex;

use super::filters::{BbhFilter, numeric_filters, stepwise};
use super::{Graded, Measure, latex, said};
use crate::eqbench::{self, Emotion};
use crate::instruction::{self, Instruction};
use crate::rys::eq::Intensities;
use crate::scorer::right_digits;
use crate::{Grade, Question, dress, number, rys};

/// How one question is graded. `reference` is what it says about itself, so that a probe's hash covers it.
#[derive(Debug, Clone)]
pub(crate) enum Grading {
    /// The author's math score; the key in digits.
    RysMath(String),
    /// The author's EQ score, against the references normalised to sum 10.
    RysEq(Intensities),
    /// EQ-Bench v2.
    EqBench(Box<[Emotion; 4]>),
    /// IFEval's instructions, and the text that says which they are.
    Instructions(Vec<Instruction>, String),
    /// The number behind `####`, as lm-evaluation-harness finds it in GSM8K: the whole solution, and the pattern of
    /// `strict-match`.
    Gsm8k(String, &'static str),
    /// A target and the filter of its BBH task.
    Bbh(String, BbhFilter),
    /// A target of BBH, announced behind worked steps.
    BbhSteps(String),
    /// A formula, compared as Hendrycks' MATH does.
    Latex(String),
    /// A choice by its letter or its text: all of them, and the index of the right one.
    Choice(Vec<String>, usize),
    /// The first word.
    Word(String),
    /// One of these texts, whatever the dress.
    Exact(Vec<String>),
    /// A number within a relative tolerance.
    Numeric(f64, f64),
    /// A whole number by its right leading digits.
    Digits(f64),
    /// A number on a scale: 1 − distance / width of the scale.
    Expected {
        /// The right one.
        value: f64,
        /// The ends of the scale.
        scale: [f64; 2],
    },
    /// A pattern that the answer, or its last line, must contain.
    Pattern(Regex),
}

impl Grading {
    /// An answer that is worth 1, where one is known.
    pub(crate) fn example(&self) -> String {
        match self {
            Self::RysMath(key) | Self::Latex(key) | Self::Word(key) | Self::Bbh(key, _) => key.clone(),
            Self::RysEq(references) => rys_eq_answer(references),
            Self::EqBench(emotions) => {
                emotions.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
            }
            Self::BbhSteps(target) => format!("So the answer is {target}."),
            Self::Gsm8k(solution, _) => solution.rsplit("####").next().unwrap_or_default().trim().to_owned(),
            Self::Choice(choices, gold) => choices.get(*gold).cloned().unwrap_or_default(),
            Self::Exact(references) => references.first().cloned().unwrap_or_default(),
            Self::Numeric(value, _) | Self::Digits(value) | Self::Expected { value, .. } => value.to_string(),
            Self::Instructions(..) | Self::Pattern(_) => String::new(),
        }
    }

    /// The right answer as lm-evaluation-harness writes it into its samples (`doc_to_target`), where that is another than
    /// the example.
    pub(crate) fn target(&self) -> Option<String> {
        match self {
            Self::Gsm8k(solution, _) => Some(solution.clone()),
            Self::BbhSteps(target) => Some(target.clone()),
            Self::Instructions(..) => Some("0".to_owned()),
            Self::Word(word) => Some(format!(" {word}")),
            Self::Choice(_, gold) => Some(gold.to_string()),
            _ => None,
        }
    }

    /// Everything that decides a grade and stands neither in the prompt nor in the example.
    pub(crate) fn reference(&self) -> String {
        match self {
            Self::Instructions(_, text) => text.clone(),
            Self::Pattern(pattern) => pattern.as_str().to_owned(),
            Self::Choice(choices, gold) => format!("{gold} {choices:?}"),
            Self::Exact(references) => format!("{references:?}"),
            Self::Numeric(_, tolerance) => tolerance.to_string(),
            Self::Expected { scale, .. } => format!("{scale:?}"),
            _ => String::new(),
        }
    }

    pub(crate) fn grade(&self, question: &Question, answer: &str) -> Graded {
        match self {
            Self::RysMath(key) => alone(rys::math::grade(key, answer)),
            Self::RysEq(references) => alone(rys::eq::grade(references, answer)),
            Self::EqBench(emotions) => {
                let (grade, official) = eqbench::grade(emotions, answer);
                let filtered = grade.parsed.clone().unwrap_or_default();
                let measure = |metric, value| measure(metric, "none", vec![value], &filtered);
                let parseable = if official.is_some() { 100.0 } else { 0.0 };
                let measures =
                    vec![measure("eqbench", official.unwrap_or(0.0)), measure("percent_parseable", parseable)];
                Graded { grade, measures }
            }
            Self::Instructions(instructions, _) => instructed(instructions, answer),
            Self::Gsm8k(solution, announced) => {
                filtered(numeric_filters(announced, answer), |found| normal(found, true) == normal(solution, true))
            }
            // Nothing is ignored there, neither case nor marks.
            Self::BbhSteps(target) => filtered([("get-answer", stepwise(answer))], |found| found == target),
            Self::Bbh(target, filter) => {
                let extracted = filter.apply(&question.user, answer);
                let found = [("strict-match", Some(answer.to_owned())), ("flexible-extract", extracted)];
                filtered(found, |found| normal(found, false) == normal(target, false))
            }
            Self::Latex(key) => {
                let said = latex::answer(answer);
                let is_right = latex::is_equivalent(said, key);
                let measures = vec![measure("exact_match", "none", vec![f64::from(u8::from(is_right))], said)];
                // Instruction-tuned models box their answers, which the harness does not unpack.
                let boxed = latex::boxed(answer).unwrap_or(said);
                let grade = match boxed.trim() {
                    "" => Grade::failure(),
                    boxed => Grade::right(is_right || latex::is_equivalent(boxed, key), boxed),
                };
                Graded { grade, measures }
            }
            Self::Choice(choices, gold) => match said::choice(choices, answer) {
                None => alone(Grade::failure()),
                Some(chosen) => alone(Grade::right(chosen == *gold, choices[chosen].clone())),
            },
            Self::Word(word) => match answer.trim_start() {
                "" => alone(Grade::failure()),
                said => {
                    let rest = said.strip_prefix(word.as_str());
                    let is_whole = rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
                    alone(Grade::right(is_whole, said.split_whitespace().next().unwrap_or_default()))
                }
            },
            Self::Exact(references) => match said::is_one_of(references, answer) {
                None => alone(Grade::failure()),
                Some((is_right, said)) => alone(Grade::right(is_right, said)),
            },
            Self::Numeric(value, tolerance) => {
                numbered(answer, |found| f64::from(u8::from((found - value).abs() <= tolerance * value.abs())))
            }
            Self::Digits(value) => numbered(answer, |found| right_digits(found.round(), *value)),
            Self::Expected { value, scale: [low, high] } => {
                numbered(answer, |found| (1.0 - (found - value).abs() / (high - low)).clamp(0.0, 1.0))
            }
            Self::Pattern(pattern) => match dress::spoken(answer).unwrap_or_default().trim() {
                "" => alone(Grade::failure()),
                said => {
                    let found = pattern.find(said).map(|found| found.as_str().to_owned());
                    alone(Grade::right(found.is_some(), found.unwrap_or_else(|| said.to_owned())))
                }
            },
        }
    }

    /// For the id of a scorer.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RysMath(_) | Self::RysEq(_) => "rys",
            Self::EqBench(_) => "eqbench-v2",
            Self::Instructions(..) => "ifeval",
            Self::Gsm8k(..) | Self::Bbh(..) | Self::BbhSteps(_) => "exact-match",
            Self::Latex(_) => "latex",
            Self::Choice(..) => "choice",
            Self::Word(_) => "word",
            Self::Exact(_) => "exact",
            Self::Numeric(..) => "numeric",
            Self::Digits(_) => "digits",
            Self::Expected { .. } => "expected",
            Self::Pattern(_) => "regex",
        }
    }

    /// Whether the options of a question are values on a scale.
    pub(crate) fn is_expected(&self) -> bool {
        matches!(self, Self::Expected { .. })
    }

    /// Grades the value that is expected of a question's options.
    pub(crate) fn grade_value(&self, value: f64) -> Grade {
        match self {
            Self::Expected { value: right, scale: [low, high] } => {
                let score = (1.0 - (value - right).abs() / (high - low)).clamp(0.0, 1.0);
                Grade::of(score, format!("{value:.2}"))
            }
            _ => Grade::failure(),
        }
    }
}

/// Four values under the heading that the author's parser looks for.
pub(crate) fn rys_eq_answer(values: &Intensities) -> String {
    let [a, b, c, d] = values;
    format!("First pass scores:\nA: {a}\nB: {b}\nC: {c}\nD: {d}")
}

fn alone(grade: Grade) -> Graded {
    Graded { grade, measures: Vec::new() }
}

fn measure(metric: &'static str, filter: &'static str, values: Vec<f64>, filtered: &str) -> Measure {
    Measure { metric, filter, values, filtered: filtered.to_owned() }
}

/// The same comparison behind several filters; the score is that of the last one.
fn filtered<const N: usize>(found: [(&'static str, Option<String>); N], is_right: impl Fn(&str) -> bool) -> Graded {
    let mut grade = Grade::failure();
    let mut measures = Vec::new();
    for (filter, found) in found {
        let text = found.clone().unwrap_or_else(|| "[invalid]".to_owned());
        let right = is_right(&text);
        measures.push(measure("exact_match", filter, vec![f64::from(u8::from(right))], &text));
        grade = if found.is_some() { Grade::right(right, text) } else { Grade::failure() };
    }
    Graded { grade, measures }
}

/// Both levels of IFEval, strict and loose; the score is the strict one of the whole prompt.
fn instructed(instructions: &[Instruction], answer: &str) -> Graded {
    let followed = instruction::follow(instructions, answer);
    let all = |flags: &[bool]| vec![f64::from(u8::from(flags.iter().all(|flag| *flag)))];
    let each = |flags: &[bool]| flags.iter().map(|flag| f64::from(u8::from(*flag))).collect();
    let measures = vec![
        measure("prompt_level_strict_acc", "none", all(&followed.strict), answer),
        measure("inst_level_strict_acc", "none", each(&followed.strict), answer),
        measure("prompt_level_loose_acc", "none", all(&followed.loose), answer),
        measure("inst_level_loose_acc", "none", each(&followed.loose), answer),
    ];
    let count = followed.strict.iter().filter(|flag| **flag).count();
    let grade = if answer.trim().is_empty() {
        Grade::failure()
    } else {
        Grade::right(count == instructions.len(), format!("{count} of {} instructions", instructions.len()))
    };
    Graded { grade, measures }
}

fn numbered(answer: &str, score: impl Fn(f64) -> f64) -> Graded {
    alone(match number::first(answer) {
        None => Grade::failure(),
        Some(found) => Grade::of(score(found), found.to_string()),
    })
}

/// What `exact_match` of lm_eval/api/metrics.py leaves of both texts, with the task's `regexes_to_ignore`.
fn normal(text: &str, is_gsm8k: bool) -> String {
    let text = if is_gsm8k {
        // `,`, `\$`, `(?s).*#### `, `\.$`
        let text = text.replace([',', '$'], "");
        text.rsplit("#### ").next().unwrap_or_default().to_owned()
    } else {
        // `\.$`, `,`, `\n`, `\\`, `"`; a last line break does not hide the period before it.
        let ended = text.strip_suffix('\n').unwrap_or(text);
        let text = if ended.ends_with('.') { ended.strip_suffix('.').unwrap_or(ended) } else { text };
        return text.replace([',', '\n', '\\', '"'], "").to_lowercase();
    };
    let ended = text.strip_suffix('\n').unwrap_or(&text);
    match ended.strip_suffix('.') {
        Some(body) => body.to_owned() + &text[ended.len()..],
        None => text,
    }
    .to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(grading: &Grading, answer: &str) -> f64 {
        grading.grade(&Question::default(), answer).grade.score
    }

    #[test]
    fn dress_does_not_change_the_score() {
        let dresses = ["{}", "**{}**", "- {}.", "Sure!\n{}", "The answer is {}.", "<think>no</think>{}", "\"{}\""];
        let gradings = [
            Grading::Exact(vec!["Paris".to_owned()]),
            Grading::Choice(vec!["Rome".to_owned(), "Paris".to_owned()], 1),
            Grading::Numeric(25_253.0, 0.0),
            Grading::Digits(25_253.0),
            Grading::Expected { value: 7.0, scale: [0.0, 10.0] },
        ];
        for grading in gradings {
            for dress in dresses {
                let answer = dress.replace("{}", &grading.example());
                assert_eq!(score(&grading, &answer), 1.0, "{grading:?} {answer}");
            }
            assert!(grading.grade(&Question::default(), "").grade.parse_failure);
        }
    }

    #[test]
    fn choices_are_named_by_letter_or_text() {
        let grading = Grading::Choice(["it rains", "it snows", "a storm"].map(str::to_owned).to_vec(), 1);
        for right in ["B", "(b)", "B. it snows", "**B**", "I think it snows there.", "b) it snows"] {
            assert_eq!(score(&grading, right), 1.0, "{right}");
        }
        for wrong in ["A", "It rains", "C)", "a storm", "A storm"] {
            assert_eq!(score(&grading, wrong), 0.0, "{wrong}");
            assert!(!grading.grade(&Question::default(), wrong).grade.parse_failure, "{wrong}");
        }
        for unread in ["", "both it rains and it snows", "Dunno"] {
            assert!(grading.grade(&Question::default(), unread).grade.parse_failure, "{unread}");
        }
    }

    #[test]
    fn numbers_are_worth_what_their_scorer_says() {
        let asked = Question { user: "Which is larger, 12 or 15?".to_owned(), ..Question::default() };
        for grading in
            [Grading::Numeric(15.0, 0.0), Grading::Digits(15.0), Grading::Expected { value: 15.0, scale: [12.0, 15.0] }]
        {
            assert_eq!(grading.grade(&asked, "15 is larger, by 3").grade.score, 1.0, "{grading:?}");
            assert!(grading.grade(&asked, "12 and 15").grade.score < 0.7, "{grading:?}");
        }
        assert_eq!(score(&Grading::Numeric(100.0, 0.05), "104"), 1.0);
        assert_eq!(score(&Grading::Numeric(100.0, 0.05), "106"), 0.0);
        assert!(score(&Grading::Digits(596_252_164.0), "500000000") < 0.2);
        assert_eq!(score(&Grading::Expected { value: 7.0, scale: [0.0, 10.0] }, "4"), 0.7);
        let pattern = Grading::Pattern(Regex::new("(?i)^(yes|yeah)").unwrap());
        assert_eq!((score(&pattern, "Yeah!"), score(&pattern, "No, yes")), (1.0, 0.0));
    }
}
