//! Maps of runs built by hand, where every number is known.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeMap;

use neuro_path::{Block, LayerPath, triangle};
use neuro_record::{
    ModelInfo, Plan, PlannedPaths, Planted, ProbeInfo, Row, RunData, RunInfo, SCHEMA, Sample, Screen, Screened,
    ScreenedProbe,
};
use neuro_stats::{
    BlockMap, Dropped, Interval, RESAMPLES, StatsError, combined_map, overhead, paired_delta, planted_verdict,
};
use proptest::prelude::*;

const DEPTH: usize = 6;

fn empty_run() -> RunData {
    let probe =
        |name: &str| ProbeInfo { name: name.to_owned(), id: name.to_owned(), hash: "0".to_owned(), questions: 4 };
    let info = RunInfo {
        schema: SCHEMA,
        tool: "neuro 0.1.0".to_owned(),
        created: "2026-11-22T06:00:00Z".to_owned(),
        model: ModelInfo {
            id: "tiny".to_owned(),
            hash: "0".to_owned(),
            model_type: "llama".to_owned(),
            layers: DEPTH,
            parameters: 1,
            dtype: "bf16".to_owned(),
            random_weights: None,
        },
        tokenizer_hash: None,
        template_hash: None,
        compute: "f32".to_owned(),
        device: "cpu".to_owned(),
        probes: vec![probe("phantom"), probe("math")],
        seed: 11,
        settings: BTreeMap::new(),
        plan: Plan {
            paths: PlannedPaths::Triangle,
            chunks: Vec::new(),
            groups: Vec::new(),
            memory_bytes: 0,
            held_bytes: 0,
            reference_needs: BTreeMap::new(),
        },
        screen: None,
        phantom: Some(Planted { block: [1, 5], group: "k=2".to_owned() }),
    };
    RunData { info, rows: Vec::new(), samples: Vec::new(), reference: Vec::new() }
}

/// Adds a path with its scores per question; the first half of the questions is group `k=1`, the rest `k=2`.
fn measure(data: &mut RunData, path: &LayerPath, scores: &[f64]) {
    let sample = |(position, &score): (usize, &f64)| Sample {
        path: path.to_string(),
        probe: "phantom".to_owned(),
        question: format!("q{position:02}"),
        group: if position < scores.len() / 2 { "k=1" } else { "k=2" }.to_owned(),
        score,
        answer: None,
        parsed: None,
        parse_failure: false,
        stop: None,
        logprobs: None,
        tokens: 1,
    };
    // Reversed, since a resumed run writes its samples in any order.
    let samples: Vec<Sample> = scores.iter().enumerate().map(sample).rev().collect();
    data.rows.push(Row::from_samples(path, "phantom", &samples.iter().collect::<Vec<_>>()).unwrap());
    data.samples.extend(samples);
}

fn measure_block(data: &mut RunData, start: usize, end: usize, scores: &[f64]) {
    measure(data, &Block::new(start, end, DEPTH).unwrap().path(DEPTH).unwrap(), scores);
}

/// Baseline 0.5; (1, 5) best, ties among the others.
fn small_run() -> RunData {
    let mut data = empty_run();
    measure_block(&mut data, 0, 0, &[1.0, 1.0, 0.0, 0.0]);
    measure_block(&mut data, 2, 3, &[1.0, 1.0, 1.0, 0.0]);
    measure_block(&mut data, 0, 3, &[1.0, 0.0, 1.0, 1.0]);
    measure_block(&mut data, 1, 2, &[0.0, 1.0, 1.0, 1.0]);
    measure_block(&mut data, 1, 5, &[1.0, 1.0, 1.0, 1.0]);
    measure_block(&mut data, 1, 3, &[0.0, 0.0, 0.0, 0.25]);
    // No block: repeats layer 2 three times.
    measure(&mut data, &LayerPath::parse("0..2,2,2,3..5", DEPTH).unwrap(), &[1.0, 1.0, 1.0, 1.0]);
    data
}

fn blocks(cells: &[&neuro_stats::Cell]) -> Vec<(usize, usize)> {
    cells.iter().map(|cell| (cell.block.start, cell.block.end)).collect()
}

