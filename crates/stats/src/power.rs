//! What a number of questions can see, before they are asked.

use crate::binomial::probabilities;
use crate::mcnemar::mcnemar;
use crate::normal;

/// The chance to find what is there that a study is planned with.
pub const POWER: f64 = 0.8;
/// More questions are not looked at: no probe has as many, and the exact sum takes their square.
pub(crate) const MOST_QUESTIONS: usize = 20_000;
/// Numbers of discordant questions that are less likely than this are left out of the sum.
const NEGLIGIBLE: f64 = 1e-12;

/// The chance that the exact two-sided McNemar test at level `alpha` finds a path better, over `n` questions of which it
/// wins a share `win` and loses a share `loss` in the population. Exact: summed over every number of discordant
/// questions and of wins among them.
///
/// None where the shares are no probabilities or their sum exceeds 1, or for more than 20,000 questions.
#[must_use]
pub fn power_proportions(n: usize, win: f64, loss: f64, alpha: f64) -> Option<f64> {
    let discordance = win + loss;
    if !(win >= 0.0 && loss >= 0.0 && discordance <= 1.0 + 1e-12) || n > MOST_QUESTIONS {
        return None;
    }
    if discordance == 0.0 {
        return Some(0.0);
    }
    let mut power = 0.0;
    for (discordant, &weight) in probabilities(n, discordance).iter().enumerate() {
        if weight < NEGLIGIBLE {
            continue;
        }
        if let Some(losses) = most_losses(discordant, alpha) {
            let losing = probabilities(discordant, loss / discordance);
            power += weight * losing.iter().take(losses + 1).sum::<f64>();
        }
    }
    Some(power.min(1.0))
}

/// Most losses with which that many discordant questions still are a significant gain; none where even no loss is not.
fn most_losses(discordant: usize, alpha: f64) -> Option<usize> {
    if mcnemar(discordant, 0) > alpha {
        return None;
    }
    let (mut within, mut beyond) = (0, discordant.div_ceil(2));
    while beyond - within > 1 {
        let middle = usize::midpoint(within, beyond);
        if mcnemar(discordant - middle, middle) <= alpha { within = middle } else { beyond = middle }
    }
    Some(within)
}

/// The fewest questions with which [`power_proportions`] reaches `power`; none where 20,000 do not. A few more may have
/// slightly less, since counts are whole.
#[must_use]
pub fn questions_for_proportions(win: f64, loss: f64, alpha: f64, power: f64) -> Option<usize> {
    fewest(|n| power_proportions(n, win, loss, alpha), power)
}

/// The smallest delta that `n` questions find with chance `power`, for a path that loses a share `loss` of the questions
/// and wins that much more; none where no delta is large enough.
#[must_use]
pub fn visible_proportion(n: usize, loss: f64, alpha: f64, power: f64) -> Option<f64> {
    smallest(1.0 - 2.0 * loss, |delta| power_proportions(n, loss + delta, loss, alpha), power)
}

/// The chance that a two-sided test of a mean at level `alpha` finds a delta above 0 whose paired differences have the standard
/// deviation `sd`, over `n` questions, by the normal approximation (as `statsmodels.stats.power.NormalIndPower` with
/// `ratio=0` and `alternative="larger"` at α ⁄ 2). None for a spread or level that is none.
#[must_use]
pub fn power_mean(n: usize, delta: f64, sd: f64, alpha: f64) -> Option<f64> {
    if !(sd > 0.0 && sd.is_finite() && delta.is_finite()) {
        return None;
    }
    Some(normal::cumulative(delta * (n as f64).sqrt() / sd - normal::quantile(1.0 - alpha / 2.0)?))
}

/// The fewest questions with which [`power_mean`] reaches `power`; none where 20,000 do not.
#[must_use]
pub fn questions_for_mean(delta: f64, sd: f64, alpha: f64, power: f64) -> Option<usize> {
    fewest(|n| power_mean(n, delta, sd, alpha), power)
}

