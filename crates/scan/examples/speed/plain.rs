//! The plain way: one path after the other, one prompt after the other, nothing shared; the prompt in one pass, then
//! token by token over the path's own keys and values.

use std::error::Error;

use neuro_model::{Batch, Decoder, State};
use neuro_path::LayerPath;

use crate::{Given, Question, Request, Scoring};

/// Runs every path over every question.
pub(crate) fn run(decoder: &Decoder, paths: &[LayerPath], request: &Request) -> Result<Vec<Given>, Box<dyn Error>> {
    let each = |path: &LayerPath| match request.scoring {
        Scoring::Likelihood => request
            .questions
            .iter()
            .map(|question| score(decoder, path, question))
            .collect::<Result<_, _>>()
            .map(Given::Nats),
        Scoring::Generation => request
            .questions
            .iter()
            .map(|question| answer(decoder, path, &question.prompt, request.new_tokens))
            .collect::<Result<_, _>>()
            .map(Given::Tokens),
    };
    paths.iter().map(each).collect()
}

/// Logits `(vocab)` behind each of the last `asked` tokens.
fn logits(
    decoder: &Decoder,
    path: &LayerPath,
    state: &mut State,
    (past, tokens): (usize, &[u32]),
    asked: usize,
) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let len = tokens.len();
    let batch = Batch::next(past, len, past + len);
    let resid = decoder.run(decoder.embed(tokens)?, &batch, &path.visits(), &mut state.slots, &mut ())?;
    Ok(decoder.unembed(&resid.narrow(0, len - asked, asked)?)?.to_vec2()?)
}

fn score(decoder: &Decoder, path: &LayerPath, question: &Question) -> Result<Vec<f64>, Box<dyn Error>> {
    let Question { prompt, continuation } = question;
    let tokens = [prompt.as_slice(), &continuation[..continuation.len().saturating_sub(1)]].concat();
    let rows = logits(decoder, path, &mut State::new(path.len()), (0, &tokens), continuation.len())?;
    let nats = |(row, &token): (&Vec<f32>, &u32)| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
        f64::from(row[token as usize] - largest) - sum.ln()
    };
    Ok(rows.iter().zip(continuation).map(nats).collect())
}

fn answer(decoder: &Decoder, path: &LayerPath, prompt: &[u32], new_tokens: usize) -> Result<Vec<u32>, Box<dyn Error>> {
    let mut state = State::new(path.len());
    let mut answer = Vec::with_capacity(new_tokens);
    let mut unread = prompt.to_vec();
    let mut past = 0;
    while answer.len() < new_tokens {
        let rows = logits(decoder, path, &mut state, (past, &unread), 1)?;
        let row = rows.first().ok_or("no logits")?;
        // The lowest of equals, as the engine's rule says.
        let best = (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).ok_or("an empty vocabulary")?;
        past += unread.len();
        unread = vec![best as u32];
        answer.push(best as u32);
    }
    Ok(answer)
}
