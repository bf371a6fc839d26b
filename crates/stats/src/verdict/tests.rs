//! Every branch of the law.

use super::*;
use crate::effect::PairedTest;

/// Scores of right and wrong answers: so many pairs of both right, only the path right, only the baseline right, none.
fn pairs(both: usize, wins: usize, losses: usize, neither: usize) -> Paired {
    let of = |right: [f64; 4]| -> Vec<f64> {
        [both, wins, losses, neither].iter().zip(right).flat_map(|(&count, score)| vec![score; count]).collect()
    };
    Paired::new(of([1.0, 0.0, 1.0, 0.0]), of([1.0, 1.0, 0.0, 0.0]))
}

fn finalist(scores: Paired) -> FinalistEvidence {
    let controls = (0..20).map(|k| f64::from(k) * -0.01).collect();
    let neutral = |judge: Judge| OtherEvidence { judge, probe: "p".to_owned(), scores: pairs(60, 4, 4, 60) };
    let others = vec![neutral(Judge::Sampled), neutral(Judge::Likelihood)];
    let (path, shams) = ("0..3,1..5".to_owned(), Vec::new());
    FinalistEvidence { path, judge: Judge::Greedy, scores, controls, others, shams, is_seen: false }
}

fn judged(finalists: Vec<FinalistEvidence>) -> Vec<PathVerdict> {
    verdict(&Evidence { finalists, ..Evidence::default() }, &VerdictOptions::default())
}

fn one(finalist: FinalistEvidence) -> PathVerdict {
    judged(vec![finalist]).remove(0)
}

const CLEAR: (usize, usize, usize, usize) = (80, 28, 3, 17);

fn clear() -> Paired {
    pairs(CLEAR.0, CLEAR.1, CLEAR.2, CLEAR.3)
}

#[test]
fn a_clear_win_is_a_gain() {
    let found = one(finalist(clear()));
    assert_eq!(found.verdict, Verdict::Gain, "{:?}", found.reasons);
    let effect = found.effect.unwrap();
    assert_eq!((effect.n, effect.wins, effect.losses, effect.test), (128, 28, 3, PairedTest::McNemar));
    assert!((effect.delta - 25.0 / 128.0).abs() < 1e-12 && effect.interval.unwrap().low > 0.0);
    assert!((found.controls.mark.unwrap() - -0.0095).abs() < 1e-12 && found.controls.is_percentile);
    assert_eq!(found.reasons.len(), 1);
}

/// On a real 5-layer model elsewhere, repeating one late layer moved a rule-checked greedy score from 83 to 108 of 128,
/// and the sampled one from 97 to 85.
#[test]
fn a_greedy_win_that_loses_when_sampled_is_a_trade() {
    let mut path = finalist(pairs(80, 28, 3, 17));
    path.others[0].scores = pairs(81, 4, 16, 27);
    let found = one(path);
    let [greedy, sampled] = [found.effect.as_ref(), found.others[0].effect.as_ref()].map(Option::unwrap);
    let count = |score: f64| (score * 128.0).round();
    assert_eq!([greedy.baseline, greedy.path, sampled.baseline, sampled.path].map(count), [83.0, 108.0, 97.0, 85.0]);
    assert_eq!(found.verdict, Verdict::Trade);
    assert!(found.reasons[0].contains("but sampled -0.094, p = 0.024 corrected for 2 second"), "{:?}", found.reasons);
}

#[test]
fn a_win_that_loses_likelihood_is_a_trade() {
    let mut path = finalist(clear());
    let baseline: Vec<f64> = (0..40).map(|k| 0.5 + f64::from(k) / 100.0).collect();
    path.others[1].scores = Paired::new(baseline.clone(), baseline.iter().map(|score| score - 0.02).collect());
    let found = one(path);
    assert_eq!((found.verdict, found.others[1].is_below), (Verdict::Trade, true));
    assert_eq!(found.others[1].effect.as_ref().unwrap().test, PairedTest::RandomPermutation);
}

