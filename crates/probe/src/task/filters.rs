//! How lm-evaluation-harness takes an answer out of a text: `flexible-extract` and `strict-match` of its tasks.
//!
//! Source: lm_eval/filters/extraction.py and lm_eval/tasks/bbh/zeroshot/utils.py. A filter that finds nothing gives
//! `[invalid]` there and none here.

use std::collections::HashMap;

use regex::Regex;

/// What announces the answer in `gsm8k_cot_zeroshot`.
pub(crate) const THE_ANSWER_IS: &str = r"The answer is (\-?[0-9\.\,]+).";
/// And in `gsm8k`, as in its solutions.
pub(crate) const FINAL_ANSWER: &str = r"#### (\-?[0-9\.\,]+)";

/// GSM8K: the number that is announced, or the last one.
pub(crate) fn numeric_filters(announced: &str, answer: &str) -> [(&'static str, Option<String>); 2] {
    let strict = matches(announced, answer).into_iter().next();
    let flexible = matches(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", answer).into_iter().next_back();
    [("strict-match", strict), ("flexible-extract", flexible)]
}

/// What each match captured first, or all of it without groups, without space around.
fn matches(pattern: &str, text: &str) -> Vec<String> {
    let Ok(pattern) = Regex::new(pattern) else { return Vec::new() };
    let captured = pattern.captures_iter(text).filter_map(|captures| {
        let found = if captures.len() > 1 {
            captures.iter().skip(1).flatten().find(|group| !group.is_empty())
        } else {
            captures.get(0)
        };
        found.map(|found| found.as_str().trim().to_owned())
    });
    captured.collect()
}

/// `get-answer` of `bbh_cot_fewshot_*`, `(?<=the answer is )(.*)(?=.)`: the rest of the line but for its last character.
pub(crate) fn stepwise(answer: &str) -> Option<String> {
    const ANNOUNCED: &str = "the answer is ";
    answer.match_indices(ANNOUNCED).find_map(|(place, _)| {
        let line = answer[place + ANNOUNCED.len()..].split('\n').next()?;
        let last = line.chars().next_back()?;
        Some(line[..line.len() - last.len_utf8()].trim().to_owned())
    })
}

/// `flexible-extract` of a BBH task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BbhFilter {
    /// The first match of a pattern.
    First(&'static str),
    /// The first lettered choice; else a choice by its text; else a letter behind a colon.
    Choice,
    /// The first whole number, in digits or in words.
    Number,
    /// Sayings that stand for `no` and for `yes`.
    Map { no: &'static str, yes: &'static str },
    /// The words of the question's list, each where it comes last.
    Words,
}

impl BbhFilter {
    pub(crate) fn apply(self, prompt: &str, answer: &str) -> Option<String> {
        let first =
            |pattern: &str, text: &str| matches(pattern, text).into_iter().next().filter(|found| !found.is_empty());
        match self {
            Self::First(pattern) => first(pattern, answer),
            Self::Number => first(r"([-0-9]+)", answer).or_else(|| spelled_number(answer)),
            Self::Map { no, yes } => {
                let lower = answer.to_lowercase();
                let found = first(&format!(r"\b({no})\b|\b({yes})\b"), &lower)?;
                let is_no = !matches(&format!(r"\b({no})\b"), &found).is_empty();
                Some(if is_no { "no" } else { "yes" }.to_owned())
            }
            Self::Choice => lettered(prompt, answer),
            Self::Words => sorted_words(prompt, answer),
        }
    }
}

fn lettered(prompt: &str, answer: &str) -> Option<String> {
    if let Some(found) = matches(r"(\([A-Z]\))", answer).into_iter().next() {
        return Some(found);
    }
    let bare = |text: &str| {
        let punctuation = Regex::new(r"\p{P}");
        punctuation.map_or_else(|_| text.to_lowercase(), |mark| mark.replace_all(&text.to_lowercase(), "").into_owned())
    };
    let choices: Vec<String> = matches(r"\([A-Z]\)([^\n^(]*)", prompt).iter().map(|choice| bare(choice)).collect();
    let letters: HashMap<&str, char> = choices.iter().map(String::as_str).zip('A'..='Z').collect();
    let any: Vec<String> = choices.iter().map(|choice| regex::escape(choice)).collect();
    if let Some(found) = matches(&any.join("|"), &bare(answer)).into_iter().next().filter(|found| !found.is_empty()) {
        return Some(letters.get(found.as_str()).map_or(found, |letter| format!("({letter})")));
    }
    let letters: Vec<String> = ('A'..='Z').take(choices.len()).map(String::from).collect();
    let found = matches(&format!(r":[\s]*({})", letters.join("|")), answer).into_iter().next();
    found.filter(|found| !found.is_empty()).map(|letter| format!("({letter})"))
}

fn sorted_words(prompt: &str, answer: &str) -> Option<String> {
    let list = prompt.split("List:").nth(1)?;
    let list = list.split("\nA:").next()?;
    let any: Vec<String> = list.split_whitespace().map(|word| format!(r"\b{}\b", regex::escape(word))).collect();
    let mut found = matches(&any.join("|"), answer);
    found.reverse();
    let mut last: Vec<String> = Vec::new();
    for word in found {
        if !last.contains(&word) {
            last.push(word);
        }
    }
    last.reverse();
    // The harness gives an empty text, which no target is.
    (!last.is_empty()).then(|| last.join(" "))
}

/// The first number in English words, below a thousand thousand. The harness has word2number for this.
fn spelled_number(answer: &str) -> Option<String> {
    const SMALL: &str = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen \
                         sixteen seventeen eighteen nineteen";
    const TENS: &str = "twenty thirty forty fifty sixty seventy eighty ninety";
    let value = |word: &str| {
        let small = SMALL.split_whitespace().position(|small| small == word);
        small.or_else(|| TENS.split_whitespace().position(|tens| tens == word).map(|place| 10 * place + 20))
    };
    let lower = answer.to_lowercase();
    let words = lower.split(|character: char| !character.is_alphabetic()).filter(|word| !word.is_empty());
    let mut number: Option<(usize, usize)> = None;
    for word in words {
        number = match (number, word) {
            (Some((total, part)), "hundred") => Some((total, part.max(1) * 100)),
            (Some((total, part)), "thousand") => Some((total + part.max(1) * 1_000, 0)),
            (Some(number), "and") => Some(number),
            (number, word) => match (number, value(word)) {
                (number, Some(value)) => {
                    let (total, part) = number.unwrap_or_default();
                    Some((total, part + value))
                }
                (Some(_), None) => break,
                (None, None) => None,
            },
        };
    }
    number.map(|(total, part)| (total + part).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_as_the_harness_does() {
        let found = |text: &str| numeric_filters(THE_ANSWER_IS, text).map(|(_, found)| found.unwrap_or_default());
        assert_eq!(found("She has 3. The answer is 18."), ["18", "18."]);
        assert_eq!(found("so $1,234.50 in 2 days"), ["", "2"]);
        assert_eq!(found("none"), ["", ""]);
        // A run of two or more such characters is taken whole, even mere punctuation.
        assert_eq!(found("It is 18..."), ["", "18..."]);
        let found = |text: &str| numeric_filters(FINAL_ANSWER, text).map(|(_, found)| found.unwrap_or_default());
        assert_eq!(found("She has 18.\n#### 18\n\nShe has 4.\n#### 4"), ["18", "4"]);
    }

    #[test]
    fn what_stands_behind_the_announcement_loses_its_last_character() {
        for (answer, expected) in [
            ("So the answer is (B).\nSo the answer is (C).", Some("(B)")),
            ("the answer is 24", Some("2")),
            ("the answer is \nthe answer is No. ", Some("No.")),
            ("The answer is No.", None),
            ("the answer is .", Some("")),
            ("the answer is ", None),
        ] {
            assert_eq!(stepwise(answer).as_deref(), expected, "{answer}");
        }
    }

    #[test]
    fn choices_are_found_by_letter_text_or_colon() {
        let prompt = "Q: Which?\nOptions:\n(A) The red book\n(B) The blue book\nA:";
        let found = |answer: &str| BbhFilter::Choice.apply(prompt, answer).unwrap_or_default();
        assert_eq!(found("It is (B), not (A)"), "(B)");
        assert_eq!(found("It is the blue book!"), "(B)");
        assert_eq!(found("Answer: A"), "(A)");
        assert_eq!(found("Dunno"), "");
    }

    #[test]
    fn words_numbers_and_sayings_are_found() {
        let prompt = "Q: Sort the following words alphabetically: List: pear fig apple\nA:";
        let sorted = |answer: &str| BbhFilter::Words.apply(prompt, answer).unwrap_or_default();
        assert_eq!(sorted("pear, then: apple fig pear"), "apple fig pear");
        let number = |answer: &str| BbhFilter::Number.apply("", answer).unwrap_or_default();
        assert_eq!((number("There are 12."), number("I see twenty one of them")), ("12".to_owned(), "21".to_owned()));
        assert_eq!(number("three hundred and five"), "305");
        let map = BbhFilter::Map { no: "no|not plausible", yes: "yes|plausible" };
        let mapped = |answer: &str| map.apply("", answer).unwrap_or_default();
        assert_eq!((mapped("That is not plausible"), mapped("Plausible!")), ("no".to_owned(), "yes".to_owned()));
    }
}
