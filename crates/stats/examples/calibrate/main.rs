//! Calibration of the instrument: does a verdict keep what it promises, where every path's true delta is known?
//!
//! Both phantoms can be asked everything they know. From the complete answers of a scan (`--questions all`) this study draws
//! questions with replacement, as from a larger population of which they are the whole, and holds verdicts and intervals
//! against the truth; of a third folder it reads confirmations that `neuro confirm` has made. It prints
//! `docs/calibration.md` and fails where something that is demanded was not found; `just calibrate` makes the scans and runs it.

mod study;

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use study::answers::Answers;
use study::{Effort, coverage, demands_table, graded, introduction, null, planted, power, size, whole};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folders: Vec<_> = std::env::args_os().skip(1).collect();
    let [looped, plain, confirmed] = folders.as_slice() else {
        return Err(
            "expected two run directories, scans of phantom and phantom-plain with `--questions all`, and a folder of \
                    runs that were confirmed, each called PHANTOM-SEED"
                .into(),
        );
    };
    let phantoms = [Answers::read(Path::new(looped))?, Answers::read(Path::new(plain))?];
    let effort = Effort::FULL;
    let sections = [
        size::section(&phantoms, &effort),
        null::section(&phantoms, &effort),
        power::section(&phantoms[0], &effort)?,
        planted::section(&phantoms[0], &effort)?,
        whole::section(&phantoms, Path::new(confirmed))?,
        coverage::section(&phantoms, &effort),
        graded::section(&phantoms, &effort),
    ];
    let demands: Vec<_> = sections.iter().flat_map(|section| &section.demands).collect();
    let mut page = introduction(&phantoms);
    page.push_str(&demands_table(&demands));
    for section in &sections {
        page.push('\n');
        page.push_str(&section.page);
    }
    std::io::stdout().lock().write_all(page.as_bytes())?;
    let mut talk = std::io::stderr().lock();
    for broken in demands.iter().filter(|demand| !demand.holds) {
        writeln!(talk, "broken: {}: demanded {}, found {}", broken.what, broken.demanded, broken.found)?;
    }
    Ok(if demands.iter().all(|demand| demand.holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
