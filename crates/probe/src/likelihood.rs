//! Scores of probabilities: nothing is generated, so they are continuous and cost one reading of the prompt.

use crate::scorer::{Grade, Scorer};
use crate::{Continuation, Question};

/// What is made of the log-probabilities of a question's continuations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Likelihood {
    /// The geometric mean probability of the tokens of the key and its terminator.
    Key,
    /// The value that is expected of each set, Σ pᵢ·valueᵢ with p the softmax of the total log-probabilities; of choices
    /// this is the probability of the right one. The mean over the sets.
    Choice,
    /// The value of the likeliest continuation of each set: lm-evaluation-harness's `acc`.
    Best,
    /// The same by log-probability per character, without the space before it: lm-evaluation-harness's `acc_norm`.
    BestPerCharacter,
    /// The same by log-probability per UTF-8 byte.
    BestPerByte,
    /// The value that is expected of each set, as under [`Likelihood::Choice`]; the scorer grades all of them together.
    Expected,
    /// The geometric mean probability per UTF-8 byte of everything that is said.
    Text,
}

impl Likelihood {
    /// The grade of the log-probabilities, in nats, of the tokens of each continuation, set after set; of
    /// [`Likelihood::Key`] those of the key alone. A score of 0 where there are none, or one is not a number.
    pub(crate) fn grade(self, scorer: &dyn Scorer, question: &Question, logprobs: &[Vec<f64>]) -> Grade {
        let nothing = Grade { score: 0.0, parsed: None, parse_failure: false };
        if self == Self::Key {
            return Grade { score: mean_probability(logprobs.first().map_or(&[], Vec::as_slice)), ..nothing };
        }
        let totals: Vec<f64> = logprobs.iter().map(|tokens| tokens.iter().sum()).collect();
        let expected: usize = question.continuations.iter().map(Vec::len).sum();
        if totals.len() != expected || expected == 0 || totals.iter().any(|total| total.is_nan()) {
            return nothing;
        }
        if self == Self::Text {
            let bytes: usize = question.continuations.iter().flatten().map(|part| part.said.len()).sum();
            let mean = totals.iter().sum::<f64>() / bytes as f64;
            return Grade { score: if mean.is_nan() { 0.0 } else { mean.exp().min(1.0) }, ..nothing };
        }
        let mut rest = totals.as_slice();
        let mut values = Vec::new();
        let mut said = Vec::new();
        for set in &question.continuations {
            let (totals, others) = rest.split_at(set.len());
            rest = others;
            let weight = |part: &Continuation| match self {
                Self::BestPerCharacter => part.said.chars().count().max(1) as f64,
                Self::BestPerByte => part.said.len().max(1) as f64,
                _ => 1.0,
            };
            let ranked: Vec<f64> = totals.iter().zip(set).map(|(total, part)| total / weight(part)).collect();
            let Some(best) = first_largest(&ranked) else { return nothing };
            said.push(format!("{}{}", set[best].read, set[best].said).trim().to_owned());
            let is_expected = matches!(self, Self::Choice | Self::Expected);
            values.push(if is_expected { expected_value(totals, set) } else { set[best].value });
        }
        if self == Self::Expected {
            return scorer.grade_values(question, &values);
        }
        let score = values.iter().sum::<f64>() / values.len() as f64;
        Grade { score: score.clamp(0.0, 1.0), parsed: Some(said.join(", ")), parse_failure: false }
    }
}

/// The geometric mean of probabilities given as nats; 0 where there is none, or one is not a number.
pub(crate) fn mean_probability(logprobs: &[f64]) -> f64 {
    let mean = logprobs.iter().sum::<f64>() / logprobs.len() as f64;
    // Rounding may leave a certain token a hair above probability 1. NaN, also of 0 / 0, becomes 0.
    if mean.is_nan() { 0.0 } else { mean.exp().min(1.0) }
}

/// Σ pᵢ·valueᵢ, p = softmax(totals). Where nothing has any probability all have the same.
fn expected_value(totals: &[f64], set: &[Continuation]) -> f64 {
    let largest = totals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> =
        totals.iter().map(|total| if *total == largest { 1.0 } else { (total - largest).exp() }).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().zip(set).map(|(weight, part)| weight / sum * part.value).sum()
}

/// The first of the largest, as `numpy.argmax` has it; none of nothing.
fn first_largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).reduce(|best, index| if values[index] > values[best] { index } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorer::FirstWord;

    fn question(sets: &[&[(&str, f64)]]) -> Question {
        let part = |&(said, value): &(&str, f64)| Continuation { read: String::new(), said: said.to_owned(), value };
        Question {
            continuations: sets.iter().map(|set| set.iter().map(part).collect()).collect(),
            ..Question::default()
        }
    }

    fn score(kind: Likelihood, question: &Question, totals: &[f64]) -> f64 {
        // A continuation of two tokens that share its probability.
        let logprobs: Vec<Vec<f64>> = totals.iter().map(|total| vec![total / 2.0; 2]).collect();
        kind.grade(&FirstWord, question, &logprobs).score
    }

    #[test]
    fn choices_share_the_probability() {
        let two = question(&[&[("yes", 1.0), ("no", 0.0)]]);
        let nats = [0.6_f64.ln(), 0.2_f64.ln()];
        assert!((score(Likelihood::Choice, &two, &nats) - 0.75).abs() < 1e-12);
        assert_eq!(score(Likelihood::Best, &two, &nats), 1.0);
        assert_eq!(score(Likelihood::Best, &two, &[-3.0, -2.0]), 0.0);
        // Whatever has no information gets what chance gets.
        assert_eq!(score(Likelihood::Choice, &two, &[-5.0, -5.0]), 0.5);
        assert_eq!(score(Likelihood::Choice, &two, &[f64::NEG_INFINITY; 2]), 0.5);
        assert_eq!(score(Likelihood::Choice, &two, &[f64::NEG_INFINITY, -900.0]), 0.0);
        let both = question(&[&[("a", 1.0), ("b", 0.0)], &[("a", 0.0), ("b", 1.0)]]);
        assert_eq!(score(Likelihood::Best, &both, &[-1.0, -2.0, -1.0, -2.0]), 0.5);
    }

    #[test]
    fn length_counts_where_it_should() {
        let lengths = question(&[&[("ab", 0.0), ("éééé", 1.0)]]);
        let nats = [-2.0, -3.5];
        assert_eq!(score(Likelihood::Best, &lengths, &nats), 0.0);
        // -1 against -0.875 per character, and -0.4375 per byte.
        assert_eq!(score(Likelihood::BestPerCharacter, &lengths, &nats), 1.0);
        assert_eq!(score(Likelihood::BestPerCharacter, &lengths, &[-2.0, -5.0]), 0.0);
        assert_eq!(score(Likelihood::BestPerByte, &lengths, &[-2.0, -5.0]), 1.0);
        let text = question(&[&[("hallo wé", 0.0)]]);
        assert!((score(Likelihood::Text, &text, &[9.0 * 0.25_f64.ln()]) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_fit_scores_nothing() {
        let two = question(&[&[("yes", 1.0), ("no", 0.0)]]);
        for kind in [Likelihood::Choice, Likelihood::Best, Likelihood::Expected, Likelihood::Text] {
            assert_eq!(score(kind, &two, &[-1.0]), 0.0);
            assert_eq!(score(kind, &two, &[f64::NAN, -1.0]), 0.0);
            assert_eq!(score(kind, &Question::default(), &[]), 0.0);
        }
        assert_eq!(score(Likelihood::Key, &two, &[]), 0.0);
    }
}
