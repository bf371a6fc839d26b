//! A map in one paragraph of plain words. It never says "gain": only `confirm` may.

use neuro_stats::{ALPHA, BlockMap, Chance};

use crate::headline;
use crate::precision::{FLAT, Precision, is_uncertain, largest_delta, leader};

/// What a map shows, what chance alone would show, and what to do next. The [`headline`](fn@headline) comes first; commands stand in
/// backquotes, in which `RUN` is the run's folder. Plain text with ASCII signs.
#[must_use]
pub fn verdict(map: &BlockMap) -> String {
    let mut text = headline(map);
    let compared = map.cells.iter().any(|cell| !cell.block.is_baseline() && cell.delta.is_some());
    if map.baseline.is_none() || !compared || largest_delta(map) < FLAT {
        return text;
    }
    let best = leader(map).map(|(best, _)| best);
    match &map.chance {
        Some(chance) => {
            text.push_str(&by_chance(map, chance));
            if let Some(p) = best.and_then(|best| map.corrected_p(best)) {
                let so = if p > ALPHA { ", so chance alone would do" } else { "" };
                text.push_str(&format!(" Corrected for all blocks, the best one has p = {}{so}.", p_value(p)));
            }
        }
        None if map.dropped().is_some() => text.push_str(
            " A screening chose its finalists on these questions, so what chance alone would show here is not known.",
        ),
        None => {}
    }
    text.push_str(match best {
        // An imported map, of which nobody here has the answers.
        Some(best) if best.interval.is_none() && map.dropped().is_none() && !is_uncertain(map, best) => {
            " Next: `neuro scan` measures it here, question by question."
        }
        Some(best) if !is_uncertain(map, best) => " Next: `neuro confirm RUN` asks fresh questions and decides.",
        Some(_) => " Next: more questions (`--questions`), or `neuro confirm RUN` on fresh ones.",
        None => " Next: another probe, or more questions (`--questions`).",
    });
    text
}

fn by_chance(map: &BlockMap, chance: &Chance) -> String {
    let precision = Precision::of(map);
    format!(
        " If no block did anything, the best of {} would still show {} on average, and more than {} in one scan of twenty.",
        chance.blocks,
        precision.visible(chance.expected_best),
        precision.visible(chance.rarely_exceeded),
    )
}

/// Two digits that count, and no false precision of 999 swapped maps.
fn p_value(p: f64) -> String {
    if p < 0.0995 { format!("{p:.3}") } else { format!("{p:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{map_of, screened, six_layers};

    fn with_chance(mut map: BlockMap, p: f64) -> BlockMap {
        let (cells, adjusted) = (map.cells.clone(), vec![Some(p); map.cells.len()]);
        map.chance = Some(Chance { cells, blocks: 20, expected_best: 0.082, rarely_exceeded: 0.1249, adjusted });
        map
    }

    #[test]
    fn a_candidate_is_held_against_chance_and_sent_to_confirm() {
        insta::assert_snapshot!(verdict(&with_chance(six_layers(), 0.001)), @"Best block (1, 4): +0.750 [+0.720, +0.780] on 40 questions. A candidate, not a confirmed gain: it is the best of 20 blocks on the questions that chose it. If no block did anything, the best of 20 would still show +0.082 on average, and more than +0.125 in one scan of twenty. Corrected for all blocks, the best one has p = 0.001. Next: `neuro confirm RUN` asks fresh questions and decides.");
    }

    #[test]
    fn a_best_within_noise_needs_more_questions() {
        let map = map_of(4, |block| Some(0.01 * block.end as f64 - 0.03));
        insta::assert_snapshot!(verdict(&with_chance(map, 0.731)), @"Best block (3, 4): +0.010 [-0.020, +0.040] on 40 questions. The interval includes 0, and it is the best of 10 blocks: no evidence of a gain. If no block did anything, the best of 20 would still show +0.082 on average, and more than +0.125 in one scan of twenty. Corrected for all blocks, the best one has p = 0.73, so chance alone would do. Next: more questions (`--questions`), or `neuro confirm RUN` on fresh ones.");
    }

    #[test]
    fn losses_and_screenings_and_nothing_at_all() {
        insta::assert_snapshot!(verdict(&with_chance(map_of(4, |_| Some(-0.1)), 1.0)), @"None of 10 blocks beats the baseline on 40 questions. If no block did anything, the best of 20 would still show +0.082 on average, and more than +0.125 in one scan of twenty. Next: another probe, or more questions (`--questions`).");
        insta::assert_snapshot!(verdict(&screened()), @"Best block (1, 4): +0.750 [+0.720, +0.780] on 40 questions. A candidate, not a confirmed gain: it is the best of 8 finalists of 20 screened blocks on the questions that chose it. A screening chose its finalists on these questions, so what chance alone would show here is not known. Next: `neuro confirm RUN` asks fresh questions and decides.");
        insta::assert_snapshot!(verdict(&map_of(4, |_| Some(0.0))), @"None of 10 blocks differs from the baseline on 40 questions.");
        insta::assert_snapshot!(verdict(&map_of(4, |_| None)), @"Only the baseline is measured yet.");
    }

    /// Law 6: a search result is a candidate.
    #[test]
    fn no_map_is_called_a_gain() {
        for map in [six_layers(), screened(), map_of(4, |_| Some(0.5)), map_of(4, |_| Some(0.01))] {
            let text = verdict(&with_chance(map, 0.001))
                .replace("not a confirmed gain", "")
                .replace("no evidence of a gain", "");
            assert!(!text.contains("gain"), "{text}");
        }
    }
}
