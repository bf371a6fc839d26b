//! Where sentences end, by Punkt (Kiss & Strunk, 2006), as nltk/tokenize/punkt.py applies it.
//!
//! The algorithm is theirs; what NLTK has trained on newspapers is not: its abbreviations stand here as a list of common
//! ones, and its statistics of words as the rule that a capitalised function word begins a sentence and that no word in
//! lower case does.

/// Without their last period, in lower case.
const ABBREVIATIONS: &str = " mr mrs ms dr prof st jr sr inc corp co cos ltd bros messrs gen col maj capt lt sgt adm sen rep gov rev \
                             hon pres supt jan feb mar apr jun jul aug sept oct nov dec mon tues wed thurs fri vs e.g i.e a.m p.m u.s \
                             u.k u.n u.s.a d.c n.y n.j l.a ph.d m.d b.a m.a j.r p.o s.a ave blvd rd mt ft va pa calif fla ariz mich \
                             mass conn wash colo ill minn tenn ";
/// Words that begin sentences, and are written in lower case elsewhere.
const STARTERS: &str = " the a an this that these those it he she they we you i in on at for from to of by with as but and or if when \
                         while although though however so then there here what who why how where which since because after before \
                         during until once also even no not yes please let my your his her its our their some many most all each \
                         every both such another other more next finally is are was were do does did can \
                         could will would should may might have has had be been ";
const ENDS: [char; 3] = ['.', '?', '!'];
/// Characters that no word contains (`_re_non_word_chars`).
const NO_WORD: &str = ")\";}]*:@'({[?!";
/// Characters that no word begins with (`_re_word_start`).
const NO_START: &str = "(\"`{[:;&#*@)}]-,";

/// How many sentences a text has.
pub(super) fn count(text: &str) -> usize {
    split(text).len()
}

/// The sentences of a text.
pub(super) fn split(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let slices = slices(&text);
    let mut sentences = Vec::new();
    let mut realign = 0;
    for (index, (start, end)) in slices.iter().enumerate() {
        let start = start + realign;
        let next = slices.get(index + 1);
        realign = next.map_or(0, |(next, stop)| closing(&text[*next..*stop.max(next)]));
        // What closes the sentence stands behind its mark, in the slice that follows.
        let end = if realign > 0 { next.map_or(*end, |(next, _)| next + realign) } else { *end };
        let sentence: String = text.get(start..end).unwrap_or_default().iter().collect();
        if !sentence.is_empty() {
            sentences.push(sentence.trim_end().to_owned());
        }
    }
    sentences
}

/// How many characters at the beginning of a slice close the sentence before it: quotes and brackets, and spaces behind.
fn closing(next: &[char]) -> usize {
    let closers = next.iter().take_while(|closer| "\"')]}".contains(**closer)).count();
    let spaces = next[closers..].iter().take_while(|space| space.is_whitespace()).count();
    let ends = closers == next.len() || spaces > 0 || next[closers..].starts_with(&['-', '-']);
    if closers > 0 && ends { closers + spaces } else { 0 }
}

/// The sentences as ranges, the last without spaces at its end.
fn slices(text: &[char]) -> Vec<(usize, usize)> {
    let mut slices = Vec::new();
    let mut last = 0;
    for end in contexts(text) {
        if breaks(&end.context) {
            slices.push((last, end.place + 1));
            last = end.next;
        }
    }
    let trailing = text.iter().rev().take_while(|space| space.is_whitespace()).count();
    slices.push((last, text.len() - trailing));
    slices
}

/// A place where a sentence may end.
struct End {
    /// Of the period, question mark or exclamation mark.
    place: usize,
    /// Where the next sentence would begin.
    next: usize,
    /// The word before, the mark, and what follows.
    context: Vec<char>,
}

fn contexts(text: &[char]) -> Vec<End> {
    let mut ends: Vec<End> = Vec::new();
    let mut word = (0, 0);
    let mut pending: Option<(usize, usize, usize)> = None;
    let mut keep = |(place, next, after): (usize, usize, usize), word: (usize, usize)| {
        let context = [&text[word.0..word.1], &text[place..=place], &text[place + 1..after]].concat();
        ends.push(End { place, next, context });
    };
    for place in 0..text.len() {
        let Some((next, after)) = follower(text, place) else { continue };
        let before = &text[word.1..place];
        // A space right at the beginning is not seen, as in the original.
        let begin = match before.iter().rposition(|space| space.is_ascii_whitespace()) {
            None | Some(0) => word.0,
            Some(space) => word.1 + space + 1,
        };
        if let Some(pending) = pending.filter(|_| word.1 <= begin) {
            keep(pending, word);
        }
        pending = Some((place, next, after));
        word = (begin, place);
    }
    if let Some(pending) = pending {
        keep(pending, word);
    }
    ends
}