#[test]
fn a_loss_that_another_judge_calls_a_win_is_a_trade() {
    let mut path = finalist(pairs(80, 3, 28, 17));
    assert_eq!(one(path.clone()).verdict, Verdict::Loss);
    path.others[0].scores = clear();
    assert_eq!(one(path.clone()).verdict, Verdict::Trade);
    // By itself p = 0.0386, corrected for two judges 0.077: luck that saves no loss.
    path.others[0].scores = pairs(60, 10, 2, 56);
    let found = one(path);
    assert_eq!((found.verdict, found.others[0].is_above), (Verdict::Loss, false));
    assert_eq!(found.others[0].corrected.map(|corrected| corrected.family), Some(2));
}

/// A judge that is below by its own p alone proves nothing, and forbids a gain all the same.
#[test]
fn a_doubt_forbids_a_gain_and_proves_no_trade() {
    let mut path = finalist(clear());
    path.others[0].scores = pairs(60, 2, 10, 56);
    let found = one(path);
    assert_eq!((found.verdict, found.others[0].is_below, found.others[0].is_doubt), (Verdict::NotShown, false, true));
    let why = "but sampled -0.062, p = 0.039 alone, p = 0.077 corrected for 2 second judges, which proves no loss and \
               forbids a gain";
    assert!(found.reasons[0].ends_with(why), "{:?}", found.reasons);
    assert_eq!(found.caveats, found.reasons[..1]);
}

#[test]
fn a_win_that_random_paths_reach_is_not_shown() {
    let mut path = finalist(clear());
    path.controls = vec![0.3; 20];
    let found = one(path);
    assert_eq!((found.verdict, found.controls.is_above), (Verdict::NotShown, false));
    assert!(found.reasons[0].contains("random paths of its overhead reach +0.300"), "{:?}", found.reasons);
}

#[test]
fn few_controls_must_all_be_beaten_and_that_is_said() {
    let mut path = finalist(clear());
    path.controls = vec![-0.2, 0.19, 0.0];
    let found = one(path.clone());
    assert_eq!((found.verdict, found.controls.mark, found.controls.is_percentile), (Verdict::Gain, Some(0.19), false));
    assert!(found.reasons.iter().any(|reason| reason.contains("only 3 controls")), "{:?}", found.reasons);
    path.controls.push(0.2);
    assert_eq!(one(path.clone()).verdict, Verdict::NotShown);
    path.controls.clear();
    let found = one(path);
    assert_eq!((found.verdict, found.controls.is_above), (Verdict::NotShown, false));
    assert!(found.reasons[0].contains("but there is no control"), "{:?}", found.reasons);
    assert_eq!(found.caveats, found.reasons[..1]);
}

/// Where nothing was judged beside greedy answers, nobody knows whether it is a trade.
#[test]
fn greedy_answers_alone_show_no_gain() {
    let mut path = finalist(clear());
    path.others.remove(0);
    let found = one(path.clone());
    assert_eq!((found.verdict, found.caveats), (Verdict::Gain, vec!["sampling was not judged".to_owned()]));
    path.others[0].scores = Paired::default();
    let found = one(path.clone());
    assert_eq!(found.verdict, Verdict::NotShown);
    assert!(found.reasons[0].ends_with("but greedy decoding is its only judge"), "{:?}", found.reasons);
    assert_eq!(found.caveats, found.reasons[..1]);
    path.others.clear();
    assert_eq!(one(path.clone()).verdict, Verdict::NotShown);
    path.judge = Judge::Likelihood;
    assert_eq!(one(path).verdict, Verdict::Gain);
}

/// One of twenty may reach the finalist, two may not.
#[test]
fn the_mark_is_the_95th_percentile() {
    let mut path = finalist(clear());
    path.controls = [vec![0.0; 19], vec![1.0]].concat();
    assert_eq!(one(path.clone()).verdict, Verdict::Gain);
    path.controls[0] = 1.0;
    assert_eq!(one(path).verdict, Verdict::NotShown);
}

