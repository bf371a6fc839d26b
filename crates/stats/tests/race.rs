//! Races over simulated maps, whose true order is known.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod race_maps;

use neuro_path::{Block, triangle};
use neuro_stats::{Race, RaceError, RaceOptions};
use proptest::prelude::*;
use race_maps::{Map, Noise, best_by_all_answers, published, recall, run, synthetic};

const SEEDS: u64 = 20;

/// Means over the seeds of recall, of the recall of as many paths chosen with all answers, and of the cost; the largest
/// cost; and the mean fraction of finalists.
struct Outcome {
    recall: f64,
    oracle: f64,
    top: f64,
    cost: f64,
    dearest: f64,
    finalists: f64,
}

fn measure(map: &Map, noise: Noise, questions: usize, options: &RaceOptions) -> Outcome {
    measure_behind(0.0, map, noise, questions, options)
}

/// The same where all prompts begin with so many questions' tokens, which every stage pays anew.
fn measure_behind(prefix: f64, map: &Map, noise: Noise, questions: usize, options: &RaceOptions) -> Outcome {
    let mut outcome = Outcome { recall: 0.0, oracle: 0.0, top: 0.0, cost: 0.0, dearest: 0.0, finalists: 0.0 };
    for seed in 0..SEEDS {
        let answers = map.answers(noise, questions, seed);
        let (kept, cost) = run(map.race_behind(prefix, questions, options.clone()).unwrap(), &answers);
        let count = kept.iter().filter(|&&kept| kept).count() - 1;
        let wanted = (0.1 * (kept.len() - 1) as f64).ceil() as usize;
        outcome.recall += recall(&map.truth, &kept) / SEEDS as f64;
        outcome.oracle += recall(&map.truth, &best_by_all_answers(&answers, count)) / SEEDS as f64;
        outcome.top += recall(&map.truth, &best_by_all_answers(&answers, wanted)) / SEEDS as f64;
        outcome.cost += cost / SEEDS as f64;
        outcome.dearest = outcome.dearest.max(cost);
        outcome.finalists += count as f64 / (kept.len() - 1) as f64 / SEEDS as f64;
    }
    outcome
}

/// The whole picture, failures too: `cargo test --release -p neuro-stats --test race -- --ignored --nocapture`.
#[test]
#[ignore = "prints a table, asserts nothing"]
fn table() {
    let models: Vec<Vec<Map>> = vec![
        [28, 32, 36].map(|depth| synthetic(depth, depth as u64)).into(),
        published("combined_score"),
        published("combined_score").iter().map(Map::smoothed).collect(),
        published("eq_score"),
        published("eq_score").iter().map(Map::smoothed).collect(),
        published("pubmedqa_score"),
        published("pubmedqa_score").iter().map(Map::smoothed).collect(),
    ];
    let kinds = [
        Noise::Likelihood(0.25),
        Noise::Likelihood(0.5),
        Noise::Likelihood(1.0),
        Noise::RightOrWrong(0.97),
        Noise::RightOrWrong(0.9),
    ];
    println!("recall | same number by all answers | top decile by all answers | cost | dearest | finalists");
    for (maps, score) in models.iter().zip(["", "combined", "combined", "eq", "eq", "pubmedqa", "pubmedqa"]) {
        for (prefix, questions) in [0.0, 0.8, 2.0, 3.0].into_iter().flat_map(|prefix| [(prefix, 64), (prefix, 128)]) {
            let outcomes: Vec<Outcome> = maps
                .iter()
                .map(|map| measure_behind(prefix, map, Noise::Likelihood(0.5), questions, &RaceOptions::default()))
                .collect();
            let recall = mean(&outcomes, |outcome| outcome.recall);
            println!("{score} {} … behind {prefix} questions' tokens, {questions:3}: {recall:.3}", maps[0].name);
        }
        for noise in kinds {
            for questions in [32, 64, 128] {
                let outcomes: Vec<Outcome> =
                    maps.iter().map(|map| measure(map, noise, questions, &RaceOptions::default())).collect();
                let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64;
                println!(
                    "{score} {} … {noise:?} {questions:3}: {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3}   each {:?}",
                    maps[0].name,
                    mean(|o| o.recall),
                    mean(|o| o.oracle),
                    mean(|o| o.top),
                    mean(|o| o.cost),
                    outcomes.iter().map(|o| o.dearest).fold(0.0, f64::max),
                    mean(|o| o.finalists),
                    outcomes.iter().map(|o| (o.recall * 1000.0).round() / 1000.0).collect::<Vec<_>>()
                );
            }
        }
    }
}

