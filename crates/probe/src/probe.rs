use std::fmt;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::phantom::{self, PhantomQuestion, PhantomWorld};
use crate::scorer::Scorer;
use crate::{Count, Grade, ProbeError, ProbeRequest, Role, math};

/// The names of all probes.
pub const PROBES: [&str; 4] = ["math", "math:likelihood", "phantom", "phantom:likelihood"];

/// What is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scoring {
    /// The generated text.
    Generation,
    /// The probability of the key and its terminator.
    Likelihood,
}

/// What ends an answer, and is scored with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminator {
    /// The model's end-of-turn token.
    EndOfTurn,
    /// This text.
    Text(&'static str),
    /// Nothing: the key alone is the answer.
    None,
}

/// One question with its right answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Unique within its probe, and readable: `sqrt(5871236)`, `sol 2 greek`.
    pub id: String,
    /// The kind of question, for scores by kind.
    pub group: String,
    /// System message for models with a chat template.
    pub system: Option<String>,
    /// User message for models with a chat template.
    pub user: String,
    /// The whole prompt for models without one; ends where the answer begins, before the space.
    pub plain: String,
    /// The right answer, without the space before it.
    pub key: String,
    /// Most tokens that are generated.
    pub max_new_tokens: usize,
}

/// A set of questions with a scorer.
#[derive(Debug, Clone)]
pub struct Probe {
    name: String,
    parameters: String,
    scoring: Scoring,
    scorer: Scorer,
    frame: Frame,
    questions: Vec<Question>,
}

/// What stands around an answer.
#[derive(Debug, Clone, Copy)]
struct Frame {
    chat_terminator: Terminator,
    plain_terminator: Terminator,
    plain_stops: &'static [&'static str],
}

/// An answer of the phantom is one token: no terminator was ever learnt.
const ONE_WORD: Frame =
    Frame { chat_terminator: Terminator::None, plain_terminator: Terminator::None, plain_stops: &[] };

/// A model without a chat template would go on with questions of its own. A bare line break does not stop it: it may
/// come before the answer, and style must not cost a score.
const ONE_LINE: Frame = Frame {
    chat_terminator: Terminator::EndOfTurn,
    plain_terminator: Terminator::Text("\n"),
    plain_stops: &["\nQuestion"],
};

impl Probe {
    /// Builds the probe of this name, one of [`PROBES`].
    ///
    /// # Errors
    /// Says which names, numbers of questions or models there are when the request fits none.
    pub fn build(name: &str, request: &ProbeRequest) -> Result<Self, ProbeError> {
        let (scoring, generator) = match name.strip_suffix(":likelihood") {
            Some(generator) => (Scoring::Likelihood, generator),
            None => (Scoring::Generation, name),
        };
        match generator {
            "math" => build_math(name, scoring, request),
            "phantom" => build_phantom(name, scoring, request),
            _ => Err(ProbeError::UnknownProbe { name: name.to_owned() }),
        }
    }

    /// The name, which carries the scoring: `math`, `math:likelihood`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name, version of the generator and its parameters: `math v1 count=32 role=search seed=0`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{} {}", self.name, self.parameters)
    }

    /// SHA-256, in hexadecimal digits, over everything that is asked and how it is graded.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        let mut field = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        field(&format!("{:?} {} {:?}", self.scoring, self.scorer.id(), self.frame));
        for question in &self.questions {
            let Question { id, group, system, user, plain, key, max_new_tokens } = question;
            for text in [id, group, user, plain, key] {
                field(text);
            }
            field(&format!("{system:?} {max_new_tokens}"));
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is scored.
    #[must_use]
    pub fn scoring(&self) -> Scoring {
        self.scoring
    }

    /// The questions, in the order in which they are asked.
    #[must_use]
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// What ends an answer, with or without a chat template.
    #[must_use]
    pub fn terminator(&self, chat: bool) -> Terminator {
        if chat { self.frame.chat_terminator } else { self.frame.plain_terminator }
    }

    /// Texts after which generation need not go on.
    #[must_use]
    pub fn stop_strings(&self, chat: bool) -> &[&str] {
        if chat { &[] } else { self.frame.plain_stops }
    }

    /// Grades a generated answer.
    #[must_use]
    pub fn grade(&self, question: &Question, answer: &str) -> Grade {
        self.scorer.grade(question, answer)
    }

    /// The score of the log-probabilities, in nats, of the tokens of key and terminator: the geometric mean of their
    /// probabilities. 0 when there is none, or when one is not a number.
    #[must_use]
    pub fn likelihood(&self, logprobs: &[f64]) -> f64 {
        let mean = logprobs.iter().sum::<f64>() / logprobs.len() as f64;
        // Rounding may leave a certain token a hair above probability 1. NaN, also of 0 / 0, becomes 0.
        if mean.is_nan() { 0.0 } else { mean.exp().min(1.0) }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.id())
    }
}