#[test]
fn many_finalists_need_more_proof() {
    // 10 wins and 2 losses: p = 0.0386.
    let weak = || finalist(pairs(60, 10, 2, 56));
    assert_eq!(one(weak()).verdict, Verdict::Gain);
    let found = judged(vec![weak(), finalist(pairs(60, 4, 4, 60))]);
    assert_eq!(found[0].verdict, Verdict::NotShown);
    let corrected = found[0].corrected.unwrap();
    assert!((corrected.p - 2.0 * 0.03857421875).abs() < 1e-12 && corrected.family == 2);
    assert!(found[0].reasons.iter().any(|reason| reason.contains("a true gain of 0.1")));
    assert!(found[0].visible.unwrap() > 0.10 && found[0].visible.unwrap() < 0.2, "{:?}", found[0].visible);
}

#[test]
fn guards_are_told_and_not_weighed() {
    let mut path = finalist(clear());
    let guard = |probe: &str, scores| OtherEvidence { judge: Judge::Guard, probe: probe.to_owned(), scores };
    path.others.push(guard("recall", pairs(20, 0, 20, 20)));
    // By itself 0.0386, corrected 0.077 where another one is as weak.
    path.others.push(guard("eq", pairs(20, 2, 10, 20)));
    path.others.push(guard("reason", pairs(20, 2, 10, 20)));
    let found = one(path);
    assert_eq!(found.verdict, Verdict::Gain);
    assert!(found.others[2].is_below && !found.others[3].is_below);
    assert!(found.reasons.iter().any(|reason| reason.starts_with("it costs on a guard: recall -0.333")));
}

#[test]
fn guards_are_corrected_for_those_of_all_finalists() {
    let mut path = finalist(clear());
    // 16 losses and 4 wins: p = 0.0118.
    let guard = OtherEvidence { judge: Judge::Guard, probe: "recall".to_owned(), scores: pairs(20, 4, 16, 20) };
    path.others.push(guard);
    let alone = one(path.clone());
    assert!(alone.others[2].is_below && alone.others[2].corrected.unwrap().family == 1);
    let found = judged(vec![path; 5]);
    for verdict in &found {
        let corrected = verdict.others[2].corrected.unwrap();
        assert!(corrected.family == 5 && (corrected.p - 5.0 * 0.01181793212890625).abs() < 1e-9, "{corrected:?}");
        assert!(!verdict.others[2].is_below);
        // Second judges are those of the path.
        assert_eq!(verdict.others[0].corrected.map(|corrected| corrected.family), Some(2));
    }
}

#[test]
fn what_was_not_judged_is_said() {
    let mut path = finalist(clear());
    path.others.clear();
    let found = one(path);
    for what in ["sampling was not judged", "likelihood was not judged"] {
        assert!(found.reasons.iter().any(|reason| reason == what), "{:?}", found.reasons);
    }
}

#[test]
fn what_cannot_be_paired_is_not_shown_and_no_test() {
    let broken = Paired::new(vec![1.0], vec![]);
    let found = judged(vec![finalist(broken), finalist(pairs(60, 10, 2, 56))]);
    assert_eq!((found[0].verdict, found[0].effect.is_none()), (Verdict::NotShown, true));
    // Holm counts one test.
    assert_eq!(found[1].verdict, Verdict::Gain);
}

#[test]
fn equal_scores_show_nothing() {
    let found = one(finalist(pairs(64, 0, 0, 64)));
    assert_eq!((found.verdict, found.effect.as_ref().map(|effect| effect.p)), (Verdict::NotShown, Some(1.0)));
    // Six of 128 is the least that can be significant at all; to be so in four of five cases it takes more.
    assert!(found.visible.unwrap() > 1.5 * 6.0 / 128.0, "{:?}", found.visible);
}

/// What is called visible is found as often as stated, at the corrected level, also by a path that loses more questions
/// than were seen to be lost.
#[test]
fn what_is_visible_passes_the_test_in_four_of_five_cases() {
    for (wins, losses, n, alpha) in [(8, 4, 128, 0.05 / 5.0), (0, 0, 128, 0.05), (30, 25, 200, 0.05 / 3.0)] {
        let answers = pairs(n / 4, wins, losses, n - n / 4 - wins - losses);
        let effect = answers.effect(&VerdictOptions::default()).unwrap();
        let visible = effect.visible(alpha, 0.8).unwrap();
        let loss = losses as f64 / n as f64;
        for loss in [0.0, loss, crate::wilson(losses, n).unwrap().high] {
            let power = crate::power_proportions(n, loss + visible, loss, alpha).unwrap();
            assert!(power > 0.79, "{wins} {losses} {n}: {visible} with losses of {loss} has {power}");
        }
    }
}

