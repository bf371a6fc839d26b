//! Colours on a terminal: what a span of text looks like, and the escape sequences that say so.

use crate::color::{Rgb, diverging, diverging_256};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorLevel {
    /// No escape sequences and no characters beyond ASCII.
    Plain,
    /// The 256 indexed colours.
    Ansi256,
    /// 24-bit colours.
    TrueColor,
}

/// A colour by meaning; the level decides how it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Hue {
    /// A place on the diverging scale, −1 to 1.
    Delta(f64),
    /// The same, greyed: the interval includes 0 and there is no room for hatching.
    Dimmed(f64),
    /// The same, nearly grey: the path dropped out of a screening.
    Faded(f64),
    /// The hatching on top of it.
    Hatch(f64),
    /// Always this one.
    Fixed(Rgb),
}

impl Hue {
    fn rgb(self) -> Rgb {
        match self {
            Self::Delta(position) => diverging(position),
            Self::Dimmed(position) => diverging(position).mix(Rgb(0x80, 0x84, 0x8c), 0.42),
            Self::Faded(position) => diverging(position).mix(Rgb(0x80, 0x84, 0x8c), 0.75),
            Self::Hatch(position) => diverging(position).mix(Rgb(0x3a, 0x41, 0x50), 0.38),
            Self::Fixed(color) => color,
        }
    }

    /// The parameters after 38 (foreground) or 48 (background) of a "select graphic rendition" sequence.
    fn parameters(self, level: ColorLevel) -> String {
        match (level, self) {
            (ColorLevel::TrueColor, _) => {
                let Rgb(red, green, blue) = self.rgb();
                format!("2;{red};{green};{blue}")
            }
            (_, Self::Delta(position)) => format!("5;{}", diverging_256(position)),
            _ => format!("5;{}", self.rgb().nearest_256()),
        }
    }
}

/// How a span of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Ink {
    pub(crate) foreground: Option<Hue>,
    pub(crate) background: Option<Hue>,
    pub(crate) bold: bool,
    pub(crate) faint: bool,
}

impl Ink {
    pub(crate) const FAINT: Self = Self { foreground: None, background: None, bold: false, faint: true };
    pub(crate) const BOLD: Self = Self { foreground: None, background: None, bold: true, faint: false };

    /// Readable text on the colour of a delta.
    pub(crate) fn on_delta(position: f64) -> Self {
        let text = if diverging(position).is_light() { Rgb(0, 0, 0) } else { Rgb(255, 255, 255) };
        Self { foreground: Some(Hue::Fixed(text)), background: Some(Hue::Delta(position)), ..Self::default() }
    }

    pub(crate) fn on(background: Hue, foreground: Hue) -> Self {
        Self { foreground: Some(foreground), background: Some(background), ..Self::default() }
    }

    fn escape(self, level: ColorLevel) -> String {
        let mut codes = Vec::new();
        if self.bold {
            codes.push("1".to_owned());
        }
        if self.faint {
            codes.push("2".to_owned());
        }
        if let Some(hue) = self.foreground {
            codes.push(format!("38;{}", hue.parameters(level)));
        }
        if let Some(hue) = self.background {
            codes.push(format!("48;{}", hue.parameters(level)));
        }
        codes.join(";")
    }
}

/// `text` with the sequences around it, or as it is where nothing is to be said.
pub(crate) fn paint(text: &str, ink: Ink, level: ColorLevel) -> String {
    if level == ColorLevel::Plain || ink == Ink::default() || text.is_empty() {
        return text.to_owned();
    }
    format!("\u{1b}[{}m{text}\u{1b}[0m", ink.escape(level))
}

/// A line of spans; neighbours of equal looks share one pair of sequences.
#[derive(Default)]
pub(crate) struct Line {
    spans: Vec<(String, Ink)>,
}

impl Line {
    pub(crate) fn push(&mut self, text: &str, ink: Ink) {
        match self.spans.last_mut() {
            Some((last, same)) if *same == ink => last.push_str(text),
            _ => self.spans.push((text.to_owned(), ink)),
        }
    }

    /// The line with its end of line; blanks at the end are dropped.
    pub(crate) fn finish(mut self, level: ColorLevel) -> String {
        while let Some((text, ink)) = self.spans.last_mut() {
            if level == ColorLevel::Plain || ink.background.is_none() {
                text.truncate(text.trim_end().len());
            }
            if !text.is_empty() {
                break;
            }
            self.spans.pop();
        }
        let mut line: String = self.spans.iter().map(|(text, ink)| paint(text, *ink, level)).collect();
        line.push('\n');
        line
    }
}
