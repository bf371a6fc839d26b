//! The one sentence under which a map may be shown. It never says "gain": only `confirm` may.

use neuro_stats::{BlockMap, Dropped};

use crate::number::counted;
use crate::precision::{FLAT, Precision, is_uncertain, largest_delta, leader};

/// With fewer, the best of many blocks is chance whatever its interval says: a bootstrap of so few is too narrow.
const FEWEST_QUESTIONS: usize = 8;

/// What a map says, in at most two sentences: the best block with delta, interval and number of questions, and how far
/// that may be believed. Plain text with ASCII signs.
#[must_use]
pub fn headline(map: &BlockMap) -> String {
    if map.baseline.is_none() {
        return "The baseline is not measured yet, so nothing can be compared with it.".to_owned();
    }
    let measured = map.cells.iter().filter(|cell| !cell.block.is_baseline() && cell.delta.is_some()).count();
    if measured == 0 {
        return "Only the baseline is measured yet.".to_owned();
    }
    let questions = counted(map.n, "question");
    let of_blocks = match map.dropped() {
        None => counted(measured, "block"),
        Some(Dropped { blocks, .. }) => {
            let finalists = map.ranked(usize::MAX).len();
            format!("{} of {}", counted(finalists, "finalist"), counted(finalists + blocks, "screened block"))
        }
    };
    if largest_delta(map) < FLAT {
        return format!("None of {of_blocks} differs from the baseline on {questions}.");
    }
    let Some((best, delta)) = leader(map) else {
        return format!("None of {of_blocks} beats the baseline on {questions}.");
    };
    if map.n < FEWEST_QUESTIONS {
        return format!("Too few questions ({}) to tell whether any of {of_blocks} beats the baseline.", map.n);
    }
    let precision = Precision::of(map);
    let bounds = best.interval.as_ref().map(|bounds| format!(" {}", precision.interval(bounds))).unwrap_or_default();
    let found = format!("Best block {}: {}{bounds} on {questions}", best.block, precision.visible(delta));
    if is_uncertain(map, best) {
        let why = match best.interval {
            Some(_) => "The interval includes 0",
            None => "Too few questions carry it for an interval",
        };
        return format!("{found}. {why}, and it is the best of {of_blocks}: no evidence of a gain.");
    }
    format!("{found}. A candidate, not a confirmed gain: it is the best of {of_blocks} on the questions that chose it.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{chance_of, map_of, screened, six_layers, small};

    #[test]
    fn a_clear_best_is_a_candidate() {
        insta::assert_snapshot!(headline(&six_layers()), @"Best block (1, 4): +0.750 [+0.720, +0.780] on 40 questions. A candidate, not a confirmed gain: it is the best of 20 blocks on the questions that chose it.");
    }

    #[test]
    fn a_screening_compares_its_finalists() {
        insta::assert_snapshot!(headline(&screened()), @"Best block (1, 4): +0.750 [+0.720, +0.780] on 40 questions. A candidate, not a confirmed gain: it is the best of 8 finalists of 20 screened blocks on the questions that chose it.");
        let mut losses = map_of(4, |_| Some(-0.1));
        losses.cells[3].screened = Some(2);
        insta::assert_snapshot!(headline(&losses), @"None of 9 finalists of 10 screened blocks beats the baseline on 40 questions.");
    }

    #[test]
    fn a_best_within_noise_is_no_evidence() {
        insta::assert_snapshot!(headline(&map_of(4, |block| Some(0.01 * block.end as f64 - 0.03))), @"Best block (3, 4): +0.010 [-0.020, +0.040] on 40 questions. The interval includes 0, and it is the best of 10 blocks: no evidence of a gain.");
    }

    #[test]
    fn a_best_without_an_interval_is_no_evidence() {
        let mut map = map_of(4, |block| Some(0.01 * block.end as f64 - 0.03));
        map.cells.iter_mut().for_each(|cell| cell.interval = None);
        map.chance = Some(chance_of(&map));
        insta::assert_snapshot!(headline(&map), @"Best block (3, 4): +0.010 on 40 questions. Too few questions carry it for an interval, and it is the best of 10 blocks: no evidence of a gain.");
    }

    #[test]
    fn maps_without_anything_better_say_so() {
        insta::assert_snapshot!(headline(&map_of(4, |_| Some(-0.1))), @"None of 10 blocks beats the baseline on 40 questions.");
        insta::assert_snapshot!(headline(&map_of(4, |_| None)), @"Only the baseline is measured yet.");
        let mut unmeasured = map_of(4, |_| None);
        unmeasured.baseline = None;
        insta::assert_snapshot!(headline(&unmeasured), @"The baseline is not measured yet, so nothing can be compared with it.");
    }

    #[test]
    fn few_questions_name_no_candidate() {
        let mut map = six_layers();
        map.n = 7;
        insta::assert_snapshot!(headline(&map), @"Too few questions (7) to tell whether any of 20 blocks beats the baseline.");
        map.n = 8;
        assert!(headline(&map).starts_with("Best block (1, 4)"));
    }

    #[test]
    fn small_deltas_are_readable_and_nothing_is_called_nothing() {
        insta::assert_snapshot!(headline(&small()), @"Best block (0, 1): +0.0004 [+0.0003, +0.0005] on 40 questions. A candidate, not a confirmed gain: it is the best of 15 blocks on the questions that chose it.");
        insta::assert_snapshot!(headline(&map_of(4, |_| Some(1e-8))), @"None of 10 blocks differs from the baseline on 40 questions.");
        insta::assert_snapshot!(headline(&map_of(4, |block| Some(if block.start == 1 { 1e308 } else { -1e300 }))), @"Best block (1, 2): +1.00e308 [+1.00e308, +1.00e308] on 40 questions. A candidate, not a confirmed gain: it is the best of 10 blocks on the questions that chose it.");
    }
}