#[test]
fn a_map_holds_every_block_and_invents_nothing() {
    let map = BlockMap::from_run(&small_run(), "phantom", None).unwrap();
    assert_eq!((map.depth, map.n, map.baseline), (DEPTH, 4, Some(0.5)));
    assert_eq!(map.cells.len(), DEPTH * (DEPTH + 1) / 2 + 1);
    for block in triangle(DEPTH) {
        assert_eq!(map.cell(block.start, block.end).unwrap().block, block);
    }
    assert!(
        map.cell(3, 3).is_none()
            && map.cell(4, 2).is_none()
            && map.cell(0, 7).is_none()
            && map.cell(usize::MAX, 2).is_none()
    );
    let best = map.cell(1, 5).unwrap();
    assert_eq!((best.score, best.delta), (Some(1.0), Some(0.5)));
    let expected = paired_delta(&[1.0, 1.0, 0.0, 0.0], &[1.0; 4], RESAMPLES, 11).unwrap();
    assert_eq!(best.interval, expected.interval);
    let baseline = map.cell(0, 0).unwrap();
    assert_eq!((baseline.score, baseline.delta, baseline.interval), (Some(0.5), Some(0.0), None));
    let missing = map.cell(0, 1).unwrap();
    assert_eq!((missing.score, missing.delta, missing.interval), (None, None, None));
}

#[test]
fn ties_go_to_the_cheaper_and_then_to_the_earlier_block() {
    let map = BlockMap::from_run(&small_run(), "phantom", None).unwrap();
    assert_eq!(blocks(&map.ranked(usize::MAX)), [(1, 5), (1, 2), (2, 3), (0, 3), (1, 3)]);
    assert_eq!(blocks(&map.ranked(2)), [(1, 5), (1, 2)]);
    assert_eq!(map.best().map(|cell| cell.block), Some(Block { start: 1, end: 5 }));
}

#[test]
fn a_group_is_scored_from_its_questions() {
    let data = small_run();
    assert_eq!(BlockMap::groups(&data, "phantom").unwrap(), ["k=1", "k=2"]);
    let map = BlockMap::from_run(&data, "phantom", Some("k=2")).unwrap();
    assert_eq!((map.n, map.baseline, map.group.as_deref()), (2, Some(0.0), Some("k=2")));
    assert_eq!(map.cell(1, 3).unwrap().score, Some(0.125));
    // Three blocks are perfect on this group: now the ties decide.
    assert_eq!(blocks(&map.ranked(4)), [(1, 2), (0, 3), (1, 5), (2, 3)]);
}

#[test]
fn skylines_average_what_was_measured() {
    let map = BlockMap::from_run(&small_run(), "phantom", None).unwrap();
    let (ends, starts) = (map.end_skyline(), map.start_skyline());
    assert_eq!((ends.len(), starts.len()), (DEPTH + 1, DEPTH + 1));
    // Deltas that end at 3: 0.25 (2, 3), 0.25 (0, 3), −0.4375 (1, 3).
    let end = ends[3].unwrap();
    assert!((end.mean - 0.0625 / 3.0).abs() < 1e-12 && end.n == 3);
    assert!((end.sd - 0.6875 * 2_f64.sqrt() / 3.0).abs() < 1e-12, "{}", end.sd);
    let start = starts[0].unwrap();
    assert_eq!((start.mean, start.sd, start.n), (0.25, 0.0, 1));
    assert!(ends[0].is_none() && ends[1].is_none() && starts[DEPTH].is_none() && starts[3].is_none());
}

#[test]
fn the_planted_block_is_found_by_three_shared_layers_and_a_gain() {
    let planted = Block { start: 1, end: 5 };
    let verdict = |start: usize, end: usize, score: f64| {
        let mut data = empty_run();
        measure_block(&mut data, 0, 0, &[0.5, 0.5]);
        measure_block(&mut data, start, end, &[score, score]);
        let map = BlockMap::from_run(&data, "phantom", None).unwrap();
        planted_verdict(&map, planted).map(|verdict| (verdict.overlap, verdict.found)).unwrap()
    };
    assert_eq!(verdict(1, 5, 0.75), (4, true));
    assert_eq!(verdict(2, 6, 0.75), (3, true));
    assert_eq!(verdict(3, 6, 0.75), (2, false));
    assert_eq!(verdict(0, 1, 0.75), (0, false));
    assert_eq!(verdict(1, 5, 0.5), (4, false));
    assert_eq!(planted_verdict(&BlockMap::from_run(&empty_run(), "phantom", None).unwrap(), planted), None);
    let mut unfinished = empty_run();
    measure_block(&mut unfinished, 1, 5, &[1.0, 1.0]);
    assert_eq!(planted_verdict(&BlockMap::from_run(&unfinished, "phantom", None).unwrap(), planted), None);
}

