//! HOW IT LOOKS: terminal heatmap, SVG, PNG, HTML and tables of a block map.
//!
//! Every picture is made from the numbers of `stats` and `record` and computes none itself; it knows neither models nor
//! probes. The same map gives the same text, byte for byte, and strings that come from others are escaped on the way in.
//!
//! Its sharpest edge: the two sides of the colour scale may have different spans, and the blue side is clipped, so a
//! colour is comparable only within one picture and one side of it. The legend says so; a new picture must say it too.

mod color;
mod confirmation;
mod error;
mod escape;
mod headline;
mod html;
mod number;
mod png;
mod precision;
mod range;
mod shrinkage;
mod svg;
mod table;
mod terminal;
#[cfg(test)]
mod testing;
mod type_effect;
mod verdict;

pub use confirmation::{Confirmation, html_with_confirmation};
pub use error::ReportError;
pub use headline::headline;
pub use html::html_report;
pub use png::png;
pub use shrinkage::{Shrinkage, svg_shrinkage};
pub use svg::{svg_heatmap, svg_null_map};
pub use table::{csv_table, top_table};
pub use terminal::{style::ColorLevel, terminal_heatmap};
pub use type_effect::{TypeEffectMissing, type_effect_lines, type_effect_missing};
pub use verdict::verdict;
