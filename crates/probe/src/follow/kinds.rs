//! The kinds of instructions, each with a text that follows it and one that does not.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::check::Rule;

/// One text that is asked for.
pub(super) struct Task {
    pub(super) topic: &'static str,
    pub(super) instruction: String,
    /// A text that follows the rule.
    pub(super) key: String,
    /// One about the same topic that breaks it.
    pub(super) violation: String,
    pub(super) rule: Rule,
}

/// A kind of instruction: from the topic's word and a random source, the rest of the task.
type Kind = fn(&str, &mut ChaCha8Rng) -> (String, String, String, Rule);

impl Task {
    pub(super) fn draw(kind: Kind, rng: &mut ChaCha8Rng) -> Self {
        let topic = TOPICS[below(TOPICS.len(), rng)];
        let (instruction, key, violation, rule) = kind(topic, rng);
        Self { topic, instruction, key, violation, rule }
    }

    pub(super) fn user(&self) -> String {
        format!("Write a short text that has the word \"{}\" in it. Rule: {}", self.topic, self.instruction)
    }
}

/// Words of the topics: each one word, none within another, and in none of the instructions.
const TOPICS: [&str; 36] = [
    "rain", "winter", "bread", "garden", "music", "train", "river", "market", "clock", "mountain", "library",
    "football", "bridge", "kitchen", "island", "harbor", "forest", "school", "summer", "coffee", "camera", "castle",
    "desert", "doctor", "engine", "farmer", "guitar", "hammer", "jacket", "lemon", "moon", "pencil", "rabbit",
    "sailor", "tiger", "window",
];

