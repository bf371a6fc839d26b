//! Laws that hold for every path, checked on drawn ones.

use std::collections::HashSet;

use neuro_path::{Block, BranchScales, LayerPath, Scale, Step, triangle};
use proptest::prelude::*;

fn scale() -> impl Strategy<Value = Scale> {
    let billionths = prop_oneof![
        4 => Just(1_000_000_000),
        1 => Just(0),
        2 => -1_000_000_000_000_i64..=1_000_000_000_000,
    ];
    billionths.prop_map(|billionths| Scale::from_billionths(billionths).expect("drawn within the bounds"))
}

fn path() -> impl Strategy<Value = LayerPath> {
    (1_usize..20).prop_flat_map(|depth| {
        // Runs of one scale, so that printing has something to join.
        let run = (0..depth, 1_usize..6, scale(), scale()).prop_map(move |(first, length, attn, mlp)| {
            let scales = BranchScales { attn, mlp };
            (first..depth.min(first + length)).map(move |layer| Step::Layer { layer, scales })
        });
        prop::collection::vec(run, 1..8).prop_map(move |runs| {
            LayerPath::from_steps(runs.into_iter().flatten().collect(), depth).expect("drawn below the depth")
        })
    })
}

fn plain_path() -> impl Strategy<Value = LayerPath> {
    path().prop_map(|path| LayerPath::from_layers(&path.layers(), path.depth()).expect("a path's own layers"))
}

fn depth_and_block() -> impl Strategy<Value = (usize, Block)> {
    (1_usize..40).prop_flat_map(|depth| {
        let blocks: Vec<Block> = triangle(depth).collect();
        (Just(depth), prop::sample::select(blocks))
    })
}

/// Maximal ascending runs as half-open pairs.
fn half_open(path: &LayerPath) -> Vec<(usize, usize)> {
    let layers = path.layers();
    layers.chunk_by(|left, right| left + 1 == *right).map(|run| (run[0], run[0] + run.len())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_undoes_printing(path in path()) {
        let printed = path.to_string();
        let parsed = LayerPath::parse(&printed, path.depth()).unwrap();
        prop_assert_eq!(&parsed, &path);
        prop_assert_eq!(parsed.to_string(), printed);
    }

    #[test]
    fn white_space_changes_nothing(path in path()) {
        let mut spread = path.to_string();
        for token in ["..", ",", "{", "}", "="] {
            spread = spread.replace(token, &format!(" {token}\n"));
        }
        prop_assert_eq!(LayerPath::parse(&spread, path.depth()).unwrap(), path);
    }

    #[test]
    fn every_list_notation_keeps_the_order(path in plain_path()) {
        let depth = path.depth();
        let list: Vec<String> = path.layers().iter().map(usize::to_string).collect();
        let pairs: Vec<String> = half_open(&path).iter().map(|(start, end)| format!("[{start},{end}]")).collect();
        let slices: String = half_open(&path)
            .iter()
            .map(|(start, end)| format!("  - sources:\n      - model: m\n        layer_range: [{start}, {end}]\n"))
            .collect();
        for text in [
            list.join(","),
            format!("layers:{}", list.join(",")),
            format!("[{}]", pairs.join(", ")),
            format!("slices:\n{slices}merge_method: passthrough\n"),
        ] {
            let parsed = LayerPath::parse(&text, depth);
            prop_assert_eq!(parsed.as_ref(), Ok(&path), "{}", text);
        }
    }

    #[test]
    fn repeats_write_the_item_again(first in 0_usize..8, length in 1_usize..4, repeats in 1_usize..50) {
        let last = (first + length).min(9);
        let once: Vec<usize> = (first..=last).collect();
        let path = LayerPath::parse(&format!("{first}..{last}x{repeats}"), 10).unwrap();
        prop_assert_eq!(path.layers(), once.repeat(repeats));
    }

    #[test]
    fn a_block_is_found_again_in_its_path((depth, block) in depth_and_block()) {
        let path = block.path(depth).unwrap();
        prop_assert_eq!(path.len(), depth + block.size());
        prop_assert_eq!(path.extra_visits(), isize::try_from(block.size()).unwrap());
        prop_assert_eq!(path.block(), Some(block));
        prop_assert_eq!(path.is_baseline(), block.is_baseline());
        prop_assert_eq!(LayerPath::parse(&block.to_string(), depth).unwrap(), path.clone());
        prop_assert_eq!(LayerPath::parse(&format!("blocks:{},{}", block.start, block.end), depth).unwrap(), path.clone());
        let trunk = LayerPath::baseline(depth).unwrap();
        prop_assert_eq!(path.shared_prefix(&trunk), if block.is_baseline() { depth } else { block.end });
        for visit in path.visits() {
            prop_assert!(visit.pass <= 1);
        }
    }

    #[test]
    fn the_triangle_has_every_block_once(depth in 1_usize..40) {
        let blocks: Vec<Block> = triangle(depth).collect();
        prop_assert_eq!(blocks.len(), depth * (depth + 1) / 2 + 1);
        prop_assert!(blocks.is_sorted());
        let paths: HashSet<Vec<usize>> = blocks.iter().map(|block| block.path(depth).unwrap().layers()).collect();
        prop_assert_eq!(paths.len(), blocks.len());
    }

    #[test]
    fn impossible_blocks_are_never_skipped(start in 0_usize..20, end in 0_usize..20, depth in 1_usize..15) {
        let possible = (start, end) == (0, 0) || (start < end && end <= depth);
        prop_assert_eq!(Block::new(start, end, depth).is_ok(), possible);
        prop_assert_eq!(LayerPath::parse(&format!("({start}, {end})"), depth).is_ok(), possible);
    }

    #[test]
    fn passes_count_earlier_visits(path in path()) {
        let visits = path.visits();
        for (index, visit) in visits.iter().enumerate() {
            let earlier = visits[..index].iter().filter(|other| other.layer == visit.layer).count();
            prop_assert_eq!(visit.pass, earlier);
            prop_assert!(visit.layer < path.depth());
        }
    }

    #[test]
    fn nothing_panics(text in "[0-9.,;x(){}\\[\\]:=a-z \n-]{0,40}|\\PC{0,40}", depth in 0_usize..70_000) {
        if let Err(error) = LayerPath::parse(&text, depth) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn foreign_yaml_never_panics(text in "(slices|sources|model|merge_method|parameters|scale|[0-9\\[\\]{}:&*!-]| |\n){0,30}") {
        let _ = LayerPath::parse(&format!("{text}layer_range"), 12);
    }
}
