//! Whether a model still speaks: open prompts, and answers judged by form alone.
//!
//! The score is 1 less the defects, at least 0: words said again and again, letters of another script, another language,
//! and a text of hardly any different letters. An answer of nothing, or of nothing but the prompt, is a parse failure.
//! What an answer says is not judged, so a constant sentence is as sane here as any other: this is a guard, no measure of
//! what a model can do.

use std::collections::HashSet;
use std::sync::Arc;

use crate::draw::draw;
use crate::dress::{spoken, without_echo, words};
use crate::{Frame, Grade, Likelihood, Probe, ProbeError, ProbeParts, ProbeRequest, Question, Scorer, Scoring};

/// Of the prompts and the drawing.
const VERSION: u32 = 1;
const MAX_NEW_TOKENS: usize = 64;

const SYSTEM: &str = "You answer in English, in two or three sentences.";
const PLAIN: &str = "Each question is answered in English, in two or three sentences.";

const FORMS: [&str; 5] = [
    "What should a visitor from far away know about {}?",
    "Why do some people like {}?",
    "How would you explain {} to a child?",
    "What could one write in a letter about {}?",
    "What is hard about {}?",
];
const TOPICS: [&str; 32] = [
    "rain",
    "trains",
    "bread",
    "winter",
    "gardens",
    "music",
    "maps",
    "bees",
    "the sea",
    "markets",
    "letters",
    "clocks",
    "mountains",
    "libraries",
    "football",
    "sleep",
    "tea",
    "bridges",
    "dogs",
    "painting",
    "chess",
    "rivers",
    "cooking",
    "snow",
    "travelling",
    "old houses",
    "birthdays",
    "neighbors",
    "the moon",
    "bicycles",
    "silence",
    "harvest",
];

/// Builds `sane`.
pub(crate) fn build(name: &str, scoring: Scoring, request: &ProbeRequest) -> Result<Probe, ProbeError> {
    if scoring == Scoring::Likelihood {
        return Err(ProbeError::Scoring {
            probe: name.to_owned(),
            reason: "judges what a model says by itself, which no given text shows; ask `sane`, or `text:likelihood`",
        });
    }
    let prompts = FORMS.iter().flat_map(|form| TOPICS.map(|topic| question(&form.replace("{}", topic))));
    let (questions, drawing) = draw(name, prompts.collect(), |question| &question.id, request)?;
    Probe::from_parts(ProbeParts {
        name: name.to_owned(),
        parameters: format!("v{VERSION} {drawing}"),
        scoring,
        likelihood: Likelihood::Key,
        scorer: Arc::new(Sane),
        frame: Frame::one_line(),
        questions,
    })
}

fn question(user: &str) -> Question {
    Question {
        id: user.to_owned(),
        group: "open".to_owned(),
        system: Some(SYSTEM.to_owned()),
        user: user.to_owned(),
        plain: format!("{PLAIN}\n\nQuestion: {user}\nAnswer:"),
        key:
            "There is much to tell, and most of it takes a little time to see. People who look closely find more in it \
              than they had expected."
                .to_owned(),
        max_new_tokens: MAX_NEW_TOKENS,
        ..Question::default()
    }
}

/// Finds defects of form.
#[derive(Debug)]
struct Sane;

impl Scorer for Sane {
    fn id(&self) -> String {
        "sane.v1".to_owned()
    }

    fn grade(&self, question: &Question, answer: &str) -> Grade {
        let Some(said) = spoken(answer) else { return Grade::failure() };
        let said = without_echo(&question.user, said);
        if !said.contains(char::is_alphanumeric) {
            return Grade::failure();
        }
        let defects = [
            ("repeats", repetition(&said)),
            ("script", other_script(&said)),
            ("language", other_language(&said)),
            ("collapse", collapse(&said)),
        ];
        let found: Vec<&str> = defects.iter().filter(|(_, share)| *share > 0.0).map(|(name, _)| *name).collect();
        let score = 1.0 - defects.iter().map(|(_, share)| share).sum::<f64>();
        Grade::of(score.max(0.0), if found.is_empty() { "sane".to_owned() } else { found.join(" ") })
    }
}

/// Units of a text that repetition is counted in: words, or single letters where words are not parted.
fn units(said: &str) -> Vec<String> {
    let words = words(said);
    let letters = words.iter().map(|word| word.chars().count()).sum::<usize>();
    if letters > 20 * words.len() {
        words.iter().flat_map(|word| word.chars().map(String::from)).collect()
    } else {
        words
    }
}

/// The share of the text that says something again: up to eight units at least three times in a row, a single one five
/// times, or groups of four units that were there before, whichever is more.
fn repetition(said: &str) -> f64 {
    let units = units(said);
    let total = units.len();
    let mut covered = vec![false; total];
    for length in 1..=8 {
        let mut start = 0;
        while start + 3 * length <= total {
            let again = (start + length..total).take_while(|&place| units[place] == units[place - length]).count();
            if again >= (2 * length).max(4) {
                covered[start..start + length + again].fill(true);
                start += again;
            }
            start += 1;
        }
    }
    let rows = covered.iter().filter(|covered| **covered).count() as f64 / total.max(1) as f64;
    let groups: Vec<&[String]> = units.windows(4).collect();
    let distinct: HashSet<&&[String]> = groups.iter().collect();
    // One group in ten may come back in honest prose, in a list for example.
    let again = 1.0 - distinct.len() as f64 / groups.len().max(1) as f64;
    rows.max(if groups.is_empty() || again <= 0.1 { 0.0 } else { again })
}

