//! Words as NLTK's `word_tokenize` splits them (the rules of the Penn Treebank, nltk/tokenize/destructive.py), as far as
//! they decide how many tokens there are; a sentence's last period is a token of its own.

use std::sync::LazyLock;

use regex::Regex;

use super::sentences;

/// In this order; what is replaced by what.
const RULES: [(&str, &str); 25] = [
    (r"([«“‘„]|[`]+)", " $1 "),
    (r"([ (\[{<])(?:\x22|'{2})", "$1 `` "),
    // The original looks ahead for n't, 's and the like, of which one letter is left with a boundary behind it.
    (r"(?i)'([^\Wmtsdn])\b", "' $1"),
    (r"([^.])(\.)([\])}>\x22'»”’ ]*)\s*$", "$1 $2 $3 "),
    (r"([:,])([^\d])", " $1 $2"),
    (r"([:,])$", " $1 "),
    (r"(\.{2,})", " $1 "),
    (r"([;@#$%&])", " $1 "),
    (r"([?!])", " $1 "),
    (r"([^'])' ", "$1 ' "),
    (r"([*])", " $1 "),
    (r"([\]\[(){}<>])", " $1 "),
    (r"--", " -- "),
    (r"([»”’])", " $1 "),
    (r"''", " '' "),
    (r"\x22", " '' "),
    (r"([^' ])('[sS]|'[mM]|'[dD]|') ", "$1 $2 "),
    (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "$1 $2 "),
    (r"(?i)\b(can)(not)\b", " $1 $2 "),
    (r"(?i)\b(gim|lem)(me)\b", " $1 $2 "),
    (r"(?i)\b(gon)(na)\b", " $1 $2 "),
    (r"(?i)\b(got)(ta)\b", " $1 $2 "),
    (r"(?i)\b(more)('n)\b", " $1 $2 "),
    (r"(?i)\b(wan)(na)\s", " $1 $2 "),
    (r"(?i) ('t)(is|was)\b", " $1 $2 "),
];

/// The tokens of a text.
pub(super) fn tokens(text: &str) -> Vec<String> {
    static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        RULES.iter().filter_map(|(pattern, replacement)| Some((Regex::new(pattern).ok()?, *replacement))).collect()
    });
    let mut tokens = Vec::new();
    for sentence in sentences::split(text) {
        let mut sentence = format!(" {sentence} ");
        for (pattern, replacement) in COMPILED.iter() {
            sentence = pattern.replace_all(&sentence, *replacement).into_owned();
        }
        tokens.extend(sentence.split_whitespace().map(str::to_owned));
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_split_as_in_the_treebank() {
        for (text, split) in [
            ("I CAN'T go, and WON'T.", "I CA N'T go , and WO N'T ."),
            ("**BIG** DEAL--it is: 3:30", "* * BIG * * DEAL -- it is : 3:30"),
            ("They'LL, GONNA CANNOT (YES) U.S. AND/OR", "They 'LL , GON NA CAN NOT ( YES ) U.S. AND/OR"),
        ] {
            assert_eq!(tokens(text).join(" "), split, "{text}");
        }
        assert_eq!(RULES.len(), RULES.iter().filter(|(pattern, _)| Regex::new(pattern).is_ok()).count());
    }
}