#[test]
fn without_a_baseline_there_are_scores_and_no_deltas() {
    let mut data = empty_run();
    measure_block(&mut data, 1, 5, &[1.0, 0.0]);
    let map = BlockMap::from_run(&data, "phantom", None).unwrap();
    let cell = map.cell(1, 5).unwrap();
    assert_eq!((map.baseline, cell.score, cell.delta, cell.interval), (None, Some(0.5), None, None));
    assert!(map.end_skyline().iter().all(Option::is_none));
    let empty = BlockMap::from_run(&data, "math", None).unwrap();
    assert!(empty.n == 0 && empty.best().is_none() && empty.ranked(5).is_empty());
}

#[test]
fn contradictions_are_errors() {
    let message = |data: &RunData, group| BlockMap::from_run(data, "phantom", group).unwrap_err().to_string();
    let data = small_run();
    let error = BlockMap::from_run(&data, "eq", None).unwrap_err();
    assert_eq!(error.to_string(), "the run has no probe `eq`, expected one of: phantom, math");
    assert!(message(&data, Some("k=9")).contains("no group `k=9`, expected one of: k=1, k=2"));

    let mut counts = small_run();
    counts.samples.remove(5);
    assert!(message(&counts, None).contains("counts 4 questions, but has 3 samples"));
    let mut score = small_run();
    score.rows[1].score = 0.5;
    assert!(message(&score, None).contains("its score is 0.5, but its samples have the mean 0.75"));
    let mut group = small_run();
    group.rows[1].groups.get_mut("k=2").unwrap().score = 0.75;
    assert!(message(&group, Some("k=2")).contains("group `k=2` is 0.75"));
    let mut question = small_run();
    question.samples[4].question = "q99".to_owned();
    assert!(message(&question, None).contains("other questions"));
    let mut deep = empty_run();
    deep.info.model.layers = 60_000;
    assert!(matches!(BlockMap::from_run(&deep, "phantom", None), Err(StatsError::TooDeep { found: 60_000, .. })));
}

/// A path that dropped out of a screening after the questions `q03` and `q01`.
fn drop_out(data: &mut RunData, start: usize, end: usize, scores: [f64; 2]) {
    let path = Block::new(start, end, DEPTH).unwrap().path(DEPTH).unwrap();
    let mut whole = empty_run();
    measure(&mut whole, &path, &[0.0, scores[1], 0.0, scores[0]]);
    whole.samples.retain(|sample| ["q01", "q03"].contains(&sample.question.as_str()));
    let row = Row::from_samples(&path, "phantom", &whole.samples.iter().collect::<Vec<_>>()).unwrap();
    // Rows of those that drop out come before those of the finalists.
    data.rows.insert(0, Row { screened: Some(Screened { seen: 2, of: 4 }), ..row });
    data.samples.extend(whole.samples);
}

fn screened_run() -> RunData {
    let mut data = small_run();
    let probe = ScreenedProbe { looks: vec![0.5], order: vec![3, 1, 0, 2] };
    let probes = vec![probe.clone(), probe];
    data.info.screen = Some(Screen { keep: 0.1, budget: 0.2, finalists: 1.2, probes });
    drop_out(&mut data, 0, 6, [1.0, 1.0]);
    drop_out(&mut data, 3, 4, [0.0, 0.5]);
    data
}

