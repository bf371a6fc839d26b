//! The questions of a phantom as a probe: all of them, or as many of each hop count.

use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::{HOPS, PhantomQuestion, PhantomWorld, QUESTIONS, VERSION};
use crate::draw::check_count;
use crate::scorer::FirstWord;
use crate::{Count, Frame, Likelihood, Probe, ProbeError, ProbeParts, ProbeRequest, Question, Role, Scoring};

/// Builds `phantom` or `phantom:likelihood`.
pub(crate) fn build(name: &str, scoring: Scoring, request: &ProbeRequest) -> Result<Probe, ProbeError> {
    let Some(world) = &request.phantom else {
        return Err(ProbeError::NoPhantom { probe: name.to_owned() });
    };
    let ProbeRequest { seed, role, count, .. } = request;
    let (questions, drawing): (Vec<PhantomQuestion>, _) = match *count {
        Count::All => (PhantomQuestion::all().collect(), String::new()),
        Count::Some(some) => {
            check_count(name, some, QUESTIONS / Role::ALL.len(), "`all` asks every question there is")?;
            (draw_stratified(some, *seed, *role), format!(" role={role} seed={seed}"))
        }
    };
    Probe::from_parts(ProbeParts {
        name: name.to_owned(),
        parameters: format!("v{} world={} count={count}{drawing}", VERSION, world.seed()),
        scoring,
        likelihood: Likelihood::Key,
        scorer: Arc::new(FirstWord),
        // An answer of the phantom is one token: no terminator was ever learnt.
        frame: Frame::open(),
        questions: questions.into_iter().map(|question| asked(world, question)).collect(),
    })
}

fn asked(world: &PhantomWorld, question: PhantomQuestion) -> Question {
    let text = question.to_string();
    Question {
        id: text.trim_end_matches(" =").to_owned(),
        group: question.hops.to_string(),
        system: None,
        user: text.clone(),
        plain: text,
        key: world.key(question).to_owned(),
        max_new_tokens: 1,
        ..Question::default()
    }
}

/// `count` questions of the role in their fixed order, every hop count as often as the others, the lower ones first
/// when it does not divide.
fn draw_stratified(count: usize, seed: u64, role: Role) -> Vec<PhantomQuestion> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = Vec::with_capacity(count);
    for hops in 1..=HOPS {
        let belongs = |question: &PhantomQuestion| question.hops == hops && question.role() == role;
        let stratum: Vec<PhantomQuestion> = PhantomQuestion::all().filter(belongs).collect();
        let share = (count + HOPS - hops) / HOPS;
        let mut places = index::sample(&mut rng, stratum.len(), share).into_vec();
        places.sort_unstable();
        drawn.extend(places.into_iter().map(|place| stratum[place]));
    }
    drawn
}
