//! Two result files side by side: is the difference of each task more than chance?

use neuro_record::PairedScores;

use crate::effect::{Effect, Resampling};
use crate::multiplicity::{benjamini_hochberg, holm};
use crate::power::POWER;

/// Results with a p-value below this are significant.
pub const ALPHA: f64 = 0.05;
/// Resamples of an interval, which stands by itself here and not in a map of thousands.
const RESAMPLES: usize = 5_000;
/// Random swaps of a permutation test: its p-value has a standard error of at most 0.0016.
const DRAWS: usize = 99_999;

/// One task of two result files.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskComparison {
    /// What the path does to its score; its p is that of this task alone.
    pub effect: Effect,
    /// The p-value corrected for all tasks of the comparison by Holm's method.
    pub holm: f64,
    /// The same by Benjamini and Hochberg's method, which controls the share of false discoveries instead.
    pub benjamini_hochberg: f64,
    /// The smallest delta that so many questions would have shown before correction in four of five cases; none where
    /// no delta would.
    pub visible: Option<f64>,
}

/// What a task shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A gain that stands after correction.
    Gain,
    /// A gain before correction only.
    GainBeforeCorrection,
    /// A loss that stands after correction.
    Loss,
    /// A loss before correction only.
    LossBeforeCorrection,
    /// No difference.
    Nothing,
}

impl Shown {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Gain => "gain",
            Self::GainBeforeCorrection => "gain before correction only",
            Self::Loss => "loss",
            Self::LossBeforeCorrection => "loss before correction only",
            Self::Nothing => "no difference shown",
        }
    }
}

impl TaskComparison {
    /// What the task shows at the level [`ALPHA`].
    #[must_use]
    pub fn shown(&self) -> Shown {
        match (self.effect.delta > 0.0, self.effect.p < ALPHA, self.holm < ALPHA) {
            (_, false, _) => Shown::Nothing,
            (true, _, true) => Shown::Gain,
            (true, _, false) => Shown::GainBeforeCorrection,
            (false, _, true) => Shown::Loss,
            (false, _, false) => Shown::LossBeforeCorrection,
        }
    }
}

/// Compares every task as [`Effect::of`] does, and corrects for the number of tasks. The same seed gives the same numbers.
/// None for a task without questions or with a score that is not finite; it takes no part in the correction.
#[must_use]
pub fn compare(tasks: &[PairedScores], seed: u64) -> Vec<Option<TaskComparison>> {
    let mut found: Vec<Option<TaskComparison>> = tasks.iter().map(|task| compare_task(task, seed)).collect();
    let p: Vec<f64> = found.iter().flatten().map(|task| task.effect.p).collect();
    for ((task, strict), mild) in found.iter_mut().flatten().zip(holm(&p)).zip(benjamini_hochberg(&p)) {
        (task.holm, task.benjamini_hochberg) = (strict, mild);
    }
    found
}

fn compare_task(task: &PairedScores, seed: u64) -> Option<TaskComparison> {
    let drawn = Resampling { resamples: RESAMPLES, permutations: DRAWS, seed };
    let effect = Effect::of(&task.baseline, &task.path, drawn)?;
    let (p, visible) = (effect.p, effect.visible(ALPHA, POWER));
    Some(TaskComparison { effect, holm: p, benjamini_hochberg: p, visible })
}

/// All tasks in one sentence without a full stop: `no gain; two losses before correction, none after`.
#[must_use]
pub fn comparison_in_words(tasks: &[TaskComparison]) -> String {
    let count = |wanted: [Shown; 2]| tasks.iter().filter(|task| wanted.contains(&task.shown())).count();
    let part = |before: Shown, after: Shown, one: &str, many: &str| {
        let (all, standing) = (count([before, after]), count([after, after]));
        match (all, standing) {
            (0, _) => format!("no {one}"),
            // One task needs no correction.
            (1, 1) if tasks.len() == 1 => format!("a {one}"),
            _ => {
                let noun = if all == 1 { one } else { many };
                format!("{} {noun} before correction, {} after", in_words(all), in_words(standing))
            }
        }
    };
    let gains = part(Shown::GainBeforeCorrection, Shown::Gain, "gain", "gains");
    let losses = part(Shown::LossBeforeCorrection, Shown::Loss, "loss", "losses");
    format!("{gains}; {losses}")
}

