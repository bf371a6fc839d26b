//! What is said in an answer, without its dress: thoughts, marks, and the question said again.

/// Marks around thoughts.
const THOUGHTS: [(&str, &str); 5] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
];

/// What the model says aloud: nothing inside a thinking block, and nothing at all while it still thinks.
pub(crate) fn spoken(answer: &str) -> Option<&str> {
    // Channels of gpt-oss's harmony format, of which the special tokens are left out: a name stands right before the text.
    if let Some(thought) = answer.strip_prefix("analysis").filter(|rest| rest.starts_with(char::is_alphanumeric)) {
        return thought.rsplit_once("assistantfinal").map(|(_, said)| said);
    }
    let mut said = answer;
    for (_, close) in THOUGHTS {
        said = said.rsplit_once(close).map_or(said, |(_, after)| after);
    }
    (!THOUGHTS.iter().any(|(open, _)| said.contains(open))).then_some(said)
}

/// The answer without the question, where it repeats it.
pub(crate) fn without_echo(question: &str, answer: &str) -> String {
    match question.trim() {
        "" => answer.to_owned(),
        question => answer.replace(question, " "),
    }
}

/// Words in lower case, without marks: whatever is neither a letter nor a digit parts them, but for an apostrophe within.
pub(crate) fn words(text: &str) -> Vec<String> {
    parts(text).collect()
}

fn parts(text: &str) -> impl Iterator<Item = String> {
    let marks = |c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’');
    let word = |word: &str| word.trim_matches(['\'', '’']).replace('’', "'").to_lowercase();
    text.split(marks).map(word).filter(|word| !word.is_empty())
}

/// Where `part` begins in `words`, from `from` on.
pub(crate) fn find_words(words: &[String], part: &[String], from: usize) -> Option<usize> {
    let last = words.len().checked_sub(part.len())?;
    (from..=last).find(|&start| !part.is_empty() && words[start..start + part.len()] == *part)
}

/// Of several texts the one that is named: the first of those behind the last word "answer", else the first of all. Of two
/// at the same place the longer one.
pub(crate) fn named(answer: &str, texts: &[impl AsRef<str>]) -> Option<usize> {
    let said = words(answer);
    // Most texts do not even begin in the answer.
    let begins = |text: &str| parts(text).next().is_some_and(|word| said.contains(&word));
    let candidates: Vec<(usize, Vec<String>)> = texts
        .iter()
        .map(AsRef::as_ref)
        .enumerate()
        .filter(|(_, text)| begins(text))
        .map(|(index, text)| (index, words(text)))
        .collect();
    let first = |from: usize| {
        let place = |(index, part): &(usize, Vec<String>)| {
            find_words(&said, part, from).map(|place| (place, usize::MAX - part.len(), *index))
        };
        candidates.iter().filter_map(place).min().map(|(_, _, index)| index)
    };
    let marker = said.iter().rposition(|word| word == "answer");
    marker.and_then(first).or_else(|| first(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_text_is_found_in_any_dress() {
        let texts = ["red", "dark red", "blue"];
        for (answer, expected) in [
            ("red", Some(0)),
            ("**Blue**.", Some(2)),
            ("- dark red\n", Some(1)),
            ("Sure! It is the BLUE one, not the red one.", Some(2)),
            ("Red is left of blue, so the answer is blue", Some(2)),
            ("reddish", None),
            ("", None),
        ] {
            assert_eq!(named(answer, &texts), expected, "{answer}");
        }
        assert_eq!(words("It’s 'done' — don't!"), ["it's", "done", "don't"]);
        assert_eq!(named("anything", &[""]), None);
    }

    #[test]
    fn thoughts_are_not_said() {
        assert_eq!(spoken("<think>a</think> b"), Some(" b"));
        assert_eq!(spoken("a</think>b"), Some("b"));
        assert_eq!([spoken("<think>a"), spoken("a</think> <thinking>b"), spoken("[THINK]")], [None; 3]);
        assert_eq!(spoken("[THINK]a[/THINK]b"), Some("b"));
        assert_eq!(spoken("analysis7 or 8?assistantfinal9"), Some("9"));
        assert_eq!(spoken("analysis7 or 8"), None);
        assert_eq!(spoken("analysis of it"), Some("analysis of it"));
        assert_eq!(without_echo(" What? ", "What? That."), "  That.");
    }
}
