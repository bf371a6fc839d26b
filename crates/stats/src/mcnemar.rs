//! The exact test of paired right and wrong answers.

use crate::binomial::probabilities;

/// Two-sided exact p-value of McNemar's test: the sign test on the questions that one of two paths answered right and
/// the other wrong. 1 where no question is.
///
/// `wins` counts questions that only the path answered right, `losses` those that only the baseline did. Twice the
/// smaller tail of a fair coin, at most 1 (McNemar, Psychometrika 12, 1947; exact by the binomial, as
/// `statsmodels.stats.contingency_tables.mcnemar(exact=True)`).
#[must_use]
pub fn mcnemar(wins: usize, losses: usize) -> f64 {
    let Some(discordant) = wins.checked_add(losses) else { return f64::NAN };
    // From the outside in, so that small terms are not lost.
    let tail: f64 = probabilities(discordant, 0.5).iter().take(wins.min(losses) + 1).sum();
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Devstral-24B with layers 12–14 run twice, seven tasks; p-values to four digits from the public outputs.
    #[test]
    fn a_published_model_s_seven_tasks() {
        let tasks = [(25, 14), (6, 17), (28, 31), (1, 5), (50, 75), (54, 67), (25, 40)];
        let found = tasks.map(|(wins, losses)| format!("{:.4}", mcnemar(wins, losses)));
        assert_eq!(found, ["0.1081", "0.0347", "0.7948", "0.2188", "0.0314", "0.2753", "0.0817"]);
    }

    #[test]
    fn nothing_discordant_says_nothing() {
        assert_eq!((mcnemar(0, 0), mcnemar(3, 3), mcnemar(1, 0)), (1.0, 1.0, 1.0));
        assert_eq!(mcnemar(0, 5), mcnemar(5, 0));
        assert!(mcnemar(2_000, 0) == 0.0 && mcnemar(400, 0) > 0.0);
    }
}
