//! The heatmap as SVG text: the same map gives the same bytes on every machine.

mod cells;
mod layout;
mod legend;
mod skyline;

use neuro_stats::BlockMap;

use crate::escape::markup;
use crate::number::{coordinate, counted};
use crate::precision::Precision;
use crate::range::ColorRange;

pub(crate) use layout::{Layout, tick_step};

/// Ink of text and axes; the class beside it lets `report.html` change it in the dark.
const INK: &str = "class=\"ink\" fill=\"#1f2430\"";
const MUTED: &str = "class=\"muted\" fill=\"#5b6472\"";

/// How a picture is used.
pub(crate) struct Purpose<'a> {
    /// Title line; none inside `report.html`, whose page has one.
    pub(crate) title: Option<&'a str>,
    /// Appended to element ids, so that several pictures can share one page.
    pub(crate) suffix: &'a str,
    /// Whether each cell is an element with a tooltip. Without, cells of one colour share an element, which keeps the
    /// page of a deep model small.
    pub(crate) tooltips: bool,
    /// The map whose colours and digits are used; none for its own.
    pub(crate) scale: Option<&'a BlockMap>,
}

/// The heatmap of a map as a stand-alone SVG document (about 800 × 850 pixels): y = i downwards, x = j, red = better,
/// blue = worse, white = 0, grey = not measured, hatched where the interval includes 0, dotted where a path dropped out of a screening, a black ring around the
/// baseline and a green one around the best block if it beats the baseline, skylines E(j) above and S(i) to the right, and a legend that names
/// the ends of the colour scale and says when it is clipped. Each cell has a tooltip. `title` may be any text.
#[must_use]
pub fn svg_heatmap(map: &BlockMap, title: &str) -> String {
    draw(map, &Purpose { title: Some(title), suffix: "", tooltips: true, scale: None })
}

/// What chance alone draws, in the colours of the real map: one map of swapped labels on the same questions, as a
/// stand-alone SVG document like [`svg_heatmap`]. None where the map knows nothing of chance.
#[must_use]
pub fn svg_null_map(map: &BlockMap, title: &str) -> Option<String> {
    let title = format!("{title} · labels swapped");
    Some(draw(&map.null_map()?, &Purpose { title: Some(&title), suffix: "", tooltips: true, scale: Some(map) }))
}

pub(crate) fn draw(map: &BlockMap, purpose: &Purpose<'_>) -> String {
    let layout = Layout::new(map, purpose.title.is_some());
    let scale = purpose.scale.unwrap_or(map);
    let (range, precision) = (ColorRange::of_another(scale, map), Precision::of(scale));
    let mut svg = Svg::default();
    let (width, height) = (coordinate(layout.width()), coordinate(layout.height()));
    svg.line(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"heatmap\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" font-family=\"Roboto, 'Helvetica Neue', Arial, sans-serif\" font-size=\"12\" \
         data-depth=\"{}\" data-left=\"{}\" data-top=\"{}\" data-cell=\"{}\">",
        layout.depth,
        coordinate(layout.left),
        coordinate(layout.top),
        coordinate(layout.cell),
    ));
    if let Some(title) = purpose.title {
        svg.line(&format!("<title>{}: {}</title>", markup(title), markup(&subtitle(map))));
    }
    let description = match purpose.scale {
        Some(_) => {
            "Labels of baseline and path are swapped at random within questions: what chance alone draws.".to_owned()
        }
        None => crate::headline(map),
    };
    svg.line(&format!("<desc>{}</desc>", markup(&description)));
    definitions(&mut svg, map, purpose.suffix);
    svg.line(&format!("<rect class=\"paper\" width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"));
    if let Some(title) = purpose.title {
        svg.line(&format!(
            "<text {INK} x=\"{x}\" y=\"40\" font-size=\"22\" font-weight=\"bold\">{}</text>",
            markup(&shortened(title, 60)),
            x = coordinate(layout.left),
        ));
        svg.line(&format!(
            "<text {MUTED} x=\"{x}\" y=\"62\" font-size=\"14\">{}</text>",
            markup(&shortened(&subtitle(map), 110)),
            x = coordinate(layout.left),
        ));
    }
    axes(&mut svg, &layout);
    skyline::draw(&mut svg, &layout, &range, precision, map);
    cells::draw(&mut svg, &layout, &range, precision, map, purpose);
    legend::draw(&mut svg, &layout, &range, precision, map, purpose.suffix);
    svg.line("</svg>");
    svg.text
}

