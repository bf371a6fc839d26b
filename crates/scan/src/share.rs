//! Whose time it was: a path's own units, and its share of the trunks that it stands on.

use std::time::Duration;

use neuro_path::LayerPath;
use neuro_record::{SECONDS_EXTRAPOLATED, SECONDS_SHARE};

use crate::work::shared_visits;

/// Time and work of each path on one probe, as far as this process measured them.
pub(crate) struct Shares(Vec<Share>);

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    seconds: f64,
    work: u64,
}

impl Shares {
    pub(crate) fn new(paths: usize) -> Self {
        Self(vec![Share::default(); paths])
    }

    /// Divides a trunk's time among the paths that stand on it, by the layers that each of them takes from it.
    pub(crate) fn trunk<'a>(&mut self, time: Duration, paths: impl Iterator<Item = (usize, &'a LayerPath)>) {
        let taken: Vec<(usize, usize)> = paths.map(|(index, path)| (index, shared_visits(path))).collect();
        let total: usize = taken.iter().map(|(_, visits)| visits).sum();
        for &(index, visits) in &taken {
            let part = if total == 0 { 1.0 / taken.len() as f64 } else { visits as f64 / total as f64 };
            self.0[index].seconds += time.as_secs_f64() * part;
        }
    }

    /// Adds a path's own time for a unit of so much work.
    pub(crate) fn unit(&mut self, path: usize, time: Duration, work: u64) {
        let share = &mut self.0[path];
        share.seconds += time.as_secs_f64();
        share.work += work;
    }

    /// A path's time for work of this size in all, and the kind of that time. What an earlier process measured left no
    /// time behind; it counts at the rate of the rest, and there is no time where there is no rest.
    pub(crate) fn seconds(&self, path: usize, total_work: u64) -> Option<(f64, &'static str)> {
        match self.0[path] {
            Share { work: 0, .. } => None,
            Share { seconds, work } if work == total_work => Some((seconds, SECONDS_SHARE)),
            Share { seconds, work } => Some((seconds * total_work as f64 / work as f64, SECONDS_EXTRAPOLATED)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_is_paid_by_those_who_use_it() {
        let path = |text: &str| LayerPath::parse(text, 4).unwrap();
        let paths = [path("0..3"), path("2,3"), path("(0,2)")];
        let mut shares = Shares::new(3);
        shares.trunk(Duration::from_secs(6), paths.iter().enumerate());
        for index in 0..3 {
            shares.unit(index, Duration::from_secs(1), 10);
        }
        assert_eq!([0, 1, 2].map(|index| shares.seconds(index, 10)), [5.0, 1.0, 3.0].map(|time| Some((time, "share"))));
        assert_eq!(shares.seconds(1, 30), Some((3.0, "extrapolated")));
        assert_eq!(Shares::new(1).seconds(0, 30), None);
    }
}
