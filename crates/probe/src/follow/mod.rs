//! Verifiable instructions: a short text about a topic, and one rule that a program can check.
//!
//! A text must also hold its topic's word, which no constant does for many topics. As IFEval's loose metric does, a rule
//! counts as followed when the text follows it without its bold marks, or without a first line or word of courtesy.
//! By likelihood a text that follows the rule competes with one about the same topic that breaks it.

mod check;
mod kinds;

use std::collections::HashSet;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::draw::check_count;
use crate::dress::{spoken, without_echo};
use crate::{
    Continuation, Count, Frame, Grade, Likelihood, Probe, ProbeError, ProbeParts, ProbeRequest, Question, Role, Scorer,
    Scoring,
};
use check::Rule;
use kinds::{KINDS, Task};

/// Of the drawing and the wording.
const VERSION: u32 = 1;
const MAX_NEW_TOKENS: usize = 96;
/// Most questions of one probe; the topics hold fewer.
const MOST_QUESTIONS: usize = 100_000;
/// Drawings without a new question of the role after which a kind counts as used up.
const PATIENCE: usize = 400;

const SYSTEM: &str = "You write short texts. You follow the rule exactly and write nothing but the text.";
const PLAIN: &str = "Each text follows its rule exactly.";

/// Builds `follow` or `follow:likelihood`.
pub(crate) fn build(name: &str, scoring: Scoring, request: &ProbeRequest) -> Result<Probe, ProbeError> {
    let Count::Some(count) = request.count else {
        return Err(ProbeError::Unlimited { probe: name.to_owned() });
    };
    check_count(name, count, MOST_QUESTIONS, "one run holds no more")?;
    let ProbeRequest { seed, role, .. } = request;
    let questions = questions(count, *seed, *role);
    check_count(name, count, questions.len(), "the topics suffice for no more")?;
    Probe::from_parts(ProbeParts {
        name: name.to_owned(),
        parameters: format!("v{VERSION} count={count} role={role} seed={seed}"),
        scoring,
        likelihood: Likelihood::Choice,
        scorer: Arc::new(Followed),
        // Texts may have several lines.
        frame: Frame {
            plain_terminator: crate::Terminator::Text("\n\n"),
            plain_stops: vec!["\nRule".to_owned()],
            ..Frame::one_line()
        },
        questions,
    })
}

fn questions(count: usize, seed: u64, role: Role) -> Vec<Question> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut asked, mut spent) = (HashSet::new(), HashSet::new());
    let mut questions = Vec::with_capacity(count);
    let mut turn = 0;
    while questions.len() < count && spent.len() < KINDS.len() {
        let (name, kind) = KINDS[turn % KINDS.len()];
        turn += 1;
        if spent.contains(name) {
            continue;
        }
        let mut fresh = (0..PATIENCE).map(|_| Task::draw(kind, &mut rng));
        match fresh.find(|task| Role::of(&task.user()) == role && !asked.contains(&task.user())) {
            Some(task) => {
                asked.insert(task.user());
                questions.push(question(name, task));
            }
            None => drop(spent.insert(name)),
        }
    }
    questions
}

fn question(kind: &str, task: Task) -> Question {
    let user = task.user();
    let digest: String = Sha256::digest(&user).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let Task { topic, instruction, key, violation, rule } = task;
    Question {
        id: format!("{kind} {topic} {digest}"),
        group: kind.to_owned(),
        system: Some(SYSTEM.to_owned()),
        plain: format!("{PLAIN}\n\nRule: {instruction}\nTopic: {topic}\nText:"),
        user,
        reference: format!("{topic}\n{}", rule.print()),
        continuations: vec![vec![Continuation::choice(&key, true), Continuation::choice(violation, false)]],
        key,
        max_new_tokens: MAX_NEW_TOKENS,
        ..Question::default()
    }
}

/// Whether the text follows its rule and holds its topic. The reference: the topic, and in another line the rule.
#[derive(Debug)]
struct Followed;

impl Scorer for Followed {
    fn id(&self) -> String {
        "follow.v1".to_owned()
    }

    fn grade(&self, question: &Question, answer: &str) -> Grade {
        let Some(said) = spoken(answer) else { return Grade::failure() };
        let said = without_echo(&question.user, said);
        if !said.contains(char::is_alphanumeric) {
            return Grade::failure();
        }
        let rule = question.reference.split_once('\n').and_then(|(topic, rule)| Some((topic, Rule::read(rule)?)));
        let Some((topic, rule)) = rule else { return Grade::failure() };
        let is_about = |text: &str| crate::dress::words(text).iter().any(|word| word == topic);
        let follows = variants(&said).iter().any(|text| is_about(text) && rule.is_followed(text));
        Grade::right(follows, if follows { "followed" } else { "broken" })
    }
}

/// The text, and the text without bold marks, without a first line of courtesy, without a first word of it.
fn variants(said: &str) -> Vec<String> {
    let said = said.trim();
    let mut variants = vec![said.to_owned()];
    for courtesy in ["Sure!", "Sure.", "Sure,", "Sure:", "Certainly!", "Of course!", "Okay!", "OK!"] {
        if let Some(rest) = said.strip_prefix(courtesy) {
            variants.push(rest.trim_start().to_owned());
        }
    }
    if let Some((first, rest)) = said.split_once('\n')
        && first.trim_end().ends_with([':', '!'])
    {
        variants.push(rest.trim_start().to_owned());
    }
    let plain: Vec<String> = variants.iter().map(|text| text.replace("**", "")).collect();
    variants.extend(plain);
    variants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_their_rule_and_violations_break_it() {
        let questions: Vec<Question> = (0..3).flat_map(|seed| questions(6 * KINDS.len(), seed, Role::Search)).collect();
        let mut kinds = HashSet::new();
        for question in &questions {
            kinds.insert(question.group.clone());
            let score = |text: &str| Followed.grade(question, text).score;
            let violation = &question.continuations[0][1].said;
            assert_eq!(score(&question.key), 1.0, "{}: {}", question.user, question.key);
            assert_eq!(score(violation), 0.0, "{}: {violation}", question.user);
        }
        assert_eq!(kinds.len(), KINDS.len());
        assert!(kinds.len() >= 20);
    }

    #[test]
    fn courtesy_and_bold_marks_break_no_rule() {
        for question in questions(6 * KINDS.len(), 7, Role::Confirm) {
            for dressed in [
                format!("Sure! {}", question.key),
                format!("Here it is:\n{}", question.key),
                format!("**{}**", question.key),
                format!("<think>\nwhat a rule\n</think>\n\n{}\n", question.key),
            ] {
                assert_eq!(Followed.grade(&question, &dressed).score, 1.0, "{}: {dressed}", question.user);
            }
        }
    }
}
