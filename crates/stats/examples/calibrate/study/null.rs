//! Whole scans in which no path differs from the baseline, and what the naive way makes of them.

use std::ops::Range;

use neuro_stats::{Evidence, Paired, Resampler, ScoreKind, Verdict, max_t, verdict};
use rand::Rng;

use super::answers::{Answers, PathAnswers, draw, finalist, generator};
use super::{Demand, Effort, FINALISTS, QUESTIONS, SEARCH_QUESTIONS, Section, share};

/// Questions of the naive way: as many as the public probes have.
const NAIVE_QUESTIONS: usize = 16;

/// How often one scan is confirmed, where that is looked at.
const CONFIRMATIONS: usize = 5;

/// Questions that were drawn, each with its labels swapped (−1) or not (1).
type Draw = Vec<(usize, f64)>;

#[derive(Default)]
struct Found {
    confirmed: usize,
    one_confirmed: usize,
    max_t: usize,
    naive_positive: usize,
    naive_interval: usize,
    naive_delta: f64,
    fresh_delta: f64,
    again: usize,
    again_as_first: usize,
}

pub(crate) fn section(phantoms: &[Answers], effort: &Effort) -> Section {
    let all_scans = effort.scans;
    let mut page = format!(
        "## Null scans: nothing to find\n\n\
         {all_scans} simulated scans, half on each phantom. Labels of baseline and path are swapped at random within questions, so that every\n\
         path's true delta is 0 while paths stay as noisy and as correlated as they are. A search on {SEARCH_QUESTIONS} questions chooses {FINALISTS} finalists, {QUESTIONS}\n\
         fresh draws confirm them; controls and second judges are left out, as above. Max-T is the corrected test of the search's own map.\n\
         The naive way takes the best block of a map on {NAIVE_QUESTIONS} questions at its word. In the end every scan is confirmed {} times more,\n\
         the same finalists on fresh draws, each time with twice the proof of the time before, as `neuro confirm` does.\n\n\
         | | {} | {} | both |\n|---|---|---|---|\n",
        CONFIRMATIONS - 1,
        phantoms[0].name,
        phantoms[1].name
    );
    let each = all_scans / phantoms.len() as u64;
    // Seeds of each one's own: with the same ones the pooled scans would come in pairs.
    let of_phantom = |(place, phantom): (u64, &Answers)| scans(phantom, place * each..(place + 1) * each, effort);
    let found: Vec<Found> = (0..).zip(phantoms).map(of_phantom).collect();
    let mut line = |what: &str, count: fn(&Found) -> usize| {
        let cells = found.iter().map(|found| share(count(found), each as usize)).collect::<Vec<_>>().join(" | ");
        let all = share(found.iter().map(count).sum(), all_scans as usize);
        page.push_str(&format!("| {what} | {cells} | {all} |\n"));
    };
    line("`confirm` calls a gain", |found| found.confirmed);
    line("the same with one finalist, so without correction", |found| found.one_confirmed);
    line(&format!("one of {CONFIRMATIONS} confirmations of a scan calls a gain"), |found| found.again);
    line("the same if each were tested as the first", |found| found.again_as_first);
    line("max-T finds a block, corrected p ≤ 0.05", |found| found.max_t);
    line("naive: the best block is above the baseline", |found| found.naive_positive);
    line("naive: and its own interval excludes 0", |found| found.naive_interval);
    let mut mean = |what: &str, delta: fn(&Found) -> f64| {
        let cells =
            found.iter().map(|found| format!("{:+.3}", delta(found) / each as f64)).collect::<Vec<_>>().join(" | ");
        let all = found.iter().map(delta).sum::<f64>() / all_scans as f64;
        page.push_str(&format!("| {what} | {cells} | {all:+.3} |\n"));
    };
    mean("naive: mean delta of the best block", |found| found.naive_delta);
    mean("the same block on fresh questions", |found| found.fresh_delta);
    let sum = |count: fn(&Found) -> usize| found.iter().map(count).sum();
    let demands = vec![
        Demand::rare("null scans in which `confirm` calls a gain", sum(|found| found.confirmed), all_scans as usize),
        Demand::rare(
            format!("null scans of which one of {CONFIRMATIONS} confirmations calls a gain"),
            sum(|found| found.again),
            all_scans as usize,
        ),
        Demand::rare("null scans in which max-T finds a block", sum(|found| found.max_t), all_scans as usize),
    ];
    Section { page, demands }
}

