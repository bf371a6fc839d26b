//! The engine: many paths at once.

use std::error::Error;
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_engine::{GenerateOptions, Generation, Likelihood, Prompt, Rule, Scored, Stats};
use neuro_model::{Decoder, Device, WeightType};
use neuro_path::LayerPath;

use crate::{Given, Request, Scoring};

/// Rows that a group of paths has in each step, as in a scan (crates/scan/src/memory.rs).
const BUSY_ROWS: usize = 512;

/// Loads the weights in the type that is asked for.
pub(crate) fn load(checkpoint: &Arc<Checkpoint>, weight_type: WeightType) -> Result<Decoder, Box<dyn Error>> {
    Ok(Decoder::load_as(checkpoint, &Device::Cpu, weight_type)?)
}

/// Runs all paths over all questions, the baseline first; gives what each path gave.
pub(crate) fn run(
    decoder: &Arc<Decoder>,
    paths: &[LayerPath],
    request: &Request,
) -> Result<(Vec<Given>, Stats), Box<dyn Error>> {
    let asked: usize = match request.scoring {
        Scoring::Likelihood => request.questions.iter().map(|question| question.continuation.len()).sum(),
        Scoring::Generation => request.questions.len(),
    };
    let (first, rest) = paths.split_at(paths.first().map_or(0, |path| usize::from(path.is_baseline())));
    let groups: Vec<&[LayerPath]> = first.chunks(1).chain(rest.chunks(BUSY_ROWS.div_ceil(asked.max(1)))).collect();
    let mut given = Vec::with_capacity(paths.len());
    match request.scoring {
        Scoring::Likelihood => {
            let scored = |question: &crate::Question| Scored {
                prompt: question.prompt.clone(),
                continuation: question.continuation.clone(),
            };
            let scored: Vec<_> = request.questions.iter().map(scored).collect();
            let mut likelihood = Likelihood::new(decoder.clone(), &scored)?;
            for group in groups {
                given.extend(likelihood.logprobs(group, &mut |_| true)?.into_iter().map(Given::Nats));
            }
            Ok((given, likelihood.stats()))
        }
        Scoring::Generation => {
            let prompt = |(index, question): (usize, &crate::Question)| Prompt {
                tokens: question.prompt.clone(),
                limit: request.new_tokens,
                question: index as u64,
                draw: 0,
            };
            let mut generation =
                Generation::new(decoder.clone(), request.questions.iter().enumerate().map(prompt).collect())?;
            // Nothing ends an answer but its length, which is the same for every side.
            let options = GenerateOptions { eos: &[], suppress: &[], rule: Rule::Greedy, stop: &|_, _| None };
            for group in groups {
                let answers = generation.answers(group, &options, &mut |_| true)?;
                let tokens =
                    |answers: Vec<neuro_engine::Answer>| answers.into_iter().map(|answer| answer.tokens).collect();
                given.extend(answers.into_iter().map(|answers| Given::Tokens(tokens(answers))));
            }
            Ok((given, generation.stats()))
        }
    }
}
