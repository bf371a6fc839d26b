//! What finalists are compared with: controls of the same overhead, and shams of the same layers.

use std::collections::HashSet;

use neuro_path::LayerPath;
use neuro_record::Sham;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Result;

/// Kind of a sham whose second pass runs in another order.
pub const SHAM_ORDER: &str = "order";
/// Kind of a sham whose second pass runs in another place.
pub const SHAM_PLACE: &str = "place";

/// Up to so many ways of inserting visits are all written out, so that small models give every control that there is.
const ALL_WAYS: usize = 20_000;
/// Draws for each wanted control before it is given up.
const PATIENCE: usize = 200;
/// Orders that are tried for one that changes the path.
const ORDERS: usize = 64;

/// `wanted` different paths with `extra` inserted visits, layers and places drawn uniformly and independently, none of
/// them in `excluded`; all there are where these are fewer. Equal arguments give equal paths.
///
/// # Errors
/// When such a path is too long.
pub(crate) fn controls(
    depth: usize,
    extra: usize,
    wanted: usize,
    excluded: &HashSet<LayerPath>,
    seed: u64,
) -> Result<Vec<LayerPath>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(extra as u64);
    // One insertion is a place 0..=depth and a layer 0..depth.
    let base = depth * (depth + 1);
    let insertion = |code: usize| (code / depth, code % depth);
    let mut seen: HashSet<LayerPath> = excluded.clone();
    let mut found = Vec::with_capacity(wanted);
    let ways = u32::try_from(extra).ok().and_then(|extra| base.checked_pow(extra)).filter(|ways| *ways <= ALL_WAYS);
    if let Some(ways) = ways {
        let mut codes: Vec<usize> = (0..ways).collect();
        codes.shuffle(&mut rng);
        for code in codes {
            let mut rest = code;
            let insertions: Vec<(usize, usize)> = (0..extra)
                .map(|_| {
                    let one = insertion(rest % base);
                    rest /= base;
                    one
                })
                .collect();
            let path = LayerPath::with_insertions(depth, &insertions)?;
            if found.len() < wanted && seen.insert(path.clone()) {
                found.push(path);
            }
        }
        return Ok(found);
    }
    let mut left = PATIENCE * wanted;
    while found.len() < wanted && left > 0 {
        left -= 1;
        // u64, so that 32-bit and 64-bit machines draw the same paths.
        let mut one = || insertion(rng.random_range(0..base as u64) as usize);
        let insertions: Vec<(usize, usize)> = (0..extra).map(|_| one()).collect();
        let path = LayerPath::with_insertions(depth, &insertions)?;
        if seen.insert(path.clone()) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The finalist with its second pass in another order, and in one other place, as far as there are such paths that are
/// no finalists; `stream` keeps the draws of one finalist apart from another's.
pub(crate) fn shams(path: &LayerPath, finalists: &HashSet<LayerPath>, seed: u64, stream: u64) -> Vec<Sham> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Streams from 0 on are those of controls, one for each number of extra visits.
    rng.set_stream(u64::MAX - stream);
    let is_new = |other: &LayerPath| !finalists.contains(other) && !other.is_baseline();
    let mut order: Vec<usize> = (0..path.repeats().len()).collect();
    let permuted = (0..ORDERS).find_map(|_| {
        order.shuffle(&mut rng);
        path.with_repeats_in_order(&order).filter(is_new)
    });
    let moved: Vec<LayerPath> =
        (0..=path.len()).filter_map(|place| path.with_repeats_at(place)).filter(is_new).collect();
    let moved = if moved.is_empty() { None } else { Some(&moved[rng.random_range(0..moved.len() as u64) as usize]) };
    let sham = |kind: &str, path: &LayerPath| Sham { kind: kind.to_owned(), path: path.to_string() };
    let permuted = permuted.as_ref().map(|path| sham(SHAM_ORDER, path));
    permuted.into_iter().chain(moved.map(|path| sham(SHAM_PLACE, path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str, depth: usize) -> LayerPath {
        LayerPath::parse(text, depth).unwrap()
    }

    #[test]
    fn controls_are_different_of_one_overhead_and_no_finalists() {
        let finalist = path("(4,8)", 12);
        let excluded = HashSet::from([finalist.clone()]);
        let found = controls(12, 4, 20, &excluded, 0).unwrap();
        assert_eq!(found.len(), 20);
        assert!(found.iter().all(|path| path.extra_visits() == 4 && *path != finalist));
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 20);
        assert_eq!(controls(12, 4, 20, &excluded, 0).unwrap(), found);
        assert_ne!(controls(12, 4, 20, &excluded, 1).unwrap(), found);
    }

    #[test]
    fn a_small_model_gives_all_there_are() {
        // Four layers before five places make 20 ways; a layer before or behind itself is the same: 16 paths.
        let all = controls(4, 1, 100, &HashSet::new(), 0).unwrap();
        assert_eq!(all.len(), 16);
        let finalist = path("(1,2)", 4);
        let rest = controls(4, 1, 100, &HashSet::from([finalist.clone()]), 0).unwrap();
        assert!(rest.len() == 15 && !rest.contains(&finalist));
    }

    /// Every layer and every place is as likely as the others.
    #[test]
    fn layers_and_places_are_drawn_uniformly() {
        let mut layers = [0; 6];
        for seed in 0..300 {
            for control in controls(6, 6, 2, &HashSet::new(), seed).unwrap() {
                control.layers().iter().for_each(|&layer| layers[layer] += 1);
            }
        }
        // 600 of the baseline, and 3,600 ÷ 6 inserted; five standard deviations are 110.
        assert!(layers.iter().all(|count: &i32| (count - 1_200).abs() < 110), "{layers:?}");
    }

    #[test]
    fn shams_keep_layers_and_lose_order_or_place() {
        let finalist = path("(4,8)", 12);
        let found = shams(&finalist, &HashSet::from([finalist.clone()]), 3, 0);
        assert_eq!(found.iter().map(|sham| sham.kind.as_str()).collect::<Vec<_>>(), ["order", "place"]);
        for sham in &found {
            let sham = path(&sham.path, 12);
            let sorted = |path: &LayerPath| {
                let mut layers = path.layers();
                layers.sort_unstable();
                layers
            };
            assert!(sorted(&sham) == sorted(&finalist) && sham != finalist, "{sham}");
        }
        // One layer has no other order.
        let one = path("(2,3)", 4);
        assert_eq!(shams(&one, &HashSet::new(), 0, 1).len(), 1);
        assert!(shams(&path("..", 4), &HashSet::new(), 0, 2).is_empty());
    }
}
