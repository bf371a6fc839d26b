//! The kinds of puzzles. A kind turns a depth, from 1, into a problem; deeper ones take more steps to solve.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

/// A puzzle with its answer.
pub(super) struct Problem {
    pub(super) text: String,
    pub(super) key: String,
    /// The key and what it competes with, all different, in an order that does not give the key away.
    pub(super) choices: Vec<String>,
    pub(super) reading: Reading,
}

/// How an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The choice that is named.
    Word,
    /// A small number.
    Number,
    /// A row of brackets.
    Brackets,
}

impl Reading {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Number => "number",
            Self::Brackets => "brackets",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        [Self::Word, Self::Number, Self::Brackets].into_iter().find(|reading| reading.name() == name)
    }
}

type Kind = fn(usize, &mut ChaCha8Rng) -> Problem;

/// Every kind with its name, which is the group of its questions.
pub(super) const KINDS: [(&str, Kind); 10] = [
    ("ordering", ordering),
    ("tracking", tracking),
    ("boolean", boolean),
    ("lies", lies),
    ("dates", dates),
    ("navigation", navigation),
    ("brackets", brackets),
    ("relations", relations),
    ("counting", counting),
    ("sorting", sorting),
];

const NAMES: [&str; 16] = [
    "Anna", "Boris", "Clara", "David", "Elena", "Felix", "Greta", "Henry", "Irene", "Jonas", "Karen", "Louis", "Maria",
    "Nadia", "Oscar", "Paula",
];
const COLORS: [&str; 14] = [
    "red",
    "blue",
    "green",
    "yellow",
    "black",
    "white",
    "brown",
    "grey",
    "purple",
    "orange",
    "pink",
    "golden",
    "silver",
    "turquoise",
];
const THINGS: [&str; 16] = [
    "ball", "lamp", "book", "cup", "key", "hat", "drum", "rope", "coin", "map", "spoon", "candle", "ring", "stone",
    "pen", "bell",
];
const WORDS: [&str; 30] = [
    "anchor", "basket", "bridge", "candle", "carpet", "cellar", "dragon", "engine", "falcon", "garden", "hammer",
    "harbor", "island", "jacket", "kettle", "ladder", "lantern", "marble", "needle", "orchard", "pepper", "pillow",
    "quarry", "ribbon", "saddle", "silver", "tunnel", "velvet", "window", "yellow",
];
const SMALL: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// The number that a word or up to three digits stand for.
pub(super) fn small_number(word: &str) -> Option<u32> {
    let written = SMALL.iter().zip(0..).find(|(name, _)| **name == word).map(|(_, number)| number);
    written.or_else(|| if word.len() <= 3 { word.parse().ok() } else { None })
}

/// So many different items, in an order of their own.
fn pick<T: Copy>(items: &[T], count: usize, rng: &mut ChaCha8Rng) -> Vec<T> {
    items.choose_multiple(rng, count).copied().collect::<Vec<_>>().shuffled(rng)
}

trait Shuffled {
    fn shuffled(self, rng: &mut ChaCha8Rng) -> Self;
}

impl<T> Shuffled for Vec<T> {
    fn shuffled(mut self, rng: &mut ChaCha8Rng) -> Self {
        self.shuffle(rng);
        self
    }
}

