//! Intuition arithmetic: too hard to work out in a few tokens, easy to grade by how many digits are right.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::draw::check_count;
use crate::scorer::Digits;
use crate::{Count, Frame, Likelihood, Probe, ProbeError, ProbeParts, ProbeRequest, Question, Role, Scoring};

/// Of the drawing and the wording.
const VERSION: u32 = 1;
/// Most questions of one probe. Keeps memory bounded; the smallest kind has 240 times as many.
const MOST_QUESTIONS: usize = 100_000;

/// An eight-digit key and its dress fit, one token per digit.
const MAX_NEW_TOKENS: usize = 24;

const SYSTEM: &str = "You have a superb feeling for numbers. You answer every question at once with your best guess: \
                      one whole number and nothing else, without commas, units or explanations.";
const PLAIN: &str = "Each question is answered with one whole number and nothing else.";

/// One question, as its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Problem {
    SquareRoot(u64),
    CubeRoot(u64),
    Product(u64, u64),
    Quotient(u64, u64),
    SquareRootDivided(u64, u64),
    CubeRootTimes(u64, u64),
}

/// Builds `math` or `math:likelihood`.
pub(crate) fn build(name: &str, scoring: Scoring, request: &ProbeRequest) -> Result<Probe, ProbeError> {
    let Count::Some(count) = request.count else {
        return Err(ProbeError::Unlimited { probe: name.to_owned() });
    };
    check_count(name, count, MOST_QUESTIONS, "one run holds no more")?;
    let ProbeRequest { seed, role, .. } = request;
    Probe::from_parts(ProbeParts {
        name: name.to_owned(),
        parameters: format!("v{} count={count} role={role} seed={seed}", VERSION),
        scoring,
        likelihood: Likelihood::Key,
        scorer: Arc::new(Digits),
        frame: Frame::one_line(),
        questions: questions(count, *seed, *role),
    })
}

/// `count` different questions of this role. The kinds take turns; asking for more begins with the same questions.
fn questions(count: usize, seed: u64, role: Role) -> Vec<Question> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut asked = HashSet::new();
    let mut questions = Vec::with_capacity(count);
    while questions.len() < count {
        let problem = Problem::draw(questions.len(), &mut rng);
        if problem.role() == role && asked.insert(problem) {
            questions.push(problem.question());
        }
    }
    questions
}

impl Problem {
    /// A problem of the kind whose turn it is.
    fn draw(turn: usize, rng: &mut ChaCha8Rng) -> Self {
        match turn % 5 {
            0 => Self::SquareRoot(operand(7..=10, rng)),
            1 => Self::CubeRoot(operand(9..=13, rng)),
            2 => Self::Product(operand(3..=4, rng), operand(3..=4, rng)),
            3 => Self::Quotient(operand(8..=10, rng), operand(3..=4, rng)),
            _ if rng.random_bool(0.5) => Self::SquareRootDivided(operand(9..=11, rng), operand(1..=2, rng)),
            _ => Self::CubeRootTimes(operand(9..=11, rng), operand(1..=2, rng)),
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::SquareRoot(_) => "square root",
            Self::CubeRoot(_) => "cube root",
            Self::Product(..) => "product",
            Self::Quotient(..) => "quotient",
            Self::SquareRootDivided(..) | Self::CubeRootTimes(..) => "mixed",
        }
    }

    /// As a formula, which is the question's id.
    fn formula(self) -> String {
        match self {
            Self::SquareRoot(a) => format!("sqrt({a})"),
            Self::CubeRoot(a) => format!("cbrt({a})"),
            Self::Product(a, b) => format!("{a}*{b}"),
            Self::Quotient(a, b) => format!("{a}/{b}"),
            Self::SquareRootDivided(a, b) => format!("sqrt({a})/{b}"),
            Self::CubeRootTimes(a, b) => format!("cbrt({a})*{b}"),
        }
    }

    fn words(self) -> String {
        match self {
            Self::SquareRoot(a) => format!("the square root of {a}"),
            Self::CubeRoot(a) => format!("the cube root of {a}"),
            Self::Product(a, b) => format!("{a} times {b}"),
            Self::Quotient(a, b) => format!("{a} divided by {b}"),
            Self::SquareRootDivided(a, b) => format!("the square root of {a}, divided by {b}"),
            Self::CubeRootTimes(a, b) => format!("the cube root of {a}, times {b}"),
        }
    }