/// Questions seen at the end of each stage.
fn ends(mut race: Race, answers: &[Vec<f64>]) -> Vec<usize> {
    let mut ends = Vec::new();
    while let Some(stage) = race.stage() {
        ends.push(stage.questions.end);
        let of_path = |&path: &usize| answers[path][stage.questions.clone()].to_vec();
        race.record(&stage.paths.iter().map(of_path).collect::<Vec<_>>()).unwrap();
    }
    ends
}

fn mean(outcomes: &[Outcome], of: fn(&Outcome) -> f64) -> f64 {
    outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64
}

/// The target of screening: mean recall of the true top decile of 0.95 at a fifth of the layer-tokens.
fn assert_on_target(maps: &[Map], questions: usize) {
    let race = |map| measure(map, Noise::Likelihood(0.5), questions, &RaceOptions::default());
    let outcomes: Vec<Outcome> = maps.iter().map(race).collect();
    for (map, outcome) in maps.iter().zip(&outcomes) {
        assert!(outcome.dearest <= 0.2, "{}, {questions} questions: {}", map.name, outcome.dearest);
    }
    let recall = mean(&outcomes, |outcome| outcome.recall);
    assert!(recall >= 0.95, "{}, {questions} questions: {recall}", maps[0].name);
}

#[test]
fn synthetic_maps_keep_their_top_decile() {
    let maps = [28, 32, 36].map(|depth| synthetic(depth, depth as u64));
    assert_on_target(&maps, 64);
}

#[test]
fn published_maps_keep_their_top_decile() {
    let maps = published("combined_score");
    if maps.is_empty() {
        return;
    }
    assert_on_target(&maps.iter().map(Map::smoothed).collect::<Vec<_>>(), 64);
    assert_on_target(&maps, 128);
}

/// Beginnings that stages pay anew leave less of a fifth: fewer looks, and still the decile where questions are many.
#[test]
fn common_beginnings_cost_recall() {
    let maps = [28, 32, 36].map(|depth| synthetic(depth, depth as u64));
    let outcome = |prefix, questions| {
        let one = |map| measure_behind(prefix, map, Noise::Likelihood(0.5), questions, &RaceOptions::default());
        let outcomes: Vec<Outcome> = maps.iter().map(one).collect();
        assert!(outcomes.iter().all(|outcome| outcome.dearest <= 0.2));
        mean(&outcomes, |outcome| outcome.recall)
    };
    let [none, short, long] = [0.0, 0.8, 3.0].map(|prefix| outcome(prefix, 64));
    assert!(short >= 0.95 && none > short && short > long + 0.04 && long >= 0.8, "{none} {short} {long}");
    assert!(outcome(3.0, 128) >= 0.95);

    // Stages of three questions' beginnings would take a seventh more than all in one go: the last look is left out.
    let race = maps[0].race_behind(3.0, 64, RaceOptions::default()).unwrap();
    assert_eq!(ends(race, &maps[0].answers(Noise::Likelihood(0.5), 64, 1)), [2, 8, 64]);
}

/// What a fifth can find is decided by noise: the promise is for likelihood scores, not for 32 right or wrong answers.
#[test]
fn noise_costs_recall() {
    let map = synthetic(28, 28);
    let recall = |noise, questions| measure(&map, noise, questions, &RaceOptions::default()).recall;
    let [quiet, loud] = [0.25, 1.0].map(|ratio| recall(Noise::Likelihood(ratio), 32));
    let coarse = recall(Noise::RightOrWrong(0.9), 32);
    assert!(quiet > 0.97 && loud < quiet - 0.04 && coarse < 0.8, "{quiet} {loud} {coarse}");
    assert!(recall(Noise::RightOrWrong(0.9), 128) > coarse + 0.1);
}