#[test]
fn what_cannot_be_seen_is_no_number() {
    let visible = |scores: &Paired| scores.effect(&VerdictOptions::default()).unwrap().visible(0.05, 0.8);
    // Right on all but one of 64 leaves no room, 5 questions no significant result, and no spread no size.
    assert_eq!(visible(&pairs(63, 0, 0, 1)), None);
    assert_eq!(visible(&pairs(1, 0, 0, 4)), None);
    let shifted = |n: u32, by: &dyn Fn(u32) -> f64| Paired {
        baseline: (0..n).map(|k| 0.2 + f64::from(k) / 100.0).collect(),
        path: (0..n).map(|k| 0.2 + f64::from(k) / 100.0 + by(k)).collect(),
        ..Paired::default()
    };
    assert_eq!(visible(&shifted(40, &|_| 0.0)), None);
    assert_eq!(visible(&shifted(5, &|k| f64::from(k) / 50.0)), None);
    assert!(visible(&shifted(40, &|k| f64::from(k % 3) / 50.0)).is_some_and(|visible| visible < 0.02));
    let told = one(finalist(pairs(128, 0, 0, 0)));
    assert!(told.reasons.contains(&"the baseline leaves no room for a gain".to_owned()), "{:?}", told.reasons);
    let told = one(finalist(pairs(63, 0, 0, 1)));
    assert!(told.reasons.iter().any(|reason| reason.contains("at most 0.016")), "{:?}", told.reasons);
}

#[test]
fn no_finalists_no_verdicts() {
    assert!(verdict(&Evidence::default(), &VerdictOptions::default()).is_empty());
}

#[test]
fn a_sham_that_does_as_well_is_told() {
    let mut path = finalist(clear());
    let sham = |kind: &str, delta| ShamDelta { kind: kind.to_owned(), path: "0..5".to_owned(), delta };
    path.shams = vec![sham("order", 0.21), sham("place", -0.1)];
    let found = one(path);
    assert_eq!(found.verdict, Verdict::Gain);
    assert_eq!(found.reasons[1..], ["its order is not what helps: 0..5 gives +0.210"]);
}

#[test]
fn a_likelihood_that_no_answer_follows_is_told() {
    let mut path = finalist(clear());
    let baseline: Vec<f64> = (0..40).map(|k| f64::from(k) / 1e5).collect();
    path.scores = Paired::new(baseline.clone(), baseline.iter().map(|score| score + 2e-4).collect());
    path.judge = Judge::Likelihood;
    path.others[1].judge = Judge::Greedy;
    let found = one(path);
    assert_eq!(found.verdict, Verdict::Gain);
    let reasons = [
        "+0.00020 against the baseline, p = 1.0e-4 (one finalist)",
        "no answers are shown to be better: sampled +0.000, p = 1.000 corrected for 2 second judges; greedy +0.000, p = \
         1.000 corrected for 2 second judges",
    ]
    .map(str::to_owned);
    assert_eq!((&found.reasons[..], &found.caveats[..]), (&reasons[..], &reasons[1..]));
}

/// Gained is nothing but that answers can be read: on the questions that both answered there is no difference.
#[test]
fn a_gain_of_answers_that_can_be_read_is_flagged() {
    let mut scores = pairs(60, 30, 2, 36);
    // What the path alone has right, the baseline answered in a form that nobody could read.
    scores.baseline_failed =
        scores.baseline.iter().zip(&scores.path).map(|(base, path)| f64::from(base < path)).collect();
    scores.path_failed = vec![0.0; 128];
    let found = one(finalist(scores.clone()));
    assert_eq!(found.verdict, Verdict::Gain);
    let failures = found.failures.as_ref().unwrap();
    assert!((failures.baseline - 30.0 / 128.0).abs() < 1e-12 && failures.path == 0.0 && failures.p < 1e-6);
    let answered = failures.answered.as_ref().unwrap();
    assert_eq!((answered.n, answered.wins, answered.losses), (98, 0, 2));
    let flag = "greedy answers that could not be read, were cut off or not finite: 0.234 of the baseline's, 0.000 of the \
                path's, uncorrected p = 1.9e-9; on the 98 questions that both answered -0.020, uncorrected p = 0.500, so \
                what is gained may be no more than answers that can be read";
    assert_eq!(found.caveats, [flag]);
    assert!(found.reasons.contains(&flag.to_owned()));
    // As many failures on both sides are no flag, and no failure is no line.
    scores.path_failed.clone_from(&scores.baseline_failed);
    let found = one(finalist(scores.clone()));
    assert!(found.caveats.is_empty() && found.failures.is_some_and(|failures| failures.p == 1.0));
    scores.baseline_failed = vec![0.0; 128];
    scores.path_failed = vec![0.0; 128];
    assert_eq!(one(finalist(scores)).failures, None);
}

