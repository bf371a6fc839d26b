//! The rules, as pure functions of a text.

use serde::{Deserialize, Serialize};

use crate::dress::words;

/// What a text must satisfy. Words are told apart as [`words`] does; case counts only where it is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rule {
    /// No capital letter.
    Lower,
    /// No lower-case letter.
    Upper,
    /// From so many to so many words.
    Words(usize, usize),
    /// From so many to so many sentences.
    Sentences(usize, usize),
    /// So many lines that are not empty.
    Lines(usize),
    /// At most so many characters.
    Characters(usize),
    /// Begins with this, whatever the case.
    Begins(String),
    /// Ends with this, whatever the case; behind it only what ends a sentence.
    Ends(String),
    /// Ends with exactly this.
    EndsExactly(String),
    /// The words in a row, from so many to so many times.
    Includes(String, usize, usize),
    /// This never occurs, as a part of a word neither, whatever the case.
    Lacks(String),
    /// This text from so many to so many times.
    Occurs(String, usize, usize),
    /// So many lines, each of them beginning with this.
    Items(String, usize),
    /// So many lines, numbered from 1: `1. `.
    Numbered(usize),
    /// A JSON object with this key.
    Json(String),
    /// Between these, with something within, and nothing outside.
    Wrapped(String, String),
    /// Somewhere between these, with something within.
    Marked(String, String),
    /// So many parts with text, parted by this.
    Parts(String, usize),
    /// A last line that begins with this, behind another one.
    LastLine(String),
    /// A digit, or none.
    Digits(bool),
    /// All words begin with this letter.
    Initials(char),
    /// The first word is the last one as well.
    Circle,
}

impl Rule {
    /// As it stands in a question's reference.
    pub(super) fn print(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What [`Self::print`] wrote.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether the text, without white space around it, follows the rule.
    pub(super) fn is_followed(&self, text: &str) -> bool {
        let text = text.trim();
        let lower = text.to_lowercase();
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        match self {
            Self::Lower => !text.contains(char::is_uppercase),
            Self::Upper => !text.contains(char::is_lowercase),
            Self::Words(least, most) => (*least..=*most).contains(&words(text).len()),
            Self::Sentences(least, most) => (*least..=*most).contains(&sentences(text)),
            Self::Lines(count) => lines().count() == *count,
            Self::Characters(most) => text.chars().count() <= *most,
            Self::Begins(start) => lower.trim_start_matches(['"', '“', '*', ' ']).starts_with(&start.to_lowercase()),
            Self::Ends(end) => lower.trim_end_matches(['.', '!', '"', '”', '*', ' ']).ends_with(&end.to_lowercase()),
            Self::EndsExactly(end) => text.ends_with(end.as_str()),
            Self::Includes(part, least, most) => {
                let (words, part) = (words(text), words(part));
                let count = words.windows(part.len().max(1)).filter(|window| *window == part).count();
                (*least..=*most).contains(&count)
            }
            Self::Lacks(part) => !lower.contains(&part.to_lowercase()),
            Self::Occurs(part, least, most) => (*least..=*most).contains(&text.matches(part.as_str()).count()),
            Self::Items(mark, count) => lines().count() == *count && lines().all(|line| has_more(line, mark)),
            Self::Numbered(count) => {
                lines().count() == *count
                    && (1..).zip(lines()).all(|(place, line)| has_more(line, &format!("{place}. ")))
            }
            Self::Json(key) => is_json_with(text, key),
            Self::Wrapped(open, close) => inside(text, open, close).is_some_and(|within| !within.trim().is_empty()),
            Self::Marked(open, close) => text
                .split_once(open.as_str())
                .and_then(|(_, rest)| rest.split_once(close.as_str()))
                .is_some_and(|(within, _)| !within.trim().is_empty()),
            Self::Parts(mark, count) => {
                let parts: Vec<&str> = text.split(mark.as_str()).collect();
                parts.len() == *count && parts.iter().all(|part| part.contains(char::is_alphanumeric))
            }
            Self::LastLine(start) => {
                lines().count() > 1 && lines().next_back().is_some_and(|line| has_more(line, start))
            }
            Self::Digits(wanted) => text.contains(|c: char| c.is_ascii_digit()) == *wanted,
            Self::Initials(letter) => words(text).iter().all(|word| word.starts_with(*letter)),
            Self::Circle => {
                let words = words(text);
                words.len() > 1 && words.first() == words.last()
            }
        }
    }
}

/// Whether a line begins with the mark and goes on.
fn has_more(line: &str, mark: &str) -> bool {
    line.strip_prefix(mark.trim_end()).is_some_and(|rest| !rest.trim().is_empty())
}

fn inside<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

/// Runs of text that end with a full stop, question mark or exclamation mark, or with the text.
fn sentences(text: &str) -> usize {
    text.split(['.', '!', '?']).filter(|part| part.contains(char::is_alphanumeric)).count()
}

/// A JSON object with this key, bare or in a code fence.
fn is_json_with(text: &str, key: &str) -> bool {
    let bare = inside(text, "```", "```").map_or(text, |inner| inner.strip_prefix("json").unwrap_or(inner));
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(bare.trim())
        .is_ok_and(|map| map.contains_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_followed_or_broken() {
        let text = |text: &str| text.to_owned();
        for (rule, followed, broken) in [
            (Rule::Lower, "a b 1.", "A b"),
            (Rule::Upper, "A B 1.", "A b"),
            (Rule::Words(2, 3), "It's *warm* today.", "Warm."),
            (Rule::Sentences(2, 2), "Warm. Good!", "Warm and good."),
            (Rule::Lines(2), "a\n\nb", "a"),
            (Rule::Characters(3), "äöü", "äöüß"),
            (Rule::Begins(text("Indeed")), "\"Indeed, yes", "Yes, indeed"),
            (Rule::Ends(text("the end")), "It is The End.", "The end of it"),
            (Rule::EndsExactly(text("?")), "Is it?", "Is it?."),
            (Rule::Includes(text("red"), 2, 2), "Red, red!", "Red, redder"),
            (Rule::Lacks(text(",")), "a b", "a, b"),
            (Rule::Lacks(text("e")), "a b", "E b"),
            (Rule::Occurs(text("!"), 3, 3), "a! b! c!", "a! b!"),
            (Rule::Items(text("- "), 2), "- a\n- b", "- a\nb"),
            (Rule::Numbered(2), "1. a\n2. b", "1. a\n3. b"),
            (Rule::Json(text("text")), "```json\n{\"text\": 1}\n```", "{\"texts\": 1}"),
            (Rule::Wrapped(text("\""), text("\"")), "\"a\"", "\"a\" b"),
            (Rule::Marked(text("("), text(")")), "a (b) c", "a () c"),
            (Rule::Parts(text("***"), 2), "a\n***\nb", "a *** b *** c"),
            (Rule::LastLine(text("P.S.")), "a\nP.S. b", "P.S. b"),
            (Rule::Digits(true), "a 1", "a one"),
            (Rule::Digits(false), "a one", "a 1"),
            (Rule::Initials('s'), "Silent snow.", "Silent white snow"),
            (Rule::Circle, "Rain is rain.", "Rain is wet."),
        ] {
            assert!(rule.is_followed(followed) && !rule.is_followed(broken), "{rule:?}");
            assert_eq!(Rule::read(&rule.print()), Some(rule));
        }
        assert_eq!(Rule::read("something"), None);
    }
}
