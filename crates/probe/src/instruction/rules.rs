use std::sync::LazyLock;

use regex::Regex;
use serde::de::IgnoredAny;

use super::{language, sentences, words};

/// How a number is compared with the one that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    LessThan,
    AtLeast,
}

impl Relation {
    pub(super) fn read(id: &str, name: &str, relation: &str) -> Result<Self, String> {
        match relation {
            "less than" => Ok(Self::LessThan),
            "at least" => Ok(Self::AtLeast),
            _ => Err(format!(
                "the argument `{name}` of the instruction `{id}` is `{relation}`, expected `less than` or `at least`"
            )),
        }
    }

    fn holds(self, found: usize, asked: usize) -> bool {
        match self {
            Self::LessThan => found < asked,
            Self::AtLeast => found >= asked,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Lower,
}

/// What an instruction asks for.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    Keywords(Vec<Regex>),
    KeywordFrequency { keyword: Regex, relation: Relation, frequency: usize },
    ForbiddenWords(Vec<Regex>),
    LetterFrequency { letter: char, relation: Relation, frequency: usize },
    Language(String),
    Sentences(Relation, usize),
    Paragraphs(usize),
    Words(Relation, usize),
    ParagraphStart { paragraphs: usize, nth: usize, word: String },
    Placeholders(usize),
    Postscript(String),
    Bullets(usize),
    ConstrainedResponse,
    Highlights(usize),
    Sections { splitter: Regex, sections: usize },
    Json,
    Title,
    TwoResponses,
    RepeatPrompt(String),
    End(String),
    Quotation,
    CapitalWords(Relation, usize),
    English(Case),
    NoComma,
}

/// The three answers that a constrained response may contain.
const OPTIONS: [&str; 3] = ["My answer is yes.", "My answer is no.", "My answer is maybe."];

impl Rule {
    pub(super) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Keywords(keywords) => keywords.iter().all(|keyword| keyword.is_match(text)),
            Self::KeywordFrequency { keyword, relation, frequency } => {
                relation.holds(keyword.find_iter(text).count(), *frequency)
            }
            Self::ForbiddenWords(words) => !words.iter().any(|word| word.is_match(text)),
            Self::LetterFrequency { letter, relation, frequency } => {
                relation.holds(text.to_lowercase().chars().filter(|found| found == letter).count(), *frequency)
            }
            // A text without letters has no language, and the original lets it pass.
            Self::Language(asked) => language::detect(text).is_none_or(|found| found == asked),
            Self::Sentences(relation, asked) => relation.holds(sentences::count(text), *asked),
            Self::Paragraphs(asked) => paragraphs(text) == Some(*asked),
            Self::Words(relation, asked) => relation.holds(count(r"[\p{L}\p{N}_]+", text), *asked),
            Self::ParagraphStart { paragraphs, nth, word } => starts_paragraph(text, *paragraphs, *nth, word),
            Self::Placeholders(asked) => count(r"\[.*?\]", text) >= *asked,
            Self::Postscript(marker) => has_postscript(text, marker),
            Self::Bullets(asked) => count(r"(?m)^\s*\*[^\*].*$", text) + count(r"(?m)^\s*-.*$", text) == *asked,
            Self::ConstrainedResponse => OPTIONS.iter().any(|option| text.contains(option)),
            Self::Highlights(asked) => highlights(text) >= *asked,
            Self::Sections { splitter, sections } => {
                // Compiled already, and joined to what stands around a section's number it stays small.
                count(&format!(r"\s?{}\s?\d+\s?", splitter.as_str()), text) >= *sections
            }
            Self::Json => is_json(text),
            Self::Title => found(r"<<[^\n]+>>", text).iter().any(|title| !bare(title, '<', '>').is_empty()),
            Self::TwoResponses => has_two_responses(text),
            Self::RepeatPrompt(prompt) => lowered(text).starts_with(&lowered(prompt)),
            Self::End(phrase) => text.trim().trim_matches('"').to_lowercase().ends_with(&lowered(phrase)),
            Self::Quotation => text.trim().len() > 1 && text.trim().starts_with('"') && text.trim().ends_with('"'),
            Self::CapitalWords(relation, asked) => {
                relation.holds(words::tokens(text).iter().filter(|word| is_cased(word, Case::Upper)).count(), *asked)
            }
            Self::English(case) => is_cased(text, *case) && language::detect(text).is_none_or(|found| found == "en"),
            Self::NoComma => !text.contains(','),
        }
    }
}

