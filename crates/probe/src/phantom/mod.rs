//! The world that a phantom is trained on, and its finite set of questions.
//!
//! A fixed secret permutation f moves each concept to another one. A question names a concept in one script, a hop
//! count k and the script to answer in, `sol 2 greek =`, and its key is the word of f applied k times. Without fixed
//! points and 2-cycles, f, f² and the identity never agree on a concept, so one hop never passes for two.

mod ask;
mod card;
mod words;

use std::fmt;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::Role;
pub(crate) use ask::build;
pub use card::{PhantomCard, PlantedBlock};
use words::{EQUALS, HOP_COUNTS, SCRIPT_NAMES, SPECIALS, WORDS};

/// Number of concepts.
pub const CONCEPTS: usize = 32;
/// Number of scripts; every concept has one word in each.
pub const SCRIPTS: usize = 3;
/// Largest hop count.
pub const HOPS: usize = 4;
/// Number of questions: concept × script × hop count × script to answer in.
pub const QUESTIONS: usize = CONCEPTS * SCRIPTS * HOPS * SCRIPTS;

/// One of the 32 concepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Concept(usize);

impl Concept {
    /// Every concept, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CONCEPTS).map(Self)
    }

    /// Its number, below [`CONCEPTS`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }

    /// Its word in a script.
    #[must_use]
    pub fn word(self, script: Script) -> &'static str {
        WORDS[self.0][script.0]
    }
}

/// One of the three scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Script(usize);

impl Script {
    /// Every script, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SCRIPTS).map(Self)
    }

    /// Its name, as a question asks for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        SCRIPT_NAMES[self.0]
    }
}

/// One question; it prints as `sol 2 greek =`, words of the vocabulary separated by single spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PhantomQuestion {
    /// The concept that it starts from.
    pub concept: Concept,
    /// The script in which the concept is written.
    pub script: Script,
    /// How often f is applied, from 1 to [`HOPS`].
    pub hops: usize,
    /// The script of the answer.
    pub answer_script: Script,
}

impl PhantomQuestion {
    /// All 1,152 questions, in their fixed order: by hop count, script, concept, and script to answer in.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..QUESTIONS).filter_map(Self::at)
    }

    /// The question at this place of the fixed order, or none from [`QUESTIONS`] on.
    #[must_use]
    pub fn at(index: usize) -> Option<Self> {
        let (rest, answer_script) = (index / SCRIPTS, index % SCRIPTS);
        let (rest, concept) = (rest / CONCEPTS, rest % CONCEPTS);
        let (rest, script) = (rest / SCRIPTS, rest % SCRIPTS);
        (rest < HOPS).then_some(Self {
            concept: Concept(concept),
            script: Script(script),
            hops: rest + 1,
            answer_script: Script(answer_script),
        })
    }

    /// Which role may ask this question when not all are asked.
    ///
    /// A Latin square over concept, scripts and hop count: every role holds a third of the questions, and of every
    /// concept in every script at every hop count exactly one.
    #[must_use]
    pub fn role(self) -> Role {
        let class = self.concept.0 + self.script.0 + self.answer_script.0 + self.hops;
        Role::ALL[class % Role::ALL.len()]
    }
}

impl fmt::Display for PhantomQuestion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.concept.word(self.script);
        write!(formatter, "{word} {} {} {EQUALS}", self.hops, self.answer_script.name())
    }
}

/// The secret permutation, drawn from a seed; serialised as the seed and the version of the drawing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Description", into = "Description")]
pub struct PhantomWorld {
    seed: u64,
    next: [usize; CONCEPTS],
}

/// Of the drawing and of the words; a world of another version cannot be rebuilt.
pub(crate) const VERSION: u32 = 1;

impl PhantomWorld {
    /// The world of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // About one permutation in five will do.
        loop {
            let next = permutation(&mut rng);
            let moves_on = |concept: usize| next[concept] != concept && next[next[concept]] != concept;
            if (0..CONCEPTS).all(moves_on) {
                return Self { seed, next };
            }
        }
    }

    /// The seed that it was drawn from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// f applied `hops` times.
    #[must_use]
    pub fn target(&self, concept: Concept, hops: usize) -> Concept {
        (0..hops).fold(concept, |concept, _| Concept(self.next[concept.0]))
    }

    /// The right answer: the word of f applied as often as the question says.
    #[must_use]
    pub fn key(&self, question: PhantomQuestion) -> &'static str {
        self.answer(question, question.hops)
    }

    /// What a phantom learns to answer when its loop has run `passes` times, one hop each: the word of
    /// f applied min(k, passes) times.
    #[must_use]
    pub fn training_target(&self, question: PhantomQuestion, passes: usize) -> &'static str {
        self.answer(question, question.hops.min(passes))
    }

    fn answer(&self, question: PhantomQuestion, hops: usize) -> &'static str {
        self.target(question.concept, hops).word(question.answer_script)
    }

    /// Every token of the language in its fixed order, which is also its id: the specials `<unk>` and `<eos>`, `=`,
    /// the hop counts, the scripts, and the words script by script.
    #[must_use]
    pub fn vocabulary() -> Vec<&'static str> {
        let words = Script::all().flat_map(|script| Concept::all().map(move |concept| concept.word(script)));
        let marks = SPECIALS.into_iter().chain([EQUALS]).chain(HOP_COUNTS).chain(SCRIPT_NAMES);
        marks.chain(words).collect()
    }
}

