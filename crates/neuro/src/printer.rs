//! The one door to the terminal: data to stdout, talk to stderr.
//!
//! Colour is decided here once for both: none where the stream is no terminal, `NO_COLOR` is set or the terminal is
//! dumb; always where `CLICOLOR_FORCE` is set.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};
use neuro_report::ColorLevel;

/// Width of pictures and tables where stdout is no terminal.
const DEFAULT_WIDTH: usize = 100;

/// Style of the word `error`.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Style of the word `warning`.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Style of the word `hint`.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Style of headings and of the one result that matters.
pub(crate) const BOLD: Style = Style::new().bold();
/// Style of what may be overlooked.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Style of good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();

/// Text in a style; the styling is removed on its way out where colours are off.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The reader of stdout went away, as `head` does. Not an error: the command ends quietly.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output has closed it")]
pub(crate) struct OutputClosed;

/// A JSON text whose strings lose nothing where escape sequences are stripped: JSON need not escape the delete character, with
/// which stripping does away.
fn escaped(json: &str) -> String {
    json.replace('\u{7f}', "\\u007f")
}

/// Writes to the terminal.
#[derive(Debug)]
pub(crate) struct Printer {
    stdout: ColorChoice,
    stderr: ColorChoice,
}

impl Printer {
    /// Looks at both streams and the environment.
    pub(crate) fn new() -> Self {
        Self { stdout: AutoStream::choice(&io::stdout()), stderr: AutoStream::choice(&io::stderr()) }
    }

    /// Writes data to stdout as it is, and flushes it.
    ///
    /// # Errors
    /// [`OutputClosed`] when nobody reads any more; otherwise what the system says.
    pub(crate) fn data(&self, text: &str) -> anyhow::Result<()> {
        let mut stream = AutoStream::new(io::stdout().lock(), self.stdout);
        stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).map_err(output_error)
    }

    /// Writes data to stdout, with a line end.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub(crate) fn line(&self, text: impl Display) -> anyhow::Result<()> {
        self.data(&format!("{text}\n"))
    }

    /// Writes one JSON document to stdout: on one line, or spread out where a person reads it.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub(crate) fn json(&self, document: &serde_json::Value) -> anyhow::Result<()> {
        let text = if io::stdout().is_terminal() { format!("{document:#}") } else { document.to_string() };
        self.line(escaped(&text))
    }

    /// Says something on stderr. Whether anybody listens does not matter.
    pub(crate) fn note(&self, text: impl Display) {
        let mut stream = AutoStream::new(io::stderr().lock(), self.stderr);
        let _ = writeln!(stream, "{text}");
    }

    /// Says on stderr that something may be wrong.
    pub(crate) fn warning(&self, text: impl Display) {
        self.note(format_args!("{} {text}", styled(WARNING, "warning:")));
    }

    /// Gives advice on stderr.
    pub(crate) fn hint(&self, text: impl Display) {
        self.note(format_args!("{} {text}", styled(HINT, "hint:")));
    }

    /// What colours pictures on stdout may use.
    pub(crate) fn color_level(&self) -> ColorLevel {
        let variable = |name| std::env::var(name).unwrap_or_default();
        color_level(self.stdout, &variable("COLORTERM"), &variable("TERM"))
    }

    /// Columns of stdout.
    pub(crate) fn width(&self) -> usize {
        terminal_size::terminal_size_of(io::stdout()).map_or(DEFAULT_WIDTH, |(width, _)| usize::from(width.0))
    }

    /// Whether somebody watches stderr, so that progress may be drawn there.
    pub(crate) fn is_watched(&self) -> bool {
        io::stderr().is_terminal()
    }
}

fn output_error(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => OutputClosed.into(),
        _ => anyhow::Error::new(error).context("stdout cannot be written"),
    }
}

/// Terminals announce true colour in `COLORTERM`, a few only by their name. All others that know colours at all know
/// the 256 of xterm, as far as they are still in use.
fn color_level(choice: ColorChoice, colorterm: &str, term: &str) -> ColorLevel {
    const TRUE_COLOR_TERMINALS: [&str; 6] = ["direct", "truecolor", "kitty", "alacritty", "ghostty", "wezterm"];
    let is_true_color = matches!(colorterm, "truecolor" | "24bit")
        || TRUE_COLOR_TERMINALS.iter().any(|name| term.contains(name))
        || (cfg!(windows) && term.is_empty());
    match choice {
        ColorChoice::Never => ColorLevel::Plain,
        _ if is_true_color => ColorLevel::TrueColor,
        _ => ColorLevel::Ansi256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_choice_first_and_the_terminal_second() {
        let never = color_level(ColorChoice::Never, "truecolor", "xterm-kitty");
        assert!(matches!(never, ColorLevel::Plain));
        let announced = color_level(ColorChoice::Always, "truecolor", "xterm-256color");
        assert!(matches!(announced, ColorLevel::TrueColor));
        let named = color_level(ColorChoice::AlwaysAnsi, "", "xterm-kitty");
        assert!(matches!(named, ColorLevel::TrueColor));
        let ordinary = color_level(ColorChoice::Always, "", "screen-256color");
        assert!(matches!(ordinary, ColorLevel::Ansi256));
    }

    #[test]
    fn json_loses_nothing_where_colours_are_stripped() {
        let document = serde_json::json!({ "answer": "1\u{7f}t \u{1b}[1m\u{9b}é\n" });
        let text = escaped(&document.to_string());
        let stripped = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&stripped).expect("is JSON"), document);
    }
}
