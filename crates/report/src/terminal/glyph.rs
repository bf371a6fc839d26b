//! One cell as text.

use super::style::{ColorLevel, Hue, Ink};
use crate::color::{BEST, Rgb};
use crate::precision::Precision;

/// A block that was not measured; darker than in the pictures, so that it differs from a dimmed white on any background.
const UNMEASURED: Hue = Hue::Fixed(Rgb(0x6c, 0x6c, 0x6c));

/// What stands at a place of the map; positions are on the colour scale, −1 to 1, followed by the delta itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Glyph {
    /// No block: below the diagonal.
    Outside,
    Baseline,
    Unmeasured,
    Certain(f64, f64),
    /// The interval includes 0.
    Uncertain(f64, f64),
    Best(f64, f64),
    /// The path dropped out of a screening.
    Dropped(f64, f64),
    /// A point of a skyline.
    Mean(f64, f64),
}

/// How much room a cell has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A blank, the delta in the map's unit, then `*` for the best, `?` where the interval includes 0 and `~` where the
    /// path dropped out of a screening.
    Number {
        precision: Precision,
        /// Characters of the longest number.
        width: usize,
    },
    /// Two columns.
    Pair,
    /// One column, two rows per line; only in colour.
    Half,
    /// One column; only without colour.
    Single,
}

impl Form {
    pub(crate) fn columns(self) -> usize {
        match self {
            // The word "base" takes a blank and four columns.
            Self::Number { width, .. } => (width + 2).max(5),
            Self::Pair => 2,
            Self::Half | Self::Single => 1,
        }
    }

    /// Rows of the map per line.
    pub(crate) fn rows(self) -> usize {
        if self == Self::Half { 2 } else { 1 }
    }

    /// The cell's text, [`Form::columns`] wide, and its looks.
    pub(crate) fn draw(self, glyph: Glyph, level: ColorLevel) -> (String, Ink) {
        let text = match self {
            Self::Number { precision, .. } => number(glyph, precision, self.columns()),
            Self::Pair if level == ColorLevel::Plain => plain_pair(glyph),
            Self::Pair => pair(glyph).to_owned(),
            Self::Single => single(glyph).to_string(),
            Self::Half => " ".to_owned(),
        };
        (text, self.ink(glyph))
    }

    fn ink(self, glyph: Glyph) -> Ink {
        match glyph {
            Glyph::Outside => Ink::default(),
            Glyph::Baseline => Ink::on(Hue::Delta(0.0), Hue::Fixed(Rgb(0, 0, 0))),
            Glyph::Unmeasured => Ink::on(UNMEASURED, Hue::Fixed(Rgb(0xff, 0xff, 0xff))),
            Glyph::Best(..) => Ink { bold: true, ..Ink::on(Hue::Fixed(BEST), Hue::Fixed(Rgb(0, 0, 0))) },
            Glyph::Uncertain(position, _) if self == Self::Pair => Ink::on(Hue::Delta(position), Hue::Hatch(position)),
            Glyph::Dropped(position, _) if self == Self::Pair => Ink::on(Hue::Delta(position), Hue::Hatch(position)),
            Glyph::Certain(position, _)
            | Glyph::Uncertain(position, _)
            | Glyph::Dropped(position, _)
            | Glyph::Mean(position, _) => Ink::on_delta(position),
        }
    }

    /// What the characters of the plain form stand for.
    pub(crate) fn plain_scale(self, low: &str, high: &str) -> String {
        match self {
            Self::Number { precision, .. } => format!("delta in {}, {low} to {high}", precision.unit()),
            Self::Pair => format!("delta in ninths of the scale: +9 is {high}, -9 is {low}"),
            Self::Half | Self::Single => {
                format!("delta in ninths of the scale: 9 is {high}, i is {low} (a = -1, b = -2 ...)")
            }
        }
    }
}