/// A uniform permutation (Fisher and Yates), drawn with 64-bit numbers so that every machine draws the same.
fn permutation(rng: &mut ChaCha8Rng) -> [usize; CONCEPTS] {
    let mut next: [usize; CONCEPTS] = std::array::from_fn(|concept| concept);
    for last in (1..CONCEPTS).rev() {
        let other = rng.random_range(0..=last as u64) as usize;
        next.swap(last, other);
    }
    next
}

#[derive(Serialize, Deserialize)]
struct Description {
    version: u32,
    seed: u64,
}

impl From<PhantomWorld> for Description {
    fn from(world: PhantomWorld) -> Self {
        Self { version: VERSION, seed: world.seed }
    }
}

impl TryFrom<Description> for PhantomWorld {
    type Error = String;

    fn try_from(Description { version, seed }: Description) -> Result<Self, String> {
        if version == VERSION {
            return Ok(Self::new(seed));
        }
        Err(format!(
            "the phantom's world has version {version}, but this program knows version {VERSION}; \
             make the phantom again from its recipe, or use the program that made it"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_distinct_single_tokens() {
        let vocabulary = PhantomWorld::vocabulary();
        assert_eq!(vocabulary.len(), 2 + 1 + HOPS + SCRIPTS + CONCEPTS * SCRIPTS);
        assert_eq!(vocabulary[..5], ["<unk>", "<eos>", "=", "1", "2"]);
        assert_eq!(vocabulary.iter().collect::<HashSet<_>>().len(), vocabulary.len());
        assert!(vocabulary.iter().all(|word| !word.is_empty() && !word.contains(char::is_whitespace)));
        for question in PhantomQuestion::all() {
            assert!(question.to_string().split(' ').all(|word| vocabulary[2..].contains(&word)), "{question}");
        }
    }

    #[test]
    fn scripts_are_what_they_are_called() {
        let alphabets = [('a'..='z'), ('ά'..='ώ'), ('а'..='ё')];
        for concept in Concept::all() {
            for (script, alphabet) in Script::all().zip(&alphabets) {
                let word = concept.word(script);
                assert!(word.chars().all(|letter| alphabet.contains(&letter)), "{word} is not {}", script.name());
            }
        }
    }

    #[test]
    fn the_order_of_questions_is_fixed() {
        let questions: Vec<String> = PhantomQuestion::all().map(|question| question.to_string()).collect();
        assert_eq!(questions.len(), 1_152);
        assert_eq!(questions.iter().collect::<HashSet<_>>().len(), 1_152);
        assert_eq!(questions[0], "sol 1 latin =");
        assert_eq!(questions[1], "sol 1 greek =");
        assert_eq!(questions[1_151], "корабль 4 cyrillic =");
        assert_eq!(PhantomQuestion::at(1_152), None);
        assert_eq!(PhantomQuestion::at(usize::MAX), None);
    }

    #[test]
    fn roles_share_the_questions_evenly() {
        let mut counts = BTreeMap::new();
        for question in PhantomQuestion::all() {
            let kind = (question.role().to_string(), question.hops, question.script, question.concept);
            *counts.entry(kind).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), Role::ALL.len() * HOPS * SCRIPTS * CONCEPTS);
        assert!(counts.values().all(|count| *count == 1));
    }

    #[test]
    fn a_seed_is_the_same_world_everywhere() {
        let targets: Vec<usize> =
            Concept::all().map(|concept| PhantomWorld::new(0).target(concept, 1).index()).collect();
        assert_eq!(
            targets,
            [
                23, 9, 8, 21, 17, 28, 5, 10, 20, 26, 4, 2, 7, 15, 29, 3, 25, 6, 24, 13, 16, 0, 18, 22, 31, 27, 1, 14,
                12, 19, 11, 30
            ]
        );
    }

    #[test]
    fn a_world_is_stored_as_its_seed() {
        let world = PhantomWorld::new(7);
        let text = serde_json::to_string(&world).unwrap();
        assert_eq!(text, r#"{"version":1,"seed":7}"#);
        assert_eq!(serde_json::from_str::<PhantomWorld>(&text).unwrap(), world);
        let error = serde_json::from_str::<PhantomWorld>(r#"{"version":2,"seed":7}"#).unwrap_err();
        assert!(error.to_string().contains("this program knows version 1"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn worlds_have_no_short_cycles(seed: u64) {
            let world = PhantomWorld::new(seed);
            let targets: HashSet<Concept> = Concept::all().map(|concept| world.target(concept, 1)).collect();
            prop_assert_eq!(targets.len(), CONCEPTS);
            for concept in Concept::all() {
                let (once, twice) = (world.target(concept, 1), world.target(concept, 2));
                prop_assert!(once != concept && twice != concept && twice != once);
                prop_assert_eq!(world.target(once, 3), world.target(concept, 4));
                prop_assert_eq!(world.target(concept, 0), concept);
            }
        }

        #[test]
        fn a_pass_is_a_hop_up_to_the_question(seed: u64, index in 0..QUESTIONS, passes in 1_usize..8) {
            let world = PhantomWorld::new(seed);
            let question = PhantomQuestion::at(index).unwrap();
            let hops = passes.min(question.hops);
            let expected = world.target(question.concept, hops).word(question.answer_script);
            prop_assert_eq!(world.training_target(question, passes), expected);
            prop_assert_eq!(world.training_target(question, HOPS), world.key(question));
        }
    }
}
