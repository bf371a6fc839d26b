//! What can go wrong when a picture is made.

/// Errors of this room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The text is not an SVG document.
    #[error("the picture is not valid SVG: {0}; give the text of `svg_heatmap`")]
    Svg(String),
    /// The picture would be empty or need too much memory.
    #[error(
        "a picture of {width} × {height} pixels at scale {scale} cannot be drawn, expected at least one and at most {most} pixels; choose another scale"
    )]
    Size {
        /// Width of the picture at scale 1.
        width: f32,
        /// Its height.
        height: f32,
        /// The scale asked for.
        scale: f32,
        /// The limit on width × height × scale².
        most: u32,
    },
    /// The pixels could not be written as PNG.
    #[error("the pixels could not be encoded as PNG: {0}")]
    Png(String),
}
