//! The skylines: E(j), the mean delta of the blocks that end at j, and S(i), of those that start at i.

use neuro_stats::{BlockMap, Skyline};

use super::layout::TICK_BAND;
use super::{INK, Layout, MUTED, Svg};
use crate::color::diverging;
use crate::number::{coordinate, typographic};
use crate::precision::Precision;
use crate::range::ColorRange;

/// What a skyline's bars stand on: columns of the map, or its rows.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Above,
    Right,
}

pub(crate) fn draw(svg: &mut Svg, layout: &Layout, range: &ColorRange, precision: Precision, map: &BlockMap) {
    panel(svg, layout, range, precision, &map.end_skyline(), Side::Above);
    panel(svg, layout, range, precision, &map.start_skyline(), Side::Right);
    let (x, y) = (layout.right() + 13.0, layout.top - TICK_BAND);
    svg.line(&format!("<g {MUTED} font-size=\"10.5\">"));
    let lines =
        ["Skylines: mean ± 1 sd", "above E(j): blocks", "that end at j", "right S(i): blocks", "that start at i"];
    for (line, text) in lines.iter().enumerate() {
        svg.text_at(x, y - 76.0 + 14.0 * line as f64, "", text);
    }
    svg.line("</g>");
}

fn panel(
    svg: &mut Svg,
    layout: &Layout,
    range: &ColorRange,
    precision: Precision,
    skyline: &[Option<Skyline>],
    side: Side,
) {
    let known = || skyline.iter().flatten();
    let high = known().map(|point| point.mean + point.sd).fold(0.0, f64::max);
    let low = known().map(|point| point.mean - point.sd).fold(0.0, f64::min);
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return;
    }
    // Distance from the panel's edge nearest to the map.
    let room = layout.skyline - 16.0;
    let along = |value: f64| (value - low) / span * room;
    let place = Place { layout, side };
    let width = (layout.cell - layout.gap()).max(1.0);
    svg.line("<g>");
    for (index, point) in skyline.iter().enumerate() {
        let Some(point) = point else { continue };
        let (from, to) = (along(point.mean.min(0.0)), along(point.mean.max(0.0)));
        svg.line(&format!(
            "<rect {} fill=\"{}\" class=\"bar\" stroke=\"#5b6472\" stroke-opacity=\"0.55\" stroke-width=\"0.6\"/>",
            place.bar(index, from, to, width),
            diverging(range.position(point.mean)).hex(),
        ));
        let (from, to) = (along(point.mean - point.sd), along(point.mean + point.sd));
        // Whiskers of narrow bars would run into each other; a band says the same.
        if layout.cell >= 14.0 {
            svg.line(&format!(
                "<path class=\"whisker\" d=\"{}\" stroke=\"#1f2430\" stroke-opacity=\"0.55\" stroke-width=\"1\" fill=\"none\"/>",
                place.whisker(index, from, to),
            ));
        } else {
            svg.line(&format!(
                "<rect {} class=\"ink\" fill=\"#1f2430\" fill-opacity=\"0.13\"/>",
                place.bar(index, from, to, layout.cell)
            ));
        }
    }
    svg.line(&format!(
        "<path class=\"zero\" d=\"{}\" stroke=\"#1f2430\" stroke-width=\"1\" fill=\"none\"/>",
        place.rule(along(0.0))
    ));
    svg.line("</g>");
    svg.line(&format!("<g {INK} font-size=\"10.5\">"));
    let highest = known().map(|point| point.mean).fold(0.0, f64::max);
    let lowest = known().map(|point| point.mean).fold(0.0, f64::min);
    let text = |value: f64| typographic(&precision.signed(value));
    // Below the right panel labels stand side by side, each beside the 0, or the two around the zero line.
    let length = |value: f64| value.abs() / span * room;
    let is_apart =
        |value: f64| length(value) > if side == Side::Above { 13.0 } else { Layout::label_width(&text(value)) + 6.0 };
    let is_wide = |value: f64| length(value) > Layout::label_width(&text(value)) - 6.0;
    if side == Side::Right && is_wide(lowest) && is_wide(highest) {
        place.label(svg, along(0.0) - 4.0, "end", &text(lowest));
        place.label(svg, along(0.0) + 4.0, "start", &text(highest));
    } else {
        place.label(svg, along(0.0), "middle", "0");
        // The right panel's lowest value stands at its left end, beside the name of the axis.
        let anchor = if side == Side::Right { "start" } else { "end" };
        for (value, anchor) in [(lowest, anchor), (highest, "middle")] {
            if is_apart(value) {
                place.label(svg, along(value), anchor, &text(value));
            }
        }
    }
    svg.line("</g>");
}

/// Turns (index, distance from the map) into coordinates.
struct Place<'a> {
    layout: &'a Layout,
    side: Side,
}

impl Place<'_> {
    /// Coordinate at this distance from the map, across the bars' direction.
    fn away(&self, distance: f64) -> f64 {
        match self.side {
            Side::Above => self.layout.top - TICK_BAND - distance,
            Side::Right => self.layout.right() + TICK_BAND + distance,
        }
    }

    fn start_of(&self, index: usize) -> f64 {
        match self.side {
            Side::Above => self.layout.x(index),
            Side::Right => self.layout.y(index),
        }
    }

    fn bar(&self, index: usize, from: f64, to: f64, width: f64) -> String {
        let start = coordinate(self.start_of(index) + (self.layout.cell - width) / 2.0);
        let (length, width) = (coordinate(to - from), coordinate(width));
        match self.side {
            Side::Above => {
                format!("x=\"{start}\" y=\"{}\" width=\"{width}\" height=\"{length}\"", coordinate(self.away(to)))
            }
            Side::Right => {
                format!("x=\"{}\" y=\"{start}\" width=\"{length}\" height=\"{width}\"", coordinate(self.away(from)))
            }
        }
    }

    fn whisker(&self, index: usize, from: f64, to: f64) -> String {
        let middle = coordinate(self.start_of(index) + self.layout.cell / 2.0);
        let (from, to) = (coordinate(self.away(from)), coordinate(self.away(to)));
        match self.side {
            Side::Above => format!("M{middle} {from}V{to}"),
            Side::Right => format!("M{from} {middle}H{to}"),
        }
    }

    /// A line along all bars.
    fn rule(&self, distance: f64) -> String {
        let at = coordinate(self.away(distance));
        match self.side {
            Side::Above => format!("M{} {at}H{}", coordinate(self.layout.left), coordinate(self.layout.right())),
            Side::Right => format!("M{at} {}V{}", coordinate(self.layout.top), coordinate(self.layout.bottom())),
        }
    }

    /// A value of the skyline's own axis: left of the upper panel, below the right one.
    fn label(&self, svg: &mut Svg, distance: f64, anchor: &str, text: &str) {
        let at = self.away(distance);
        match self.side {
            Side::Above => svg.text_at(self.layout.left - 4.0, at + 4.0, "text-anchor=\"end\"", text),
            Side::Right => svg.text_at(at, self.layout.bottom() + 14.0, &format!("text-anchor=\"{anchor}\""), text),
        }
    }
}