fn in_words(count: usize) -> String {
    const WORDS: [&str; 11] = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    WORDS.get(count).map_or_else(|| count.to_string(), |&word| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::PairedTest;

    fn task(wins: usize, losses: usize, ties: usize) -> PairedScores {
        let baseline = [vec![0.0; wins], vec![1.0; losses], vec![1.0; ties]].concat();
        let path = [vec![1.0; wins], vec![0.0; losses], vec![1.0; ties]].concat();
        PairedScores { baseline, path, ..PairedScores::default() }
    }

    fn words(tasks: &[(usize, usize)]) -> String {
        let tasks: Vec<_> = tasks.iter().map(|&(wins, losses)| task(wins, losses, 20)).collect();
        comparison_in_words(&compare(&tasks, 1).into_iter().flatten().collect::<Vec<_>>())
    }

    /// The seven tasks of a published model with layers 12–14 run twice.
    #[test]
    fn a_published_model_has_no_gain() {
        let tasks = [(25, 14), (6, 17), (28, 31), (1, 5), (50, 75), (54, 67), (25, 40)];
        assert_eq!(words(&tasks), "no gain; two losses before correction, none after");
    }

    #[test]
    fn what_stands_after_correction_is_told_apart() {
        assert_eq!(words(&[(40, 2), (3, 3)]), "one gain before correction, one after; no loss");
        assert_eq!(
            words(&[(40, 2), (14, 4), (1, 50), (4, 15), (3, 3)]),
            "two gains before correction, one after; two losses before correction, one after"
        );
        assert_eq!(words(&[(40, 2)]), "a gain; no loss");
        assert_eq!(words(&[]), "no gain; no loss");
        assert_eq!(words(&[(20, 0); 11]), "11 gains before correction, 11 after; no loss");
    }

    #[test]
    fn right_and_wrong_answers_have_mcnemar_and_others_a_permutation() {
        let TaskComparison { effect: found, holm, visible, .. } = compare(&[task(25, 14, 148)], 1)[0].clone().unwrap();
        assert_eq!((found.test, found.wins, found.losses, found.n), (PairedTest::McNemar, 25, 14, 187));
        assert!((found.p - 0.1081).abs() < 5e-5 && holm == found.p);
        let interval = found.interval.unwrap();
        assert!(interval.low < 0.0 && interval.high > 0.1, "{interval:?}");
        // Up to 22 losses of 187: a delta of an eighth is in sight, one of a twentieth is not.
        assert!(visible.is_some_and(|delta| (0.05..0.13).contains(&delta)), "{visible:?}");

        let mut graded = task(25, 14, 148);
        graded.path.iter_mut().take(25).for_each(|score| *score = 0.5);
        let found = compare(&[graded], 1)[0].clone().unwrap().effect;
        assert_eq!((found.test, found.wins), (PairedTest::RandomPermutation, 25));
        assert!(found.p > 0.5 && found.delta < 0.0, "{found:?}");
        let few = PairedScores { baseline: vec![0.2; 8], path: vec![0.4; 8], ..PairedScores::default() };
        let found = compare(&[few], 1)[0].clone().unwrap();
        let (test, p) = (found.effect.test, found.effect.p);
        assert_eq!((test, p, found.shown()), (PairedTest::Permutation, 2.0 / 256.0, Shown::Gain));
    }

    #[test]
    fn a_task_without_questions_takes_no_part() {
        let found = compare(&[PairedScores::default(), task(40, 2, 9)], 1);
        assert!(found[0].is_none());
        assert!(found[1].as_ref().is_some_and(|task| task.holm == task.effect.p));
    }
}
