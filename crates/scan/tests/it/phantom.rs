//! The shipped phantoms, asked everything: the whole truth about every block, so that the scanner is known to find what
//! is there and nothing else.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use neuro_path::{Block, LayerPath};
use neuro_probe::phantom::PhantomCard;
use neuro_record::{Row, RunData};
use neuro_scan::{OpenOptions, SCREENING, ScanRequest, Subject, measure, plan};
use neuro_stats::{BlockMap, Race, RaceOptions, planted_verdict, question_order};

/// Scans the triangle of a shipped phantom with all questions of its world.
fn scan(name: &str) -> (RunData, PhantomCard) {
    let (subject, card) = open(name);
    let request = ScanRequest { phantom: Some(card.world.clone()), ..ScanRequest::default() };
    let plan = plan(&subject, &request).unwrap();
    let outcome = measure(&subject, &plan, &mut (), &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome.data.rows.len(), 79);
    assert!(outcome.data.rows.iter().all(|row| row.n == 1_152));
    (outcome.data, card)
}

fn open(name: &str) -> (Subject, PhantomCard) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../phantoms").join(name);
    let card: PhantomCard = serde_json::from_slice(&std::fs::read(folder.join("phantom.json")).unwrap()).unwrap();
    let subject = Subject::open(&folder, &OpenOptions::default()).unwrap();
    (subject, card)
}

fn map(data: &RunData, hops: &str) -> BlockMap {
    BlockMap::from_run(data, "phantom", Some(hops)).unwrap()
}

/// Scores of the blocks for which `chosen` holds.
fn scores(map: &BlockMap, chosen: impl Fn(Block) -> bool) -> Vec<(Block, f64)> {
    map.cells[1..].iter().filter(|cell| chosen(cell.block)).map(|cell| (cell.block, cell.score.unwrap())).collect()
}

#[test]
fn the_looped_phantom_shows_its_plant() {
    let (data, card) = scan("phantom");
    let planted = card.planted.unwrap();
    assert_eq!((planted.block, planted.group.as_str()), ([4, 8], "2"));

    // Run once it knows one hop and not the second.
    assert!(map(&data, "1").baseline.unwrap() >= 0.99);
    let two_hops = map(&data, &planted.group);
    assert!(two_hops.baseline.unwrap() <= 0.05);
    // The planted block, repeated once, is the second hop …
    assert!(two_hops.cell(4, 8).unwrap().score.unwrap() >= 0.95);
    // … a block that repeats most of it helps, and none that reaches beyond the decoder does.
    for (block, score) in scores(&two_hops, |_| true) {
        let may_help = block.start <= 5 && (6..=9).contains(&block.end);
        assert!(may_help || score < 0.2, "{block} scores {score}");
    }
    let verdict = planted_verdict(&two_hops, Block::new(4, 8, 12).unwrap()).unwrap();
    assert!(verdict.found, "the best block is {}", verdict.best);
    // Two passes are two hops: three stay out of reach of every block.
    assert!(scores(&map(&data, "3"), |_| true).iter().all(|(_, score)| *score < 0.2));
    a_screening_keeps_the_best(&data);
}

