//! The heatmap in a terminal, in the largest form that fits its width.

mod glyph;
pub(crate) mod style;

use neuro_stats::{BlockMap, Skyline};

use crate::escape;
use crate::number::counted;
use crate::precision::{Precision, dropped_out, is_uncertain, leader, nothing_beats_the_baseline, uncertain_in_words};
use crate::range::ColorRange;
use crate::svg::{subtitle, tick_step};
use glyph::{Form, Glyph};
use style::{ColorLevel, Hue, Ink, Line};

/// Columns before the map: row labels, and the name of the skyline E(j).
const GUTTER: usize = 5;
/// Blank, then the name of the skyline S(i); its strip is at most this wide.
const SIDE: usize = 6;
/// Deeper models have no room for numbers in their cells, however wide the terminal.
const DEEPEST_WITH_NUMBERS: usize = 16;

/// The heatmap in a terminal of `width` columns: y = i downwards, x = j, with skylines, tick labels and legend.
///
/// Small models get the delta in every cell, in hundredths or in what the legend says, larger ones two columns per cell, deep ones one column per
/// cell and (in colour) two rows per line. In [`ColorLevel::Plain`] digits and signs replace the colours. Where not even
/// the last form fits, the text says how many columns are needed.
#[must_use]
pub fn terminal_heatmap(map: &BlockMap, color: ColorLevel, width: usize) -> String {
    let columns = map.depth + 1;
    let fits = |form: Form| GUTTER + columns * form.columns() <= width;
    let precision = Precision::of(map);
    let numbers = Form::Number { precision, width: number_width(map, precision) };
    let form = if map.depth <= DEEPEST_WITH_NUMBERS && fits(numbers) {
        numbers
    } else if fits(Form::Pair) {
        Form::Pair
    } else if color == ColorLevel::Plain {
        Form::Single
    } else {
        Form::Half
    };
    let mut text = title(map, color);
    if !fits(form) {
        text.push_str(&format!(
            "The map of {} needs {} columns, and {width} are there; use a wider terminal, a smaller font, or the report's report.html.\n",
            counted(map.depth, "layer"),
            GUTTER + columns * form.columns(),
        ));
        return text;
    }
    let range = ColorRange::of(map);
    let picture =
        Picture { map, range: &range, precision, form, color, side: GUTTER + columns * form.columns() + SIDE <= width };
    text.push('\n');
    text.push_str(&picture.axis());
    text.push_str(&picture.end_strip());
    let starts = map.start_skyline();
    for start in (0..map.depth).step_by(form.rows()) {
        text.push_str(&picture.row(start, &starts));
    }
    text.push('\n');
    text.push_str(&picture.legend());
    text
}

/// Characters of the longest number in a cell or a skyline.
fn number_width(map: &BlockMap, precision: Precision) -> usize {
    let deltas = map.cells.iter().filter_map(|cell| cell.delta);
    let means = map.end_skyline().into_iter().chain(map.start_skyline()).flatten().map(|point| point.mean);
    deltas.chain(means).map(|delta| precision.cell(delta).len()).max().unwrap_or_default()
}

fn title(map: &BlockMap, color: ColorLevel) -> String {
    let mut line = Line::default();
    line.push(&escape::terminal(&subtitle(map)), Ink::BOLD);
    line.finish(color)
}

struct Picture<'a> {
    map: &'a BlockMap,
    range: &'a ColorRange,
    precision: Precision,
    form: Form,
    color: ColorLevel,
    /// Whether the skyline S(i) fits to the right.
    side: bool,
}

