//! Small puzzles in the manner of BIG-Bench Hard, drawn from a seed, each with a depth.
//!
//! The kinds take turns, and so do the depths 2, 3 and 4; `reason@5` asks depth 5 only. An answer is a word, a number or a
//! row of brackets, read wherever it stands. By likelihood the right answer competes with the wrong ones that the question
//! leaves open, so a model that knows nothing scores what chance gives: the mean of 1 / choices.

mod kinds;

use std::collections::HashSet;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::draw::check_count;
use crate::dress::{named, spoken, without_echo, words};
use crate::{
    Continuation, Count, Frame, Grade, Likelihood, Probe, ProbeError, ProbeParts, ProbeRequest, Question, Role, Scorer,
    Scoring,
};
use kinds::{KINDS, Problem, Reading};

/// Of the drawing and the wording.
const VERSION: u32 = 1;
/// Depths that take turns when none is named.
const DEPTHS: [usize; 3] = [2, 3, 4];
/// Deepest puzzles: names and objects suffice for these.
pub(crate) const DEEPEST: usize = 12;
/// Most questions of one probe; keeps memory bounded.
const MOST_QUESTIONS: usize = 100_000;
/// Drawings without a new question of the role after which a kind counts as used up: at depth 1 some have few.
const PATIENCE: usize = 400;
const MAX_NEW_TOKENS: usize = 24;

const SYSTEM: &str = "You solve small puzzles. You answer every question with the answer alone: one word, one number or one row of \
     brackets, without any explanation.";
const PLAIN: &str = "Each puzzle is answered with the answer alone: one word, one number or one row of brackets.";

/// The depth that a probe's name asks for: of `reason` none, of `reason@5` 5. None where it is another name.
pub(crate) fn depth_of(name: &str) -> Option<Option<usize>> {
    match name.strip_prefix("reason")? {
        "" => Some(None),
        rest => rest.strip_prefix('@')?.parse().ok().filter(|depth| (1..=DEEPEST).contains(depth)).map(Some),
    }
}

/// Builds `reason` or `reason@DEPTH`.
pub(crate) fn build(name: &str, scoring: Scoring, request: &ProbeRequest) -> Result<Probe, ProbeError> {
    let Count::Some(count) = request.count else {
        return Err(ProbeError::Unlimited { probe: name.to_owned() });
    };
    check_count(name, count, MOST_QUESTIONS, "one run holds no more")?;
    let depth = depth_of(name.strip_suffix(":likelihood").unwrap_or(name)).flatten();
    let ProbeRequest { seed, role, .. } = request;
    let questions = questions(count, *seed, *role, depth);
    check_count(name, count, questions.len(), "ask for deeper ones, `reason@5`")?;
    Probe::from_parts(ProbeParts {
        name: name.to_owned(),
        parameters: format!("v{VERSION} count={count} role={role} seed={seed}"),
        scoring,
        likelihood: Likelihood::Choice,
        scorer: Arc::new(Reasoned),
        frame: Frame::one_line(),
        questions,
    })
}

/// Different questions of this role; fewer than `count` only where no kind has more.
fn questions(count: usize, seed: u64, role: Role, depth: Option<usize>) -> Vec<Question> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut asked = HashSet::new();
    let mut questions = Vec::with_capacity(count);
    let mut spent = HashSet::new();
    let all = KINDS.len() * depth.map_or(DEPTHS.len(), |_| 1);
    let mut turn = 0;
    while questions.len() < count && spent.len() < all {
        let (name, kind) = KINDS[turn % KINDS.len()];
        let depth = depth.unwrap_or(DEPTHS[turn / KINDS.len() % DEPTHS.len()]);
        turn += 1;
        if spent.contains(&(name, depth)) {
            continue;
        }
        let mut fresh = (0..PATIENCE).map(|_| kind(depth, &mut rng));
        match fresh.find(|problem| Role::of(&problem.text) == role && !asked.contains(&problem.text)) {
            Some(problem) => {
                asked.insert(problem.text.clone());
                questions.push(question(name, depth, problem));
            }
            None => drop(spent.insert((name, depth))),
        }
    }
    questions
}

fn question(kind: &str, depth: usize, problem: Problem) -> Question {
    let Problem { text, key, choices, reading } = problem;
    let digest: String = Sha256::digest(&text).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Question {
        id: format!("{kind} {depth} {digest}"),
        group: kind.to_owned(),
        system: Some(SYSTEM.to_owned()),
        plain: format!("{PLAIN}\n\nQuestion: {text}\nAnswer:"),
        user: text,
        reference: std::iter::once(reading.name())
            .chain(choices.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("\n"),
        continuations: vec![choices.iter().map(|choice| Continuation::choice(choice, *choice == key)).collect()],
        key,
        max_new_tokens: MAX_NEW_TOKENS,
        ..Question::default()
    }
}

/// Whether the answer that the text gives is the key. The reference: how it is read, then the choices, line by line.
#[derive(Debug)]
struct Reasoned;

impl Scorer for Reasoned {
    fn id(&self) -> String {
        "reason.v1".to_owned()
    }

    fn grade(&self, question: &Question, answer: &str) -> Grade {
        let Some(said) = spoken(answer) else { return Grade::failure() };
        let said = without_echo(&question.user, said);
        let mut lines = question.reference.lines();
        let parsed = match lines.next().and_then(Reading::of) {
            Some(Reading::Word) => {
                let choices: Vec<&str> = lines.collect();
                named(&said, &choices).map(|index| choices[index].to_owned())
            }
            Some(Reading::Number) => number(&question.user, &said).map(|number| number.to_string()),
            Some(Reading::Brackets) => brackets(&said),
            None => None,
        };
        parsed.map_or_else(Grade::failure, |parsed| Grade::right(parsed == question.key, parsed))
    }
}

/// The first small number that the question does not name; when it names all of them, the first.
fn number(question: &str, said: &str) -> Option<u32> {
    let numbers = |text: &str| words(text).iter().filter_map(|word| kinds::small_number(word)).collect::<Vec<u32>>();
    let (given, found) = (numbers(question), numbers(said));
    found.iter().find(|number| !given.contains(number)).or(found.first()).copied()
}

/// The first row of brackets, parted by single spaces.
fn brackets(said: &str) -> Option<String> {
    let is_bracket = |c: &char| "()[]{}<>".contains(*c);
    let is_between = |c: char| is_bracket(&c) || c.is_whitespace() || matches!(c, '`' | '*' | ',');
    let from = &said[said.find(|c| is_bracket(&c))?..];
    let row = &from[..from.find(|c| !is_between(c)).unwrap_or(from.len())];
    Some(row.chars().filter(is_bracket).map(String::from).collect::<Vec<_>>().join(" "))
}
