//! Which choice an answer names, by its letter or its text.

use std::sync::LazyLock;

use regex::Regex;

use super::{GREETING, announced, boxed, is_dress, pattern, plain};
use crate::dress;

/// Which choice an answer names, by its text or its letter. None where it names none, or several and none of them first
/// or behind an announcement.
pub(crate) fn choice(choices: &[String], answer: &str) -> Option<usize> {
    let said = dress::spoken(answer)?;
    let said = boxed(said).unwrap_or(said);
    if let Some(same) = choices.iter().position(|choice| choice.trim() == said.trim()) {
        return Some(same);
    }
    let whole = plain(said);
    let mut same = (0..choices.len()).filter(|&index| !whole.is_empty() && plain(&choices[index]) == whole);
    if let Some(index) = same.next() {
        return Some(index);
    }
    let texts: Vec<Vec<String>> = choices.iter().map(|choice| dress::words(choice)).collect();
    // A model without a chat template goes on with questions of its own.
    let own = said.split("\nQuestion").next().unwrap_or_default();
    let read = |said: &str| announced(said).and_then(|rest| named(&texts, rest)).or_else(|| named(&texts, said));
    read(own).or_else(|| read(said))
}

/// A word of an answer, and where it stands.
struct Word<'a> {
    text: &'a str,
    lower: String,
    before: &'a str,
    after: &'a str,
}

/// Parted as [`dress::words`] does.
fn words(said: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = said;
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’');
    while let Some(start) = rest.find(is_part) {
        let length = rest[start..].find(|c| !is_part(c)).unwrap_or(rest.len() - start);
        let text = &rest[start..start + length];
        let offset = said.len() - rest.len() + start;
        let lower = text.trim_matches(['\'', '’']).replace('’', "'").to_lowercase();
        if !lower.is_empty() {
            words.push(Word { text, lower, before: &said[..offset], after: &said[offset + length..] });
        }
        rest = &rest[start + length..];
    }
    words
}

/// The one choice that a text names: the first thing it says, or the only one that it does not deny.
fn named(texts: &[Vec<String>], said: &str) -> Option<usize> {
    static GREETED: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(GREETING));
    let said = inner_start(said);
    let said = GREETED.as_ref().and_then(|greeting| greeting.find(said)).map_or(said, |found| &said[found.end()..]);
    let words = words(said);
    let mut mentions: Vec<Mention> = Vec::new();
    let mut place = 0;
    while place < words.len() {
        // At the same place the longer text is meant.
        let stands = |text: &[String]| {
            !text.is_empty()
                && words.len() - place >= text.len()
                && text.iter().zip(&words[place..]).all(|(text, word)| *text == word.lower)
        };
        let longest = (0..texts.len()).filter(|&index| stands(&texts[index])).max_by_key(|&index| texts[index].len());
        let letter = longest.is_none().then(|| letter(&words, place, texts.len())).flatten();
        let length = longest.map_or(1, |index| texts[index].len());
        if let Some(index) = longest.or(letter) {
            let same = |other: &usize| texts[*other] == texts[index];
            let is_letter = letter.is_some();
            if is_letter || (0..texts.len()).filter(same).count() == 1 {
                mentions.push(Mention { index, is_letter, from: place, to: place + length });
            }
        }
        place += length;
    }
    mentions.retain(|mention| !is_denied(&words, mention));
    if let Some(first) = mentions.first().filter(|first| first.from == 0) {
        let after = words[first.to - 1].after.trim_start();
        let alone = !mentions.iter().any(|other| other.from == first.to && other.index != first.index);
        if alone && !after.starts_with(char::is_alphanumeric) {
            return Some(first.index);
        }
    }
    // Where letters are named, they are the answer, and texts the talk about it.
    let letters = mentions.iter().any(|mention| mention.is_letter);
    let mut kept = mentions.iter().filter(|mention| mention.is_letter || !letters).map(|mention| mention.index);
    let first = kept.next()?;
    kept.all(|other| other == first).then_some(first)
}

struct Mention {
    index: usize,
    is_letter: bool,
    from: usize,
    to: usize,
}

/// Without bullets and brackets before the first word.
fn inner_start(text: &str) -> &str {
    text.trim_start_matches(is_dress)
}

