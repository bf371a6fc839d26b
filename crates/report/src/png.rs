//! PNG pictures, drawn from the SVG text with the fonts inside this binary.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::ReportError;

const REGULAR: &[u8] = include_bytes!("../assets/Roboto-Regular.subset.ttf");
const BOLD: &[u8] = include_bytes!("../assets/Roboto-Bold.subset.ttf");

/// 256 MB of pixels.
const MOST_PIXELS: u32 = 64 << 20;

/// The picture of `svg` (the text of [`crate::svg_heatmap`]) as a PNG file, `scale` pixels per SVG unit. No font of the
/// machine is used, so that the bytes are the same everywhere; letters beyond Latin are left out.
///
/// # Errors
/// Text that is not SVG; a scale that is not positive, or that asks for more than 64 million pixels.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>, ReportError> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(BOLD.to_vec());
    fonts.set_sans_serif_family("Roboto");
    let options = Options { font_family: "Roboto".to_owned(), fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| ReportError::Svg(error.to_string()))?;

    let size = tree.size();
    let refused = || ReportError::Size { width: size.width(), height: size.height(), scale, most: MOST_PIXELS };
    let pixels = |side: f32| {
        let pixels = (side * scale).ceil();
        // NaN fails the comparison; what passes fits.
        if pixels >= 1.0 && pixels <= MOST_PIXELS as f32 { Ok(pixels as u32) } else { Err(refused()) }
    };
    let (width, height) = (pixels(size.width())?, pixels(size.height())?);
    if width.checked_mul(height).is_none_or(|total| total > MOST_PIXELS) {
        return Err(refused());
    }
    let mut pixmap = Pixmap::new(width, height).ok_or_else(refused)?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| ReportError::Png(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svg_heatmap;
    use crate::testing::six_layers;

    /// Width and height in the header of a PNG file.
    fn dimensions(png: &[u8]) -> (u32, u32) {
        let number = |at: usize| u32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]);
        (number(16), number(20))
    }

    #[test]
    fn pictures_scale_and_hold_text() {
        let svg = svg_heatmap(&six_layers(), "six layers");
        let once = png(&svg, 1.0).expect("draws");
        assert!(once.starts_with(b"\x89PNG"));
        let twice = png(&svg, 2.0).expect("draws");
        let ((width, height), (double_width, double_height)) = (dimensions(&once), dimensions(&twice));
        assert!(double_width.abs_diff(2 * width) <= 1 && double_height.abs_diff(2 * height) <= 1);

        // Without its fonts a picture would still draw, only without a single letter.
        let other = png(&svg_heatmap(&six_layers(), "another title"), 1.0).expect("draws");
        assert_ne!(once, other, "the title is drawn");
    }

    #[test]
    fn scales_without_a_picture_are_refused() {
        let svg = svg_heatmap(&six_layers(), "six layers");
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e6] {
            assert!(matches!(png(&svg, scale), Err(ReportError::Size { .. })), "scale {scale}");
        }
        assert!(matches!(png("<html>", 1.0), Err(ReportError::Svg(_))));
    }
}