/// Of the phantom's full scan: whom a screening at a fifth of its layer-tokens keeps, and that it measures the same.
fn a_screening_keeps_the_best(full: &RunData) {
    let (subject, card) = open("phantom");
    let request = ScanRequest { phantom: Some(card.world.clone()), screen: Some(SCREENING), ..ScanRequest::default() };
    let plan = plan(&subject, &request).unwrap();
    let data = measure(&subject, &plan, &mut (), &AtomicBool::new(false)).unwrap().data;
    let finalists: Vec<_> = data.rows.iter().filter(|row| row.screened.is_none()).collect();
    for row in &finalists {
        let whole = full.row(&row.path, "phantom").unwrap();
        assert_eq!((row.n, row.score, &row.groups), (1_152, whole.score, &whole.groups), "{}", row.path);
    }
    // The wanted tenth, the baseline, and what the budget pays besides.
    assert!((9..=24).contains(&finalists.len()), "{} finalists", finalists.len());

    // Its layer-tokens by count: a word is a token, what questions begin with alike runs once in a stage, and an answer,
    // one token, runs along the whole path.
    let screen = plan.info().screen.as_ref().unwrap();
    let (questions, paths) = (plan.probes()[0].questions(), plan.paths());
    // A token is a word: what texts begin with alike is read once.
    let distinct = |asked: &[usize]| {
        let texts = asked.iter().map(|&question| questions[question].plain.as_str());
        let starts = texts.flat_map(|text| text.match_indices(' ').map(|(end, _)| &text[..end]).chain([text]));
        starts.collect::<HashSet<&str>>().len()
    };
    let layer_tokens = |least: usize, asked: &[usize]| {
        let distinct = distinct(asked);
        let of_row = |row: &Row| (12 - row.block.unwrap()[0]) * distinct + row.layers.len() * asked.len();
        data.rows.iter().filter(|row| row.n >= least).map(of_row).sum::<usize>()
    };
    let order = &screen.probes[0].order;
    let mut start = 0;
    let mut spent = 0;
    for end in plan.summary().probes[0].stages.clone() {
        spent += layer_tokens(end, &order[start..end]);
        start = end;
    }
    let part = spent as f64 / layer_tokens(0, order) as f64;
    assert!(part <= SCREENING, "{part} of the full scan");

    // The race over the scores that are known now, with twenty orders of the questions.
    let place: HashMap<&str, usize> = questions.iter().map(|question| question.id.as_str()).zip(0..).collect();
    let mut scores = vec![vec![0.0; questions.len()]; paths.len()];
    let printed: HashMap<String, usize> = paths.iter().map(ToString::to_string).zip(0..).collect();
    for sample in &full.samples {
        scores[printed[&sample.path]][place[sample.question.as_str()]] = sample.score;
    }
    let blocks: Vec<Option<Block>> = paths.iter().map(LayerPath::block).collect();
    let groups: Vec<Option<&str>> = questions.iter().map(|question| Some(question.group.as_str())).collect();
    let recalls: Vec<f64> = (0..20)
        .map(|seed| {
            let order = question_order(&groups, seed);
            let options = RaceOptions {
                keep: screen.keep,
                budget: screen.budget,
                looks: screen.probes[0].looks.clone(),
                finalists: screen.finalists,
            };
            // Block (i, j) reads along layers i … 11, the baseline along all; a new token runs along the whole path.
            let costs = |stage: Range<usize>| -> Vec<f64> {
                let (read, new) = (distinct(&order[stage.clone()]), stage.len());
                let cost =
                    |(block, path): (&Option<Block>, &LayerPath)| (12 - block.unwrap().start) * read + path.len() * new;
                blocks.iter().zip(paths).map(|pair| cost(pair) as f64).collect()
            };
            let mut race = Race::new(costs, &blocks, questions.len(), options).unwrap();
            while let Some(stage) = race.stage() {
                let asked = &order[stage.questions.clone()];
                let of_path = |&path: &usize| asked.iter().map(|&question| scores[path][question]).collect();
                race.record(&stage.paths.iter().map(of_path).collect::<Vec<_>>()).unwrap();
            }
            let kept: Vec<usize> = (1..paths.len()).filter(|&path| race.seen(path) == questions.len()).collect();
            if seed == 0 {
                assert_eq!(kept.len() + 1, finalists.len(), "the same race as the real one");
            }
            recall(&scores, &kept)
        })
        .collect();
    let mean = recalls.iter().sum::<f64>() / 20.0;
    assert!(mean >= 0.95, "{mean}: {recalls:?}");
}

/// Part of the best tenth that was kept; paths that tie with its last count as kept.
fn recall(scores: &[Vec<f64>], kept: &[usize]) -> f64 {
    let mean = |path: usize| scores[path].iter().sum::<f64>() / scores[path].len() as f64;
    let mut best: Vec<f64> = (1..scores.len()).map(mean).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    let wanted = (scores.len() - 1).div_ceil(10);
    let lost = (1..scores.len()).filter(|path| mean(*path) > best[wanted - 1] + 1e-12 && !kept.contains(path)).count();
    1.0 - lost as f64 / wanted as f64
}

#[test]
fn the_plain_phantom_has_nothing_to_show() {
    let (data, card) = scan("phantom-plain");
    assert_eq!(card.planted, None);
    for hops in ["1", "2"] {
        assert!(map(&data, hops).baseline.unwrap() >= 0.99, "{hops} hops");
    }
    // Three hops it never learned, and no block brings them: a third of 96 words in the right script is chance.
    for (block, score) in scores(&map(&data, "3"), |_| true) {
        assert!(score < 0.15, "{block} scores {score}");
    }
}