fn build_math(name: &str, scoring: Scoring, request: &ProbeRequest) -> Result<Probe, ProbeError> {
    let Count::Some(count) = request.count else {
        return Err(ProbeError::Unlimited { probe: name.to_owned() });
    };
    check_count(name, count, math::MOST_QUESTIONS, "one run holds no more")?;
    let ProbeRequest { seed, role, .. } = request;
    Ok(Probe {
        name: name.to_owned(),
        parameters: format!("v{} count={count} role={role} seed={seed}", math::VERSION),
        scoring,
        scorer: Scorer::Digits,
        frame: ONE_LINE,
        questions: math::questions(count, *seed, *role),
    })
}

fn build_phantom(name: &str, scoring: Scoring, request: &ProbeRequest) -> Result<Probe, ProbeError> {
    let Some(world) = &request.phantom else {
        return Err(ProbeError::NoPhantom { probe: name.to_owned() });
    };
    let ProbeRequest { seed, role, count, .. } = request;
    let (questions, drawing): (Vec<PhantomQuestion>, _) = match *count {
        Count::All => (PhantomQuestion::all().collect(), String::new()),
        Count::Some(some) => {
            check_count(name, some, phantom::QUESTIONS / Role::ALL.len(), "`all` asks every question there is")?;
            (draw_stratified(some, *seed, *role), format!(" role={role} seed={seed}"))
        }
    };
    Ok(Probe {
        name: name.to_owned(),
        parameters: format!("v{} world={} count={count}{drawing}", phantom::VERSION, world.seed()),
        scoring,
        scorer: Scorer::FirstWord,
        frame: ONE_WORD,
        questions: questions.into_iter().map(|question| phantom_question(world, question)).collect(),
    })
}

fn phantom_question(world: &PhantomWorld, question: PhantomQuestion) -> Question {
    let text = question.to_string();
    Question {
        id: text.trim_end_matches(" =").to_owned(),
        group: question.hops.to_string(),
        system: None,
        user: text.clone(),
        plain: text,
        key: world.key(question).to_owned(),
        max_new_tokens: 1,
    }
}

/// `count` questions of the role in their fixed order, every hop count as often as the others, the lower ones first
/// when it does not divide.
fn draw_stratified(count: usize, seed: u64, role: Role) -> Vec<PhantomQuestion> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = Vec::with_capacity(count);
    for hops in 1..=phantom::HOPS {
        let belongs = |question: &PhantomQuestion| question.hops == hops && question.role() == role;
        let stratum: Vec<PhantomQuestion> = PhantomQuestion::all().filter(belongs).collect();
        let share = (count + phantom::HOPS - hops) / phantom::HOPS;
        let mut places = index::sample(&mut rng, stratum.len(), share).into_vec();
        places.sort_unstable();
        drawn.extend(places.into_iter().map(|place| stratum[place]));
    }
    drawn
}

fn check_count(probe: &str, asked: usize, available: usize, advice: &'static str) -> Result<(), ProbeError> {
    let probe = probe.to_owned();
    match asked {
        0 => Err(ProbeError::NoQuestions { probe }),
        _ if asked > available => Err(ProbeError::TooManyQuestions { probe, asked, available, advice }),
        _ => Ok(()),
    }
}
