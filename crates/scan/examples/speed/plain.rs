//! The plain way: one path after the other, one prompt after the other, nothing shared; the prompt in one pass, then
//! token by token over the path's own keys and values.

use std::error::Error;
use std::sync::Arc;

use neuro_engine::{GenerateOptions, Plain, Prompt, Rule, Scored};
use neuro_model::Decoder;
use neuro_path::LayerPath;

use crate::{Given, Request, Scoring};

/// Runs every path over every question.
pub(crate) fn run(
    decoder: &Arc<Decoder>,
    paths: &[LayerPath],
    request: &Request,
) -> Result<Vec<Given>, Box<dyn Error>> {
    // Nothing ends an answer but its length, which is the same for every side.
    let options = GenerateOptions { eos: &[], suppress: &[], rule: Rule::Greedy, stop: &|_, _| None };
    let mut given = Vec::with_capacity(paths.len());
    for path in paths {
        let (mut nats, mut tokens) = (Vec::new(), Vec::new());
        for (index, question) in request.questions.iter().enumerate() {
            let prompt = question.prompt.clone();
            match request.scoring {
                Scoring::Likelihood => {
                    let scored = Scored { prompt, continuation: question.continuation.clone() };
                    nats.push(Plain::logprobs(decoder.clone(), path, &scored)?);
                }
                Scoring::Generation => {
                    let limit = request.new_tokens;
                    let prompt = Prompt { tokens: prompt, limit, question: index as u64, draw: 0 };
                    tokens.push(Plain::answer(decoder.clone(), path, &prompt, &options)?.tokens);
                }
            }
        }
        given.push(match request.scoring {
            Scoring::Likelihood => Given::Nats(nats),
            Scoring::Generation => Given::Tokens(tokens),
        });
    }
    Ok(given)
}