#[test]
fn who_dropped_out_of_a_screening_is_compared_on_its_questions_and_not_ranked() {
    let map = BlockMap::from_run(&screened_run(), "phantom", None).unwrap();
    let (high, low) = (map.cell(0, 6).unwrap(), map.cell(3, 4).unwrap());
    // The baseline answered q01 right and q03 wrong.
    assert_eq!((high.score, high.delta, high.interval, high.screened), (Some(1.0), Some(0.5), None, Some(2)));
    assert_eq!((low.score, low.delta, low.screened), (Some(0.25), Some(-0.25), Some(2)));
    assert_eq!((map.n, map.dropped()), (4, Some(Dropped { blocks: 2, fewest: 2, most: 2 })));
    let full = BlockMap::from_run(&small_run(), "phantom", None).unwrap();
    assert_eq!(full.dropped(), None);
    assert_eq!((map.ranked(usize::MAX), map.best()), (full.ranked(usize::MAX), full.best()));
    // (0, 6) scores 1 as (1, 5) does, whose map it does not change.
    assert_eq!(map.cell(1, 5), full.cell(1, 5));
    let verdict = planted_verdict(&map, Block { start: 1, end: 5 }).unwrap();
    assert_eq!((verdict.best, verdict.found), (Block { start: 1, end: 5 }, true));

    let mut data = screened_run();
    data.rows[0].groups.remove("k=2");
    data.rows[0].groups.get_mut("k=1").unwrap().n = 2;
    for sample in data.samples.iter_mut().filter(|sample| sample.path == data.rows[0].path) {
        sample.group = "k=1".to_owned();
    }
    let unseen = BlockMap::from_run(&data, "phantom", Some("k=2")).unwrap();
    let cell = unseen.cell(3, 4).unwrap();
    assert_eq!((cell.score, cell.delta, cell.screened), (None, None, Some(0)));
    let group = BlockMap::from_run(&screened_run(), "phantom", Some("k=2")).unwrap();
    assert_eq!((group.n, group.cell(0, 6).unwrap().screened, group.cell(0, 6).unwrap().delta), (2, Some(1), Some(1.0)));
}

#[test]
fn chance_alone_has_the_same_gaps_and_its_own_best() {
    let data = small_run();
    let map = BlockMap::from_run(&data, "phantom", None).unwrap();
    let chance = map.chance.as_ref().unwrap();
    assert_eq!((chance.blocks, chance.cells.len(), chance.adjusted.len()), (5, map.cells.len(), map.cells.len()));
    let null = map.null_map().unwrap();
    for (own, swapped) in map.cells.iter().zip(&null.cells) {
        assert_eq!((own.block, own.delta.is_some()), (swapped.block, swapped.delta.is_some()));
        assert!(swapped.score.is_none() && swapped.delta.is_none_or(|delta| delta.abs() <= 1.0));
    }
    // (1, 5) wins two questions of four: one swapped map in four is as good, and other blocks are lucky too.
    let p = map.corrected_p(map.best().unwrap()).unwrap();
    assert!((0.25..0.7).contains(&p), "{p}");
    assert_eq!((map.corrected_p(map.cell(0, 0).unwrap()), map.corrected_p(map.cell(0, 1).unwrap())), (None, None));
    assert!(chance.expected_best > 0.0 && chance.rarely_exceeded >= chance.expected_best);
    assert!(BlockMap::from_run(&screened_run(), "phantom", None).unwrap().chance.is_none());
    assert!(null.null_map().is_none());
}

#[test]
fn a_clear_gain_is_beyond_chance() {
    let mut data = empty_run();
    measure_block(&mut data, 0, 0, &[0.0; 24]);
    measure_block(&mut data, 1, 5, &[1.0; 24]);
    measure_block(&mut data, 1, 2, &[[0.0; 20].as_slice(), &[1.0; 4]].concat());
    let map = BlockMap::from_run(&data, "phantom", None).unwrap();
    assert_eq!(map.corrected_p(map.cell(1, 5).unwrap()), Some(0.001));
    assert!(map.corrected_p(map.cell(1, 2).unwrap()).unwrap() > 0.01);
}

