//! What an answer to a question of one's own file says, whatever is said around it: the text for `exact`, the choice for
//! `choice`. One reading of each answer is graded; the best of several would reward answering with many.

mod choice;

use std::sync::LazyLock;

use regex::Regex;

pub(crate) use choice::choice;

use super::latex;
use crate::dress;

/// A greeting, with the mark that parts it from the answer.
const GREETING: &str = r"^(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|well)\s*[!.,:;—–-]+\s*(?:here (?:it is|you go)\b)?";
/// What announces an answer: `the correct answer is`, `**Answer:**`, `option =`.
const LEAD: &str = r"(?:(?:so|thus|hence|therefore)[,\s]+)?(?:(?:the|my|final|correct|right|best)\s+)*\b(?:answer|option|choice)[*_\s]*(?:(?:is|was|would be|should be|must be)\b|[:=])";
/// The marker of a list item; more digits are a number.
const MARKER: &str = r"^\d{1,2}[.)]\s+";

fn pattern(text: &str) -> Option<Regex> {
    Regex::new(&format!("(?i){text}")).ok()
}

fn is_dress(character: char) -> bool {
    character.is_whitespace() || "*_`\"'“”‘’.,;:!?-–—•()[]$#>".contains(character)
}

/// Without what dresses a text on both sides; the sign and the point of a number are none of it.
fn inner(text: &str) -> &str {
    let start = text.trim_start_matches(is_dress);
    let before = &text[..text.len() - start.len()];
    let sign = before.chars().next_back().filter(|last| matches!(last, '-' | '.') && start.starts_with(numeric));
    text[before.len() - sign.map_or(0, char::len_utf8)..].trim_end_matches(is_dress)
}

fn numeric(character: char) -> bool {
    character.is_ascii_digit()
}

/// Lower case, one space between words, without dress, greeting, list marker and announcement.
fn plain(text: &str) -> String {
    static BEFORE: LazyLock<Vec<Regex>> =
        LazyLock::new(|| [GREETING, MARKER, &format!("^{LEAD}")].into_iter().filter_map(pattern).collect());
    let mut rest = inner(text);
    while let Some(shorter) = BEFORE.iter().find_map(|before| {
        let rest = inner(&rest[before.find(rest)?.end()..]);
        (!rest.is_empty()).then_some(rest)
    }) {
        rest = shorter;
    }
    rest.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands in the last box, without the commands that set text.
fn boxed(said: &str) -> Option<&str> {
    let mut found = latex::boxed(said)?.trim();
    for command in ["\\text{", "\\textbf{", "\\mathrm{", "\\mathbf{"] {
        found = found.strip_prefix(command).and_then(|rest| rest.strip_suffix('}')).unwrap_or(found);
    }
    (!inner(found).is_empty()).then_some(found)
}

/// Behind the last announcement, if anything stands there.
fn announced(said: &str) -> Option<&str> {
    static ANYWHERE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(LEAD));
    let last = ANYWHERE.as_ref()?.find_iter(said).last()?;
    Some(&said[last.end()..]).filter(|rest| !inner(rest).is_empty())
}

/// Whether the whole answer, or else its box, or else its last line is one of the texts; with what was read. None where
/// nothing is said.
pub(crate) fn is_one_of(texts: &[String], answer: &str) -> Option<(bool, String)> {
    let said = dress::spoken(answer)?;
    let whole = plain(said);
    if whole.is_empty() {
        return None;
    }
    let is_right = |said: &str| texts.iter().any(|text| plain(text) == said);
    if is_right(&whole) {
        return Some((true, whole));
    }
    let last = match boxed(said) {
        Some(boxed) => plain(boxed),
        None => {
            let line = said.trim().lines().last().unwrap_or_default();
            plain(announced(line).unwrap_or(line))
        }
    };
    Some(if is_right(&last) { (true, last) } else { (false, whole) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn one_text_is_read_in_any_dress() {
        let paris = texts(&["Paris", "Ville de Paris"]);
        for said in [
            "Paris",
            "Sure! Paris",
            "Sure! The answer is Paris.",
            "Certainly: **Paris**",
            "1. Paris",
            "- ville  de PARIS",
            "\\boxed{Paris}",
            "So it is $\\boxed{\\text{Paris}}$, I think.",
            "hm</think>Paris",
            "[THINK]x[/THINK]Paris",
            "**Answer:** Paris",
            "Let me think.\nSo the final answer is Paris!",
        ] {
            assert_eq!(is_one_of(&paris, said).map(|(right, _)| right), Some(true), "{said}");
        }
        for said in ["Rome", "Parisian", "Paris or Rome", "The answer is Rome\nParis?\n\\boxed{Rome}", "Sure!"] {
            assert_eq!(is_one_of(&paris, said).map(|(right, _)| right), Some(false), "{said}");
        }
        assert_eq!([is_one_of(&paris, " \n"), is_one_of(&paris, "<think>Paris")], [None, None]);
        let right = |reference: &str, said: &str| is_one_of(&texts(&[reference]), said).is_some_and(|(right, _)| right);
        assert!(right("-5", "-5.") && !right("-5", "5") && !right(".5", "5"));
        assert!(right("Sure", "Sure!") && right("12", "12.") && right("the answer", "The answer"));
    }
}
