//! How finely the numbers of one map are written, and what they allow to be said.

use neuro_stats::{BlockMap, Cell, Delta, Dropped, Interval};

use crate::number::{count, counted, score, shows_nothing, signed};

/// A delta below this is no difference: it says how sums were rounded, not what a block does.
pub(crate) const FLAT: f64 = 1e-6;
/// A bound of an interval this near to 0 is 0: mean differences of equal scores end here.
const ROUNDING: f64 = 1e-12;
/// Enough for whatever is not [`ROUNDING`].
const MOST_DECIMALS: usize = 13;

/// The size of the largest delta measured; 0 where there is none.
pub(crate) fn largest_delta(map: &BlockMap) -> f64 {
    map.cells.iter().filter_map(|cell| cell.delta).filter(|delta| delta.is_finite()).fold(0.0, |a, b| b.abs().max(a))
}

/// The best block, where one beats the baseline: the only block that a picture may mark.
pub(crate) fn leader(map: &BlockMap) -> Option<(&Cell, f64)> {
    map.best().and_then(|cell| Some((cell, cell.delta?))).filter(|(_, delta)| *delta >= FLAT)
}

/// Whether blocks were compared with the baseline and none beats it.
pub(crate) fn nothing_beats_the_baseline(map: &BlockMap) -> bool {
    let mut compared = map.cells.iter().filter(|cell| !cell.block.is_baseline() && cell.delta.is_some()).peekable();
    // A map of swapped labels has deltas without scores, so that nothing leads there and yet something may be above.
    let is_above = |cell: &Cell| cell.screened.is_none() && cell.delta.is_some_and(|delta| delta >= FLAT);
    leader(map).is_none() && compared.peek().is_some() && !compared.any(is_above)
}

/// Whether a delta with this interval cannot be told from 0; judged on the numbers, never on their text.
pub(crate) fn includes_zero(bounds: &Interval) -> bool {
    bounds.low <= ROUNDING && bounds.high >= -ROUNDING
}

/// Whether the cell was measured but cannot be told from the baseline: its interval includes 0, or too few questions carry
/// the delta for an interval. What dropped out of a screening has none for another reason, and a mark of its own; of a map
/// without answers to single questions, as an imported one, nothing is known.
pub(crate) fn is_uncertain(map: &BlockMap, cell: &Cell) -> bool {
    // A map of swapped labels has deltas without scores.
    let has_answers = map.chance.is_some() || cell.score.is_none();
    let is_open = cell.interval.as_ref().map_or(has_answers && cell.screened.is_none(), includes_zero);
    !cell.block.is_baseline() && cell.delta.is_some() && is_open
}

/// What a legend says of a map's uncertain cells.
pub(crate) fn uncertain_in_words(map: &BlockMap) -> &'static str {
    let mut uncertain = map.cells.iter().filter(|cell| is_uncertain(map, cell));
    if uncertain.any(|cell| cell.interval.is_none()) { "interval includes 0, or none" } else { "interval includes 0" }
}

/// What a legend says of the blocks that dropped out of a screening: `saw 2 to 24 of 64 questions, not ranked`.
pub(crate) fn dropped_out(map: &BlockMap) -> Option<String> {
    let Dropped { fewest, most, .. } = map.dropped()?;
    let seen = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
    Some(format!("saw {seen} of {}, not ranked", counted(map.n, "question")))
}

/// Decimals and unit of one map, after its largest delta; the same for all its numbers, so that they can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Precision {
    /// Digits after the point: the largest delta shows two or three.
    pub(crate) decimals: usize,
    /// Cells without a point are in units of 10 to the power of minus this.
    unit: i32,
}

impl Precision {
    pub(crate) fn of(map: &BlockMap) -> Self {
        let largest = largest_delta(map);
        let exponent = if largest < FLAT { 0 } else { exponent(largest) };
        // Scores lie in [0, 1]; only a damaged run has a larger delta, and it must not fill the screen with digits.
        let unit = if exponent > 0 { 1 - exponent } else { (1 - exponent).max(2) };
        Self { decimals: usize::try_from(1 - exponent).unwrap_or_default().max(3), unit }
    }

    /// For one delta and its interval, of which the largest number shows two digits; with at least so many decimals.
    pub(crate) fn of_delta(delta: &Delta, least: usize) -> Self {
        let bounds = delta.interval.iter().flat_map(|bounds| [bounds.low, bounds.high]);
        let largest = bounds.chain([delta.mean]).fold(0.0_f64, |a, b| a.max(b.abs()));
        let shown = if largest < ROUNDING { 0 } else { usize::try_from(1 - exponent(largest)).unwrap_or_default() };
        Self { decimals: shown.clamp(least, MOST_DECIMALS.max(least)), unit: 2 }
    }

    /// A delta: `+0.750`, or `+0.00052` in a map of small ones.
    pub(crate) fn signed(self, value: f64) -> String {
        signed(value, self.decimals)
    }

    /// A delta that matters by itself: with as many decimals more as it takes to be seen.
    pub(crate) fn visible(self, value: f64) -> String {
        signed(value, self.decimals_to_see(value))
    }

    /// `[+0.710, +0.790]`. An interval that excludes 0 gets the decimals that show it.
    pub(crate) fn interval(self, bounds: &Interval) -> String {
        let nearest = if bounds.low.abs() < bounds.high.abs() { bounds.low } else { bounds.high };
        let decimals = if includes_zero(bounds) { self.decimals } else { self.decimals_to_see(nearest) };
        format!("[{}, {}]", signed(bounds.low, decimals), signed(bounds.high, decimals))
    }