impl Picture<'_> {
    fn tick_step(&self) -> usize {
        // A label and a blank take four columns; two rows of one line need even labels.
        let step = tick_step(self.map.depth, (self.map.depth + 1) * self.form.columns() / 4);
        if self.form == Form::Half && step % 2 == 1 { step * 2 } else { step }
    }

    /// Labels of the columns j.
    fn axis(&self) -> String {
        let mut labels = String::new();
        for end in (0..=self.map.depth).step_by(self.tick_step()) {
            let column = end * self.form.columns();
            let label = match self.form {
                Form::Number { .. } => format!("{end:>width$} ", width = self.form.columns() - 1),
                Form::Pair => format!("{end:>2}"),
                Form::Half | Form::Single => end.to_string(),
            };
            labels.push_str(&format!("{:column$}{label}", "", column = column.saturating_sub(labels.len())));
        }
        let mut line = Line::default();
        line.push(&format!("{:<GUTTER$}", "i\\j"), Ink::FAINT);
        line.push(&labels, Ink::FAINT);
        if self.side {
            let end = (self.map.depth + 1) * self.form.columns();
            line.push(
                &format!("{:column$}S(i)", "", column = (end + 1).saturating_sub(labels.len()).max(1)),
                Ink::FAINT,
            );
        }
        line.finish(self.color)
    }

    /// The skyline E(j), in the map's own colours.
    fn end_strip(&self) -> String {
        let mut line = Line::default();
        line.push(&format!("{:<GUTTER$}", "E(j)"), Ink::FAINT);
        for point in self.map.end_skyline() {
            self.push_mean(&mut line, point);
        }
        let mut text = line.finish(self.color);
        if matches!(self.form, Form::Number { .. } | Form::Pair) {
            text.push('\n');
        }
        text
    }

    fn push_mean(&self, line: &mut Line, point: Option<Skyline>) {
        let glyph = point.map_or(Glyph::Outside, |point| Glyph::Mean(self.range.position(point.mean), point.mean));
        let (text, ink) = self.form.draw(glyph, self.color);
        line.push(&text, ink);
    }

    /// One line of the map: row `start`, and for two rows per line the next one too.
    fn row(&self, start: usize, starts: &[Option<Skyline>]) -> String {
        let mut line = Line::default();
        let label = if start.is_multiple_of(self.tick_step()) { start.to_string() } else { String::new() };
        line.push(&format!("{label:>width$}  ", width = GUTTER - 2), Ink::FAINT);
        for end in 0..=self.map.depth {
            if self.form == Form::Half {
                let (text, ink) = glyph::two_rows(self.glyph(start, end), self.glyph(start + 1, end));
                line.push(text, ink);
            } else {
                let (text, ink) = self.form.draw(self.glyph(start, end), self.color);
                line.push(&text, ink);
            }
        }
        if self.side {
            line.push(" ", Ink::default());
            let mean = |index: usize| starts.get(index).copied().flatten();
            if self.form == Form::Half {
                let place = |point: Option<Skyline>| {
                    point.map_or(Glyph::Outside, |point| Glyph::Mean(self.range.position(point.mean), point.mean))
                };
                let (text, ink) = glyph::two_rows(place(mean(start)), place(mean(start + 1)));
                line.push(&text.repeat(2), ink);
            } else {
                self.push_mean(&mut line, mean(start));
            }
        }
        line.finish(self.color)
    }

    fn glyph(&self, start: usize, end: usize) -> Glyph {
        let Some(cell) = self.map.cell(start, end) else { return Glyph::Outside };
        if cell.block.is_baseline() {
            return Glyph::Baseline;
        }
        let Some(delta) = cell.delta else { return Glyph::Unmeasured };
        let position = self.range.position(delta);
        if leader(self.map).is_some_and(|(best, _)| best.block == cell.block) {
            return Glyph::Best(position, delta);
        }
        if cell.screened.is_some() {
            return Glyph::Dropped(position, delta);
        }
        if is_uncertain(self.map, cell) { Glyph::Uncertain(position, delta) } else { Glyph::Certain(position, delta) }
    }

    fn legend(&self) -> String {
        let mut text = self.scale();
        let mut entry = |glyph: Glyph, meaning: &str| {
            let mut line = Line::default();
            line.push(&" ".repeat(GUTTER), Ink::default());
            let (sample, ink) = match self.form {
                // Two rows per line have no glyphs of their own, only colours.
                Form::Half => glyph::two_rows(glyph, glyph),
                _ => ("", Ink::default()),
            };
            if self.form == Form::Half {
                line.push(&sample.repeat(2), ink);
            } else {
                let (sample, ink) = self.form.draw(glyph, self.color);
                line.push(&sample, ink);
            }
            line.push("  ", Ink::default());
            line.push(meaning, Ink::default());
            text.push_str(&line.finish(self.color));
        };
        let measured =
            self.map.baseline.map(|baseline| format!(", score {}", self.precision.score(baseline))).unwrap_or_default();
        entry(Glyph::Baseline, &format!("baseline (0, 0){measured}"));
        if let Some((best, delta)) = leader(self.map) {
            let bounds = best.interval.as_ref().map(|bounds| format!(" {}", self.precision.interval(bounds)));
            let position = self.range.position(delta);
            let numbers = format!("{}{}", self.precision.visible(delta), bounds.unwrap_or_default());
            entry(Glyph::Best(position, delta), &format!("best {}: {numbers}", best.block));
        } else if nothing_beats_the_baseline(self.map) {
            entry(Glyph::Outside, "no block beats the baseline");
        }
        let all = || (0..self.map.depth).flat_map(|start| (start + 1..=self.map.depth).map(move |end| (start, end)));
        if all().any(|(start, end)| matches!(self.glyph(start, end), Glyph::Uncertain(..))) {
            let half = self.range.position(self.range.better / 2.0);
            entry(Glyph::Uncertain(half, self.range.better / 2.0), uncertain_in_words(self.map));
        }
        if let Some(dropped) = dropped_out(self.map) {
            entry(Glyph::Dropped(-0.5, self.range.worse * -0.5), &dropped);
        }
        if all().any(|(start, end)| self.glyph(start, end) == Glyph::Unmeasured) {
            entry(Glyph::Unmeasured, "not measured");
        }
        text
    }

    /// The colour scale with its ends, or what the digits stand for.
    fn scale(&self) -> String {
        let (low, high) = (self.precision.signed(-self.range.worse), self.precision.signed(self.range.better));
        let mut line = Line::default();
        line.push(&" ".repeat(GUTTER), Ink::default());
        if self.color == ColorLevel::Plain {
            line.push(&self.form.plain_scale(&low, &high), Ink::default());
        } else {
            line.push("delta ", Ink::default());
            line.push(&format!("{low} "), Ink::default());
            for step in -10..=10 {
                let ink = Ink { background: Some(Hue::Delta(f64::from(step) / 10.0)), ..Ink::default() };
                line.push(" ", ink);
            }
            line.push(" ", Ink::default());
            line.push(&high, Ink::default());
            if matches!(self.form, Form::Number { .. }) {
                line.push(&format!("; cells in {}", self.precision.unit()), Ink::FAINT);
            }
        }
        let mut text = line.finish(self.color);
        if self.range.clipped > 0 {
            let mut note = Line::default();
            let (blocks, lowest) = (counted(self.range.clipped, "block"), self.precision.signed(self.range.lowest));
            note.push(&format!("{:GUTTER$}clipped: {blocks} below the scale, lowest {lowest}", ""), Ink::default());
            text.push_str(&note.finish(self.color));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{map_of, screened, six_layers, small};

    /// What a terminal would show: the text without its escape sequences.
    fn visible(text: &str) -> String {
        let mut parts = text.split("\u{1b}[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |shown, part| shown + part.split_once('m').map_or("", |(_, rest)| rest))
    }

    #[test]
    fn plain_with_numbers() {
        insta::assert_snapshot!(terminal_heatmap(&six_layers(), ColorLevel::Plain, 80));
    }

    #[test]
    fn plain_with_two_columns() {
        insta::assert_snapshot!(terminal_heatmap(&six_layers(), ColorLevel::Plain, 30));
    }

    #[test]
    fn plain_with_one_column() {
        insta::assert_snapshot!(terminal_heatmap(&six_layers(), ColorLevel::Plain, 18));
    }

    #[test]
    fn blocks_that_dropped_out_are_marked_in_every_form() {
        insta::assert_snapshot!(terminal_heatmap(&screened(), ColorLevel::Plain, 80));
        insta::assert_snapshot!(terminal_heatmap(&screened(), ColorLevel::Plain, 30));
        insta::assert_snapshot!(terminal_heatmap(&screened(), ColorLevel::Plain, 18));
        let pair = visible(&terminal_heatmap(&screened(), ColorLevel::Ansi256, 30));
        assert_eq!(pair.matches("::").count(), 6 + 4 - 1 + 3 + 1, "{pair}");
        let half = |map: &BlockMap| terminal_heatmap(map, ColorLevel::TrueColor, 14);
        assert_ne!(half(&screened()).lines().nth(4), half(&six_layers()).lines().nth(4));
    }

    #[test]
    fn two_hundred_and_fifty_six_colors() {
        insta::assert_snapshot!(terminal_heatmap(&six_layers(), ColorLevel::Ansi256, 30).replace('\u{1b}', "ESC"));
    }

    #[test]
    fn half_blocks_in_true_color() {
        insta::assert_snapshot!(terminal_heatmap(&six_layers(), ColorLevel::TrueColor, 14).replace('\u{1b}', "ESC"));
    }

    #[test]
    fn a_narrow_terminal_is_told_what_is_missing() {
        insta::assert_snapshot!(terminal_heatmap(&six_layers(), ColorLevel::TrueColor, 11).replace('\u{1b}', "ESC"), @r"
        ESC[1mprobe math, 40 questionsESC[0m
        The map of 6 layers needs 12 columns, and 11 are there; use a wider terminal, a smaller font, or the report's report.html.
        ");
    }

    #[test]
    fn small_deltas_are_in_small_units() {
        insta::assert_snapshot!(terminal_heatmap(&small(), ColorLevel::Plain, 80), @r"
        probe math, 40 questions

        i\j     0    1    2    3    4    5  S(i)
        E(j)         4    1   -2   -4   -7

          0   base   4*   3    2    0?  -1?    2
          1               0?  -2   -3   -4    -2
          2                   -5   -6   -7    -6
          3                        -9  -10   -10
          4                            -13   -13

             delta in 1/10,000, -0.0013 to +0.0004
              base  baseline (0, 0), score 0.2000
                4*  best (0, 1): +0.0004 [+0.0003, +0.0005]
                2?  interval includes 0
        ");
        assert!(terminal_heatmap(&small(), ColorLevel::Ansi256, 80).contains("; cells in 1/10,000"));
    }

    #[test]
    fn cells_never_touch() {
        for largest in [1.0, 0.999, 0.099, 1e-5] {
            let map = map_of(6, |block| Some(if block.start % 2 == 0 { largest } else { -largest }));
            let text = terminal_heatmap(&map, ColorLevel::Plain, 80);
            let row = text.lines().find(|line| line.starts_with("  0 ")).expect("has row 0");
            // Label, baseline, six blocks, skyline.
            assert_eq!(row.split_whitespace().count(), 1 + 1 + 6 + 1, "{text}");
        }
    }

    #[test]
    fn a_block_that_beats_nothing_is_not_marked() {
        let text = terminal_heatmap(&map_of(4, |block| Some(-0.1 * block.end as f64)), ColorLevel::Plain, 80);
        assert!(!text.contains('*') && !text.contains("best"), "{text}");
        assert!(text.contains("no block beats the baseline"), "{text}");
    }

    #[test]
    fn absurd_numbers_stay_short() {
        let map = map_of(4, |block| Some(if block.start == 1 { 1e308 } else { -1e308 }));
        for width in [80, 30, 14] {
            let text = terminal_heatmap(&map, ColorLevel::Plain, width);
            assert!(text.lines().all(|line| line.len() < 120), "{text}");
        }
    }

    #[test]
    fn every_depth_fits_its_width() {
        for depth in [1, 6, 12, 16, 28, 48, 80, 90] {
            let map = map_of(depth, |block| Some(0.002 * block.end as f64 - 0.05));
            for level in [ColorLevel::Plain, ColorLevel::Ansi256, ColorLevel::TrueColor] {
                let text = visible(&terminal_heatmap(&map, level, 100));
                assert!(!text.contains("needs"), "{depth} layers at {level:?}: {text}");
                let widest = text.lines().map(|line| line.chars().count()).max();
                assert!(widest <= Some(100), "{depth} layers at {level:?}: {widest:?} columns");
            }
        }
    }

    #[test]
    fn plain_is_ascii_without_escapes_and_color_adds_no_lines() {
        for depth in [6, 20] {
            let map = map_of(depth, |block| (block.end != 4).then_some(0.01 * block.end as f64 - 0.05));
            let plain = terminal_heatmap(&map, ColorLevel::Plain, 100);
            assert!(plain.is_ascii() && !plain.contains('\u{1b}'));
            assert!(plain.lines().all(|line| line.trim_end() == line), "no blanks at line ends");
            let color = terminal_heatmap(&map, ColorLevel::Ansi256, 100);
            assert_eq!(plain.lines().count(), color.lines().count());
        }
    }

    #[test]
    fn foreign_names_cannot_steer_the_terminal() {
        let mut map = six_layers();
        map.group = Some("\u{1b}[2J".to_owned());
        assert!(!terminal_heatmap(&map, ColorLevel::Plain, 80).contains('\u{1b}'));
    }
}
