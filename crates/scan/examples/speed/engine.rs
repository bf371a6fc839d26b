//! The engine: many paths at once.

use std::error::Error;
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_engine::{GenerateOptions, Generation, Likelihood, Prompt, Rule, Scored, Stats};
use neuro_model::{Decoder, Device, WeightType};
use neuro_path::LayerPath;

use crate::{Given, Question, Request, Scoring};

/// Rows that a group of paths has in each step, as in a scan (crates/scan/src/memory.rs).
const BUSY_ROWS: usize = 512;

/// Loads the weights in the type that is asked for.
pub(crate) fn load(checkpoint: &Arc<Checkpoint>, weight_type: WeightType) -> Result<Decoder, Box<dyn Error>> {
    Ok(Decoder::load_as(checkpoint, &Device::Cpu, weight_type)?)
}

/// What each path gave, what was run for it, and for answers the sweeps that each took on average.
pub(crate) type Ran = (Vec<Given>, Stats, Option<f64>);

/// A question whose continuation is scored.
pub(crate) fn scored(question: &Question) -> Scored {
    Scored { prompt: question.prompt.clone(), continuation: question.continuation.clone() }
}

/// Paths that run together, so many that each step has enough rows; the baseline runs alone.
pub(crate) fn groups(paths: &[LayerPath], asked: usize) -> impl Iterator<Item = &[LayerPath]> {
    let (first, rest) = paths.split_at(paths.first().map_or(0, |path| usize::from(path.is_baseline())));
    first.chunks(1).chain(rest.chunks(BUSY_ROWS.div_ceil(asked.max(1))))
}

/// What has been run in all.
pub(crate) fn added(a: Stats, b: Stats) -> Stats {
    Stats {
        sweeps: a.sweeps + b.sweeps,
        layer_tokens: a.layer_tokens + b.layer_tokens,
        drafted: a.drafted + b.drafted,
        accepted: a.accepted + b.accepted,
        near_ties: a.near_ties + b.near_ties,
    }
}

/// Runs all paths over all questions, the baseline first.
pub(crate) fn run(decoder: &Arc<Decoder>, paths: &[LayerPath], request: &Request) -> Result<Ran, Box<dyn Error>> {
    let asked: usize = match request.scoring {
        Scoring::Likelihood => request.questions.iter().map(|question| question.continuation.len()).sum(),
        Scoring::Generation => request.questions.len(),
    };
    let groups = groups(paths, asked);
    let mut given = Vec::with_capacity(paths.len());
    match request.scoring {
        Scoring::Likelihood => {
            let scored: Vec<_> = request.questions.iter().map(scored).collect();
            let mut likelihood = Likelihood::new(decoder.clone(), &scored)?;
            for group in groups {
                given.extend(likelihood.logprobs(group, &mut |_| true)?.into_iter().map(Given::Nats));
            }
            Ok((given, likelihood.stats(), None))
        }
        Scoring::Generation => {
            let prompt = |(index, question): (usize, &Question)| Prompt {
                tokens: question.prompt.clone(),
                limit: request.new_tokens,
                question: index as u64,
                draw: 0,
            };
            let mut generation =
                Generation::new(decoder.clone(), request.questions.iter().enumerate().map(prompt).collect())?
                    .with_drafts(request.drafts);
            // Between peers nothing ends an answer but its length, which is the same for every side.
            let options = GenerateOptions { eos: &request.eos, suppress: &[], rule: Rule::Greedy, stop: &|_, _| None };
            let mut sweeps = 0;
            for group in groups {
                let answers = generation.answers(group, &options, &mut |_| true)?;
                sweeps += answers.iter().flatten().map(|answer| answer.sweeps).sum::<usize>();
                let tokens =
                    |answers: Vec<neuro_engine::Answer>| answers.into_iter().map(|answer| answer.tokens).collect();
                given.extend(answers.into_iter().map(|answers| Given::Tokens(tokens(answers))));
            }
            let answers = paths.len() * request.questions.len();
            Ok((given, generation.stats(), Some(sweeps as f64 / answers.max(1) as f64)))
        }
    }
}
