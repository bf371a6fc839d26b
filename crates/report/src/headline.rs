//! The one sentence under which a map may be shown. It never says "gain": only `confirm` may.

use neuro_stats::BlockMap;

use crate::number::{counted, interval, signed};

/// What a map says, in at most two sentences: the best block with delta, interval and number of questions, and how far
/// that may be believed. Plain text with ASCII signs.
#[must_use]
pub fn headline(map: &BlockMap) -> String {
    if map.baseline.is_none() {
        return "The baseline is not measured yet, so nothing can be compared with it.".to_owned();
    }
    let measured = map.cells.iter().filter(|cell| !cell.block.is_baseline() && cell.delta.is_some()).count();
    let Some((best, delta)) = map.best().and_then(|cell| Some((cell, cell.delta?))).filter(|_| measured > 0) else {
        return "Only the baseline is measured yet.".to_owned();
    };
    let questions = counted(map.n, "question");
    let of_blocks = counted(measured, "block");
    if best.block.is_baseline() || delta <= 0.0 {
        return format!("None of {of_blocks} beats the baseline on {questions}.");
    }
    let bounds = best.interval.as_ref().map(|bounds| format!(" {}", interval(bounds, 2))).unwrap_or_default();
    let found = format!("Best block {}: {}{bounds} on {questions}", best.block, signed(delta, 2));
    match &best.interval {
        Some(bounds) if bounds.low <= 0.0 => {
            format!("{found}. The interval includes 0, and it is the best of {of_blocks}: no evidence of a gain.")
        }
        _ => format!(
            "{found}. A candidate, not a confirmed gain: it is the best of {of_blocks} on the questions that chose it."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{map_of, six_layers};

    #[test]
    fn a_clear_best_is_a_candidate() {
        insta::assert_snapshot!(headline(&six_layers()), @"Best block (1, 4): +0.75 [+0.72, +0.78] on 40 questions. A candidate, not a confirmed gain: it is the best of 20 blocks on the questions that chose it.");
    }

    #[test]
    fn a_best_within_noise_is_no_evidence() {
        insta::assert_snapshot!(headline(&map_of(4, |block| Some(0.01 * block.end as f64 - 0.03))), @"Best block (3, 4): +0.01 [-0.02, +0.04] on 40 questions. The interval includes 0, and it is the best of 10 blocks: no evidence of a gain.");
    }

    #[test]
    fn maps_without_anything_better_say_so() {
        insta::assert_snapshot!(headline(&map_of(4, |_| Some(-0.1))), @"None of 10 blocks beats the baseline on 40 questions.");
        insta::assert_snapshot!(headline(&map_of(4, |_| None)), @"Only the baseline is measured yet.");
        let mut unmeasured = map_of(4, |_| None);
        unmeasured.baseline = None;
        insta::assert_snapshot!(headline(&unmeasured), @"The baseline is not measured yet, so nothing can be compared with it.");
    }
}
