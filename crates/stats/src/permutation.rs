//! The paired permutation test: for scores that are more than right or wrong.

use crate::flips::Flips;

/// Up to so many questions that differ, every way of swapping labels is counted: 65,536 of them.
const EXACT: usize = 16;
/// Sums closer than this share of all differences are ties: sums in different orders differ in their last bits.
const TIE: f64 = 1e-12;

/// Which outcomes are as extreme as the one found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// Only those at least as high.
    Greater,
    /// Those at least as far from 0, on either side.
    Both,
}

/// A permutation test's result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Permutation {
    /// The p-value; never 0.
    pub p: f64,
    /// Whether every way of swapping was counted; otherwise the p-value is that of random draws.
    pub exact: bool,
}

/// p-value of the hypothesis that baseline and path are exchangeable within every question, by the sum of the paired
/// differences when labels are swapped. None without questions or where a difference is not finite.
///
/// Where at most 16 questions differ, all ways of swapping are counted; otherwise `draws` seeded random ones, and the
/// found outcome is one more of them: (b + 1) ⁄ (draws + 1) (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010; as
/// `scipy.stats.permutation_test(permutation_type="samples")`). On right and wrong answers the exact test is McNemar's.
#[must_use]
pub fn paired_permutation(differences: &[f64], tail: Tail, draws: usize, seed: u64) -> Option<Permutation> {
    if differences.is_empty() || differences.iter().any(|difference| !difference.is_finite()) {
        return None;
    }
    // Swapping equal answers changes nothing.
    let moved: Vec<f64> = differences.iter().copied().filter(|&difference| difference != 0.0).collect();
    let found: f64 = moved.iter().sum();
    let tie = TIE * moved.iter().map(|difference| difference.abs()).sum::<f64>();
    let extreme = |sum: f64| match tail {
        Tail::Greater => sum >= found - tie,
        Tail::Both => sum.abs() >= found.abs() - tie,
    };
    if moved.len() <= EXACT {
        let ways = 1_u32 << moved.len();
        let sum = |way: u32| -> f64 {
            moved.iter().enumerate().map(|(bit, value)| if way >> bit & 1 == 0 { *value } else { -value }).sum()
        };
        let count = (0..ways).filter(|&way| extreme(sum(way))).count();
        return Some(Permutation { p: count as f64 / f64::from(ways), exact: true });
    }
    let count = Flips::sums_once(&moved, draws, seed).into_iter().filter(|&sum| extreme(sum)).count();
    Some(Permutation { p: (count + 1) as f64 / (draws + 1) as f64, exact: false })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mcnemar::mcnemar;

    #[test]
    fn too_little_gives_none_and_equal_answers_give_one() {
        assert_eq!(paired_permutation(&[], Tail::Both, 99, 1), None);
        assert_eq!(paired_permutation(&[0.1, f64::NAN], Tail::Both, 99, 1), None);
        assert_eq!(paired_permutation(&[0.0; 5], Tail::Both, 99, 1), Some(Permutation { p: 1.0, exact: true }));
    }

    #[test]
    fn random_draws_come_near_the_truth_and_never_to_zero() {
        // 30 wins, 12 losses: McNemar is exact here.
        let differences = [[1.0; 30].as_slice(), &[-1.0; 12], &[0.0; 20]].concat();
        let found = paired_permutation(&differences, Tail::Both, 20_000, 5).unwrap();
        assert!(!found.exact && (found.p - mcnemar(30, 12)).abs() < 0.0015, "{found:?}, {}", mcnemar(30, 12));
        assert_eq!(paired_permutation(&[0.5; 40], Tail::Both, 99, 5).unwrap().p, 0.01);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn right_and_wrong_answers_are_mcnemar_s(wins in 0_usize..8, losses in 0_usize..8, ties in 1_usize..20) {
            let differences = [vec![1.0; wins], vec![-1.0; losses], vec![0.0; ties]].concat();
            let found = paired_permutation(&differences, Tail::Both, 99, 1).unwrap();
            prop_assert!(found.exact && (found.p - mcnemar(wins, losses)).abs() < 1e-12);
        }

        /// One tail is the other one turned around, and both together hold every way.
        #[test]
        fn tails_are_two_sides(differences in prop::collection::vec(-1.0..=1.0_f64, 1..10)) {
            let turned: Vec<f64> = differences.iter().map(|value| -value).collect();
            let p = |values: &[f64], tail| paired_permutation(values, tail, 99, 1).unwrap().p;
            let (up, down) = (p(&differences, Tail::Greater), p(&turned, Tail::Greater));
            prop_assert!(up + down >= 1.0 - 1e-12);
            prop_assert!((p(&differences, Tail::Both) - (2.0 * up.min(down)).min(1.0)).abs() < 1e-9);
        }
    }
}