/// The smallest delta of a mean that `n` questions find with chance `power`: (z₁₋α⁄₂ + z_power)·sd ⁄ √n.
#[must_use]
pub fn visible_mean(n: usize, sd: f64, alpha: f64, power: f64) -> Option<f64> {
    let reach = normal::quantile(1.0 - alpha / 2.0)? + normal::quantile(power)?;
    (n > 0 && sd > 0.0 && sd.is_finite()).then(|| (reach * sd / (n as f64).sqrt()).max(0.0))
}

fn fewest(power_of: impl Fn(usize) -> Option<f64>, power: f64) -> Option<usize> {
    let reaches = |n| power_of(n).is_some_and(|found| found >= power);
    let mut most = 1;
    while !reaches(most) {
        most = most.checked_mul(2).filter(|&most| most <= MOST_QUESTIONS)?;
    }
    let mut too_few = most / 2;
    while most - too_few > 1 {
        let middle = usize::midpoint(too_few, most);
        if reaches(middle) { most = middle } else { too_few = middle }
    }
    Some(most)
}

fn smallest(largest: f64, power_of: impl Fn(f64) -> Option<f64>, power: f64) -> Option<f64> {
    let reaches = |delta| power_of(delta).is_some_and(|found| found >= power);
    if !reaches(largest) {
        return None;
    }
    let (mut below, mut above) = (0.0, largest);
    // A thousandth is finer than any probe's questions.
    while above - below > 5e-4 {
        let middle = 0.5 * (below + above);
        if reaches(middle) { above = middle } else { below = middle }
    }
    Some(above)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn impossible_studies_give_none() {
        assert_eq!(power_proportions(10, 0.8, 0.3, 0.05), None);
        assert_eq!(power_proportions(10, -0.1, 0.3, 0.05), None);
        assert_eq!(power_proportions(10, 0.0, 0.0, 0.05), Some(0.0));
        assert_eq!(power_proportions(5, 1.0, 0.0, 0.05), Some(0.0), "five wins of five have p = 0.0625");
        assert_eq!(power_proportions(6, 1.0, 0.0, 0.05), Some(1.0));
        assert_eq!(visible_proportion(5, 0.0, 0.05, 0.8), None);
        assert_eq!((power_mean(10, 0.1, 0.0, 0.05), visible_mean(0, 1.0, 0.05, 0.8)), (None, None));
        assert_eq!(questions_for_proportions(0.1, 0.1, 0.05, 0.8), None, "no delta is never found");
    }

    /// The exact sum against studies that are really made.
    #[test]
    fn simulated_studies_find_as_often_as_stated() {
        let (n, win, loss) = (120, 0.25, 0.12);
        let stated = power_proportions(n, win, loss, 0.05).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let found = (0..2_000).filter(|_| {
            let (mut wins, mut losses) = (0, 0);
            for _ in 0..n {
                let at: f64 = rng.random();
                wins += usize::from(at < win);
                losses += usize::from(at >= win && at < win + loss);
            }
            wins > losses && mcnemar(wins, losses) <= 0.05
        });
        let found = found.count() as f64 / 2_000.0;
        assert!((found - stated).abs() < 0.035 && stated > 0.4 && stated < 0.8, "{found} {stated}");
    }

    #[test]
    fn what_is_needed_is_the_least_that_suffices() {
        let needed = questions_for_proportions(0.15, 0.05, 0.05, POWER).unwrap();
        let power = |n| power_proportions(n, 0.15, 0.05, 0.05).unwrap();
        assert!(power(needed) >= POWER && power(needed - 1) < POWER, "{needed}");
        let visible = visible_proportion(needed, 0.05, 0.05, POWER).unwrap();
        assert!((visible - 0.1).abs() < 0.005, "{visible}");
        let needed = questions_for_mean(0.1, 0.4, 0.05, POWER).unwrap();
        assert_eq!(needed, 126);
        assert!((visible_mean(needed, 0.4, 0.05, POWER).unwrap() - 0.1).abs() < 1e-3);
    }
}
