use neuro_probe::{Count, Probe, ProbeRequest};

use super::cut::{cut, greediest};
use super::*;
use crate::ScanError;
use crate::prompt::{Asked, Part};

/// Four rows of resid and one of keys and values per token; nothing else costs.
const COSTS: Costs = Costs {
    resid: 10,
    visit: 1,
    state: 0,
    work: [0, 0],
    tile: [0, 0],
    products: 0,
    scores: 0,
    head_dim: 0,
    logits: 1000,
    trunk: 2,
    paths: 4,
    weights: Weights::Held { held: 0, reading: 0 },
    is_f32: true,
    held: 0,
};

fn probe(questions: usize) -> Probe {
    let request = ProbeRequest { count: Count::Some(questions), ..ProbeRequest::default() };
    Probe::build("math:likelihood", &request).unwrap()
}

fn asked(questions: usize) -> Vec<Asked> {
    let one =
        |index: usize| Asked { parts: vec![Part { prompt: vec![index as u32; 4], continuation: vec![1] }], limit: 0 };
    (0..questions).map(one).collect()
}

#[test]
fn questions_fill_a_chunk_and_paths_a_group() {
    let paths: Vec<LayerPath> = neuro_path::triangle(2).map(|block| block.path(2).unwrap()).collect();
    let (probe, asked) = (probe(5), asked(5));
    // A question: 4 tokens × 3 of trunk × 10 bytes, and what a path runs itself, 4 tokens × 10 bytes.
    let (trunk, own) = (4 * 3 * 10, 4 * 10);
    let volume = Volume::of(&asked[..1]);
    assert_eq!(COSTS.needed(&paths[..1], volume, Scoring::Likelihood), 1000 + trunk);
    assert_eq!(COSTS.needed(&paths[..2], volume, Scoring::Likelihood), 1000 + trunk + own);
    let cut = |room: u64| cut(&probe, &asked, &paths, &COSTS, COSTS.least_budget(room));
    let question = trunk + own;
    assert_eq!(cut(1000 + 2 * question).unwrap().chunks, [[0, 2], [2, 4], [4, 5]]);
    let error = cut(1000 + question - 1).unwrap_err();
    assert!(matches!(error, ScanError::Memory { needs, .. } if needs.running == 1000 + question), "{error}");
    // Room for a second path over all questions.
    let roomy = cut(1000 + 5 * (question + own)).unwrap();
    assert_eq!((roomy.chunks, roomy.groups), (vec![[0, 5]], vec![[0, 1], [1, 3], [3, 4]]));
    assert_eq!(cut(1 << 40).unwrap().groups, [[0, 1], [1, 4]]);
}

/// Where nothing is kept behind a layer, states are those of a tile's flows, whatever the number of paths and texts; where
/// they are kept, every text of every path has its own.
#[test]
fn recurrent_states_count_where_they_are_kept() {
    let costs = Costs { state: 1 << 20, tile: [512, 5120], ..COSTS };
    let paths: Vec<LayerPath> = neuro_path::triangle(4).map(|block| block.path(4).unwrap()).collect();
    let volume = Volume { read: 2000, new: 320, asked: 320, longest: 120, texts: 32, branches: 3 };
    let states = |paths: &[LayerPath], scoring| {
        let with = costs.group(paths, volume, scoring);
        (with - Costs { state: 0, ..costs }.group(paths, volume, scoring)) >> 20
    };
    // Four flows at once, each with 3 states at branches and 2000 / 64 on the way; and one that is worked on.
    assert_eq!(states(&paths, Scoring::Likelihood), 4 * (3 + 31) + 1);
    assert_eq!(states(&paths[..2], Scoring::Likelihood), 2 * (3 + 31) + 1);
    // Two texts' worth for each text of each visit, the branches, and one for each 64 rows. Of the trunk's visits only the
    // new tokens are a path's own. Beside them as many as texts that grow at once, and branches met again.
    let (own, shared) = (2 * 32 + 3 + 2320 / 64, 2 * 32 + 3 + 320 / 64);
    let path = &paths[1];
    let visits = own_visits(path) as u64;
    let kept = visits * own + (path.len() as u64 - visits) * shared;
    assert_eq!(states(std::slice::from_ref(path), Scoring::Generation), kept + 32 + 2 * 3 + 1);
}

