use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::draw::check_count;
use crate::scorer::{Grade, Scorer};
use crate::{
    Continuation, Frame, Likelihood, ProbeError, ProbeRequest, Question, Terminator, eq, follow, math, phantom, reason,
    recall, sane, task, text,
};

/// The names of all probes; `reason@5` asks puzzles of depth 5, and `text` is short for `text:likelihood`.
pub const PROBES: &[&str] = &[
    "math",
    "math:likelihood",
    "eq",
    "eq:likelihood",
    "reason",
    "reason:likelihood",
    "recall",
    "recall:likelihood",
    "follow",
    "follow:likelihood",
    "text",
    "text:likelihood",
    "sane",
    "phantom",
    "phantom:likelihood",
];

/// What is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scoring {
    /// The generated text.
    Generation,
    /// Probabilities of given texts, as [`ProbeParts::likelihood`] says.
    Likelihood,
}

/// A set of questions with a scorer.
#[derive(Debug, Clone)]
pub struct Probe {
    parts: ProbeParts,
    /// Answers that are drawn to each question; 0 where the likeliest one is taken.
    draws: usize,
}

/// The name under which it is kept what was asked: without scoring, depth and examples, since these ask the same questions.
/// `math` of `math:likelihood`, `reason` of `reason@5`, `gsm8k` of `gsm8k-5shot`, `eqbench` of `rys-eq`.
#[must_use]
pub fn family(name: &str) -> &str {
    let base = name.split([':', '@']).next().unwrap_or_default();
    match base {
        "bbh-cot" => "bbh",
        "gsm8k-5shot" | "gsm8k-cot" => "gsm8k",
        "rys-eq" => "eqbench",
        base => base,
    }
}

/// What stands between a question's id and the number of the draw, from 0, in the id of a drawn question.
pub const DRAW_MARK: &str = " #";