/// The choice whose letter the word is: a capital, or a small letter first or before a bracket. `A` and `I` before another
/// word are an article and a pronoun.
fn letter(words: &[Word<'_>], place: usize, count: usize) -> Option<usize> {
    let Word { text, before, after, .. } = &words[place];
    let mut letters = text.chars();
    let letter = letters.next().filter(char::is_ascii_alphabetic)?;
    if letters.next().is_some() {
        return None;
    }
    // `D.C.`, `B-cells`, `C++`, `20 °C`.
    let mut follow = after.chars();
    let joins = match follow.next() {
        Some('.' | '-') => follow.next().is_some_and(char::is_alphanumeric),
        Some('+' | '#') => true,
        _ => false,
    };
    let mut lead = before.chars().rev();
    let joined = match lead.next() {
        Some('.' | '-') => lead.next().is_some_and(char::is_alphanumeric),
        Some('°') => true,
        _ => false,
    };
    if joins || joined {
        return None;
    }
    let before_word = after.starts_with(char::is_whitespace) && after.trim_start().starts_with(char::is_alphanumeric);
    let is_named = match letter {
        'A' | 'I' => {
            let verbs = ["is", "was", "because", "since", "and", "or", "are", "isn't"];
            !before_word || words.get(place + 1).is_some_and(|next| verbs.contains(&next.lower.as_str()))
        }
        'B'..='Z' => true,
        _ => after.starts_with(')') || place == 0 && !before_word,
    };
    let index = usize::from(letter.to_ascii_uppercase() as u8 - b'A');
    (is_named && index < count).then_some(index)
}

/// Whether it is named as what is not the answer.
fn is_denied(words: &[Word<'_>], mention: &Mention) -> bool {
    let word = |place: Option<usize>| place.and_then(|place| words.get(place)).map_or("", |word| word.lower.as_str());
    let before = |back: usize| word(mention.from.checked_sub(back));
    let after = |on: usize| word(Some(mention.to + on));
    // In the same sentence, as far as marks tell.
    let goes_on = words[mention.to - 1].after.starts_with(' ');
    let denied_before = matches!(before(1), "not" | "isn't" | "never" | "neither" | "nor" | "excluding")
        || (before(2), before(1)) == ("rule", "out")
        || (matches!(before(1), "option" | "choice" | "answer") && matches!(before(2), "not" | "isn't"));
    let is = matches!(after(0), "is" | "are" | "was" | "seems" | "looks");
    let wrong = |word: &str| matches!(word, "wrong" | "incorrect" | "false" | "not" | "out" | "impossible");
    let denied_after = matches!(after(0), "isn't" | "cannot" | "can't" | "doesn't") || is && wrong(after(1));
    denied_before || goes_on && denied_after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn letters_are_read_in_any_dress() {
        let choices = texts(&["it rains", "it snows", "a storm"]);
        for said in [
            "B",
            "b",
            "(b)",
            "B.",
            "**B**",
            "- B",
            "b) it snows",
            "B. it snows",
            "B: A snow storm, as it is cold",
            "B because C is wrong",
            "The answer is B.",
            "The answer is (B).",
            "The correct option is **B**.",
            "Answer: B",
            "**Answer:** B",
            "Final answer: (B) it snows",
            "Sure! B",
            "Sure!\nB",
            "Sure, the answer is B",
            "Option B",
            "I think B",
            "I'd say B, not C.",
            "\\boxed{B}",
            "A or C? $\\boxed{\\text{B}}$",
            "hm</think>B",
            "[THINK]A[/THINK]B",
            "<think>A</think>\n\nB",
            "A is wrong, C isn't right either, so B",
            "It could be A or C. The answer is B.",
            "It snows.",
            "I think it snows there.",
            "B\n\nQuestion: And now?\nAnswer: C",
        ] {
            assert_eq!(choice(&choices, said), Some(1), "{said}");
        }
        assert_eq!(choice(&choices, "C is wrong, so A"), Some(0));
        assert_eq!(choice(&choices, "A storm"), Some(2));
        for said in
            ["", "Sure!", "A or B", "A, B and C", "A big one", "D", "I do not know", "<think>B", "D.C. or B-cells"]
        {
            assert_eq!(choice(&choices, said), None, "{said}");
        }
    }

    #[test]
    fn texts_are_matched_by_words() {
        let boolean = texts(&["no", "yes"]);
        for said in ["I do not know", "nothing", "Absolutely not", "Nobody knows", "yesterday"] {
            assert_eq!(choice(&boolean, said), None, "{said}");
        }
        for (said, expected) in [
            ("No.", 0),
            ("no, it is not", 0),
            ("Yes, there is no doubt", 1),
            ("Sure! Yes", 1),
            ("The answer is: yes", 1),
        ] {
            assert_eq!(choice(&boolean, said), Some(expected), "{said}");
        }
        let words = texts(&["cat", "Rome", "vitamin C", "dark red", "red"]);
        for (said, expected) in [
            ("concatenate", None),
            ("Romero", None),
            ("It is vitamin C.", Some(2)),
            ("a dark red one", Some(3)),
            ("It's not Rome but the cat", Some(0)),
        ] {
            assert_eq!(choice(&words, said), expected, "{said}");
        }
        assert_eq!(choice(&texts(&["-5", "5"]), "5"), Some(1));
        assert_eq!(choice(&texts(&["5", "-5"]), "It is -5"), None);
        assert_eq!(choice(&texts(&["+", "-"]), " - "), Some(1));
    }
}
