//! Ways to damage a file.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Largest input; parsers have their own limits for more.
const LARGEST: usize = 64 * 1024;

/// Numbers at which parsers break.
const NUMBERS: [&str; 18] = [
    "0",
    "1",
    "-1",
    "2",
    "127",
    "255",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "2147483649",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    "1e-320",
    "0.5",
    "-0.0",
];

pub(crate) struct Mutator {
    words: &'static [&'static str],
}

impl Mutator {
    /// `words` are pieces that the parser's language is made of.
    pub(crate) fn new(words: &'static [&'static str]) -> Self {
        Self { words }
    }

    /// Damages the input once.
    pub(crate) fn damage(&self, input: &mut Vec<u8>, corpus: &[Vec<u8>], generator: &mut ChaCha8Rng) {
        let place = generator.random_range(0..=input.len());
        match generator.random_range(0..10) {
            0 => {
                if let Some(byte) = input.get_mut(place) {
                    *byte ^= 1 << generator.random_range(0..8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(place) {
                    *byte = generator.random();
                }
            }
            2 => input.insert(place, generator.random()),
            3 => {
                let end = input.len().min(place + generator.random_range(1..=16));
                input.drain(place..end);
            }
            4 => input.truncate(place),
            5 => {
                let end = input.len().min(place + generator.random_range(1..=64));
                let piece = input[place..end].to_vec();
                insert(input, place, &piece);
            }
            6 => replace_number(input, place, NUMBERS.choose(generator).unwrap_or(&"0")),
            7 => {
                if let Some(word) = self.words.choose(generator) {
                    insert(input, place, word.as_bytes());
                }
            }
            8 => {
                if let Some(other) = corpus.choose(generator).filter(|other| !other.is_empty()) {
                    let start = generator.random_range(0..other.len());
                    let end = other.len().min(start + generator.random_range(1..=64));
                    insert(input, place, &other[start..end]);
                }
            }
            _ => {
                let bytes = generator.random::<u64>() >> generator.random_range(0..64);
                for (byte, new) in input[place..].iter_mut().zip(bytes.to_le_bytes()) {
                    *byte = new;
                }
            }
        }
        input.truncate(LARGEST);
    }
}

fn insert(input: &mut Vec<u8>, place: usize, piece: &[u8]) {
    input.splice(place..place, piece.iter().copied());
}

/// Replaces the next number in the text, or inserts one.
fn replace_number(input: &mut Vec<u8>, place: usize, number: &str) {
    let start = (place..input.len()).find(|&at| input[at].is_ascii_digit()).unwrap_or(place);
    let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    input.splice(start..start + length, number.bytes());
}