/// A text that is read once more, because two tokens are too close to call, has states of its own along all of its path.
#[test]
fn texts_that_are_read_once_more_count() {
    let path = LayerPath::parse("(0,4)", 4).unwrap();
    let volume = Volume { read: 1000, new: 20, asked: 20, longest: 1020, texts: 1, branches: 0 };
    let passing = |visit: u64, scoring| {
        let costs = Costs { visit, resid: 0, logits: 0, ..COSTS };
        costs.group(std::slice::from_ref(&path), volume, scoring) - costs.of(&path, volume, scoring)
    };
    // A flow's slot before and after growing, or eight visits' slots of the whole text.
    assert_eq!(passing(100, Scoring::Likelihood), 3 * 1000 * 100);
    let texts = 4 * 20 * 200;
    assert_eq!(passing(100, Scoring::Generation), 8 * 1020 * 100 + texts);
}

#[test]
fn a_group_without_room_is_halved_until_there_is() {
    let paths: Vec<LayerPath> = neuro_path::triangle(3).map(|block| block.path(3).unwrap()).collect();
    let volume = Volume::of(&asked(2));
    let parts = |free: u64| COSTS.parts(&paths, volume, Scoring::Likelihood, &|bytes| bytes <= free);
    // Logits 1000; each path of its own 8 tokens × 10 bytes, the baseline none.
    assert_eq!(parts(1000 + 6 * 80), (vec![[0, 7]], true));
    assert_eq!(parts(1000 + 4 * 80), (vec![[0, 3], [3, 7]], true));
    assert_eq!(parts(1000 + 80), ((0..7).map(|path| [path, path + 1]).collect(), true));
    assert_eq!(parts(1000), ((0..7).map(|path| [path, path + 1]).collect(), false));
    assert!(has_room(&Device::Cpu, 1 << 20) && !has_room(&Device::Cpu, u64::MAX));
}

/// What the refusal says is enough, and not a byte less; and it says the same whatever budget was given.
#[test]
fn the_budget_that_is_asked_for_is_the_smallest_that_is_enough() {
    for held in [0, 1, 6, 7, 8, 1000, 48 << 20, 500 << 20] {
        let costs = COSTS.with_held(held);
        for running in [1, 7, 8, 9, 999, 1 << 20, (224 << 20) - 1, 224 << 20, (224 << 20) + 1, 5 << 30] {
            let least = costs.least_budget(running);
            assert!(costs.room(least) >= running && costs.room(least - 1) < running, "{held} {running} {least}");
        }
        let paths: Vec<LayerPath> = neuro_path::triangle(2).map(|block| block.path(2).unwrap()).collect();
        // The second question has the longest prompt.
        let mut asked = asked(3);
        asked[1].parts[0].prompt = vec![7; 90];
        let cut = |budget: u64| cut(&probe(3), &asked, &paths, &costs, budget);
        let refused = |budget: u64| match cut(budget).unwrap_err() {
            ScanError::Memory { question, needs, .. } => (question, needs.least),
            error => panic!("{error}"),
        };
        let (question, least) = refused(1);
        assert_eq!(question, probe(3).questions()[1].id);
        assert_eq!(refused(least - 1), (question, least));
        assert_eq!(cut(least).unwrap().chunks, [[0, 1], [1, 2], [2, 3]]);
    }
}

/// A path may be the longest without having most visits of its own: a text that is read once more runs through all of them.
#[test]
fn no_path_that_needs_most_goes_unseen() {
    let path = |text: &str| LayerPath::parse(text, 8).unwrap();
    let paths = [path("0..7"), path("1..7"), path("0..7,4..7"), path("0..7,6..7")];
    assert_eq!(greediest(&paths), [&paths[1], &paths[2]]);
    let costs = Costs { visit: 100, logits: 0, resid: 0, ..COSTS };
    let asked = [Asked { parts: vec![Part { prompt: vec![1; 100], continuation: Vec::new() }], limit: 1 }];
    let needed = |path: &LayerPath| costs.needed(std::slice::from_ref(path), Volume::of(&asked), Scoring::Generation);
    let most = paths.iter().map(needed).max().unwrap();
    let probe = Probe::build("math", &ProbeRequest { count: Count::Some(1), ..ProbeRequest::default() }).unwrap();
    assert!(cut(&probe, &asked, &paths, &costs, costs.least_budget(most)).is_ok());
    let error = cut(&probe, &asked, &paths, &costs, costs.least_budget(most) - 1).unwrap_err();
    assert!(matches!(error, ScanError::Memory { needs, .. } if needs.running == most), "{error}");
}