#[test]
fn neighbours_help() {
    let map = synthetic(28, 28);
    let alone = vec![None; map.blocks.len()];
    let (mut with, mut without) = (0.0, 0.0);
    for seed in 0..SEEDS {
        let answers = map.answers(Noise::RightOrWrong(0.9), 64, seed);
        let race = map.race(64, RaceOptions::default()).unwrap();
        with += recall(&map.truth, &run(race, &answers).0);
        let race = Race::new(map.costs(0.0), &alone, 64, RaceOptions::default()).unwrap();
        without += recall(&map.truth, &run(race, &answers).0);
    }
    assert!(with > without + 0.08 * SEEDS as f64, "{with} {without} of {SEEDS}");
}

/// Three clear winners end the race long before the budget does.
#[test]
fn the_bound_saves_what_the_budget_would_allow() {
    let blocks: Vec<Option<Block>> = triangle(8).map(Some).collect();
    let score = |path: usize| if [5, 17, 30, 31].contains(&path) { 0.9 } else { 0.1 + 0.001 * path as f64 };
    let answer = |path: usize, question: usize| score(path) + 0.01 * ((path * 31 + question * 17) % 7) as f64;
    let answers: Vec<Vec<f64>> =
        (0..blocks.len()).map(|path| (0..320).map(|question| answer(path, question)).collect()).collect();
    let race = Race::new(|questions| vec![questions.len() as f64; blocks.len()], &blocks, 320, RaceOptions::default())
        .unwrap();
    let (kept, cost) = run(race, &answers);
    let finalists: Vec<usize> = (0..kept.len()).filter(|&path| kept[path]).collect();
    assert_eq!(finalists, [0, 5, 17, 30, 31]);
    // 1/32 for all 37, the rest for the five: 0.03125 + 0.96875 * 5 / 37.
    assert!((cost - 0.16217).abs() < 1e-4, "{cost}");
}

#[test]
fn a_path_that_fails_leaves_the_race() {
    let map = synthetic(12, 1);
    let mut answers = map.answers(Noise::Likelihood(0.25), 64, 1);
    let best = (1..answers.len()).max_by(|&a, &b| map.truth[a].total_cmp(&map.truth[b])).unwrap();
    let race = map.race(64, RaceOptions::default()).unwrap();
    assert!(run(race.clone(), &answers).0[best]);
    answers[best][3] = f64::NAN;
    // Without a baseline on a question, the others are still compared on it.
    answers[0][1] = f64::NAN;
    let (kept, cost) = run(race, &answers);
    assert!(kept[0] && !kept[best] && cost <= 0.2);
    assert!(recall(&map.truth, &kept) >= 0.5);
    let none = vec![vec![f64::NAN; 64]; answers.len()];
    let (kept, _) = run(map.race(64, RaceOptions::default()).unwrap(), &none);
    assert_eq!(kept.iter().filter(|&&kept| kept).count(), 1, "the baseline alone");
}

#[test]
fn the_first_stage_is_everyone_and_the_last_everything() {
    let map = synthetic(12, 1);
    let answers = map.answers(Noise::Likelihood(0.5), 64, 1);
    let mut race = map.race(64, RaceOptions::default()).unwrap();
    let mut ends = Vec::new();
    while let Some(stage) = race.stage() {
        assert_eq!(race.stage(), Some(stage.clone()), "the same until it is recorded");
        ends.push(stage.questions.end);
        let part: Vec<Vec<f64>> =
            stage.paths.iter().map(|&path| answers[path][stage.questions.clone()].to_vec()).collect();
        let wrong = [part[1..].to_vec(), part.iter().map(|row| row[1..].to_vec()).collect()];
        for wrong in wrong {
            assert!(matches!(race.record(&wrong), Err(RaceError::Invalid { .. })));
        }
        race.record(&part).unwrap();
    }
    assert_eq!(ends, [2, 8, 24, 64]);
    assert!(race.record(&[]).is_err());
    assert!((0..answers.len()).all(|path| ends.contains(&race.seen(path))));
    assert_eq!((race.seen(0), race.seen(999)), (64, 0));
}