/// `math, group k2, 288 questions`.
pub(crate) fn subtitle(map: &BlockMap) -> String {
    let group = map.group.as_ref().map(|group| format!(", group {group}")).unwrap_or_default();
    format!("probe {}{group}, {}", map.probe, counted(map.n, "question"))
}

/// The hatch of cells whose interval includes 0, the dots of those that dropped out of a screening, and the two sides of
/// the colour bar.
fn definitions(svg: &mut Svg, map: &BlockMap, suffix: &str) {
    svg.line("<defs>");
    svg.line(&format!(
        "<pattern id=\"hatch{suffix}\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><rect width=\"1.1\" height=\"5\" fill=\"#3a4150\" fill-opacity=\"0.42\"/></pattern>"
    ));
    if map.dropped().is_some() {
        svg.line(&format!(
            "<pattern id=\"dots{suffix}\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">\
             <circle cx=\"2.5\" cy=\"2.5\" r=\"1.2\" fill=\"#3a4150\" fill-opacity=\"0.7\" stroke=\"#ffffff\" stroke-opacity=\"0.5\" stroke-width=\"0.6\"/></pattern>"
        ));
    }
    legend::gradient(svg, suffix);
    svg.line("</defs>");
}

/// Tick labels between map and skylines, and the names of the axes.
fn axes(svg: &mut Svg, layout: &Layout) {
    let step = layout.tick_step();
    svg.line(&format!("<g {MUTED} font-size=\"11\" text-anchor=\"middle\">"));
    for end in (0..=layout.depth).step_by(step) {
        let x = layout.x(end) + layout.cell / 2.0;
        svg.text_at(x, layout.top - 8.0, "", &end.to_string());
    }
    for start in (0..layout.depth).step_by(step) {
        let y = layout.y(start) + layout.cell / 2.0 + 4.0;
        svg.text_at(layout.right() + 13.0, y, "", &start.to_string());
    }
    svg.line("</g>");
    svg.line(&format!("<g {INK} font-size=\"12\" font-weight=\"bold\">"));
    svg.text_at(layout.right() + 13.0, layout.top - 8.0, "text-anchor=\"middle\"", "j");
    svg.text_at(layout.right() + 13.0, layout.bottom() + 14.0, "text-anchor=\"middle\"", "i");
    svg.line("</g>");
}

/// At most `limit` characters; cut text ends with an ellipsis.
fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// SVG text under construction.
#[derive(Default)]
pub(crate) struct Svg {
    text: String,
}

impl Svg {
    pub(crate) fn line(&mut self, element: &str) {
        self.text.push_str(element);
        self.text.push('\n');
    }

    /// A text element; `content` is escaped.
    pub(crate) fn text_at(&mut self, x: f64, y: f64, attributes: &str, content: &str) {
        let space = if attributes.is_empty() { "" } else { " " };
        self.line(&format!(
            "<text x=\"{}\" y=\"{}\"{space}{attributes}>{}</text>",
            coordinate(x),
            coordinate(y),
            markup(content)
        ));
    }
}

#[cfg(test)]
mod tests {
    use neuro_stats::Chance;

    use super::*;
    use crate::png;
    use crate::testing::{map_of, screened, six_layers, small};

    #[test]
    fn six_layers_with_a_block_not_measured() {
        insta::assert_snapshot!(svg_heatmap(&six_layers(), "tiny & <odd> \"name\""));
    }

    #[test]
    fn any_title_gives_valid_xml() {
        for title in ["]]>&lt;</svg>", "\u{0}\u{1b}\u{fffe}", "名前 \u{1f9e0}", &"long ".repeat(100)] {
            png(&svg_heatmap(&six_layers(), title), 0.5).unwrap_or_else(|error| panic!("{title:?}: {error}"));
        }
    }