/// Draws count by their share, and where nobody answered there is nothing to compare.
#[test]
fn failures_of_a_second_judge_are_flagged_as_well() {
    let mut path = finalist(clear());
    path.others[0].scores.baseline_failed = vec![0.0; 128];
    path.others[0].scores.path_failed = vec![0.5; 128];
    let found = one(path.clone());
    let flag = "sampled answers that could not be read, were cut off or not finite: 0.000 of the baseline's, 0.500 of the \
                path's, uncorrected p = 1.0e-4; there is no question that both answered";
    assert_eq!((found.verdict, found.caveats), (Verdict::Gain, vec![flag.to_owned()]));
    path.others[0].judge = Judge::Guard;
    let found = one(path);
    assert!(found.caveats.iter().all(|caveat| !caveat.contains("cut off")));
    assert!(found.reasons.iter().any(|reason| reason.starts_with("p answers that could not be read")));
}

#[test]
fn questions_that_the_search_has_asked_show_no_gain() {
    let mut path = finalist(clear());
    path.is_seen = true;
    let found = one(path);
    assert_eq!(found.verdict, Verdict::NotShown);
    assert!(found.reasons[0].ends_with("but its search has asked these questions as well"), "{:?}", found.reasons);
    assert_eq!(found.caveats, found.reasons[..1]);
    for (scores, verdict) in [(pairs(80, 3, 28, 17), Verdict::Loss), (pairs(60, 4, 4, 60), Verdict::NotShown)] {
        let found = one(FinalistEvidence { is_seen: true, ..finalist(scores) });
        assert_eq!(found.verdict, verdict);
        assert!(found.caveats[0].contains("cannot show a gain") && found.reasons.contains(&found.caveats[0]));
    }
}

/// A run that is confirmed again needs more proof each time, of its finalists and of its guards; what is only a doubt does
/// not, and what could be seen is said at the level that is left.
#[test]
fn every_confirmation_of_a_run_halves_the_level_of_the_next() {
    // 11 wins and 2 losses: p = 0.0225, of the guard's 12 losses and 2 wins 0.0129.
    let mut path = finalist(pairs(60, 11, 2, 55));
    let guard = OtherEvidence { judge: Judge::Guard, probe: "recall".to_owned(), scores: pairs(20, 2, 12, 20) };
    path.others.push(guard);
    let judged = |earlier| {
        let evidence = Evidence { finalists: vec![path.clone()], earlier };
        verdict(&evidence, &VerdictOptions::default()).remove(0)
    };
    let found = [0, 1, 2, 200].map(judged);
    let verdicts = found.each_ref().map(|found| found.verdict);
    assert_eq!(verdicts, [Verdict::Gain, Verdict::Gain, Verdict::NotShown, Verdict::NotShown]);
    let corrected = found.each_ref().map(|found| found.corrected.unwrap());
    assert_eq!(corrected.map(|corrected| corrected.times), [1, 2, 4, 1 << 63]);
    assert!((corrected[2].p - 4.0 * corrected[0].p).abs() < 1e-12 && corrected[3].p == 1.0);
    assert!(found[0].reasons[0].ends_with("p = 0.022 (one finalist)"), "{:?}", found[0].reasons);
    let told = "p = 0.090 (one finalist, times 4 for earlier confirmations)";
    assert!(found[2].reasons[0].ends_with(told), "{:?}", found[2].reasons);
    // One of 200 leaves nothing to be seen at.
    assert!(found[2].visible > found[0].visible && found[3].visible.is_none());
    let below = found.each_ref().map(|found| found.others[2].is_below);
    assert_eq!(below, [true, true, false, false]);
    let judges = found.each_ref().map(|found| found.others[0].corrected.map(|corrected| corrected.times));
    assert_eq!(judges, [Some(1); 4]);
}