/// What a probe consists of.
#[derive(Debug, Clone)]
pub struct ProbeParts {
    /// The name, which carries the scoring: `math`, `math:likelihood`. Rows and files are named after it.
    pub name: String,
    /// Version of what made the questions, and its parameters: `v1 count=32 role=search seed=0`.
    pub parameters: String,
    /// What is scored.
    pub scoring: Scoring,
    /// What is made of probabilities, under [`Scoring::Likelihood`].
    pub likelihood: Likelihood,
    /// How answers are graded.
    pub scorer: Arc<dyn Scorer>,
    /// What stands around an answer.
    pub frame: Frame,
    /// The questions, in the order in which they are asked.
    pub questions: Vec<Question>,
}

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
        if task::is_task(name) {
            return task::build(name, request);
        }
        let build = match generator {
            "math" => math::build,
            "eq" => eq::build,
            "recall" => recall::build,
            "follow" => follow::build,
            "sane" => sane::build,
            "text" => return text::build(request),
            "phantom" => phantom::build,
            _ if reason::depth_of(generator).is_some() => reason::build,
            _ => return Err(ProbeError::UnknownProbe { name: name.to_owned() }),
        };
        if let Some(file) = &request.file {
            return Err(ProbeError::NeedsNoFile { probe: name.to_owned(), file: file.name.clone() });
        }
        build(name, scoring, request)
    }

    /// Whether [`Self::build`] knows a probe of this name.
    #[must_use]
    pub fn is_known(name: &str) -> bool {
        let generator = name.strip_suffix(":likelihood").unwrap_or(name);
        PROBES.contains(&name) || reason::depth_of(generator).is_some()
    }

    /// A probe of these parts.
    ///
    /// # Errors
    /// When there is no question, or two have the same id.
    pub fn from_parts(parts: ProbeParts) -> Result<Self, ProbeError> {
        if parts.questions.is_empty() {
            return Err(ProbeError::NoQuestions { probe: parts.name });
        }
        let mut ids = HashSet::new();
        if let Some(twice) = parts.questions.iter().find(|question| !ids.insert(&question.id)) {
            let id = twice.id.clone();
            return Err(ProbeError::DuplicateQuestion { probe: parts.name, id });
        }
        Ok(Self { parts, draws: 0 })
    }

    /// The same questions, each answered `draws` times with noise of its own instead of greedily. The name gets
    /// `:sampled`; of each question there are that many one after the other, with [`DRAW_MARK`] and a number behind
    /// their ids.
    ///
    /// # Errors
    /// When probabilities are scored, which nothing is drawn from, or `draws` is 0.
    pub fn drawn(&self, draws: usize) -> Result<Self, ProbeError> {
        let name = || self.parts.name.clone();
        if self.parts.scoring != Scoring::Generation {
            let reason = "scores probabilities and generates nothing that could be drawn; ask it without `:likelihood`";
            return Err(ProbeError::Scoring { probe: name(), reason });
        }
        if draws == 0 {
            return Err(ProbeError::NoQuestions { probe: name() });
        }
        let mut parts = self.parts.clone();
        parts.name = format!("{}:sampled", parts.name);
        parts.parameters = format!("{} draws={draws}", parts.parameters);
        let draw = |question: &Question, draw: usize| Question {
            id: format!("{}{DRAW_MARK}{draw}", question.id),
            ..question.clone()
        };
        let each = |question: &Question| (0..draws).map(|number| draw(question, number)).collect::<Vec<_>>();
        parts.questions = parts.questions.iter().flat_map(each).collect();
        Ok(Self { parts, draws })
    }

    /// `count` of the questions that `is_used` does not name, in the order in which they stand: groups take turns, in the
    /// order in which they come, each with its questions in an order drawn from `seed`. Probes with the same questions keep
    /// the same ones, whatever they score.
    ///
    /// # Errors
    /// When `count` is 0, or fewer are left.
    pub fn unused(&self, count: usize, seed: u64, is_used: impl Fn(&Question) -> bool) -> Result<Self, ProbeError> {
        let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
        let left = self.parts.questions.iter().enumerate().filter(|(_, question)| !is_used(question));
        for (place, Question { group, .. }) in left {
            match groups.iter_mut().find(|(known, _)| known == group) {
                Some((_, places)) => places.push(place),
                None => groups.push((group, vec![place])),
            }
        }
        let available = groups.iter().map(|(_, places)| places.len()).sum();
        check_count(self.name(), count, available, "ask for as many, or make a new run")?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        groups.iter_mut().for_each(|(_, places)| places.shuffle(&mut rng));
        let longest = groups.iter().map(|(_, places)| places.len()).max().unwrap_or(0);
        let turns =
            (0..longest).flat_map(|turn| groups.iter().filter_map(move |(_, places)| places.get(turn).copied()));
        let mut kept: Vec<usize> = turns.take(count).collect();
        kept.sort_unstable();
        let mut parts = self.parts.clone();
        parts.questions = kept.into_iter().map(|place| self.parts.questions[place].clone()).collect();
        parts.parameters = format!("{} unused={count}", parts.parameters);
        Ok(Self { parts, draws: self.draws })
    }

    /// Answers that are drawn to each question; 0 where the likeliest one is taken.
    #[must_use]
    pub fn draws(&self) -> usize {
        self.draws
    }

    /// The name, which carries the scoring: `math`, `math:likelihood`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// Name, version of the generator and its parameters: `math v1 count=32 role=search seed=0`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{} {}", self.parts.name, self.parts.parameters)
    }

    /// SHA-256, in hexadecimal digits, over everything that is asked and how it is graded.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        let mut field = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        let ProbeParts { scoring, likelihood, scorer, frame, questions, .. } = &self.parts;
        // What came later is hashed only where it is used: probes that do not use it keep the hash that runs know.
        let Frame { chat_terminator, plain_terminator, plain_stops, always_plain } = frame;
        field(&format!(
            "{scoring:?} {} Frame {{ chat_terminator: {chat_terminator:?}, plain_terminator: {plain_terminator:?}, \
             plain_stops: {plain_stops:?} }}",
            scorer.id()
        ));
        if *always_plain {
            field("always plain");
        }
        if *likelihood != Likelihood::Key {
            field(&format!("{likelihood:?}"));
        }
        for question in questions {
            // What identifies a question follows from it.
            let Question { id, group, system, user, plain, key, reference, continuations, max_new_tokens, identity: _ } =
                question;
            for text in [id, group, user, plain, key] {
                field(text);
            }
            field(&format!("{system:?} {max_new_tokens}"));
            if !reference.is_empty() {
                field(reference);
            }
            for (index, set) in continuations.iter().enumerate() {
                for Continuation { read, said, value } in set {
                    field(&format!("{index} {read:?} {said:?} {value}"));
                }
            }
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is scored.
    #[must_use]
    pub fn scoring(&self) -> Scoring {
        self.parts.scoring
    }

    /// What is made of probabilities, where they are scored.
    #[must_use]
    pub fn likelihood(&self) -> Likelihood {
        self.parts.likelihood
    }

    /// Whether the plain prompt is asked even of models with a chat template.
    #[must_use]
    pub fn always_plain(&self) -> bool {
        self.parts.frame.always_plain
    }

    /// The questions, in the order in which they are asked.
    #[must_use]
    pub fn questions(&self) -> &[Question] {
        &self.parts.questions
    }

    /// What ends an answer, with or without a chat template.
    #[must_use]
    pub fn terminator(&self, chat: bool) -> Terminator {
        if chat { self.parts.frame.chat_terminator } else { self.parts.frame.plain_terminator }
    }

    /// Texts after which generation need not go on.
    #[must_use]
    pub fn stop_strings(&self, chat: bool) -> &[String] {
        if chat { &[] } else { &self.parts.frame.plain_stops }
    }

    /// What a reader of its scores must know.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.parts.scorer.notes()
    }

    /// Grades a generated answer.
    #[must_use]
    pub fn grade(&self, question: &Question, answer: &str) -> Grade {
        self.parts.scorer.grade(question, answer)
    }

    /// Grades log-probabilities, in nats: of the tokens of key and terminator, or of the tokens of each continuation,
    /// set after set. The score is 0 where there is none, or one is not a number.
    #[must_use]
    pub fn score_logprobs(&self, question: &Question, logprobs: &[Vec<f64>]) -> Grade {
        self.parts.likelihood.grade(self.parts.scorer.as_ref(), question, logprobs)
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.id())
    }
}