    #[test]
    fn every_depth_draws() {
        for depth in [1, 2, 5, 130] {
            let map = map_of(depth, |block| (block.end % 3 > 0).then_some(-0.2));
            png(&svg_heatmap(&map, "depth"), 0.25).unwrap_or_else(|error| panic!("{depth} layers: {error}"));
        }
    }

    #[test]
    fn only_uncertain_cells_are_hatched() {
        let certain = svg_heatmap(&map_of(4, |_| Some(-0.2)), "certain");
        assert!(!certain.contains("fill=\"url(#hatch)\"") && !certain.contains("interval includes 0"));
        let uncertain = svg_heatmap(&map_of(4, |block| Some(if block.start == 3 { 0.01 } else { -0.2 })), "uncertain");
        // One cell, and its swatch in the legend.
        assert_eq!(uncertain.matches("fill=\"url(#hatch)\"").count(), 2);
    }

    #[test]
    fn blocks_that_dropped_out_are_dotted_and_none_of_them_leads() {
        let map = screened();
        let svg = svg_heatmap(&map, "screened");
        // The cells, and their swatch in the legend.
        assert_eq!(svg.matches("fill=\"url(#dots)\"").count(), 2);
        assert!(svg.contains("saw 2 to 10 of 40 questions, not ranked") && svg.contains("best (1, 4)"), "{svg}");
        assert!(svg.contains("saw 10 of 40 questions, not ranked</title>"), "{svg}");
        assert!(!svg_heatmap(&six_layers(), "full").contains("dots"));
    }

    #[test]
    fn a_clipped_scale_says_so() {
        let map = map_of(12, |block| Some(if block == (neuro_path::Block { start: 0, end: 1 }) { -0.9 } else { -0.1 }));
        let svg = svg_heatmap(&map, "tail");
        assert!(svg.contains("≤ −0.100") && svg.contains("clipped: 1 block below the scale, lowest −0.900"), "{svg}");
    }

    #[test]
    fn a_block_that_beats_nothing_is_not_marked() {
        let losses = svg_heatmap(&map_of(4, |_| Some(-0.2)), "losses");
        assert!(!losses.contains("class=\"green\"") && !losses.contains(">best"), "{losses}");
        assert!(losses.contains("no block beats the baseline"));
        assert!(!losses.contains(&crate::color::BEST.hex()));
    }

    #[test]
    fn small_deltas_are_readable_and_absurd_ones_short() {
        let svg = svg_heatmap(&small(), "small");
        assert!(
            svg.contains("best (0, 1): +0.0004 ") && svg.contains(">+0.0004<") && svg.contains(">−0.0013<"),
            "{svg}"
        );
        let absurd = svg_heatmap(&map_of(4, |block| Some(if block.start == 1 { 1e308 } else { -1e308 })), "absurd");
        assert!(!absurd.contains("00000000000"), "{absurd}");
    }

    /// The colours are the real map's, so what lies beyond them is told.
    #[test]
    fn a_null_map_has_the_real_map_s_scale() {
        let mut map = map_of(6, |block| Some(if block.start == 1 { 0.1 } else { -0.1 }));
        assert_eq!(svg_null_map(&map, "tiny"), None);
        let mut cells = map.cells.clone();
        cells[3].delta = Some(0.3);
        cells.iter_mut().for_each(|cell| cell.score = None);
        map.chance =
            Some(Chance { cells, blocks: 21, expected_best: 0.08, rarely_exceeded: 0.12, adjusted: vec![None; 22] });
        let svg = svg_null_map(&map, "tiny").expect("has chance");
        assert!(svg.contains("tiny · labels swapped") && svg.contains(">+0.100<"), "{svg}");
        assert!(svg.contains("beyond the scale: 1 block, highest +0.300"), "{svg}");
        assert!(!svg.contains("no block beats the baseline"), "{svg}");
        png(&svg, 0.5).expect("valid");
    }

    #[test]
    fn long_titles_are_cut_at_a_letter() {
        assert_eq!(shortened("kurz", 4), "kurz");
        assert_eq!(shortened("länger", 4), "län…");
    }
}
