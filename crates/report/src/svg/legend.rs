//! The legend: what the colours, the hatching and the rings stand for.

use neuro_stats::BlockMap;

use super::{INK, Layout, MUTED, Svg};
use crate::color::{BEST, BETTER, UNMEASURED, WORSE};
use crate::number::{coordinate, counted, typographic};
use crate::precision::{Precision, dropped_out, is_uncertain, leader, nothing_beats_the_baseline, uncertain_in_words};
use crate::range::ColorRange;

const BAR_WIDTH: f64 = 220.0;
const BAR_HEIGHT: f64 = 14.0;

/// The colour bar's fill, from the worst to the best end.
pub(crate) fn gradient(svg: &mut Svg, suffix: &str) {
    svg.line(&format!("<linearGradient id=\"scale{suffix}\">"));
    let colors = WORSE.iter().rev().chain(BETTER.iter().skip(1));
    for (step, color) in colors.enumerate() {
        svg.line(&format!("<stop offset=\"{}%\" stop-color=\"{}\"/>", coordinate(step as f64 * 6.25), color.hex()));
    }
    svg.line("</linearGradient>");
}

pub(crate) fn draw(
    svg: &mut Svg,
    layout: &Layout,
    range: &ColorRange,
    precision: Precision,
    map: &BlockMap,
    suffix: &str,
) {
    let (left, top) = (layout.left, layout.legend_top());
    svg.line("<g font-size=\"12\">");
    svg.text_at(left, top, MUTED, "cell (i, j): layers i … j−1 run once more");
    svg.text_at(left, top + 18.0, &format!("{INK} font-weight=\"bold\""), "delta: score − baseline");

    let bar_top = top + 26.0;
    svg.line(&format!(
        "<rect class=\"bar\" x=\"{}\" y=\"{}\" width=\"{BAR_WIDTH}\" height=\"{BAR_HEIGHT}\" fill=\"url(#scale{suffix})\" \
         stroke=\"#5b6472\" stroke-opacity=\"0.55\" stroke-width=\"0.6\"/>",
        coordinate(left),
        coordinate(bar_top),
    ));
    let below_bar = bar_top + BAR_HEIGHT + 14.0;
    let lowest =
        format!("{}{}", if range.clipped > 0 { "≤ " } else { "" }, typographic(&precision.signed(-range.worse)));
    svg.text_at(left, below_bar, MUTED, &lowest);
    svg.text_at(left + BAR_WIDTH / 2.0, below_bar, &format!("{MUTED} text-anchor=\"middle\""), "0");
    svg.text_at(
        left + BAR_WIDTH,
        below_bar,
        &format!("{MUTED} text-anchor=\"end\""),
        &typographic(&precision.signed(range.better)),
    );

    let mut entries = Entries { svg, left, baseline: below_bar + 23.0 };
    if range.clipped > 0 {
        let lowest = typographic(&precision.signed(range.lowest));
        entries.note(&format!("clipped: {} below the scale, lowest {lowest}", counted(range.clipped, "block")));
    }
    if range.above > 0 {
        let highest = typographic(&precision.signed(range.highest));
        entries.note(&format!("beyond the scale: {}, highest {highest}", counted(range.above, "block")));
    }
    let measured = map.baseline.map(|baseline| format!(", score {}", precision.score(baseline))).unwrap_or_default();
    entries.ring("#000000", &format!("baseline (0, 0){measured}"));
    if let Some((best, delta)) = leader(map) {
        let bounds =
            best.interval.as_ref().map(|bounds| format!(" {}", precision.interval(bounds))).unwrap_or_default();
        let numbers = typographic(&format!("{}{bounds}", precision.visible(delta)));
        entries.ring(&BEST.hex(), &format!("best {}: {numbers}", best.block));
    } else if nothing_beats_the_baseline(map) {
        entries.note("no block beats the baseline");
    }
    if map.cells.iter().any(|cell| is_uncertain(map, cell)) {
        entries.swatch("fill=\"#ffffff\"", Some(&format!("url(#hatch{suffix})")), uncertain_in_words(map));
    }
    if let Some(dropped) = dropped_out(map) {
        entries.swatch("fill=\"#ffffff\"", Some(&format!("url(#dots{suffix})")), &dropped);
    }
    if map.cells.iter().any(|cell| cell.delta.is_none()) {
        entries.swatch(&format!("class=\"unmeasured\" fill=\"{}\"", UNMEASURED.hex()), None, "not measured");
    }
    svg.line("</g>");
}

/// Lines of the legend, from top to bottom.
struct Entries<'a> {
    svg: &'a mut Svg,
    left: f64,
    baseline: f64,
}

impl Entries<'_> {
    fn note(&mut self, text: &str) {
        self.svg.text_at(self.left, self.baseline, MUTED, text);
        self.baseline += 20.0;
    }

    fn entry(&mut self, text: &str) {
        self.svg.text_at(self.left + 22.0, self.baseline, INK, text);
        self.baseline += 20.0;
    }

    fn ring(&mut self, color: &str, text: &str) {
        self.svg.line(&format!(
            "<circle {} cx=\"{}\" cy=\"{}\" r=\"5\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2.2\"/>",
            if color == "#000000" { "class=\"black\"" } else { "class=\"green\"" },
            coordinate(self.left + 7.0),
            coordinate(self.baseline - 4.0),
        ));
        self.entry(text);
    }

    fn swatch(&mut self, fill: &str, over: Option<&str>, text: &str) {
        let place = format!(
            "x=\"{}\" y=\"{}\" width=\"13\" height=\"13\"",
            coordinate(self.left + 0.5),
            coordinate(self.baseline - 10.5)
        );
        self.svg
            .line(&format!("<rect {place} {fill} stroke=\"#5b6472\" stroke-opacity=\"0.55\" stroke-width=\"0.6\"/>"));
        if let Some(over) = over {
            self.svg.line(&format!("<rect {place} fill=\"{over}\"/>"));
        }
        self.entry(text);
    }
}