/// Where the next sentence would begin and where the context ends, if a sentence can end at `place`.
fn follower(text: &[char], place: usize) -> Option<(usize, usize)> {
    let next = place + 1;
    let follows = *text.get(next).filter(|_| ENDS.contains(&text[place]))?;
    if NO_WORD.contains(follows) {
        return Some((next, next + 1));
    }
    let spaces = text[next..].iter().take_while(|space| space.is_whitespace()).count();
    let token = text[next + spaces..].iter().take_while(|character| !character.is_whitespace()).count();
    (spaces > 0 && token > 0).then_some((next + spaces, next + spaces + token))
}

/// Whether a sentence ends before the last word of the context.
fn breaks(context: &[char]) -> bool {
    let context: String = context.iter().collect();
    let words: Vec<String> = context.split('\n').flat_map(words).collect();
    words.windows(2).any(|pair| ends_sentence(&pair[0], &pair[1]))
}

fn ends_sentence(word: &str, next: &str) -> bool {
    let Some(stem) = word.strip_suffix('.') else {
        return matches!(word, "?" | "!");
    };
    let starts = starts_sentence(next);
    if word.ends_with("..") {
        return starts == Some(true);
    }
    let lower = stem.to_lowercase();
    let last_part = lower.rsplit('-').next().unwrap_or_default();
    let is_initial = stem.chars().count() == 1 && stem.chars().all(char::is_alphabetic);
    if is_initial {
        // A capitalised word behind an initial is a name, unless it is one that begins sentences.
        return starts == Some(true);
    }
    if !stem.is_empty() && (is_listed(ABBREVIATIONS, &lower) || is_listed(ABBREVIATIONS, last_part)) {
        return starts == Some(true);
    }
    if is_number(stem) {
        return starts != Some(false);
    }
    true
}

/// Whether a word begins a sentence, as far as its form says.
fn starts_sentence(word: &str) -> Option<bool> {
    let first = word.chars().next()?;
    if matches!(word, ";" | ":" | "," | "." | "!" | "?") || first.is_lowercase() {
        return Some(false);
    }
    let lower = word.trim_end_matches('.').to_lowercase();
    (first.is_uppercase() && is_listed(STARTERS, &lower)).then_some(true)
}

fn is_listed(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split(' ').any(|listed| listed == word)
}

fn is_number(stem: &str) -> bool {
    let digits = stem.trim_start_matches('-').trim_start_matches(['.', ',']);
    digits.starts_with(|digit: char| digit.is_ascii_digit())
        && digits.chars().all(|character| character.is_ascii_digit() || ",.-".contains(character))
}

/// The words of a line; punctuation other than periods is a word of its own.
fn words(line: &str) -> Vec<String> {
    let line: Vec<char> = line.chars().collect();
    let mut words = Vec::new();
    let mut place = 0;
    while place < line.len() {
        if line[place].is_whitespace() {
            place += 1;
            continue;
        }
        let mut end = place + repeated(&line, place).max(1);
        if end == place + 1 && !NO_START.contains(line[place]) {
            while end < line.len() && !ends_word(&line, end) {
                end += 1;
            }
        }
        words.push(line[place..end].iter().collect());
        place = end;
    }
    words
}

fn ends_word(line: &[char], place: usize) -> bool {
    let stops = |place: usize| match line.get(place) {
        None => true,
        Some(next) => next.is_whitespace() || NO_WORD.contains(*next) || repeated(line, place) > 0,
    };
    stops(place) || (line[place] == ',' && stops(place + 1))
}

/// The length of dashes or periods, two or more, also with spaces between periods.
fn repeated(line: &[char], place: usize) -> usize {
    for mark in ['-', '.'] {
        let length = line[place..].iter().take_while(|character| **character == mark).count();
        if length > 1 {
            return length;
        }
    }
    let spaced = line[place..].chunks_exact(2).take_while(|pair| pair[0] == '.' && pair[1].is_whitespace()).count();
    if spaced > 1 && line.get(place + 2 * spaced) == Some(&'.') { 2 * spaced + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_readers_see_it() {
        for (text, sentences) in [
            ("", 0),
            ("One", 1),
            ("One. Two! Three? Four", 4),
            ("Mr. Smith met Dr. Jones at 5 p.m. in the U.S. yesterday. They talked.", 2),
            ("He said \"Go.\" Then he left. (It was late.) Fine.", 4),
            ("It costs 3.50 dollars. Or e.g. four.", 2),
            ("Wait... what? Yes.", 2),
            ("1. First thing\n2. Second thing", 3),
            ("A heading\n\nA paragraph without a period\n\nAnother", 1),
            ("J. S. Bach wrote it. He did.", 2),
        ] {
            assert_eq!(count(text), sentences, "{text}");
        }
    }
}
