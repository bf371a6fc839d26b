//! Which tokens top-k, top-p and min-p keep, and how far the edge is.

use super::row::{Row, Token, exp};
use super::{LARGEST_FILTERED_LEAD, Sampling};

/// Tokens that are looked at first; more when the filters keep more.
const FIRST_LOOK: usize = 128;
const GROWTH: usize = 8;

/// Tokens in falling order, cut by the filters.
///
/// How the cut answers to a change of the logits: when no difference of two logits changes by δ or more, then (up to a
/// common shift, which changes nothing) each logit, and with it each place of the sorted order, moves by less than δ/2;
/// the log-odds of any head of that order against its tail move by less than δ / temperature.
pub(super) struct Filtered {
    /// Falling; down to well below the cut, or all.
    tokens: Vec<Token>,
    kept: usize,
    temperature: f64,
    /// Number of tokens that top-k keeps, when it can remove any.
    top_k: Option<usize>,
    top_p: Option<Nucleus>,
    /// The logit at which min-p cuts.
    min_p: Option<f64>,
}

/// What top-p sees.
struct Nucleus {
    /// Log-odds of the share to be kept.
    wanted: f64,
    /// Mass of the first 1, 2, 3 … tokens.
    heads: Vec<f64>,
    /// Mass of the tokens that go into top-p: without and with those that equal the last of top-k.
    all: [f64; 2],
}

impl Nucleus {
    /// Number of tokens whose mass surely, or at most, suffices when log-odds move by `change`; as many as are known
    /// if they do not suffice. `all` is taken from the side that is asked for.
    fn count(&self, change: f64, all: f64) -> usize {
        let suffices = |&head: &f64| log_odds(head, all) + change >= self.wanted;
        // Heads grow, so that the first that suffices can be searched.
        self.heads.partition_point(|head| !suffices(head)) + 1
    }
}

/// ln(part / (all − part)); infinite when nothing is left.
fn log_odds(part: f64, all: f64) -> f64 {
    let rest = all - part;
    if rest > 0.0 { (part / rest).ln() } else { f64::INFINITY }
}

impl Filtered {
    /// `None` when no filter is on.
    pub(super) fn new(row: &Row<'_>, sampling: &Sampling) -> Option<Self> {
        let top_k = sampling.top_k.filter(|&count| count > 0);
        if top_k.is_none() && sampling.top_p >= 1.0 && sampling.min_p <= 0.0 {
            return None;
        }
        let mut count = top_k.map_or(FIRST_LOOK, |count| count.saturating_add(FIRST_LOOK));
        let mut mass = None;
        loop {
            let (tokens, all) = row.largest(count);
            let largest = f64::from(tokens[0].logit);
            let mut mass = || *mass.get_or_insert_with(|| row.mass(largest, 1.0 / sampling.temperature));
            let filtered = Self::of(tokens, sampling, top_k, &mut mass);
            if all || filtered.reaches(LARGEST_FILTERED_LEAD) {
                return Some(filtered);
            }
            count = count.saturating_mul(GROWTH);
        }
    }

    fn of(tokens: Vec<Token>, sampling: &Sampling, top_k: Option<usize>, mass: &mut dyn FnMut() -> f64) -> Self {
        let logit = |rank: usize| f64::from(tokens[rank].logit);
        let top_k = top_k.filter(|&count| count < tokens.len());
        // With all that equal the last one.
        let of_top_k = top_k.map_or(tokens.len(), |count| {
            let edge = tokens[count - 1].logit;
            count + tokens[count..].iter().take_while(|token| token.logit == edge).count()
        });
        let mut kept = of_top_k;
        let top_p = (sampling.top_p < 1.0).then(|| {
            let per_temperature = 1.0 / sampling.temperature;
            let mut sum = 0.0;
            let heads = tokens[..of_top_k].iter().map(|token| {
                sum += exp((f64::from(token.logit) - logit(0)) * per_temperature);
                sum
            });
            let heads: Vec<f64> = heads.collect();
            let all = match top_k {
                Some(count) => [heads[count - 1], heads[of_top_k - 1]],
                None => [mass(); 2],
            };
            let wanted = sampling.top_p * all[1];
            kept = kept.min(heads.partition_point(|&head| head < wanted) + 1);
            Nucleus { wanted: log_odds(sampling.top_p, 1.0), heads, all }
        });
        let min_p = (sampling.min_p > 0.0).then(|| logit(0) + sampling.min_p.ln() * sampling.temperature);
        if let Some(edge) = min_p {
            kept = tokens[..kept].partition_point(|token| f64::from(token.logit) >= edge).max(1);
        }
        Self { tokens, kept, temperature: sampling.temperature, top_k, top_p, min_p }
    }

    /// Whether the known tokens go down to what a change of less than `change` could let in.
    fn reaches(&self, change: f64) -> bool {
        let last = self.tokens[self.tokens.len() - 1].logit;
        f64::from(last) < self.low_cut(change)
    }

    /// The tokens that may be chosen, falling.
    pub(super) fn kept(&self) -> &[Token] {
        &self.tokens[..self.kept]
    }

    /// Tokens that the filters remove and whose logit is at least `cut`.
    pub(super) fn removed_from(&self, cut: f64) -> &[Token] {
        let removed = &self.tokens[self.kept..];
        &removed[..removed.partition_point(|token| f64::from(token.logit) >= cut)]
    }

    /// A token of a smaller logit is not kept either when no difference of logits changes by `change` or more.
    pub(super) fn low_cut(&self, change: f64) -> f64 {
        let at = |count: usize| self.tokens.get(count - 1).map_or(f64::NEG_INFINITY, |token| f64::from(token.logit));
        let mut cut = f64::NEG_INFINITY;
        if let Some(count) = self.top_k {
            cut = cut.max(at(count) - change);
        }
        if let Some(nucleus) = &self.top_p {
            cut = cut.max(at(nucleus.count(-change / self.temperature, nucleus.all[1])) - change);
        }
        if let Some(edge) = self.min_p {
            cut = cut.max(edge - change);
        }
        cut
    }

    /// Whether a kept token of this logit stays kept when no difference of logits changes by `change` or more.
    pub(super) fn surely_keeps(&self, logit: f32, change: f64) -> bool {
        let logit = f64::from(logit);
        // Whether it stays among the first so many.
        let among = |count: usize| self.tokens.get(count).is_none_or(|next| logit > f64::from(next.logit) + change);
        self.top_k.is_none_or(among)
            && self.top_p.as_ref().is_none_or(|nucleus| {
                among(nucleus.count(change / self.temperature, nucleus.all[0]))
            })
            // The likeliest token is kept whatever the edge.
            && self.min_p.is_none_or(|edge| logit > edge + change || among(1))
    }
}
