//! Calibration of the instrument: does a verdict keep what it promises, where every path's true delta is known?
//!
//! Both phantoms can be asked everything they know. From the complete answers of a scan (`--questions all`) this study draws
//! questions with replacement, as from a larger population of which they are the whole, and holds verdicts and intervals
//! against the truth. It prints `docs/calibration.md`; `just calibrate` makes the scans and runs it.

mod answers;
mod coverage;
mod null;
mod planted;
mod power;
mod size;

use std::error::Error;
use std::io::Write;
use std::path::Path;

use neuro_stats::{Interval, wilson};

use crate::answers::Answers;

/// Finalists of one confirmation, as `neuro confirm` has them by default.
pub(crate) const FINALISTS: usize = 5;
/// Fresh questions of one confirmation, as `neuro confirm` asks by default.
pub(crate) const QUESTIONS: usize = 200;
/// Questions of the search that chooses the finalists.
pub(crate) const SEARCH_QUESTIONS: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let folders: Vec<_> = std::env::args_os().skip(1).collect();
    let [looped, plain] = folders.as_slice() else {
        return Err("expected two run directories: scans of phantom and phantom-plain with `--questions all`".into());
    };
    let phantoms = [Answers::read(Path::new(looped))?, Answers::read(Path::new(plain))?];
    let mut page = String::new();
    introduction(&mut page, &phantoms);
    for section in [
        size::section(&phantoms),
        null::section(&phantoms),
        power::section(&phantoms[0])?,
        planted::section(&phantoms[0])?,
        coverage::section(&phantoms),
    ] {
        page.push('\n');
        page.push_str(&section);
    }
    std::io::stdout().lock().write_all(page.as_bytes())?;
    Ok(())
}

fn introduction(page: &mut String, phantoms: &[Answers]) {
    page.push_str("# Calibration\n\n");
    page.push_str(
        "What the statistics promise, held against models of which everything is known. `just calibrate` makes this page; every number on\n\
         it is that command's output.\n\n\
         Both phantoms have a finite space of questions. All answers along the baseline and all blocks were computed once, so every\n\
         path's true delta is known. The study draws questions from them with replacement, as from a population, and asks the same\n\
         functions that `neuro scan` and `neuro confirm` use. Seeds are the numbers from 0 on: the same answers give the same page.\n\n",
    );
    page.push_str(
        "| phantom | questions | paths | baseline | true deltas below 0 | 0 | above 0 | largest | model hash |\n",
    );
    page.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for phantom in phantoms {
        let deltas: Vec<f64> = phantom.paths.iter().map(|path| path.delta()).collect();
        let count = |wanted: fn(f64) -> bool| deltas.iter().filter(|&&delta| wanted(delta)).count();
        page.push_str(&format!(
            "| {} | {} | {} | {:.4} | {} | {} | {} | {:+.4} | `{}` |\n",
            phantom.name,
            phantom.questions(),
            deltas.len() + 1,
            phantom.baseline.iter().sum::<f64>() / phantom.questions() as f64,
            count(|delta| delta < 0.0),
            count(|delta| delta == 0.0),
            count(|delta| delta > 0.0),
            deltas.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            &phantom.hash[..phantom.hash.len().min(12)],
        ));
    }
}

/// `3 of 200, 1.5 % [0.5 %, 4.3 %]`, with Wilson's interval.
pub(crate) fn share(count: usize, of: usize) -> String {
    let Interval { low, high } = wilson(count, of).unwrap_or(Interval { low: f64::NAN, high: f64::NAN });
    let percent = 100.0 * count as f64 / of as f64;
    format!("{count} of {of}, {percent:.1} % [{:.1} %, {:.1} %]", 100.0 * low, 100.0 * high)
}