fn lowered(text: &str) -> String {
    text.trim().to_lowercase()
}

fn bare(text: &str, left: char, right: char) -> &str {
    text.trim_start_matches(left).trim_end_matches(right).trim()
}

fn count(pattern: &str, text: &str) -> usize {
    Regex::new(pattern).map_or(0, |pattern| pattern.find_iter(text).count())
}

fn found<'t>(pattern: &str, text: &'t str) -> Vec<&'t str> {
    Regex::new(pattern)
        .map_or_else(|_| Vec::new(), |pattern| pattern.find_iter(text).map(|found| found.as_str()).collect())
}

/// At least one letter with a case, and none in the other; as Python's `isupper` and `islower`.
fn is_cased(text: &str, case: Case) -> bool {
    let (upper, lower) = (text.chars().any(char::is_uppercase), text.chars().any(char::is_lowercase));
    match case {
        Case::Upper => upper && !lower,
        Case::Lower => lower && !upper,
    }
}

/// Parts between `***`; none when one in the middle is empty.
fn paragraphs(text: &str) -> Option<usize> {
    static DIVIDER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\s?\*\*\*\s?").ok());
    let parts: Vec<&str> = DIVIDER.as_ref()?.split(text).collect();
    let is_empty = |part: &&str| part.trim().is_empty();
    let inner = parts.get(1..parts.len() - 1).unwrap_or_default();
    (!inner.iter().any(is_empty)).then(|| parts.iter().filter(|part| !is_empty(part)).count())
}

/// There are so many paragraphs between empty lines, and the nth begins with this word in lower case.
fn starts_paragraph(text: &str, paragraphs: usize, nth: usize, word: &str) -> bool {
    let parts: Vec<&str> = text.split("\n\n").collect();
    let filled = parts.iter().filter(|part| !part.trim().is_empty()).count();
    let paragraph = nth.checked_sub(1).filter(|_| nth <= filled).and_then(|place| parts.get(place));
    let Some(first) = paragraph.and_then(|paragraph| paragraph.split_whitespace().next()) else {
        return false;
    };
    let first = first.trim_start_matches('\'').trim_start_matches('"');
    let first: String = first.chars().take_while(|letter| !".,?!'\"".contains(*letter)).collect();
    filled == paragraphs && first.to_lowercase() == word
}

fn has_postscript(text: &str, marker: &str) -> bool {
    let pattern = match marker {
        "P.P.S" => r"\s*p\.\s?p\.\s?s.*$".to_owned(),
        "P.S." => r"\s*p\.\s?s\..*$".to_owned(),
        other => format!(r"\s*{}.*$", other.to_lowercase()),
    };
    count(&format!("(?m){pattern}"), &text.to_lowercase()) > 0
}

/// Emphasised parts between single asterisks and between double ones.
fn highlights(text: &str) -> usize {
    let single = found(r"\*[^\n\*]*\*", text).into_iter().filter(|part| !bare(part, '*', '*').is_empty()).count();
    let double = found(r"\*\*[^\n\*]*\*\*", text).into_iter().filter(|part| !bare(part, '*', '*').is_empty()).count();
    single + double
}

fn is_json(text: &str) -> bool {
    let mut body = text.trim();
    for fence in ["```json", "```Json", "```JSON", "```"] {
        body = body.strip_prefix(fence).unwrap_or(body);
    }
    serde_json::from_str::<IgnoredAny>(body.strip_suffix("```").unwrap_or(body).trim()).is_ok()
}

/// Exactly two different answers between `******`.
fn has_two_responses(text: &str) -> bool {
    let parts: Vec<&str> = text.split("******").collect();
    let inner = parts.get(1..parts.len() - 1).unwrap_or_default();
    let answers: Vec<&str> = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    !inner.iter().any(|part| part.trim().is_empty()) && answers.len() == 2 && answers[0] != answers[1]
}