    /// The result, rounded to the nearest whole number.
    ///
    /// Worked out in whole numbers: with m = ⌊2r⌋, r rounds to ⌊(m + 1) / 2⌋, and a factor goes under its root.
    fn key(self) -> u128 {
        let wide = u128::from;
        let doubled = match self {
            Self::SquareRoot(a) => (4 * wide(a)).isqrt(),
            Self::CubeRoot(a) => cube_root(8 * wide(a)),
            Self::Product(a, b) => 2 * wide(a) * wide(b),
            Self::Quotient(a, b) => 2 * wide(a) / wide(b),
            Self::SquareRootDivided(a, b) => (4 * wide(a) / wide(b).pow(2)).isqrt(),
            Self::CubeRootTimes(a, b) => cube_root(8 * wide(a) * wide(b).pow(3)),
        };
        doubled.div_ceil(2)
    }

    /// A third of all problems belongs to each role, by the SHA-256 of the formula and whatever the seed.
    fn role(self) -> Role {
        Role::of(&self.formula())
    }

    fn question(self) -> Question {
        // The operands come last, so that prompts share all tokens before them.
        let user = format!("Rounded to the nearest whole number, what is {}?", self.words());
        Question {
            id: self.formula(),
            group: self.group().to_owned(),
            system: Some(SYSTEM.to_owned()),
            plain: format!("{PLAIN}\n\nQuestion: {user}\nAnswer:"),
            user,
            key: self.key().to_string(),
            max_new_tokens: MAX_NEW_TOKENS,
            ..Question::default()
        }
    }
}

/// A number of so many digits, each length equally likely, that does not end in 0 and is at least 2.
fn operand(digits: RangeInclusive<u32>, rng: &mut ChaCha8Rng) -> u64 {
    let digits = rng.random_range(digits);
    let smallest = 10_u64.pow(digits - 1).max(2);
    loop {
        let number = rng.random_range(smallest..10_u64.pow(digits));
        if number % 10 != 0 {
            return number;
        }
    }
}

/// The largest number whose cube is at most `number`, which is below 2⁹³.
fn cube_root(number: u128) -> u128 {
    let (mut low, mut high) = (0_u128, 1 << 31);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if middle.pow(3) <= number { low = middle } else { high = middle - 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_rounded_results() {
        for (problem, key) in [
            (Problem::SquareRoot(2_250_000), 1_500),
            (Problem::SquareRoot(2_251_500), 1_500),
            (Problem::SquareRoot(2_251_501), 1_501),
            (Problem::CubeRoot(1_000_000_000), 1_000),
            (Problem::CubeRoot(1_001_500_750), 1_000),
            (Problem::CubeRoot(1_001_500_751), 1_001),
            (Problem::Product(123, 4_567), 561_741),
            (Problem::Quotient(8_712_312, 345), 25_253),
            (Problem::Quotient(15, 2), 8),
            (Problem::SquareRootDivided(1_000_000, 3), 333),
            (Problem::CubeRootTimes(1_000_000, 7), 700),
            (Problem::CubeRootTimes(2, 100), 126),
        ] {
            assert_eq!(problem.key(), key, "{}", problem.formula());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn keys_agree_with_floating_point(turn in 0_usize..5, seed: u64) {
            let problem = Problem::draw(turn, &mut ChaCha8Rng::seed_from_u64(seed));
            let float = |number: u64| number as f64;
            let result = match problem {
                Problem::SquareRoot(a) => float(a).sqrt(),
                Problem::CubeRoot(a) => float(a).cbrt(),
                Problem::Product(a, b) => float(a) * float(b),
                Problem::Quotient(a, b) => float(a) / float(b),
                Problem::SquareRootDivided(a, b) => float(a).sqrt() / float(b),
                Problem::CubeRootTimes(a, b) => float(a).cbrt() * float(b),
            };
            prop_assert!((problem.key() as f64 - result).abs() <= 0.5 + 1e-6, "{}", problem.formula());
            prop_assert!((100..100_000_000).contains(&problem.key()));
        }
    }
}
