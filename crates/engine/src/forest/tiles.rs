//! How what waits at a layer is cut into tiles.

use std::ops::Range;

/// Cuts some pieces of work, which cost so much each, into adjacent runs as equal as can be: about `target` each, and at most
/// `most` where no single piece exceeds it.
pub(super) fn even_runs(costs: &[f64], target: f64, most: f64) -> Vec<Range<usize>> {
    let whole: f64 = costs.iter().sum();
    let least = ((whole / target).round() as usize).max(1);
    for count in least..costs.len() {
        let runs = runs(costs, whole / count as f64);
        if runs.iter().all(|run| costs[run.clone()].iter().sum::<f64>() <= most) {
            return runs;
        }
    }
    (0..costs.len()).map(|index| index..index + 1).collect()
}

/// Runs that end as near as can be to the multiples of a cost.
fn runs(costs: &[f64], each: f64) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let (mut start, mut sum) = (0, 0.0);
    for (index, cost) in costs.iter().enumerate() {
        sum += cost;
        let boundary = each * (runs.len() + 1) as f64;
        let is_nearest = costs.get(index + 1).is_none_or(|next| sum + next / 2.0 > boundary);
        if is_nearest {
            runs.push(start..index + 1);
            start = index + 1;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_even_and_never_too_long() {
        let sums = |costs: &[f64]| -> Vec<f64> {
            let runs = even_runs(costs, 384.0, 512.0);
            let mut end = 0;
            for run in &runs {
                assert!(run.start == end && !run.is_empty(), "{runs:?}");
                end = run.end;
            }
            assert_eq!(end, costs.len());
            runs.into_iter().map(|run| costs[run].iter().sum()).collect()
        };
        assert_eq!(sums(&[100.0; 3]), [300.0]);
        assert_eq!(sums(&[100.0; 5]), [500.0]);
        // One run would be too long, two are not.
        assert_eq!(sums(&[100.0; 6]), [300.0, 300.0]);
        assert_eq!(sums(&[384.0; 3]), [384.0; 3]);
        // No last run of a few rows.
        let found = sums(&[62.0; 16]);
        assert!(found.len() == 3 && found.iter().all(|sum| (300.0..=380.0).contains(sum)), "{found:?}");
        for count in 1..60 {
            let costs: Vec<f64> = (0..count).map(|index| f64::from(1 + index * 7919 % 300)).collect();
            assert!(sums(&costs).into_iter().all(|sum| sum <= 512.0), "{count}");
        }
        assert!(sums(&[]).is_empty());
    }
}