/// Of 300 runs in which no path does anything, each confirmed five times with other finalists, no more than
/// the levels allow claim a gain; without the halving more than twice as many would.
#[test]
fn runs_that_are_confirmed_again_and_again_rarely_claim_what_is_not_there() {
    use rand::{Rng, SeedableRng};
    let options = VerdictOptions { resamples: 200, permutations: 999, ..VerdictOptions::default() };
    let (mut claimed, mut naive) = (0, 0);
    for run in 0..300 {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(run);
        let mut draw = || -> Vec<f64> { (0..60).map(|_| f64::from(u8::from(rng.random_bool(0.5)))).collect() };
        let gains = |earlier: usize, drawn: &[Paired]| {
            let finalists = drawn.iter().map(|scores| FinalistEvidence {
                controls: vec![-1.0; 20],
                others: vec![OtherEvidence {
                    judge: Judge::Likelihood,
                    probe: "p".to_owned(),
                    scores: Paired::new(scores.baseline.clone(), scores.baseline.clone()),
                }],
                ..finalist(scores.clone())
            });
            let evidence = Evidence { finalists: finalists.collect(), earlier };
            verdict(&evidence, &options).iter().any(|found| found.verdict == Verdict::Gain)
        };
        let confirmations: Vec<Vec<Paired>> = (0..5).map(|_| vec![Paired::new(draw(), draw())]).collect();
        naive += usize::from(confirmations.iter().any(|drawn| gains(0, drawn)));
        claimed += usize::from(confirmations.iter().enumerate().any(|(earlier, drawn)| gains(earlier, drawn)));
    }
    assert!(claimed <= 15 && naive >= 2 * claimed, "{claimed} and {naive} of 300");
}

/// Where few questions carry a graded delta, a few signs decide: a spread alone promises too much.
#[test]
fn what_is_visible_of_few_carriers_is_found_as_often_as_stated() {
    use rand::{Rng, SeedableRng};
    let (n, step, alpha) = (200, 0.25, 0.05 / 5.0);
    let scores = |changes: &[f64]| Paired::new(vec![0.5; n], changes.iter().map(|change| 0.5 + change).collect());
    let few = [vec![step; 2], vec![-step; 1], vec![0.0; n - 3]].concat();
    let effect = scores(&few).effect(&VerdictOptions::default()).unwrap();
    let visible = effect.visible(alpha, 0.8).unwrap();
    // A third of it, which the spread alone would promise, is mostly missed.
    let promised = crate::visible_mean(n, effect.deviation, alpha, 0.8).unwrap();
    let power = crate::power_proportions(n, (1.0 + promised / step * n as f64) / n as f64, 1.0 / n as f64, alpha);
    assert!(promised < 0.4 * visible && power.unwrap() < 0.5, "{promised} {visible} {power:?}");
    let loss = 1.0 / n as f64;
    let win = loss + visible / step;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let found = (0..200).filter(|_| {
        let mut change = || match rng.random::<f64>() {
            at if at < win => step,
            at if at < win + loss => -step,
            _ => 0.0,
        };
        let changes: Vec<f64> = (0..n).map(|_| change()).collect();
        let effect = scores(&changes).effect(&VerdictOptions { resamples: 2, ..VerdictOptions::default() }).unwrap();
        effect.p < alpha && effect.delta > 0.0
    });
    let found = found.count();
    assert!(found >= 152, "{found} of 200 find {visible}");
    // One question does not say how large others may be.
    let one = [vec![step], vec![0.0; n - 1]].concat();
    assert_eq!(scores(&one).effect(&VerdictOptions::default()).unwrap().visible(alpha, 0.8), None);
}