/// How much is written in letters that are not Latin: a quarter of all letters is a switch, a tenth may be names.
fn other_script(said: &str) -> f64 {
    let is_latin = |c: char| matches!(c, 'a'..='z' | 'A'..='Z' | 'ª' | 'º' | 'À'..='ɏ' | 'Ḁ'..='ỿ');
    let letters = said.chars().filter(|c| c.is_alphabetic()).count();
    let other = said.chars().filter(|&c| c.is_alphabetic() && !is_latin(c)).count();
    let share = other as f64 / letters.max(1) as f64;
    if share <= 0.1 { 0.0 } else { (4.0 * share).min(1.0) }
}

/// 1 where either half of the text has more small words of another language than of English, and at least three.
fn other_language(said: &str) -> f64 {
    const ENGLISH: &str = "the and of to a in is it that you for on are with as be this have or can at not but by from they we \
                           an if so what when which there their would about more how people your i he she his her was were \
                           my me them who some no one all do does has had its";
    const OTHERS: [&str; 6] = [
        "der die das und ist nicht ein eine zu den von mit sich auf für im dem auch es sie wir ich",
        "le la les et est une des du que qui dans pour pas sur avec il elle nous vous sont ce cette",
        "el la los las y es una de que en por para con no se del como más pero su al lo",
        "il la che di è un una per non con sono gli le del della nel si anche come più",
        "de het een en van is niet dat op te met voor zijn er aan ook naar maar om",
        "o a os as e é uma de que em para com não se do da no na por mais como",
    ];
    let english: HashSet<&str> = ENGLISH.split(' ').collect();
    let words = words(said);
    let (first, second) = words.split_at(words.len() / 2);
    let switches = |half: &[String]| {
        let count = |known: &dyn Fn(&str) -> bool| half.iter().filter(|word| known(word)).count();
        let own = count(&|word| english.contains(word));
        let foreign = |list: &&str| {
            let list: HashSet<&str> = list.split(' ').filter(|word| !english.contains(word)).collect();
            count(&|word| list.contains(word))
        };
        OTHERS.iter().map(foreign).max().is_some_and(|most| most >= 3 && most > own)
    };
    f64::from(u8::from(switches(first) || switches(second)))
}

/// How few different characters a text of at least 40 has: from 3.2 bits per character down to 2, where English prose has
/// about 4.1.
fn collapse(said: &str) -> f64 {
    let mut characters: Vec<char> = said.chars().flat_map(char::to_lowercase).collect();
    let total = characters.len() as f64;
    if total < 40.0 {
        return 0.0;
    }
    characters.sort_unstable();
    let share = |same: &[char]| same.len() as f64 / total;
    let entropy: f64 = characters.chunk_by(|a, b| a == b).map(|same| -share(same) * share(same).log2()).sum();
    ((3.2 - entropy) / 1.2).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(answer: &str) -> f64 {
        Sane.grade(&question("Why do some people like tea?"), answer).score
    }

    #[test]
    fn honest_prose_is_sane() {
        for (id, text) in crate::eq::texts().unwrap() {
            let grade = Sane.grade(&question("Why do some people like tea?"), &text);
            assert_eq!(grade.parsed.as_deref(), Some("sane"), "{id}: {text}");
        }
        for text in [
            "Sure! **Tea** is warm, and people like warm things.",
            "- It is warm.\n- It is cheap.\n- It keeps you awake.",
            "Because it is warm.",
            "In Greece they call it τσάι, and in Russia it is чай; elsewhere people have other names for it and drink it cold.",
        ] {
            assert_eq!(score(text), 1.0, "{text}");
        }
    }

    #[test]
    fn defects_are_found() {
        for (text, most) in [
            ("tea tea tea tea tea tea tea tea", 0.0),
            (
                "It is warm and it is good. It is warm and it is good. It is warm and it is good. It is warm and it is good.",
                0.1,
            ),
            ("People like tea because 它是一种非常受欢迎的饮料，人们每天都喝它", 0.1),
            (
                "People like tea because it is warm. Und das ist nicht alles, denn der Tee ist auch für die Seele und den Leib.",
                0.1,
            ),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0.0),
            (". . . . . .", 0.0),
            ("", 0.0),
            ("Why do some people like tea?", 0.0),
            ("<think> People like tea because", 0.0),
        ] {
            assert!(score(text) <= most, "{text} scores {}", score(text));
        }
        // One loop in an honest answer costs its share.
        let half =
            score("Tea is warm and cheap, and most people find it calming at night. so so so so so so so so so so");
        assert!((0.3..=0.7).contains(&half), "{half}");
        assert!(Sane.grade(&question("Why?"), "...").parse_failure);
    }
}
