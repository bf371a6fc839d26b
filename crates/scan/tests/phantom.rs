//! The shipped phantoms, asked everything: the whole truth about every block, so that the scanner is known to find what
//! is there and nothing else.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use neuro_path::Block;
use neuro_probe::phantom::PhantomCard;
use neuro_record::RunData;
use neuro_scan::{OpenOptions, ScanRequest, Subject, measure, plan};
use neuro_stats::{BlockMap, planted_verdict};

/// Scans the triangle of a shipped phantom with all questions of its world.
fn scan(name: &str) -> (RunData, PhantomCard) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../phantoms").join(name);
    let card: PhantomCard = serde_json::from_slice(&std::fs::read(folder.join("phantom.json")).unwrap()).unwrap();
    let subject = Subject::open(&folder, &OpenOptions::default()).unwrap();
    let request = ScanRequest { phantom: Some(card.world.clone()), ..ScanRequest::default() };
    let plan = plan(&subject, &request).unwrap();
    let outcome = measure(&subject, &plan, &mut (), &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome.data.rows.len(), 79);
    assert!(outcome.data.rows.iter().all(|row| row.n == 1_152));
    (outcome.data, card)
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