/// A position drawn with 64-bit numbers, so that every machine draws the same.
fn below(bound: usize, rng: &mut ChaCha8Rng) -> usize {
    rng.random_range(0..bound as u64) as usize
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn word(text: String, key: &str, choices: &[&str]) -> Problem {
    Problem { text, key: key.to_owned(), choices: owned(choices), reading: Reading::Word }
}

/// depth + 2 books on a shelf, told by neighbours in any order; the choices are the books.
fn ordering(depth: usize, rng: &mut ChaCha8Rng) -> Problem {
    let books = pick(&COLORS, (depth + 2).min(COLORS.len()), rng);
    let clue = |pair: &[&str], turned: bool| match turned {
        false => format!("The {} book stands left of the {} book.", pair[0], pair[1]),
        true => format!("The {} book stands right of the {} book.", pair[1], pair[0]),
    };
    let clues: Vec<String> = books.windows(2).map(|pair| clue(pair, rng.random_bool(0.5))).collect();
    let clues = clues.shuffled(rng).join(" ");
    let place = below(books.len(), rng);
    let asked = match place {
        0 => "leftmost".to_owned(),
        place if place + 1 == books.len() => "rightmost".to_owned(),
        place => format!("number {} from the left", place + 1),
    };
    let choices = books.clone().shuffled(rng);
    word(format!("{clues} What color is the book that is {asked}?"), books[place], &choices)
}

/// Three people hold things and swap them depth + 1 times; the choices are the things.
fn tracking(depth: usize, rng: &mut ChaCha8Rng) -> Problem {
    let people = pick(&NAMES, 3, rng);
    let mut held = pick(&THINGS, 3, rng);
    let things = held.clone();
    let start: Vec<String> = people.iter().zip(&held).map(|(who, what)| format!("{who} has the {what}.")).collect();
    let mut swaps = Vec::new();
    for _ in 0..=depth {
        let [first, second] = [[0, 1], [0, 2], [1, 2]][below(3, rng)];
        held.swap(first, second);
        swaps.push(format!("{} and {} swap.", people[first], people[second]));
    }
    let asked = below(3, rng);
    let text = format!("{} {} What does {} have now?", start.join(" "), swaps.join(" "), people[asked]);
    word(text, held[asked], &things.shuffled(rng))
}

/// An expression of depth + 1 truth values.
fn boolean(depth: usize, rng: &mut ChaCha8Rng) -> Problem {
    let mut value = rng.random_bool(0.5);
    let literal = |value: bool| if value { "True" } else { "False" };
    let mut text = literal(value).to_owned();
    for step in 0..depth {
        let other = rng.random_bool(0.5);
        let conjunction = rng.random_bool(0.5);
        let negated = rng.random_bool(0.4);
        let before = rng.random_bool(0.5);
        let word = if conjunction { "and" } else { "or" };
        let inner = if step == 0 { text } else { format!("( {text} )") };
        let inner = if negated { format!("not {inner}") } else { inner };
        value ^= negated;
        text = if before {
            format!("{} {word} {inner}", literal(other))
        } else {
            format!("{inner} {word} {}", literal(other))
        };
        value = if conjunction { value && other } else { value || other };
    }
    word(format!("Is this expression True or False? {text}"), literal(value), &["True", "False"])
}

/// depth + 1 people of whom the first is known, each speaking of the one before.
fn lies(depth: usize, rng: &mut ChaCha8Rng) -> Problem {
    let people = pick(&NAMES, depth + 1, rng);
    let mut honest = rng.random_bool(0.5);
    let known = if honest { "always tells the truth" } else { "always lies" };
    let mut told = vec![format!("{} {known}.", people[0])];
    for pair in people.windows(2) {
        let next = rng.random_bool(0.5);
        let says = if next == honest { "tells the truth" } else { "lies" };
        told.push(format!("{} says that {} {says}.", pair[1], pair[0]));
        honest = next;
    }
    let key = if honest { "yes" } else { "no" };
    let text = format!(
        "Everyone here either always lies or always tells the truth. {} Does {} tell the truth? Yes or no?",
        told.join(" "),
        people[depth]
    );
    word(text, key, &["yes", "no"])
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [(&str, usize); 12] = [
    ("January", 31),
    ("February", 28),
    ("March", 31),
    ("April", 30),
    ("May", 31),
    ("June", 30),
    ("July", 31),
    ("August", 31),
    ("September", 30),
    ("October", 31),
    ("November", 30),
    ("December", 31),
];

/// From one day of a common year to another, depth − 1 months later or in the same month; the choices are the weekdays.
fn dates(depth: usize, rng: &mut ChaCha8Rng) -> Problem {
    let months = (depth - 1).min(11);
    let first = below(12 - months, rng);
    let day = |month: usize, rng: &mut ChaCha8Rng| 1 + below(MONTHS[month].1, rng);
    let (mut from, mut to) = (day(first, rng), day(first + months, rng));
    if months == 0 && from >= to {
        (from, to) = if from > to { (to, from) } else { (1, from.max(2)) };
    }
    let between: usize = MONTHS[first..first + months].iter().map(|(_, days)| days).sum::<usize>() + to - from;
    let weekday = below(7, rng);
    let (month, last) = (MONTHS[first].0, MONTHS[first + months].0);
    let text = format!(
        "In a year that is no leap year, {from} {month} is a {}. Which day of the week is {to} {last} of that year?",
        WEEKDAYS[weekday]
    );
    word(text, WEEKDAYS[(weekday + between) % 7], &WEEKDAYS)
}

/// A walk of 2 · depth legs; half of the walks come back.
fn navigation(depth: usize, rng: &mut ChaCha8Rng) -> Problem {
    const WAYS: [(&str, [i64; 2]); 4] = [("north", [0, 1]), ("south", [0, -1]), ("east", [1, 0]), ("west", [-1, 0])];
    let mut legs: Vec<(usize, i64)> = Vec::new();
    for _ in 0..depth {
        let way = below(4, rng);
        let steps = 3 + below(6, rng) as i64;
        // There, and back by the opposite way.
        legs.push((way, steps));
        legs.push((way ^ 1, steps));
    }
    legs.shuffle(rng);
    if rng.random_bool(0.5) {
        let wrong = below(legs.len(), rng);
        legs[wrong].1 += if rng.random_bool(0.5) { 1 } else { -1 };
    }
    let end =
        legs.iter().fold([0, 0], |[x, y], &(way, steps)| [x + WAYS[way].1[0] * steps, y + WAYS[way].1[1] * steps]);
    let told: Vec<String> = legs.iter().map(|&(way, steps)| format!("{steps} steps {}", WAYS[way].0)).collect();
    let text = format!("Someone walks {}. Is that where the walk began? Yes or no?", told.join(", "));
    word(text, if end == [0, 0] { "yes" } else { "no" }, &["yes", "no"])
}

/// A row of brackets of which depth stay open; the choices close them otherwise.
fn brackets(depth: usize, rng: &mut ChaCha8Rng) -> Problem {
    const PAIRS: [[char; 2]; 4] = [['(', ')'], ['[', ']'], ['{', '}'], ['<', '>']];
    let (mut row, mut open) = (Vec::new(), Vec::new());
    while open.len() < depth {
        let pair = below(4, rng);
        row.push(PAIRS[pair][0]);
        // Some pairs are closed at once and do not count.
        if rng.random_bool(0.3) {
            row.push(PAIRS[pair][1]);
        } else {
            open.push(pair);
        }
    }
    let closing =
        |open: &[usize]| open.iter().rev().map(|&pair| PAIRS[pair][1].to_string()).collect::<Vec<_>>().join(" ");
    let key = closing(&open);
    let mut choices = vec![key.clone()];
    while choices.len() < 4 {
        let mut other = open.clone();
        let place = below(depth, rng);
        other[place] = (other[place] + 1 + below(3, rng)) % 4;
        let other = closing(&other);
        if !choices.contains(&other) {
            choices.push(other);
        }
    }
    let row = row.iter().map(char::to_string).collect::<Vec<_>>().join(" ");
    let text = format!("Which brackets close everything that is still open, in the right order? {row}");
    Problem { text, key, choices: choices.shuffled(rng), reading: Reading::Brackets }
}

/// A chain of depth + 2 people, told in any order; from one end of it depth links on. The choices are the others.
fn relations(depth: usize, rng: &mut ChaCha8Rng) -> Problem {
    let role =
        *["teacher", "neighbor", "doctor", "coach", "partner at chess", "tailor"].choose(rng).unwrap_or(&"teacher");
    let people = pick(&NAMES, depth + 2, rng);
    let links: Vec<String> =
        people.windows(2).map(|pair| format!("The {role} of {} is {}.", pair[0], pair[1])).collect();
    let chain = vec![format!("the {role} of"); depth].join(" ");
    let start = below(2, rng);
    let choices: Vec<&str> =
        people.iter().copied().filter(|name| *name != people[start]).collect::<Vec<_>>().shuffled(rng);
    let text = format!("{} Who is {chain} {}?", links.shuffled(rng).join(" "), people[start]);
    word(text, people[start + depth], &choices)
}

/// Things of two sorts, depth + 1 of the asked sort; the sum is none of the numbers in the question.
fn counting(depth: usize, rng: &mut ChaCha8Rng) -> Problem {
    const FRUIT: [&str; 14] = [
        "apples", "pears", "plums", "lemons", "peaches", "cherries", "grapes", "figs", "oranges", "bananas", "mangoes",
        "limes", "apricots", "melons",
    ];
    const TOOLS: [&str; 14] = [
        "hammers", "saws", "drills", "pliers", "wrenches", "chisels", "rulers", "files", "axes", "shovels", "rakes",
        "clamps", "planes", "brushes",
    ];
    let (asked, other, sort) =
        if rng.random_bool(0.5) { (FRUIT, TOOLS, "pieces of fruit") } else { (TOOLS, FRUIT, "tools") };
    loop {
        let mut counts: Vec<usize> = (0..=depth).map(|_| 2 + below(4, rng)).collect();
        let sum: usize = counts.iter().sum();
        let others: Vec<usize> = (0..depth).map(|_| 2 + below(4, rng)).collect();
        counts.extend(&others);
        if counts.contains(&sum) {
            continue;
        }
        let names = pick(&asked, depth + 1, rng).into_iter().chain(pick(&other, depth, rng));
        let items: Vec<String> =
            counts.iter().zip(names).map(|(count, name)| format!("{} {name}", SMALL[*count])).collect();
        let text = format!("In a box there are {}. How many {sort} are in the box?", items.shuffled(rng).join(", "));
        // Four numbers in a row, among which the right one stands anywhere.
        let lowest = sum.saturating_sub(below(4, rng)).max(1);
        let choices = (lowest..lowest + 4).map(|number| number.to_string()).collect();
        return Problem { text, key: sum.to_string(), choices, reading: Reading::Number };
    }
}

/// depth + 2 words; which of them is at a place of the alphabetical order.
fn sorting(depth: usize, rng: &mut ChaCha8Rng) -> Problem {
    let words = pick(&WORDS, depth + 2, rng);
    let mut sorted = words.clone();
    sorted.sort_unstable();
    let place = below(words.len(), rng);
    let asked = match place {
        0 => "first".to_owned(),
        place if place + 1 == words.len() => "last".to_owned(),
        place => format!("number {}", place + 1),
    };
    let text = format!("Which of these words comes {asked} in alphabetical order? {}", words.join(", "));
    word(text, sorted[place], &words)
}
