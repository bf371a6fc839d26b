//! p-values of several questions put to the same data.

/// Holm's adjusted p-values, in the order given: the smallest of m times m, the next times m − 1, …, never falling and
/// at most 1. They hold the family-wise error under any dependence (Holm, Scand. J. Stat. 6, 1979).
///
/// What is not a number stays so, and counts for nothing.
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let order = ascending(p_values);
    let mut adjusted = vec![f64::NAN; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, &place) in order.iter().enumerate() {
        largest = largest.max((order.len() - rank) as f64 * p_values[place]).min(1.0);
        adjusted[place] = largest;
    }
    adjusted
}

/// Benjamini and Hochberg's adjusted p-values, in the order given: rejecting those below a level keeps the expected
/// share of false ones below it, for independent or positively dependent tests (J. R. Stat. Soc. B 57, 1995).
///
/// What is not a number stays so, and counts for nothing.
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let order = ascending(p_values);
    let mut adjusted = vec![f64::NAN; p_values.len()];
    let mut smallest = 1.0_f64;
    for (rank, &place) in order.iter().enumerate().rev() {
        smallest = smallest.min(order.len() as f64 * p_values[place] / (rank + 1) as f64);
        adjusted[place] = smallest;
    }
    adjusted
}

/// Places of the numbers, smallest first; equal ones in their order.
fn ascending(p_values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|&place| !p_values[place].is_nan()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_number_is_left_out() {
        assert_eq!(holm(&[0.01, f64::NAN, 0.04])[0], 0.02);
        assert!(holm(&[0.01, f64::NAN])[1].is_nan() && benjamini_hochberg(&[f64::NAN])[0].is_nan());
        assert!(holm(&[]).is_empty() && benjamini_hochberg(&[]).is_empty());
    }

    proptest! {
        /// Both keep the order, never lower a p-value, and Holm's is the stricter.
        #[test]
        fn adjusted_values_keep_the_order(p_values in prop::collection::vec(0.0..=1.0_f64, 1..20)) {
            let (strict, mild) = (holm(&p_values), benjamini_hochberg(&p_values));
            for (place, &p) in p_values.iter().enumerate() {
                prop_assert!(p <= mild[place] + 1e-12 && mild[place] <= strict[place] + 1e-12 && strict[place] <= 1.0);
                for other in 0..p_values.len() {
                    if p <= p_values[other] {
                        prop_assert!(strict[place] <= strict[other] && mild[place] <= mild[other]);
                    }
                }
            }
        }
    }
}