fn number(glyph: Glyph, precision: Precision, columns: usize) -> String {
    let width = columns - 1;
    match glyph {
        Glyph::Outside => " ".repeat(columns),
        Glyph::Baseline => format!("{:>columns$}", "base"),
        Glyph::Unmeasured => format!("{:>width$} ", "."),
        Glyph::Certain(_, delta) | Glyph::Mean(_, delta) => format!("{:>width$} ", precision.cell(delta)),
        Glyph::Uncertain(_, delta) => format!("{:>width$}?", precision.cell(delta)),
        Glyph::Best(_, delta) => format!("{:>width$}*", precision.cell(delta)),
        Glyph::Dropped(_, delta) => format!("{:>width$}~", precision.cell(delta)),
    }
}

fn pair(glyph: Glyph) -> &'static str {
    match glyph {
        Glyph::Baseline => "()",
        Glyph::Best(..) => "<>",
        Glyph::Uncertain(..) => "//",
        Glyph::Dropped(..) => "::",
        Glyph::Unmeasured => " .",
        Glyph::Outside | Glyph::Certain(..) | Glyph::Mean(..) => "  ",
    }
}

/// Zero to nine ninths of the scale.
fn ninths(position: f64) -> u8 {
    // At most 9 by the clamp.
    (position.abs().clamp(0.0, 1.0) * 9.0).round() as u8
}

fn plain_pair(glyph: Glyph) -> String {
    match glyph {
        Glyph::Outside => "  ".to_owned(),
        Glyph::Baseline => "()".to_owned(),
        Glyph::Best(..) => "<>".to_owned(),
        Glyph::Unmeasured => " .".to_owned(),
        Glyph::Certain(position, _) | Glyph::Mean(position, _) => {
            format!("{}{}", if position < 0.0 { '-' } else { '+' }, ninths(position))
        }
        // Marks of the same height as the sign is high: an apostrophe for better, a comma for worse.
        Glyph::Uncertain(position, _) => format!("{}{}", if position < 0.0 { ',' } else { '\'' }, ninths(position)),
        Glyph::Dropped(position, _) => format!("{}{}", dropped(position), ninths(position)),
    }
}

/// Arrows, up for better.
fn dropped(position: f64) -> char {
    if position < 0.0 { 'v' } else { '^' }
}

fn single(glyph: Glyph) -> char {
    match glyph {
        Glyph::Dropped(position, _) => dropped(position),
        Glyph::Outside => ' ',
        Glyph::Baseline => '=',
        Glyph::Best(..) => '*',
        Glyph::Unmeasured => '.',
        Glyph::Uncertain(position, _) => {
            if position < 0.0 {
                ','
            } else {
                '\''
            }
        }
        Glyph::Certain(position, _) | Glyph::Mean(position, _) => match ninths(position) {
            0 => '0',
            size if position < 0.0 => char::from(b'a' + size - 1),
            size => char::from(b'0' + size),
        },
    }
}

/// Two rows of the map in one character: its upper half takes the foreground, its lower half the background.
pub(crate) fn two_rows(upper: Glyph, lower: Glyph) -> (&'static str, Ink) {
    let hue = |glyph: Glyph| match glyph {
        Glyph::Outside => None,
        Glyph::Baseline => Some(Hue::Delta(0.0)),
        Glyph::Unmeasured => Some(UNMEASURED),
        Glyph::Best(..) => Some(Hue::Fixed(BEST)),
        Glyph::Uncertain(position, _) => Some(Hue::Dimmed(position)),
        Glyph::Dropped(position, _) => Some(Hue::Faded(position)),
        Glyph::Certain(position, _) | Glyph::Mean(position, _) => Some(Hue::Delta(position)),
    };
    match (hue(upper), hue(lower)) {
        (None, None) => (" ", Ink::default()),
        (Some(upper), None) => ("▀", Ink { foreground: Some(upper), ..Ink::default() }),
        (None, Some(lower)) => ("▄", Ink { foreground: Some(lower), ..Ink::default() }),
        (Some(upper), Some(lower)) => ("▀", Ink::on(lower, upper)),
    }
}