    /// A score: `0.981`.
    pub(crate) fn score(self, value: f64) -> String {
        score(value, self.decimals)
    }

    /// A delta in [`Self::unit`]s, without a point: `75`, `-4`, `0`.
    pub(crate) fn cell(self, delta: f64) -> String {
        let value = (delta * 10_f64.powi(self.unit)).round();
        if value == 0.0 { "0".to_owned() } else { format!("{value:.0}") }
    }

    /// What the cells are in: `hundredths`, `1/100,000`.
    pub(crate) fn unit(self) -> String {
        match (self.unit, u32::try_from(self.unit).ok().and_then(|digits| 10_usize.checked_pow(digits))) {
            (2, _) => "hundredths".to_owned(),
            (3, _) => "thousandths".to_owned(),
            (4.., Some(parts)) => format!("1/{}", count(parts)),
            (unit, _) => format!("1e{}", -unit),
        }
    }

    fn decimals_to_see(self, value: f64) -> usize {
        (self.decimals..MOST_DECIMALS).find(|&decimals| !shows_nothing(value, decimals)).unwrap_or(self.decimals)
    }
}

/// The power of ten of the first of two digits; 0.0996 is 10 hundredths. Read from text, which every machine rounds alike.
fn exponent(value: f64) -> i32 {
    format!("{value:.1e}").split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{chance_of, map_of, six_layers};

    fn of(largest: f64) -> Precision {
        Precision::of(&map_of(4, |block| Some(if block.start == 1 { -largest } else { largest / 50.0 })))
    }

    #[test]
    fn the_largest_delta_shows_two_or_three_digits() {
        let shown =
            |value: f64| format!("{} = {} {}", of(value).signed(value), of(value).cell(value), of(value).unit());
        assert_eq!(shown(1.0), "+1.000 = 100 hundredths");
        assert_eq!(shown(0.75), "+0.750 = 75 hundredths");
        assert_eq!(shown(0.0996), "+0.100 = 10 hundredths");
        assert_eq!(shown(0.05), "+0.050 = 50 thousandths");
        assert_eq!(shown(0.0061), "+0.0061 = 61 1/10,000");
        assert_eq!(shown(0.00052), "+0.00052 = 52 1/100,000");
        assert_eq!(shown(4e-7), "0.000 = 0 hundredths");
        assert_eq!(shown(0.0), "0.000 = 0 hundredths");
    }

    #[test]
    fn a_measured_cell_without_an_interval_is_uncertain() {
        let mut map = six_layers();
        assert_eq!(uncertain_in_words(&map), "interval includes 0");
        let best = map.cells.iter().position(|cell| cell.block.to_string() == "(1, 4)").unwrap();
        assert!(!is_uncertain(&map, &map.cells[best]));
        map.cells[best].interval = None;
        assert!(!is_uncertain(&map, &map.cells[best]), "an imported map has no intervals");
        map.chance = Some(chance_of(&map));
        assert!(is_uncertain(&map, &map.cells[best]));
        assert_eq!(uncertain_in_words(&map), "interval includes 0, or none");
        map.cells[best].screened = Some(2);
        assert!(!is_uncertain(&map, &map.cells[best]), "it has a mark of its own");
    }

    #[test]
    fn absurd_numbers_stay_short() {
        let precision = of(1e308);
        assert_eq!(precision.signed(1e308), "+1.00e308");
        assert_eq!(precision.score(-1e308), "-1.00e308");
        assert_eq!((precision.cell(1e308), precision.unit()), ("10".to_owned(), "1e307".to_owned()));
        assert_eq!(of(50.0).cell(-50.0), "-50");
        assert_eq!(of(f64::INFINITY).signed(f64::INFINITY), "+inf");
    }

    #[test]
    fn an_interval_shows_on_which_side_of_nothing_it_ends() {
        let precision = of(0.5);
        assert_eq!(precision.interval(&Interval { low: -0.002, high: -0.0003 }), "[-0.0020, -0.0003]");
        assert_eq!(precision.interval(&Interval { low: 0.000_02, high: 0.3 }), "[+0.00002, +0.30000]");
        assert_eq!(precision.interval(&Interval { low: -0.002, high: 0.0003 }), "[-0.002, 0.000]");
        assert!(includes_zero(&Interval { low: -0.002, high: -1e-17 }), "rounded sums");
        assert!(!includes_zero(&Interval { low: -0.002, high: -0.0003 }));
    }

    #[test]
    fn a_gain_that_matters_is_seen_beside_large_losses() {
        assert_eq!(of(0.5).visible(0.0002), "+0.0002");
        assert_eq!(of(0.5).visible(0.25), "+0.250");
    }

    #[test]
    fn only_a_block_above_the_baseline_leads() {
        assert!(leader(&map_of(4, |_| Some(-0.1))).is_none() && nothing_beats_the_baseline(&map_of(4, |_| Some(-0.1))));
        assert!(leader(&map_of(4, |_| Some(1e-9))).is_none() && nothing_beats_the_baseline(&map_of(4, |_| Some(0.0))));
        assert!(leader(&map_of(4, |_| Some(0.0001))).is_some());
        assert!(!nothing_beats_the_baseline(&map_of(4, |_| None)), "nothing was compared");
    }
}
