//! The order in which a race asks its questions.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A seeded order of questions, as indices into `groups`, of which every beginning holds the groups in their
/// proportions: within each group the order is random, and the groups are dealt out evenly from random starts
/// (stratified systematic sampling; Cochran, Sampling Techniques, 1977, ch. 8). Groups of equal size differ by at most
/// one question in any beginning. Questions without a group are a group of their own.
///
/// The same groups and seed give the same order on every machine.
#[must_use]
pub fn question_order(groups: &[Option<&str>], seed: u64) -> Vec<usize> {
    let mut members: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (question, group) in groups.iter().enumerate() {
        members.entry(*group).or_default().push(question);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut dealt: Vec<(f64, usize)> = Vec::with_capacity(groups.len());
    for mut group in members.into_values() {
        for last in (1..group.len()).rev() {
            // u32, so that 32-bit and 64-bit machines draw the same order.
            let other = rng.random_range(0..=u32::try_from(last).unwrap_or(u32::MAX)) as usize;
            group.swap(last, other);
        }
        let start: f64 = rng.random();
        let size = group.len() as f64;
        dealt.extend(group.into_iter().enumerate().map(|(place, question)| ((place as f64 + start) / size, question)));
    }
    dealt.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    dealt.into_iter().map(|(_, question)| question).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::question_order;

    #[test]
    fn the_order_is_pinned() {
        // A new order would ask a half-measured run other questions.
        let groups = [Some("a"), Some("a"), Some("b"), Some("b"), None, Some("a"), Some("b"), None];
        assert_eq!(question_order(&groups, 7), PINNED);
        assert_ne!(question_order(&groups, 8), PINNED);
    }

    const PINNED: [usize; 8] = [1, 7, 3, 5, 4, 2, 0, 6];

    proptest! {
        #[test]
        fn every_beginning_is_balanced(sizes in prop::collection::vec(1_usize..40, 1..6), seed in any::<u64>()) {
            let names = ["a", "b", "c", "d", "e"];
            let groups: Vec<Option<&str>> =
                sizes.iter().zip(names).flat_map(|(&size, name)| std::iter::repeat_n(Some(name), size)).collect();
            let order = question_order(&groups, seed);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..groups.len()).collect::<Vec<_>>());
            let equal = sizes.iter().all(|size| *size == sizes[0]);
            let mut counts = vec![0_usize; sizes.len()];
            for (asked, &question) in order.iter().enumerate() {
                counts[names.iter().position(|name| groups[question] == Some(name)).unwrap()] += 1;
                let share = (asked + 1) as f64 / groups.len() as f64;
                for (&count, &size) in counts.iter().zip(&sizes) {
                    // Each group is less than one question off its part of the way, and the way is told by all of them.
                    let part = size as f64 / groups.len() as f64;
                    let most = (1.0 - part) + part * (sizes.len() - 1) as f64;
                    prop_assert!((count as f64 - share * size as f64).abs() < most + 1e-9);
                }
                if equal {
                    prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
                }
            }
        }
    }
}
