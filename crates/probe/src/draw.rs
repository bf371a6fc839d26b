//! Questions of a finite set: whose they are, and which of them are asked.

use std::collections::{BTreeMap, HashSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{Count, ProbeError, ProbeRequest, Question, Role};

/// The drawn questions, and what a probe's id says of the drawing: `count=32 role=search seed=0`.
///
/// A question's role follows from what identifies it, and each is asked once. Groups take turns, in the order of their names,
/// each with its questions in an order drawn from the seed; asking for more begins with the same questions.
///
/// # Errors
/// When nothing is asked for, or more than the role holds.
pub(crate) fn draw(
    probe: &str,
    questions: Vec<Question>,
    identity: fn(&Question) -> &str,
    request: &ProbeRequest,
) -> Result<(Vec<Question>, String), ProbeError> {
    let ProbeRequest { seed, role, .. } = request;
    let Count::Some(count) = request.count else { return Ok((questions, "count=all".to_owned())) };
    // A window that stands twice in a text is read alike, and would count as two that agree.
    let mut seen = HashSet::new();
    let is_new = |question: &Question| seen.insert(identity(question).to_owned());
    let held = questions.into_iter().filter(|question| Role::of(identity(question)) == *role);
    let held: Vec<Question> = held.filter(is_new).collect();
    check_count(probe, count, held.len(), "`all` asks every question there is, of every purpose")?;
    let mut groups: BTreeMap<String, Vec<Question>> = BTreeMap::new();
    for question in held {
        groups.entry(question.group.clone()).or_default().push(question);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(*seed);
    let mut queues: Vec<_> = groups.into_values().collect();
    for queue in &mut queues {
        queue.shuffle(&mut rng);
    }
    let longest = queues.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| queues.iter().filter_map(move |queue| queue.get(turn)));
    Ok((turns.take(count).cloned().collect(), format!("count={count} role={role} seed={seed}")))
}

/// Refuses to ask nothing, or more than there is.
pub(crate) fn check_count(probe: &str, asked: usize, available: usize, advice: &'static str) -> Result<(), ProbeError> {
    let probe = probe.to_owned();
    match asked {
        0 => Err(ProbeError::NoQuestions { probe }),
        _ if asked > available => Err(ProbeError::TooManyQuestions { probe, asked, available, advice }),
        _ => Ok(()),
    }
}