/// The mean of two probes, of which one is scored in two ways.
#[test]
fn probes_weigh_the_same_in_the_combined_map() {
    let mut data = small_run();
    assert_eq!(combined_map(&data).unwrap(), None, "a probe without rows");
    data.info.probes.truncate(1);
    assert_eq!(combined_map(&data).unwrap(), None, "one probe");
    let mut data = small_run();
    data.info.probes[1].name = "other".to_owned();
    let (rows, samples) = (data.rows.clone(), data.samples.clone());
    // The second probe has half the questions, on which every path but (1, 5) is right.
    for mut sample in samples.into_iter().filter(|sample| ["q00", "q01"].contains(&sample.question.as_str())) {
        sample.probe = "other".to_owned();
        sample.score = if sample.path == "0..4,1..5" { 0.0 } else { 1.0 };
        data.samples.push(sample);
    }
    for row in rows {
        let path = LayerPath::parse(&row.path, DEPTH).unwrap();
        let own: Vec<&Sample> =
            data.samples.iter().filter(|sample| sample.probe == "other" && sample.path == row.path).collect();
        data.rows.push(Row::from_samples(&path, "other", &own).unwrap());
    }
    let map = combined_map(&data).unwrap().unwrap();
    assert_eq!((map.probe.as_str(), map.n, map.baseline), ("mean of phantom, other", 6, Some(0.75)));
    let cell = map.cell(1, 5).unwrap();
    assert_eq!((cell.score, cell.delta), (Some(0.5), Some(-0.25)));
    let interval = cell.interval.unwrap();
    assert!(interval.low <= -0.25 && -0.25 <= interval.high, "{interval:?}");
    assert_eq!(map.cell(2, 3).unwrap().delta, Some(0.125));
    assert!(map.cell(0, 1).unwrap().delta.is_none() && map.chance.is_some());
}

#[test]
fn a_screening_under_way_has_scores_and_no_deltas() {
    let mut data = screened_run();
    data.rows.retain(|row| row.screened.is_some());
    let map = BlockMap::from_run(&data, "phantom", None).unwrap();
    assert_eq!((map.n, map.baseline, map.cell(0, 6).unwrap().delta, map.best()), (2, None, None, None));
}

#[test]
fn fewer_questions_need_a_screening_that_the_run_knows_of() {
    let message = |data: &RunData| BlockMap::from_run(data, "phantom", None).unwrap_err().to_string();
    let mut unsaid = screened_run();
    unsaid.info.screen = None;
    assert!(message(&unsaid).contains("other questions"));
    let mut unmarked = screened_run();
    unmarked.rows[0].screened = None;
    assert!(message(&unmarked).contains("other questions"));
    let mut foreign = screened_run();
    for sample in foreign.samples.iter_mut().filter(|sample| sample.path == "0..5,0..5" && sample.question == "q03") {
        sample.question = "q99".to_owned();
    }
    assert!(message(&foreign).contains("do not answer"));
}

#[test]
fn unfinished_paths_stay_missing() {
    let mut data = small_run();
    let row = data.rows.iter().position(|row| row.block == Some([1, 5])).unwrap();
    data.rows.remove(row);
    assert_eq!(BlockMap::from_run(&data, "phantom", None).unwrap().cell(1, 5).unwrap().score, None);
}

#[test]
fn overhead_counts_extra_visits_per_layer() {
    let of = |text: &str| overhead(&LayerPath::parse(text, DEPTH).unwrap());
    assert_eq!((of("0..5"), of("(1, 4)"), of("0..5,0..5"), of("0..2")), (0.0, 0.5, 1.0, -0.5));
}

#[test]
fn an_interval_that_touches_zero_includes_it() {
    assert!(Interval { low: 0.0, high: 0.25 }.includes_zero());
    assert!(!Interval { low: 0.125, high: 0.25 }.includes_zero());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The order of rows and samples means nothing, and the ranking is a sorted list of the measured blocks.
    #[test]
    fn a_map_depends_on_results_alone(
        scores in prop::collection::vec(prop::collection::vec(0_u8..=4, 3), 3..21),
        turn in 0_usize..100,
    ) {
        let mut data = empty_run();
        for (block, scores) in triangle(DEPTH).zip(&scores) {
            let scores: Vec<f64> = scores.iter().map(|&score| f64::from(score) / 4.0).collect();
            measure_block(&mut data, block.start, block.end, &scores);
        }
        let map = BlockMap::from_run(&data, "phantom", None).unwrap();
        let (rows, samples) = (data.rows.len(), data.samples.len());
        data.rows.rotate_left(turn % rows);
        data.samples.rotate_left(turn % samples);
        prop_assert_eq!(&BlockMap::from_run(&data, "phantom", None).unwrap(), &map);
        let ranked = map.ranked(usize::MAX);
        prop_assert_eq!(ranked.len(), scores.len() - 1);
        prop_assert_eq!(ranked.first().copied(), map.best());
        for pair in ranked.windows(2) {
            let key = |cell: &neuro_stats::Cell| (-cell.score.unwrap(), cell.block.size(), cell.block.start);
            prop_assert!(key(pair[0]) < key(pair[1]));
        }
    }
}
