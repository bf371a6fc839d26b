//! Rank correlation: do two probes order the paths alike?

use crate::student;

/// Spearman's rank correlation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spearman {
    /// In [−1, 1].
    pub rho: f64,
    /// Two-sided p-value by Student's t with n − 2 degrees of freedom, as `scipy.stats.spearmanr`; an approximation for
    /// fewer than about ten pairs. None for two pairs.
    pub p: Option<f64>,
    /// Number of pairs.
    pub n: usize,
}

/// Spearman's rank correlation of pairs: Pearson's of the ranks, of which equal values share the mean. None for fewer than two
/// pairs, lengths that differ, numbers that are not finite, and where one side is constant.
#[must_use]
pub fn spearman(x: &[f64], y: &[f64]) -> Option<Spearman> {
    let n = x.len();
    if n < 2 || n != y.len() || x.iter().chain(y).any(|value| !value.is_finite()) {
        return None;
    }
    let middle = (n + 1) as f64 / 2.0;
    let (x, y) = (ranks(x), ranks(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(&y) {
        let (x, y) = (x - middle, y - middle);
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    if xx == 0.0 || yy == 0.0 {
        return None;
    }
    let rho = (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0);
    let t = rho * ((n as f64 - 2.0) / ((1.0 + rho) * (1.0 - rho))).sqrt();
    Some(Spearman { rho, p: (n > 2).then(|| student::two_sided(t, n - 2)), n })
}

/// The rank of each value from 1 on; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    // By value, since −0 and 0 are equal.
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let shared = start as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|&place| ranks[place] = shared);
        start += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -2.0, 3.0]), [4.0, 2.0, 4.0, 1.0, 4.0]);
        assert_eq!(ranks(&[0.0, -0.0]), [1.5, 1.5]);
    }

    #[test]
    fn a_perfect_order_and_none_at_all() {
        let up = spearman(&[1.0, 2.0, 5.0], &[0.1, 0.2, 9.0]).unwrap();
        assert_eq!((up.rho, up.p, up.n), (1.0, Some(0.0), 3));
        assert_eq!(spearman(&[1.0, 2.0], &[2.0, 1.0]).map(|it| (it.rho, it.p)), Some((-1.0, None)));
        assert_eq!(spearman(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(spearman(&[1.0], &[1.0]), None);
        assert_eq!(spearman(&[1.0, 2.0], &[1.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN], &[1.0, 2.0]), None);
    }
}