fn scans(phantom: &Answers, seeds: Range<u64>, effort: &Effort) -> Found {
    let mut found = Found::default();
    // Of which some make a whole: 999 swapped maps and the one that was found.
    let draws = effort.resamples - 1;
    let resampler = Resampler::new(NAIVE_QUESTIONS, draws, 0);
    for seed in seeds {
        let mut rng = generator(1_000_000 + seed);
        let mut swapped = |n: usize| -> Draw {
            let drawn = draw(&mut rng, n, phantom.questions());
            drawn.into_iter().map(|question| (question, if rng.random_bool(0.5) { 1.0 } else { -1.0 })).collect()
        };
        let (search, fresh, naive) = (swapped(SEARCH_QUESTIONS), swapped(QUESTIONS), swapped(NAIVE_QUESTIONS));

        let finalists = phantom.best(phantom.paths.iter(), |path| mean(path, &search), FINALISTS);
        let again = finalists.clone();
        let alone = finalists.first().map(|path| finalist(path, scores(phantom, path, &fresh), Vec::new()));
        let evidence = finalists.into_iter().map(|path| finalist(path, scores(phantom, path, &fresh), Vec::new()));
        let calls_a_gain = |finalists, earlier| {
            let verdicts = verdict(&Evidence { finalists, earlier }, &effort.options(seed));
            verdicts.iter().any(|found| found.verdict == Verdict::Gain)
        };
        let first = calls_a_gain(evidence.collect(), 0);
        found.confirmed += usize::from(first);
        found.one_confirmed += usize::from(calls_a_gain(alone.into_iter().collect(), 0));
        // Behind all other draws of the scan, which stay as they were before there was this.
        let later: Vec<Draw> = (1..CONFIRMATIONS).map(|_| swapped(QUESTIONS)).collect();
        let in_one = |is_first: bool| {
            let finalists = |drawn: &Draw| -> Vec<_> {
                again.iter().map(|path| finalist(path, scores(phantom, path, drawn), Vec::new())).collect()
            };
            let mut confirmed =
                later.iter().zip(1..).map(|(drawn, k)| (finalists(drawn), if is_first { 0 } else { k }));
            usize::from(first || confirmed.any(|(finalists, earlier)| calls_a_gain(finalists, earlier)))
        };
        found.again += in_one(false);
        found.again_as_first += in_one(true);

        let map: Vec<Vec<f64>> = phantom.paths.iter().map(|path| differences(path, &search)).collect();
        let corrected = max_t(map.iter().map(|path| Some(path.as_slice())), draws, seed).adjusted;
        found.max_t += usize::from(corrected.iter().flatten().any(|&p| p <= 0.05));

        let Some(&best) = phantom.best(phantom.paths.iter(), |path| mean(path, &naive), 1).first() else { continue };
        let interval =
            resampler.delta(&differences(best, &naive), ScoreKind::RightOrWrong).and_then(|delta| delta.interval);
        found.naive_positive += usize::from(mean(best, &naive) > 0.0);
        found.naive_interval += usize::from(interval.is_some_and(|bounds| bounds.low > 0.0));
        found.naive_delta += mean(best, &naive);
        found.fresh_delta += mean(best, &fresh);
    }
    found
}

fn differences(path: &PathAnswers, drawn: &Draw) -> Vec<f64> {
    drawn.iter().map(|&(question, sign)| sign * path.differences[question]).collect()
}

fn mean(path: &PathAnswers, drawn: &Draw) -> f64 {
    drawn.iter().map(|&(question, sign)| sign * path.differences[question]).sum::<f64>() / drawn.len() as f64
}

fn scores(phantom: &Answers, path: &PathAnswers, drawn: &Draw) -> Paired {
    let pairs = drawn.iter().map(|&(question, sign)| {
        let pair = (phantom.baseline[question], path.greedy[question]);
        if sign < 0.0 { (pair.1, pair.0) } else { pair }
    });
    let (baseline, path) = pairs.unzip();
    Paired::new(baseline, path)
}