/// Every kind with its name, which is the group of its questions.
pub(super) const KINDS: [(&str, Kind); 28] = [
    ("lower case", |topic, _| {
        ("Use lower-case letters only.".into(), plain(topic).to_lowercase(), plain(topic), Rule::Lower)
    }),
    ("upper case", |topic, _| {
        ("Use capital letters only.".into(), plain(topic).to_uppercase(), plain(topic), Rule::Upper)
    }),
    ("exact words", |topic, rng| {
        let count = 4 + below(5, rng);
        (
            format!("Use exactly {count} words."),
            of_words(topic, count),
            of_words(topic, count + 2),
            Rule::Words(count, count),
        )
    }),
    ("few words", |topic, rng| {
        let most = 4 + below(5, rng);
        (
            format!("Use at most {most} words."),
            of_words(topic, most - 1),
            of_words(topic, most + 3),
            Rule::Words(1, most),
        )
    }),
    ("many words", |topic, rng| {
        let least = 8 + below(5, rng);
        let rule = Rule::Words(least, usize::MAX);
        (format!("Use at least {least} words."), of_words(topic, least + 1), of_words(topic, least - 4), rule)
    }),
    ("exact sentences", |topic, rng| {
        let count = 2 + below(3, rng);
        let (key, violation) = (of_sentences(topic, count), of_sentences(topic, count - 1));
        (format!("Use exactly {count} sentences."), key, violation, Rule::Sentences(count, count))
    }),
    ("lines", |topic, rng| {
        let count = 2 + below(3, rng);
        let lines = |count: usize| listed(topic, count, |_, line| line.to_owned());
        (format!("Write exactly {count} lines."), lines(count), lines(count + 1), Rule::Lines(count))
    }),
    ("characters", |topic, rng| {
        let most = 30 + 5 * below(5, rng);
        let key = format!("The {topic} is old.");
        (format!("Use at most {most} characters."), key, of_words(topic, 14), Rule::Characters(most))
    }),
    ("beginning", |topic, rng| {
        let word = choose(&["Indeed", "Perhaps", "Yesterday", "Somewhere", "Always"], rng);
        let key = format!("{word} the {topic} is worth a look.");
        (format!("Begin with the word \"{word}\"."), key, plain(topic), Rule::Begins(word.into()))
    }),
    ("ending", |topic, rng| {
        let end = choose(&["that is all", "so it goes", "and nothing else", "as we know", "until tomorrow"], rng);
        let key = format!("The {topic} is old, {end}.");
        (format!("End with the words \"{end}\"."), key, plain(topic), Rule::Ends(end.into()))
    }),
    ("no commas", |topic, _| {
        let violation = format!("The {topic}, as we know, is old.");
        ("Use no commas.".into(), plain(topic), violation, Rule::Lacks(",".into()))
    }),
    ("keyword", |topic, rng| {
        let word = choose(&["silver", "quietly", "neighbor", "twelve", "promise", "lantern"], rng);
        let key = format!("The {topic} is old, and \"{word}\" is a fine word for it.");
        (format!("Use the word \"{word}\"."), key, plain(topic), Rule::Includes(word.into(), 1, usize::MAX))
    }),
    ("keyword count", |topic, rng| {
        let word = choose(&["blue", "never", "home", "slow"], rng);
        let count = 2 + below(2, rng);
        let text = |count: usize| format!("The {topic} is {}.", vec![word; count].join(" and "));
        let rule = Rule::Includes(word.into(), count, count);
        (format!("Use the word \"{word}\" exactly {count} times."), text(count), text(count - 1), rule)
    }),
    ("forbidden word", |topic, rng| {
        let (word, key) = match below(3, rng) {
            0 => ("the", format!("A {topic} is always worth a look.")),
            1 => ("is", format!("The {topic} needs no praise.")),
            _ => ("a", format!("The {topic} needs no praise.")),
        };
        let violation = format!("The {topic} is a thing to look at.");
        (format!("Do not use the word \"{word}\"."), key, violation, Rule::Includes(word.into(), 0, 0))
    }),
    ("bullets", |topic, rng| {
        let count = 2 + below(3, rng);
        let text = |count: usize| listed(topic, count, |_, line| format!("- {line}"));
        let instruction = format!("Write exactly {count} lines, each of which begins with \"- \".");
        (instruction, text(count), text(count + 1), Rule::Items("- ".into(), count))
    }),
    ("numbered list", |topic, rng| {
        let count = 2 + below(3, rng);
        let key = listed(topic, count, |place, line| format!("{place}. {line}"));
        let violation = listed(topic, count, |_, line| format!("- {line}"));
        (format!("Write a list numbered from 1 to {count}, such as \"1. \"."), key, violation, Rule::Numbered(count))
    }),
    ("json", |topic, rng| {
        let name = choose(&["text", "answer", "note", "content"], rng);
        let (key, violation) = (format!("{{\"{name}\": \"{}\"}}", plain(topic)), format!("{name}: {}", plain(topic)));
        (
            format!("Write a JSON object with the key \"{name}\" and nothing else."),
            key,
            violation,
            Rule::Json(name.into()),
        )
    }),
    ("quotation", |topic, _| {
        let rule = Rule::Wrapped("\"".into(), "\"".into());
        ("Put the whole text into double quotation marks.".into(), format!("\"{}\"", plain(topic)), plain(topic), rule)
    }),
    ("question", |topic, _| {
        let key = format!("Who has not seen the {topic}?");
        ("End with a question mark.".into(), key, plain(topic), Rule::EndsExactly("?".into()))
    }),
    ("exclamation marks", |topic, rng| {
        let count = 2 + below(3, rng);
        let text = |count: usize| format!("Look at the {topic}{}", "!".repeat(count));
        let rule = Rule::Occurs("!".into(), count, count);
        (format!("Use exactly {count} exclamation marks."), text(count), text(count - 1), rule)
    }),
    ("title", |topic, _| {
        let key = format!("<<The {topic}>> {}", plain(topic));
        let rule = Rule::Marked("<<".into(), ">>".into());
        ("Give the text a title in double angle brackets, such as <<title>>.".into(), key, plain(topic), rule)
    }),
    ("parentheses", |topic, _| {
        let key = format!("The {topic} (as we know) is old.");
        let rule = Rule::Marked("(".into(), ")".into());
        ("Put at least one remark in parentheses.".into(), key, plain(topic), rule)
    }),
    ("no digits or digits", |topic, rng| {
        let wanted = below(2, rng) == 1;
        let (with, without) = (format!("The {topic} is 90 years old."), format!("The {topic} is ninety years old."));
        match wanted {
            true => ("Use at least one digit.".into(), with, without, Rule::Digits(true)),
            false => ("Say how old it might be, but use no digits.".into(), without, with, Rule::Digits(false)),
        }
    }),
    ("postscript", |topic, _| {
        let key = format!("{}\nP.S. Come and see it.", plain(topic));
        let rule = Rule::LastLine("P.S.".into());
        ("Add a last line that begins with \"P.S.\".".into(), key, plain(topic), rule)
    }),
    ("parts", |topic, rng| {
        let mark = choose(&["***", "---", "+++"], rng);
        let key = format!("{}\n{mark}\nThere is more to say.", plain(topic));
        let violation = format!("{}\nThere is more to say.", plain(topic));
        (format!("Write two parts with a line \"{mark}\" between them."), key, violation, Rule::Parts(mark.into(), 2))
    }),
    ("hashtags", |topic, rng| {
        let count = 1 + below(3, rng);
        let tags = |count: usize| [" #look", " #seen", " #home", " #again"][..count].concat();
        let (key, violation) = (plain(topic) + &tags(count), plain(topic) + &tags(count + 1));
        (format!("Use exactly {count} times the sign #."), key, violation, Rule::Occurs("#".into(), count, count))
    }),
    ("one letter", |topic, _| {
        let letter = topic.chars().next().unwrap_or('a');
        let instruction = format!("Use only words that begin with the letter \"{letter}\".");
        (instruction, format!("{topic} {topic}"), format!("the {topic}"), Rule::Initials(letter))
    }),
    ("circle", |topic, _| {
        let key = format!("Old is the {topic}, very old.");
        ("Let the first word be the last word as well.".into(), key, plain(topic), Rule::Circle)
    }),
];

/// A sentence about the topic.
fn plain(topic: &str) -> String {
    format!("The {topic} is always worth a look.")
}

/// So many words, from 4 on, about the topic.
fn of_words(topic: &str, count: usize) -> String {
    let more = ["old", "and", "quiet", "and", "rarely", "seen", "by", "people", "who", "come", "from", "far", "away"];
    let words: Vec<&str> = ["The", topic, "is"].into_iter().chain(more.into_iter().cycle()).take(count).collect();
    words.join(" ") + "."
}

/// So many sentences, up to four, about the topic.
fn of_sentences(topic: &str, count: usize) -> String {
    let first = plain(topic);
    [first.as_str(), "Few people know it.", "Some come twice.", "It is old."][..count.min(4)].join(" ")
}

/// So many lines, up to five, the first about the topic.
fn listed(topic: &str, count: usize, line: fn(usize, &str) -> String) -> String {
    let first = plain(topic);
    let lines = [first.as_str(), "Few people know it.", "Some come twice.", "It is old.", "It is quiet."];
    lines[..count.min(5)].iter().zip(1..).map(|(text, place)| line(place, text)).collect::<Vec<_>>().join("\n")
}

fn choose(items: &[&'static str], rng: &mut ChaCha8Rng) -> &'static str {
    items[below(items.len(), rng)]
}

/// A position drawn with 64-bit numbers, so that every machine draws the same.
fn below(bound: usize, rng: &mut ChaCha8Rng) -> usize {
    rng.random_range(0..bound as u64) as usize
}
