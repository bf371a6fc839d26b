//! From search to confirmation: how much of what chose a finalist is left on fresh questions.

use neuro_stats::Interval;

use crate::color::{BETTER, WORSE};
use crate::escape::markup;
use crate::number::{coordinate, typographic};

/// One finalist.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrinkage {
    /// Its name: a block or a path.
    pub name: String,
    /// Delta on the questions that chose it, and its interval.
    pub search: (f64, Option<Interval>),
    /// Delta on fresh questions, and its interval.
    pub confirmed: (f64, Option<Interval>),
}

const WIDTH: f64 = 640.0;
const TOP: f64 = 44.0;
const HEIGHT: f64 = 260.0;
/// Left and right column.
const COLUMNS: [f64; 2] = [150.0, 400.0];
/// Between whiskers of neighbours, so that they do not cover each other.
const SPREAD: f64 = 9.0;
/// Height of a label.
const LINE: f64 = 14.0;
/// More lines than these are a thicket.
const MOST: usize = 12;

/// A line for each finalist from its delta in the search to its delta on fresh questions, with intervals as whiskers, as a
/// stand-alone SVG document; red where the confirmed delta is above 0, blue where it is not. At most twelve finalists are
/// drawn, in the order given. None for none, or where a delta is not finite.
#[must_use]
pub fn svg_shrinkage(finalists: &[Shrinkage]) -> Option<String> {
    let finalists = &finalists[..finalists.len().min(MOST)];
    let is_finite = |finalist: &Shrinkage| finalist.search.0.is_finite() && finalist.confirmed.0.is_finite();
    if finalists.is_empty() || !finalists.iter().all(is_finite) {
        return None;
    }
    let ends = |(delta, interval): (f64, Option<Interval>)| {
        interval.map_or([delta; 3], |Interval { low, high }| [delta, low, high])
    };
    let values = || finalists.iter().flat_map(|finalist| [finalist.search, finalist.confirmed]).flat_map(ends);
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let span = if high - low > 0.0 { high - low } else { 1.0 };
    let y = |value: f64| TOP + (high - value) / span * HEIGHT;

    let mut lines = vec![
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"shrinkage\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             role=\"img\" font-family=\"Roboto, 'Helvetica Neue', Arial, sans-serif\" font-size=\"12\">",
            height = coordinate(TOP + HEIGHT + 34.0),
        ),
        "<title>Delta of each finalist in the search and on fresh questions</title>".to_owned(),
    ];
    let text = |x: f64, y: f64, anchor: &str, content: &str| {
        format!(
            "<text class=\"ink\" fill=\"#1f2430\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            coordinate(x),
            coordinate(y),
            markup(content)
        )
    };
    for (x, heading) in COLUMNS.iter().zip(["in the search", "on fresh questions"]) {
        lines.push(text(*x, 20.0, "middle", heading));
    }
    lines.push(format!(
        "<path class=\"zero\" stroke=\"#1f2430\" stroke-width=\"0.8\" stroke-dasharray=\"4 3\" d=\"M{} {y}H{}\"/>",
        coordinate(COLUMNS[0] - 40.0),
        coordinate(COLUMNS[1] + 40.0),
        y = coordinate(y(0.0)),
    ));
    lines.push(text(COLUMNS[0] - 46.0, y(0.0) + 4.0, "end", "0"));
    let labels = label_places(&finalists.iter().map(|finalist| y(finalist.confirmed.0)).collect::<Vec<_>>());
    for (index, finalist) in finalists.iter().enumerate() {
        let shift = (index as f64 - (finalists.len() - 1) as f64 / 2.0) * SPREAD / finalists.len() as f64 * 2.0;
        let [left, right] = COLUMNS.map(|column| column + shift);
        let color = if finalist.confirmed.0 > 0.0 { BETTER[6].hex() } else { WORSE[6].hex() };
        let mut stroke = |width: f64, path: &str| {
            lines.push(format!("<path fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" d=\"{path}\"/>"));
        };
        let (from, to) = (y(finalist.search.0), y(finalist.confirmed.0));
        stroke(1.6, &format!("M{} {}L{} {}", coordinate(left), coordinate(from), coordinate(right), coordinate(to)));
        for (x, (_, interval)) in [(left, finalist.search), (right, finalist.confirmed)] {
            if let Some(bounds) = interval {
                let path = format!("M{} {}V{}", coordinate(x), coordinate(y(bounds.high)), coordinate(y(bounds.low)));
                stroke(1.0, &path);
            }
        }
        for (x, y) in [(left, from), (right, to)] {
            lines.push(format!(
                "<circle cx=\"{}\" cy=\"{}\" r=\"3.2\" fill=\"{color}\"/>",
                coordinate(x),
                coordinate(y)
            ));
        }
        let deltas = typographic(&format!("{:+.3} → {:+.3}", finalist.search.0, finalist.confirmed.0));
        lines.push(text(
            COLUMNS[1] + 44.0,
            labels[index] + 4.0,
            "start",
            &format!("{}: {deltas}", short(&finalist.name)),
        ));
    }
    lines.push("</svg>\n".to_owned());
    Some(lines.join("\n"))
}

