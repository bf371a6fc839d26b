//! Which token comes next: one row of logits, a rule and a key in, a token out. Pure functions without a tensor or a model.
//!
//! Sampling is Gumbel-max: the token with the largest logit / temperature + g, g = −ln(−ln u), is a draw from the
//! softmax (Gumbel 1954; Maddison, Tarlow and Minka 2014). The noise comes from a counter, keyed by seed, question,
//! draw, position and token, so a choice depends on nothing but its key and the logits: not on batches, on their order
//! or on the layer path. Paths that are compared so share their noise (common random numbers), and a draft is verified
//! by choosing again.
//!
//! Filters are those of `transformers` 5.23 in its order (`GenerationMixin._get_logits_processor` and
//! `logits_process.py`): suppressed tokens, temperature, top-k, top-p, min-p. Each keeps a beginning of the tokens in
//! falling order of their logits. Masses are summed in f64, where `transformers` has f32.

mod filter;
mod noise;
mod row;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use filter::Filtered;
use noise::Noise;
use row::{CHUNK, Row, Token};

/// With filters, a lead is looked for up to this difference of logits; a larger one is given as this.
pub const LARGEST_FILTERED_LEAD: f64 = 1.0 / 32.0;

/// Below this temperature the likeliest token is chosen: noise times temperature hardly reaches another f32.
const COLDEST: f64 = 1e-6;

/// A lead below this is called none; it is near the rounding of the masses.
const SMALLEST_FILTERED_LEAD: f64 = 1e-7;

/// How a token is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; finite and at least 0. Below 1e-6 the likeliest token is chosen.
    pub temperature: f64,
    /// Number of likeliest tokens that are kept, with all that equal the last of them; `None` and 0 keep all.
    pub top_k: Option<usize>,
    /// The likeliest tokens are kept until their mass reaches this share, from 0 to 1; 1 keeps all. Of equal logits
    /// the lower token goes first.
    pub top_p: f64,
    /// Tokens are kept whose probability is at least this share of the likeliest token's, from 0 to 1; 0 keeps all.
    pub min_p: f64,
    /// Where the noise comes from.
    pub seed: u64,
}

/// What `transformers` 5.23 samples with where `generation_config.json` says nothing (`_get_default_generation_params`):
/// temperature 1, top-k 50, no other filter.
impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: Some(50), top_p: 1.0, min_p: 0.0, seed: 0 }
    }
}

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// The likeliest token.
    Greedy,
    /// A draw.
    Sample(Sampling),
}

/// What a choice's noise depends on beside seed and token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChoiceKey {
    /// A number for the question, the same on every path.
    pub question: u64,
    /// Which of several answers to the question.
    pub draw: u32,
    /// Position of the chosen token, counted in any one way.
    pub position: u32,
}

/// A chosen token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The token; the lowest of equals.
    pub token: u32,
    /// How safe the choice is, in the logits' unit: it stays the same when no difference of two logits changes by as
    /// much as this. Without filters that is the best minus the second best of what was compared (noise times
    /// temperature included), infinite where there is no second. With filters it is a lower bound that covers tokens
    /// near an edge as well, and at most [`LARGEST_FILTERED_LEAD`].
    pub lead: f64,
}

/// Chooses the next token from one row of logits `(vocab)`; tokens of `suppress` are never chosen. `None` when a logit
/// is not finite or no token is left.
#[must_use]
pub fn choose(logits: &[f32], suppress: &[u32], rule: &Rule, key: ChoiceKey) -> Option<Choice> {
    let suppress = ascending(suppress);
    match rule {
        Rule::Sample(sampling) if sampling.temperature >= COLDEST => {
            sample(Row::new(logits, &suppress)?, sampling, key)
        }
        _ => greedy(logits, &suppress),
    }
}

/// Generation settings list suppressed tokens in ascending order, so that nothing is copied.
fn ascending(suppress: &[u32]) -> Cow<'_, [u32]> {
    if suppress.is_sorted() {
        return Cow::Borrowed(suppress);
    }
    let mut suppress = suppress.to_vec();
    suppress.sort_unstable();
    Cow::Owned(suppress)
}

fn greedy(logits: &[f32], suppress: &[u32]) -> Option<Choice> {
    let suppressed = suppress.iter().filter_map(|&token| logits.get(token as usize));
    if !suppressed.copied().all(f32::is_finite) {
        return None;
    }
    let mut best: Option<(usize, f32)> = None;
    let mut second = f32::NEG_INFINITY;
    for (first, stretch) in row::stretches(logits, suppress) {
        let found = row::leaders(stretch)?;
        let Some(position) = found.position else { continue };
        match best {
            Some((_, largest)) if found.best <= largest => second = second.max(found.best),
            _ => {
                second = best.map_or(found.second, |(_, largest)| largest.max(found.second));
                best = Some((first + position, found.best));
            }
        }
    }
    let (token, largest) = best?;
    Some(Choice { token: token as u32, lead: f64::from(largest) - f64::from(second) })
}

