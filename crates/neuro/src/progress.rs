//! Progress on stderr, with the time that is left. Drawn only where somebody watches, and only after a second.

use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::printer::Printer;

/// Work that is done within this time is not worth a bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// Steps of a full bar.
const RESOLUTION: u64 = 10_000;
const BAR: &str = "{spinner:.cyan} {prefix} {bar:30.cyan/dim} {percent:>3} % · {msg}";

/// A bar of work, drawn late and removed at the end.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    begin: Instant,
    is_watched: bool,
    is_drawn: bool,
}

impl Progress {
    /// A bar that says what is done.
    pub(crate) fn bar(printer: &Printer, what: impl Into<String>) -> Self {
        let bar = ProgressBar::with_draw_target(Some(RESOLUTION), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─"));
        bar.set_prefix(what.into());
        Self { bar, begin: Instant::now(), is_watched: printer.is_watched(), is_drawn: false }
    }

    /// Says how much is done, in [0, 1], and how long the rest will take. Without `remaining` the time is estimated
    /// from the progress so far.
    pub(crate) fn set(&mut self, fraction: f64, remaining: Option<Duration>, message: impl AsRef<str>) {
        self.bar.set_position((fraction * RESOLUTION as f64) as u64);
        let elapsed = self.begin.elapsed();
        self.bar.set_message(told(fraction, elapsed, remaining, message.as_ref()));
        if elapsed >= PATIENCE && self.is_watched && !self.is_drawn {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(Duration::from_millis(120));
            self.is_drawn = true;
        }
    }

    /// Lets something be said while the bar is out of the way.
    pub(crate) fn suspend(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }
}

/// What is done, and how long the rest takes: as long for each part as it took so far, where nobody knows better.
fn told(fraction: f64, elapsed: Duration, remaining: Option<Duration>, message: &str) -> String {
    let remaining = remaining.or_else(|| {
        let rest = elapsed.as_secs_f64() * (1.0 - fraction) / fraction;
        Duration::try_from_secs_f64(rest).ok().filter(|_| fraction > 0.0 && fraction < 1.0)
    });
    let left = remaining.map(|time| format!(" · {} left", HumanDuration(time))).unwrap_or_default();
    format!("{message}{left}")
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_follows_from_the_time_so_far() {
        let seconds = Duration::from_secs;
        assert_eq!(told(0.25, seconds(30), None, "1.0 of 4.0 GiB"), "1.0 of 4.0 GiB · 2 minutes left");
        assert_eq!(told(0.25, seconds(30), Some(seconds(5)), "x"), "x · 5 seconds left");
        // Nothing is known before the first part, and nothing is left behind the last.
        assert_eq!(told(0.0, seconds(30), None, "x"), "x");
        assert_eq!(told(1.0, seconds(30), None, "comparing"), "comparing");
    }
}