/// Labels near their lines and none on another: from the top down, each at least a line below the one before.
fn label_places(wanted: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut places = wanted.to_vec();
    // Room for those below, so that the last one stays in the picture.
    let mut last = f64::NEG_INFINITY;
    for (rank, &index) in order.iter().enumerate() {
        let room = TOP + HEIGHT + 20.0 - (order.len() - rank) as f64 * LINE;
        places[index] = wanted[index].min(room).max(last + LINE);
        last = places[index];
    }
    places
}

/// Long paths are cut: their table has them whole.
fn short(name: &str) -> String {
    const LONGEST: usize = 14;
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    name.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::png;

    fn finalist(name: &str, search: f64, confirmed: f64) -> Shrinkage {
        let around = |delta: f64| Some(Interval { low: delta - 0.1, high: delta + 0.05 });
        Shrinkage { name: name.to_owned(), search: (search, around(search)), confirmed: (confirmed, around(confirmed)) }
    }

    #[test]
    fn a_line_for_each_finalist_and_the_zero() {
        let svg =
            svg_shrinkage(&[finalist("(4, 8)", 0.25, 0.24), finalist("0..7,<2>..11", 0.2, -0.01)]).expect("draws");
        assert_eq!(svg.matches("<circle").count(), 4);
        // Two slopes, four whiskers and the zero.
        assert_eq!(svg.matches("<path").count(), 7);
        assert!(
            svg.contains("(4, 8): +0.250 → +0.240") && svg.contains("0..7,&lt;2&gt;..11: +0.200 → −0.010"),
            "{svg}"
        );
        png(&svg, 1.0).expect("valid");
    }

    #[test]
    fn labels_do_not_cover_each_other_and_stay_inside() {
        for wanted in [vec![100.0; 12], vec![TOP + HEIGHT; 12], (0..12).map(f64::from).collect()] {
            let mut places = label_places(&wanted);
            places.sort_by(f64::total_cmp);
            assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-9), "{places:?}");
            assert!(places.iter().all(|&place| place <= TOP + HEIGHT + 34.0), "{places:?}");
        }
    }

    #[test]
    fn nothing_and_no_numbers_draw_nothing() {
        assert_eq!(svg_shrinkage(&[]), None);
        assert_eq!(svg_shrinkage(&[finalist("a", f64::NAN, 0.0)]), None);
        let flat = Shrinkage { name: "a".to_owned(), search: (0.0, None), confirmed: (0.0, None) };
        png(&svg_shrinkage(&vec![flat; 30]).expect("draws"), 0.5).expect("valid");
    }
}