fn sample(row: Row<'_>, sampling: &Sampling, key: ChoiceKey) -> Option<Choice> {
    let noise = Noise::new(sampling.seed, key);
    let mut race = Race::new(&noise, sampling.temperature);
    let Some(filtered) = Filtered::new(&row, sampling) else {
        // The chunk with the likeliest token sets the mark by which most other tokens are passed over.
        let first = row.likeliest_chunk();
        let mut tokens = Vec::with_capacity(CHUNK);
        for chunk in std::iter::once(first).chain((0..row.chunks()).filter(|&chunk| chunk != first)) {
            let maximum = row.maximum(chunk);
            // Most chunks hold nothing that matters, and their tokens need not be looked at one by one.
            if race.can_matter(maximum) && noise.any_from((chunk * CHUNK) as u32, race.least_bits(maximum)) {
                tokens.clear();
                tokens.extend(row.tokens(chunk));
                race.enter(&tokens);
            }
        }
        let (winner, value) = race.winner?;
        return Some(Choice { token: winner.token, lead: (value - race.second) * sampling.temperature });
    };
    for tokens in filtered.kept().chunks(CHUNK) {
        if !race.can_matter(tokens[0].logit) {
            break;
        }
        race.enter(tokens);
    }
    let (winner, value) = race.winner?;
    let lead = ((value - race.second) * sampling.temperature).min(LARGEST_FILTERED_LEAD);
    Some(Choice { token: winner.token, lead: filtered_lead(&filtered, &noise, (winner, value), lead, sampling) })
}

/// The largest of `lead`, its half, its quarter … within which no filter changes the choice.
fn filtered_lead(
    filtered: &Filtered,
    noise: &Noise,
    (winner, value): (Token, f64),
    mut lead: f64,
    sampling: &Sampling,
) -> f64 {
    // Removed tokens that could be let in, and would then come within the lead or win.
    let outsiders: Vec<(f64, f64)> = {
        let mut race = Race::new(noise, sampling.temperature);
        race.second = value - lead / sampling.temperature;
        let mut found = Vec::new();
        for tokens in filtered.removed_from(filtered.low_cut(lead)).chunks(CHUNK) {
            race.each(tokens, |token, entered| {
                found.push((f64::from(token.logit), (value - entered) * sampling.temperature));
            });
        }
        found
    };
    while lead >= SMALLEST_FILTERED_LEAD {
        let low = filtered.low_cut(lead);
        let stays = filtered.surely_keeps(winner.logit, lead);
        if stays && outsiders.iter().all(|&(logit, behind)| logit < low || behind >= lead) {
            return lead;
        }
        lead /= 2.0;
    }
    0.0
}

/// Tokens compared by logit / temperature + noise, the likely ones first; tokens that cannot come second are passed
/// over before a logarithm is taken.
struct Race<'a> {
    noise: &'a Noise,
    per_temperature: f64,
    winner: Option<(Token, f64)>,
    /// The second largest value; what does not exceed it cannot matter.
    second: f64,
}

impl<'a> Race<'a> {
    fn new(noise: &'a Noise, temperature: f64) -> Self {
        Self { noise, per_temperature: 1.0 / temperature, winner: None, second: f64::NEG_INFINITY }
    }

    /// Whether the noise reaches far enough for a token of this logit to come second.
    fn can_matter(&self, logit: f32) -> bool {
        f64::from(logit) * self.per_temperature + noise::LARGEST_GUMBEL >= self.second
    }

    /// The least random bits with which a token of at most this logit can come second.
    fn least_bits(&self, logit: f32) -> u64 {
        noise::least_bits(self.second - f64::from(logit) * self.per_temperature)
    }

    /// Compares tokens; fastest when the first has the largest logit or all are near each other.
    fn enter(&mut self, tokens: &[Token]) {
        let mut entered = [(Token::default(), 0.0); CHUNK];
        let mut count = 0;
        self.each(tokens, |token, value| {
            entered[count] = (token, value);
            count += 1;
        });
        for &(token, value) in &entered[..count] {
            let wins =
                |&(best, largest): &(Token, f64)| value > largest || value == largest && token.token < best.token;
            if self.winner.as_ref().is_none_or(wins) {
                self.second = self.second.max(self.winner.map_or(f64::NEG_INFINITY, |(_, largest)| largest));
                self.winner = Some((token, value));
            } else {
                self.second = self.second.max(value);
            }
        }
    }

    /// Calls `take` with every token, of at most [`CHUNK`], whose value reaches the second largest.
    fn each(&self, tokens: &[Token], mut take: impl FnMut(Token, f64)) {
        let largest = tokens.iter().map(|token| token.logit).fold(f32::NEG_INFINITY, f32::max);
        self.noise.each_from(tokens, self.least_bits(largest), |token, gumbel| {
            let value = f64::from(token.logit) * self.per_temperature + gumbel;
            if value >= self.second {
                take(token, value);
            }
        });
    }
}