#[test]
fn impossible_races_say_why() {
    let map = synthetic(12, 1);
    let error = map.race(12, RaceOptions::default()).unwrap_err();
    assert!(matches!(error, RaceError::Budget { questions: 12, needed, .. } if needed > 0.25), "{error}");
    assert!(map.race(24, RaceOptions::default()).is_ok());
    let wrong = [
        RaceOptions { keep: 0.0, ..RaceOptions::default() },
        RaceOptions { budget: 1.5, ..RaceOptions::default() },
        RaceOptions { looks: vec![0.2, 0.1], ..RaceOptions::default() },
        RaceOptions { looks: vec![f64::NAN], ..RaceOptions::default() },
        RaceOptions { finalists: 0.5, ..RaceOptions::default() },
    ];
    for options in wrong {
        assert!(matches!(map.race(64, options), Err(RaceError::Invalid { .. })));
    }
    let blocks = [Some(Block::BASELINE), None];
    assert!(Race::new(|_| vec![1.0], &blocks[..1], 64, RaceOptions::default()).is_err());
    assert!(Race::new(|_| vec![1.0, 2.0], &blocks[..1], 64, RaceOptions::default()).is_err());
    assert!(Race::new(|_| vec![1.0, 0.0], &blocks, 64, RaceOptions::default()).is_err());
    assert!(Race::new(|_| vec![1.0, 1.0], &blocks, 0, RaceOptions::default()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is answered: the budget holds, nobody comes back, the baseline sees all, and a replay decides alike.
    #[test]
    fn a_race_keeps_its_rules(
        depth in 2_usize..14,
        questions in 20_usize..150,
        levels in 1_u8..6,
        prefix in 0.0..1.5_f64,
        budget in 0.15..1.0_f64,
        seed in any::<u64>(),
    ) {
        let map = synthetic(depth, seed);
        let options = RaceOptions { budget, ..RaceOptions::default() };
        let costs = map.costs(prefix);
        let blocks: Vec<Option<Block>> = map.blocks.iter().copied().map(Some).collect();
        let Ok(mut race) = Race::new(&costs, &blocks, questions, options) else { return Ok(()) };
        let mut replay = race.clone();
        let mut bits = seed | 1;
        // Few levels make many ties.
        let mut draw = || {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            f64::from((bits >> 32) as u32 % u32::from(levels)) / f64::from(levels)
        };
        let mut before: Vec<usize> = (0..map.blocks.len()).collect();
        let (mut asked, mut spent) = (0, 0.0);
        while let Some(stage) = race.stage() {
            prop_assert_eq!(replay.stage(), Some(stage.clone()));
            prop_assert_eq!(stage.questions.start, asked);
            prop_assert!(stage.questions.end > asked);
            prop_assert!(stage.paths[0] == 0 && stage.paths.len() > 1 && stage.paths.is_sorted());
            prop_assert!(stage.paths.iter().all(|path| before.contains(path)));
            let scores: Vec<Vec<f64>> =
                stage.paths.iter().map(|_| stage.questions.clone().map(|_| draw()).collect()).collect();
            race.record(&scores).unwrap();
            replay.record(&scores).unwrap();
            asked = stage.questions.end;
            let costs = costs(stage.questions.clone());
            spent += stage.paths.iter().map(|&path| costs[path]).sum::<f64>();
            before = stage.paths;
        }
        prop_assert_eq!(asked, questions);
        prop_assert!((race.spent() - spent).abs() < 1e-6 * spent);
        prop_assert!(spent <= budget * race.full_cost() + 1e-6, "{} of {}", spent / race.full_cost(), budget);
        prop_assert_eq!(race.seen(0), questions);
    }
}
